//! One run for one access: observe → decide → issue → verify → publish → report.

mod cluster;
mod mint;
mod reverify;
mod sharing;
mod token;
mod write;

use std::sync::Arc;

use tracing::warn;

use super::context::Context;
use super::key::ObjectKey;
use super::kubernetes::ApiError;
use super::memory::Memory;
use super::observe::{self, Observation};
use super::report;
use super::subject::Subject;
use super::tokens::{TokenView, UsableToken};
use crate::api::{ClusterStatus, DOAccount, Reason};
use crate::rotation::{Decision, EpochSeconds, Failure, MAX_SLEEP_SECONDS, decide, retry_at};
use crate::status::{Finding, Verification};

/// Runs once for the access with this key. Returns when to run again; `None` when there is nothing to
/// look after.
pub(super) async fn reconcile(context: &Context, key: &ObjectKey) -> Option<EpochSeconds> {
    let access = context.caches().accesses.get(key);
    let access = access.filter(|access| access.deleted_at.is_none());
    let subject = access.and_then(|access| Subject::new(key, access.object(key)));
    let Some(subject) = subject else {
        context.tokens().detach(key);
        return None;
    };
    let memory = context.memories.of(&subject.wanted.uid);
    let mut memory = memory.lock().await;
    let now = context.clock.now_seconds();
    memory.follow_clock(context.times_set_back(), now);
    memory.follow_outages(context.kubernetes.outage.recoveries(), now);
    let run = Run {
        context,
        subject,
        memory: &mut memory,
        now,
        account: None,
        refusal: None,
        may_be_renamed: false,
        finding: None,
        verification: None,
        cluster: None,
        pinned: None,
    };
    // On the heap: the states of a whole run are too large for the stack of a worker.
    Some(Box::pin(run.run()).await)
}

/// What is known in the course of one run.
struct Run<'a> {
    context: &'a Context,
    subject: Subject,
    memory: &'a mut Memory,
    /// The one reading of the clock that decisions of this run go by.
    now: EpochSeconds,
    /// The DOAccount whose token is used, where that is not the namespace's own.
    account: Option<Arc<DOAccount>>,
    /// Why there is no token for this access, or not for this cluster.
    refusal: Option<Finding>,
    /// The cluster was refused by a list that is old: if an issue is due, a new one is asked for.
    may_be_renamed: bool,
    /// Why the attempt ended as it did, where that is not the recorded failure.
    finding: Option<Finding>,
    verification: Option<Verification>,
    cluster: Option<ClusterStatus>,
    /// The cluster that the reference led to before, as the outputs or status tell.
    pinned: Option<String>,
}

impl Run<'_> {
    async fn run(mut self) -> EpochSeconds {
        self.admit();
        self.attach_token();
        let published = observe::published(self.context, &self.subject, self.memory);
        self.follow_cluster(published.as_ref()).await;
        let cached = observe::cached(self.context, &self.subject, self.memory);
        self.follow_published(&cached);
        match self.decide(&cached) {
            Decision::Wait { until } | Decision::Suspended { until } => {
                self.settle(&cached, until).await
            }
            Decision::Issue(reason) => match self.token() {
                TokenView::Usable(_) if self.awaits_shared(reason) => self.now + MAX_SLEEP_SECONDS,
                TokenView::Usable(token) => Box::pin(self.act(Some(token))).await,
                view => self.wait_for_token(&cached, view).await,
            },
            _ => Box::pin(self.act(None)).await,
        }
    }

    /// Something may be due or has changed: look again, at the API server itself, and act.
    async fn act(mut self, token: Option<UsableToken>) -> EpochSeconds {
        let found = match observe::fresh(self.context, &self.subject, self.memory).await {
            Ok(found) => found,
            Err(error) => return self.cannot_read(&error).await,
        };
        self.memory.accepted = observe::accepted(&self.subject, &found);
        self.follow_cluster_afresh(&found).await;
        match self.decide(&found) {
            Decision::Wait { until } | Decision::Suspended { until } => {
                self.settle(&found, until).await
            }
            Decision::Refuse {
                reason,
                subject,
                until,
            } => {
                // The limit on repairs knows when it ends; the retry rule may be far longer.
                let ends_at = subject.is_some().then_some(until);
                let subject = subject
                    .or_else(|| self.first_refused(&found))
                    .or_else(|| self.cause_of_limit(reason));
                let until = self.fail(&found, reason, subject, ends_at, false);
                self.settle(&found, until).await
            }
            // It was issued when that was still allowed.
            Decision::Publish if self.refusal.is_some() => {
                let view = self.token();
                self.wait_for_token(&found, view).await
            }
            Decision::Publish => self.publish_held(found).await,
            Decision::Repair => self.repair(found).await,
            Decision::Verify => self.reverify(found).await,
            Decision::Issue(reason) => {
                match token.map_or_else(|| self.token(), TokenView::Usable) {
                    TokenView::Usable(token) => Box::pin(self.issue(reason, found, token)).await,
                    view => self.wait_for_token(&found, view).await,
                }
            }
        }
    }

    fn decide(&self, found: &Observation) -> Decision {
        decide(
            &self.subject.wanted,
            &found.summary(&self.subject, self.memory),
            self.now,
        )
    }

    async fn cannot_read(mut self, error: &ApiError) -> EpochSeconds {
        warn!(%error, "the Secrets could not be read");
        let cached = observe::cached(self.context, &self.subject, self.memory);
        let subject = Some("Secrets cannot be read".to_string());
        let until = self.fail(&cached, Reason::SecretWriteFailed, subject, None, false);
        self.settle(&cached, until).await
    }

    /// After success: what is left to do is to wait.
    async fn rest(mut self, found: &Observation) -> EpochSeconds {
        self.follow_published(found);
        let until = match self.decide(found) {
            Decision::Wait { until } => until,
            _ => self.now + 1,
        };
        if let Some(subject) = self.first_refused(found) {
            let until = self.fail(found, self.refusal(found), Some(subject), None, false);
            return self.settle(found, until).await;
        }
        self.settle(found, until).await
    }

    /// Reports and sleeps until `until`, or until the credential expires, whichever comes first.
    async fn settle(&mut self, found: &Observation, until: EpochSeconds) -> EpochSeconds {
        let expires_at = found.published().map(|issue| issue.expires_at);
        let reported = report::report(
            self.context,
            &self.subject,
            self.memory,
            found,
            report::Attempt {
                finding: self.finding.take(),
                verification: self.verification.take(),
                cluster: self.cluster.take(),
                now: self.now,
            },
        )
        .await;
        let expiry = expires_at
            .filter(|expires_at| *expires_at > self.now)
            .unwrap_or(until);
        until.min(expiry).min(reported.unwrap_or(until))
    }

    /// Records a failed attempt; returns when to try again.
    fn fail(
        &mut self,
        found: &Observation,
        reason: Reason,
        subject: Option<String>,
        not_before: Option<EpochSeconds>,
        may_have_minted: bool,
    ) -> EpochSeconds {
        let now = self.now;
        let attempt = self.subject.wanted.attempt();
        let expires_at = found.published().map(|issue| issue.expires_at);
        let previous = self
            .memory
            .failure
            .take()
            .filter(|failure| failure.attempt == attempt);
        let since = previous.as_ref().map_or(now, |failure| failure.since);
        // Waiting for the limit to end makes up for no answer that was lost.
        let was_lost = previous.is_some_and(|failure| failure.may_have_minted);
        let may_have_minted = may_have_minted || (reason == Reason::IssueLimitReached && was_lost);
        let retry_at = retry_at(&self.subject.wanted.uid, now, since, expires_at, not_before);
        self.memory.failure = Some(Box::new(Failure {
            attempt,
            since,
            at: now,
            retry_at,
            reason,
            subject,
            may_have_minted,
        }));
        retry_at
    }

    /// What used the limit up, where that was not a Secret that was lost: without it, the reader would
    /// look in the wrong place.
    fn cause_of_limit(&self, reason: Reason) -> Option<String> {
        let failure = self.memory.failure.as_ref()?;
        if reason != Reason::IssueLimitReached || !failure.may_have_minted {
            return None;
        }
        if failure.reason == Reason::IssueLimitReached {
            return failure.subject.clone();
        }
        let why = failure
            .subject
            .as_deref()
            .unwrap_or(failure.reason.sentence());
        Some(format!("{} ({why})", failure.reason.as_str()))
    }

    fn first_refused(&self, found: &Observation) -> Option<String> {
        report::first_refused(&self.subject, found).map(|(_, subject)| subject)
    }

    fn refusal(&self, found: &Observation) -> Reason {
        report::first_refused(&self.subject, found)
            .map_or(Reason::SecretConflict, |(reason, _)| reason)
    }
}
