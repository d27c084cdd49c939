//! The published credential, asked about from time to time: does the cluster still accept it?

use tracing::{info, warn};

use super::super::memory::{REJECTIONS, Reverification};
use super::super::observe::Observation;
use super::super::report;
use super::super::verify;
use super::Run;
use crate::api::{Reason, VerificationPolicy};
use crate::rotation::{EpochSeconds, Issue, next_verification};
use crate::status::Verification;
use crate::target::Verdict;

/// How long after a rejection the cluster is asked again, in seconds.
const REJECTED_AGAIN_SECONDS: i64 = 60;

impl Run<'_> {
    /// Notes which credential is to be asked about, and when.
    pub(super) fn follow_published(&mut self, found: &Observation) {
        let asks = self.subject.access.spec.verification != VerificationPolicy::Off;
        let published = found
            .published()
            .filter(|issue| asks && !self.subject.wanted.suspend && issue.expires_at > self.now);
        let Some(issue) = published.cloned() else {
            self.memory.reverification = None;
            return;
        };
        let known = self.memory.reverification.as_ref();
        if known.is_none_or(|known| known.issue != issue) {
            self.memory.reverification = Some(Reverification {
                at: next_verification(&self.subject.wanted.uid, self.now),
                rejections: 0,
                may_be_replaced: !self.was_rejected_when_published(&issue),
                issue,
            });
        }
    }

    /// Whether the cluster has never accepted the published credential and rejects it: another one
    /// would fare no better.
    fn was_rejected_when_published(&self, issue: &Issue) -> bool {
        let told = || Verification::told(&self.subject.status(), issue);
        let verification = self.verification.clone().or_else(told);
        verification.is_some_and(|verification| {
            verification.reason == Reason::Rejected && verification.at.is_none()
        })
    }

    /// Asks the cluster about the published credential, and reports the answer where it is another than
    /// before.
    pub(super) async fn reverify(mut self, found: Observation) -> EpochSeconds {
        let verdict = match found.material() {
            Some(material) => Some(verify::ask_about(self.context, &material).await),
            // An output that holds too little to ask with.
            None => None,
        };
        let now = self.now;
        let Some(reverification) = &mut self.memory.reverification else {
            return self.settle(&found, now + 1).await;
        };
        reverification.at = next_verification(&self.subject.wanted.uid, now);
        reverification.rejections = match &verdict {
            Some(Verdict::Rejected(_)) => reverification.rejections.saturating_add(1),
            _ => 0,
        };
        let rejections = reverification.rejections;
        if (1..REJECTIONS).contains(&rejections) {
            reverification.at = reverification.at.min(now + REJECTED_AGAIN_SECONDS);
        }
        let issue = reverification.issue.clone();
        if let Some(verdict) = verdict {
            self.tell_verdict(&issue, verdict);
        }
        self.rest(&found).await
    }

    fn tell_verdict(&mut self, issue: &Issue, verdict: Verdict) {
        let before = Verification::told(&self.subject.status(), issue);
        let reason = verify::reason_of(&verdict);
        if before
            .as_ref()
            .is_some_and(|before| before.reason == reason)
        {
            return;
        }
        let verification = match verdict {
            Verdict::Accepted { username, groups } => {
                Verification::accepted(self.now, username, groups)
            }
            // Who it was when the cluster knew it last.
            Verdict::Rejected(_) | Verdict::Unreachable(_) => Verification {
                reason,
                ..before.unwrap_or_else(Verification::off)
            },
        };
        if reason == Reason::Rejected {
            warn!("the cluster rejects the published credential");
        } else {
            info!(
                verdict = reason.as_str(),
                "the published credential was checked"
            );
        }
        report::checked(self.context, &self.subject, reason);
        self.verification = Some(verification);
    }
}
