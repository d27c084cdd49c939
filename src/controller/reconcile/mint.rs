//! An issue is due: the cluster, the budget, the calls, and what to make of their failure.

use tracing::warn;

use super::super::issue::{self, IssueError, reason_of};
use super::super::key::Key;
use super::super::memory::{Draft, Expiry, Missing};
use super::super::observe::Observation;
use super::super::tokens::UsableToken;
use super::Run;
use super::cluster::NoCluster;
use super::sharing::{begin_minting, may_share};
use crate::api::Reason;
use crate::digitalocean::{Cluster, Error, ErrorKind, Turn};
use crate::lookup::unusable;
use crate::rotation::{EpochSeconds, IssueReason, MAX_SLEEP_SECONDS};

impl Run<'_> {
    pub(super) async fn issue(
        mut self,
        reason: IssueReason,
        found: Observation,
        token: UsableToken,
    ) -> EpochSeconds {
        let cluster = match self.cluster(&token).await {
            Ok(cluster) => cluster,
            Err(NoCluster::Parked) => return self.now + MAX_SLEEP_SECONDS,
            Err(NoCluster::Refused(finding)) => {
                let until = self.fail(&found, finding.reason, finding.subject, None, false);
                return self.settle(&found, until).await;
            }
            Err(NoCluster::Failed(error)) => return self.call_failed(found, &error, &token).await,
            Err(NoCluster::NotAllowed) => {
                self.refuse_cluster();
                return self.settle(&found, self.now + MAX_SLEEP_SECONDS).await;
            }
        };
        let mut draft = self.take_draft(&cluster);
        let shared = self.shared_key();
        let user = may_share(reason).then_some(&self.subject.key);
        let fingerprint = token.token.fingerprint();
        let Some(minting) = begin_minting(self.context, fingerprint, &shared, user) else {
            self.memory.draft = Some(Box::new(draft));
            return self.now + MAX_SLEEP_SECONDS;
        };
        if may_share(reason) {
            self.complete_from_shared(&shared, &mut draft, &found);
        }
        if let Err(back) = self.grant(&found, &draft) {
            self.memory.draft = Some(Box::new(draft));
            return back;
        }
        let mints = issue::missing_calls(&self.subject, &draft) > 0;
        self.finding = None;
        let after_loss = self
            .memory
            .failure
            .as_ref()
            .is_some_and(|failure| failure.may_have_minted);
        if matches!(reason, IssueReason::Lost | IssueReason::Rejected) || after_loss {
            self.memory.note_unscheduled(self.now);
        }
        let minted = issue::mint(
            self.context,
            &self.subject,
            &token.token,
            &cluster,
            reason,
            &mut draft,
        )
        .await;
        if minted.is_ok() && mints {
            self.offer(&shared, &draft);
        }
        drop(minting);
        match minted {
            Ok(held) => {
                // A failed attempt is no issue: the retry rule alone spaces attempts.
                self.memory.last_issue_at = Some(self.now);
                self.memory.held = Some(Box::new(held));
                self.publish_held(found).await
            }
            Err(IssueError::Call(error)) => {
                if !error.may_have_minted() {
                    // What was refused brought nothing into being: it is no issue, only a failed attempt.
                    self.memory.forget_unscheduled(self.now);
                }
                self.memory.draft = Some(Box::new(draft));
                self.call_failed(found, &error, &token).await
            }
            Err(IssueError::Invalid { why }) => {
                self.memory.draft = Some(Box::new(draft));
                warn!(why, "DigitalOcean's answer cannot be used");
                let until = self.fail(&found, Reason::ApiResponseInvalid, Some(why), None, true);
                self.settle(&found, until).await
            }
        }
    }

    /// Asks for the requests that the issue will make.
    ///
    /// # Errors
    /// When to come back for them: it is not our turn yet.
    pub(super) fn grant(&self, found: &Observation, draft: &Draft) -> Result<(), EpochSeconds> {
        let requests = issue::missing_calls(&self.subject, draft);
        if requests == 0 {
            return Ok(());
        }
        let turn = match found.published() {
            Some(issue) if issue.expires_at > self.now => Turn::Expiring(issue.expires_at),
            Some(issue) => Turn::Waiting(issue.expires_at),
            None => {
                let created = self.subject.access.metadata.creation_timestamp.as_ref();
                Turn::Waiting(created.map_or(self.now, |time| time.0.as_second()))
            }
        };
        let now = self.context.steady_millis();
        let mut tokens = self.context.tokens();
        let Some(account) = tokens.account_mut(&self.subject.source) else {
            return Ok(());
        };
        let granted = account.budget.grant(&self.subject.key, turn, requests, now);
        granted.map_err(|back| self.now + (back - now).div_euclid(1000) + 1)
    }

    /// The half of an issue that succeeded before, while it is what is wanted now and worth it.
    pub(super) fn take_draft(&mut self, cluster: &Cluster) -> Draft {
        let cluster_id = cluster.id.to_ascii_lowercase();
        let issue_hash = self.subject.wanted.issue_hash.clone();
        let fresh_enough = |expiry: &Expiry| {
            let lifetime = expiry.expires_at - expiry.requested_at;
            self.now - expiry.requested_at < lifetime / 10
        };
        let kept = self
            .memory
            .draft
            .take()
            .filter(|draft| draft.issue_hash == issue_hash && draft.cluster_id == cluster_id);
        let (credentials, kubeconfig) = kept
            .map(|draft| (draft.credentials, draft.kubeconfig))
            .unwrap_or_default();
        Draft {
            issue_hash,
            cluster_id,
            credentials: credentials.filter(|minted| fresh_enough(&minted.expiry)),
            kubeconfig: kubeconfig.filter(|minted| fresh_enough(&minted.expiry)),
        }
    }

    /// A call to DigitalOcean failed: find out whose fault it is, and when to try again.
    pub(super) async fn call_failed(
        mut self,
        found: Observation,
        error: &Error,
        token: &UsableToken,
    ) -> EpochSeconds {
        let mut reason = reason_of(error);
        if error.kind == ErrorKind::NotFound && error.operation.mints() {
            reason = self.why_not_found(token).await;
        }
        let not_before = self.suspect_token(error);
        warn!(
            operation = %error.operation,
            request_id = error.meta.request_id,
            %error,
            "DigitalOcean did not give a credential"
        );
        let until = self.fail(&found, reason, None, not_before, error.may_have_minted());
        self.settle(&found, until).await
    }

    /// 404 on a credential is ambiguous: only GET of the cluster tells gone from not ready.
    pub(super) async fn why_not_found(&mut self, token: &UsableToken) -> Reason {
        let Some(id) = self.subject.wanted.cluster_id.clone() else {
            return Reason::ClusterNotFound;
        };
        match self.get_cluster(token, &id).await {
            Ok(cluster) => unusable(&cluster).unwrap_or(Reason::ClusterNotReady),
            Err(error) if error.kind == ErrorKind::NotFound => {
                let since = self.now;
                self.memory.missing_since = Some(Missing {
                    cluster_id: id,
                    since,
                    checked_at: since,
                });
                Reason::ClusterNotFound
            }
            Err(error) => {
                self.suspect_token(&error);
                reason_of(&error)
            }
        }
    }

    /// Where the failure seems to be the token's, has it probed. Returns when DigitalOcean said to
    /// come back.
    pub(super) fn suspect_token(&self, error: &Error) -> Option<EpochSeconds> {
        let wait = error.retry_after().map(|wait| wait.as_secs().cast_signed());
        let not_before = wait.map(|seconds| self.now + seconds);
        if error.is_token_level() {
            let source = &self.subject.source;
            let mut tokens = self.context.tokens();
            if let Some(account) = tokens.account_mut(source) {
                account.gate.suspect(reason_of(error), self.now, not_before);
            }
            drop(tokens);
            self.context.wake(Key::Token(source.clone()));
        }
        not_before
    }
}
