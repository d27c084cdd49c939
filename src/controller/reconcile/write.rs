//! From a credential to the Secrets: verify it, write it, repair what others broke.

use std::collections::BTreeSet;

use tracing::info;

use super::super::observe::Observation;
use super::super::publish::{self, WriteFailure};
use super::super::report;
use super::super::tokens::TokenView;
use super::super::verify::{self, Clearance};
use super::Run;
use crate::api::Reason;
use crate::outputs::Facts;
use crate::rotation::{EpochSeconds, OutputState, is_given_up, is_worse};

/// Writes in a row that somebody else's may come before until that counts as a failure.
const OVERTAKEN_AT_MOST: u32 = 3;

impl Run<'_> {
    /// Goes on with the credential in memory: verify, write, report. It stays in memory until it is
    /// written, also when this run is cut short.
    pub(super) async fn publish_held(mut self, mut found: Observation) -> EpochSeconds {
        let Some(mut held) = self.memory.held.clone() else {
            return self.settle(&found, self.now + 1).await;
        };
        self.cluster.get_or_insert_with(|| held.cluster.clone());
        let observed = found.summary(&self.subject, self.memory);
        if is_worse(
            &self.subject.wanted,
            &observed,
            &held.material.issue,
            self.now,
        ) {
            self.memory.held = None;
            let why = Some("the new credential expires before the published one".to_string());
            let until = self.fail(&found, Reason::ApiResponseInvalid, why, None, true);
            return self.settle(&found, until).await;
        }
        if held.verification.is_none() {
            let policy = self.subject.access.spec.verification;
            let published = found.material();
            let cleared =
                verify::clear(self.context, policy, &held, published.as_ref(), self.now).await;
            match cleared {
                Clearance::Publish(verification) => held.verification = Some(verification),
                Clearance::AskAgain(seconds) => {
                    held.rejections += 1;
                    held.not_before = self.now + seconds;
                    let until = held.not_before;
                    self.memory.held = Some(held);
                    return until;
                }
                Clearance::Blocked(reason) => {
                    let until = self.fail(&found, reason, None, None, false);
                    let issue = &held.material.issue;
                    let given_up = reason == Reason::CredentialRejected
                        && is_given_up(issue.issued_at, issue.expires_at, self.now);
                    self.memory.held = (!given_up).then(|| {
                        held.not_before = until;
                        held
                    });
                    return self.settle(&found, until).await;
                }
            }
            self.memory.held = Some(held.clone());
        }
        if self.facts_differ(&held.facts) {
            self.subject.facts = Some(held.facts.clone());
        }
        let material = Some(&held.material);
        let failure =
            publish::write_outputs(self.context, &self.subject, &mut found, material).await;
        if found.holds(&held.material.issue) {
            self.verification.clone_from(&held.verification);
            report::issued(self.context, &self.subject, self.memory, &held);
        }
        self.finish_writing(found, failure).await
    }

    /// Whether what is known of the cluster is not about the one that a credential is for.
    pub(super) fn facts_differ(&self, of_credential: &Facts) -> bool {
        let known = self.subject.facts.as_ref();
        known.is_none_or(|known| known.cluster_id != of_credential.cluster_id)
    }

    /// After the outputs: what is no longer wanted goes, and what failed is noted.
    pub(super) async fn finish_writing(
        mut self,
        mut found: Observation,
        failure: Option<WriteFailure>,
    ) -> EpochSeconds {
        // What an output replaces that cannot be written is still in use.
        let replaced = !found.outputs.iter().any(|place| place.state.is_refused());
        let failure = match failure {
            None if replaced => {
                publish::remove_obsolete(self.context, &self.subject, &mut found).await
            }
            failure => failure,
        };
        self.note_unsupported(&found);
        let Some(failure) = failure else {
            self.memory.failure = None;
            self.memory.held = None;
            self.memory.overtaken = 0;
            return self.rest(&found).await;
        };
        if failure.overtaken && self.memory.overtaken < OVERTAKEN_AT_MOST {
            self.memory.overtaken += 1;
            return self.now + 1;
        }
        let until = self.fail(&found, failure.reason, Some(failure.subject), None, false);
        if let Some(held) = &mut self.memory.held {
            held.not_before = until;
        }
        self.settle(&found, until).await
    }

    pub(super) fn note_unsupported(&mut self, found: &Observation) {
        let outputs = self.subject.outputs.iter().zip(&found.outputs);
        let names: BTreeSet<_> = outputs
            .filter(|(_, place)| place.state == OutputState::Unsupported)
            .map(|(output, _)| output.secret_name.clone())
            .collect();
        self.memory.unsupported =
            (!names.is_empty()).then(|| Box::new((self.subject.wanted.attempt(), names)));
    }

    /// Writes the outputs that are not as wanted from one that is intact, or from memory.
    pub(super) async fn repair(mut self, mut found: Observation) -> EpochSeconds {
        let held = self.memory.held.as_ref().map(|held| &held.material);
        let held = held.filter(|held| Some(&held.issue) == found.published());
        let material = held.cloned().or_else(|| found.material());
        let differ = |facts: &Facts| {
            let issue = material.as_ref().map(|material| &material.issue.cluster_id);
            issue.is_some_and(|cluster_id| facts.cluster_id != *cluster_id)
        };
        if self.subject.facts.as_ref().is_none_or(differ) && self.refusal.is_none() {
            // What a Secret is to say of the cluster is not known yet.
            let view = self.token();
            if !matches!(view, TokenView::Usable(_)) {
                return self.wait_for_token(&found, view).await;
            }
            // The list that tells of it may have come while the Secrets were read.
            self.follow_cluster(found.published()).await;
        }
        let attempt = self.subject.wanted.attempt();
        self.memory.repairs.note(attempt, self.now);
        let material = material.as_ref();
        let failure =
            publish::write_outputs(self.context, &self.subject, &mut found, material).await;
        if failure.is_none() {
            info!("repaired the outputs");
        }
        self.finish_writing(found, failure).await
    }
}
