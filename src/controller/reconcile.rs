//! One run for one access: observe → decide → issue → verify → publish → report.

use tracing::{debug, info, warn};

use super::context::Context;
use super::issue::{self, IssueError, reason_of};
use super::key::{Key, ObjectKey};
use super::kubernetes::ApiError;
use super::memory::{Draft, Expiry, HeldCredential, Memory, Missing};
use super::observe::{self, Observation};
use super::publish::{self, WriteFailure};
use super::report;
use super::subject::Subject;
use super::tokens::{LIST_FRESH_SECONDS, NAME_LIST_FRESH_SECONDS, TokenView, UsableToken};
use super::verify::{self, Clearance};
use crate::api::{ClusterStatus, Reason};
use crate::digitalocean::{Cluster, Error, ErrorKind, Operation, Turn};
use crate::lookup::{Lookup, facts, look_up, unusable};
use crate::rotation::{
    Decision, EpochSeconds, Failure, IssueReason, MAX_SLEEP_SECONDS, decide, retry_at,
};
use crate::status::{Finding, Verification};

/// How long GET must have answered 404 before a cluster counts as gone, in seconds.
const GONE_AFTER_SECONDS: i64 = 600;

/// How long an access leaves the look into a broken token to the token's own run, in seconds.
const TOKEN_GRACE_SECONDS: i64 = 5;

/// Runs once for the access with this key. Returns when to run again; `None` when there is nothing to
/// look after.
pub(super) async fn reconcile(context: &Context, key: &ObjectKey) -> Option<EpochSeconds> {
    let access = context.caches().accesses.get(key);
    let access = access.filter(|access| access.metadata.deletion_timestamp.is_none());
    let Some(subject) = access.and_then(|access| Subject::new(key, access)) else {
        context.tokens().detach(key);
        return None;
    };
    let memory = context.memories.of(&subject.wanted.uid);
    let mut memory = memory.lock().await;
    let now = context.clock.now_seconds();
    let run = Run {
        context,
        subject,
        memory: &mut memory,
        now,
        finding: None,
        verification: None,
        cluster: None,
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
    /// Why the attempt ended as it did, where that is not the recorded failure.
    finding: Option<Finding>,
    verification: Option<Verification>,
    cluster: Option<ClusterStatus>,
}

/// Why there is no cluster to issue for.
enum NoCluster {
    /// The list is being read again; the access is woken then.
    Parked,
    /// There is none.
    Refused(Finding),
    /// A call failed.
    Failed(Box<Error>),
}

impl Run<'_> {
    async fn run(mut self) -> EpochSeconds {
        self.attach_token();
        let cached = observe::cached(self.context, &self.subject);
        self.follow_cluster(&cached).await;
        let decision = self.decide(&cached);
        match decision {
            Decision::Wait { until } | Decision::Suspended { until } if !self.is_news() => {
                self.settle(&cached, until).await
            }
            Decision::Issue(_) => match self.token() {
                Some(TokenView::Usable(token)) => Box::pin(self.act(Some(token))).await,
                Some(TokenView::Unknown) => self.park(),
                Some(TokenView::Blocked { reason, until }) => {
                    self.finding = Some(Finding::of(reason));
                    // The token is looked into at that instant, and wakes the access if all is well.
                    self.settle(&cached, until.max(self.now) + TOKEN_GRACE_SECONDS)
                        .await
                }
                None => {
                    self.finding = Some(Finding::of(Reason::AccountNotFound));
                    self.settle(&cached, self.now + MAX_SLEEP_SECONDS).await
                }
            },
            _ => Box::pin(self.act(None)).await,
        }
    }

    /// Something may be due or has changed: look again, at the API server itself, and act.
    async fn act(mut self, token: Option<UsableToken>) -> EpochSeconds {
        let found = match observe::fresh(self.context, &self.subject).await {
            Ok(found) => found,
            Err(error) => return self.cannot_read(&error).await,
        };
        match self.decide(&found) {
            Decision::Wait { until } | Decision::Suspended { until } => {
                self.settle(&found, until).await
            }
            Decision::Refuse {
                reason, subject, ..
            } => {
                let subject = subject
                    .or_else(|| self.first_refused(&found))
                    .or_else(|| self.cause_of_limit(reason));
                let until = self.fail(&found, reason, subject, None, false);
                self.settle(&found, until).await
            }
            Decision::Publish => self.publish_held(found).await,
            Decision::Repair => self.repair(found).await,
            Decision::Issue(reason) => match token.or_else(|| self.usable_token()) {
                Some(token) => self.issue(reason, found, token).await,
                None => self.park(),
            },
        }
    }

    fn decide(&self, found: &Observation) -> Decision {
        decide(
            &self.subject.wanted,
            &found.summary(&self.subject, self.memory),
            self.now,
        )
    }

    /// The spec has changed since the last report. Metadata does not show whether the content of a
    /// Secret still is what it asks for.
    fn is_news(&self) -> bool {
        let observed = self
            .subject
            .access
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        observed != Some(self.subject.wanted.generation) && !self.subject.wanted.suspend
    }

    // ---- the API token -------------------------------------------------------------------------

    fn attach_token(&mut self) {
        let mut tokens = self.context.tokens();
        // A suspended access causes no call, not even of the list that its token is watched by.
        let source = self
            .subject
            .source
            .as_ref()
            .filter(|_| !self.subject.wanted.suspend);
        let Some(source) = source else {
            return tokens.detach(&self.subject.key);
        };
        tokens.attach(&self.subject.key, source);
        let recovered_at = tokens
            .account(source)
            .and_then(|account| account.gate.recovered_at());
        drop(tokens);
        // The outage that this failure was part of is over: no need to wait for the retry.
        let part_of_it = |failure: &Failure| {
            failure.reason.retry() == crate::api::RetryClass::Token
                && recovered_at.is_some_and(|recovered_at| recovered_at >= failure.at)
        };
        if self.memory.failure.as_ref().is_some_and(part_of_it) {
            self.memory.failure = None;
        }
    }

    /// `None` where the access names a DOAccount, which this version does not serve.
    fn token(&self) -> Option<TokenView> {
        let source = self.subject.source.as_ref()?;
        Some(
            self.context
                .tokens()
                .view(source, self.now - LIST_FRESH_SECONDS),
        )
    }

    fn usable_token(&self) -> Option<UsableToken> {
        match self.token()? {
            TokenView::Usable(token) => Some(token),
            _ => None,
        }
    }

    /// Asks for what is not known of the token; the answer wakes the access.
    fn park(self) -> EpochSeconds {
        self.request_list(self.now - LIST_FRESH_SECONDS);
        self.now + MAX_SLEEP_SECONDS
    }

    fn request_list(&self, since: EpochSeconds) {
        if let Some(source) = &self.subject.source {
            self.context
                .tokens()
                .request(&self.subject.key, source, since);
            self.context.wake(Key::Token(source.clone()));
        }
    }

    // ---- the cluster ---------------------------------------------------------------------------

    /// Resolves the reference as far as the last list allows, and asks about a pinned cluster that
    /// the list does not hold, at most every ten minutes.
    async fn follow_cluster(&mut self, cached: &Observation) {
        let summary = cached.summary(&self.subject, self.memory);
        self.subject.wanted.cluster_id = self.subject.pinned(summary.published());
        let Some(source) = self.subject.source.clone() else {
            return;
        };
        let Some(clusters) = self.context.tokens().last_list(&source) else {
            return;
        };
        let reference = self.subject.access.spec.cluster.clone();
        let pinned = self.subject.wanted.cluster_id.clone();
        match look_up(&reference, pinned.as_deref(), &clusters) {
            Lookup::Found(cluster) => {
                self.memory.missing_since = None;
                self.note_cluster(cluster);
            }
            Lookup::NotListed { id } => {
                let gone = self.is_gone(&id).await;
                if gone && let Lookup::Found(cluster) = look_up(&reference, None, &clusters) {
                    info!(
                        from = id,
                        to = cluster.id,
                        "the cluster is gone: its name leads to another one now"
                    );
                    self.note_cluster(cluster);
                }
            }
            Lookup::NotFound | Lookup::Ambiguous { .. } => {}
        }
    }

    fn note_cluster(&mut self, cluster: &Cluster) {
        self.subject.wanted.cluster_id = Some(cluster.id.to_ascii_lowercase());
        self.cluster = Some(facts(cluster));
        if let Some(reason) = unusable(cluster)
            && self.memory.failure.is_none()
        {
            self.finding = Some(Finding::of(reason));
        }
    }

    /// Whether a pinned cluster is confirmed gone: 404 twice, ten minutes apart.
    async fn is_gone(&mut self, id: &str) -> bool {
        let now = self.now;
        let known = self
            .memory
            .missing_since
            .clone()
            .filter(|missing| missing.cluster_id == id);
        let asked_lately = known
            .as_ref()
            .is_some_and(|missing| now - missing.checked_at < GONE_AFTER_SECONDS);
        let missing = if asked_lately {
            known
        } else {
            match self.usable_token() {
                Some(token) => self.ask_whether_missing(&token, id, known).await,
                None => known,
            }
        };
        self.memory.missing_since.clone_from(&missing);
        let Some(missing) = missing else {
            return false;
        };
        let gone = missing.checked_at - missing.since >= GONE_AFTER_SECONDS;
        let reason = if gone {
            Reason::ClusterGone
        } else {
            Reason::ClusterNotFound
        };
        debug!(gone, "the pinned cluster is not there");
        self.finding = Some(Finding::of(reason));
        gone
    }

    async fn ask_whether_missing(
        &mut self,
        token: &UsableToken,
        id: &str,
        known: Option<Missing>,
    ) -> Option<Missing> {
        match self.get_cluster(token, id).await {
            Ok(cluster) => {
                self.note_cluster(&cluster);
                None
            }
            Err(error) if error.kind == ErrorKind::NotFound => Some(Missing {
                cluster_id: id.to_string(),
                since: known.map_or(self.now, |missing| missing.since),
                checked_at: self.now,
            }),
            Err(error) => {
                self.suspect_token(&error);
                known
            }
        }
    }

    async fn get_cluster(&self, token: &UsableToken, id: &str) -> Result<Cluster, Error> {
        if let Some(source) = &self.subject.source
            && let Some(account) = self.context.tokens().account_mut(source)
        {
            let now = self.context.clock.now().as_millisecond();
            account.budget.spend(1, now);
        }
        let call = self.context.digitalocean.get_cluster(&token.token, id);
        let answer = self
            .context
            .metrics
            .time_call(Operation::GetCluster, call)
            .await?;
        Ok(answer.value)
    }

    /// The cluster to issue for.
    async fn cluster(&mut self, token: &UsableToken) -> Result<Cluster, NoCluster> {
        let reference = self.subject.access.spec.cluster.clone();
        let pinned = self.subject.wanted.cluster_id.clone();
        let cluster = match look_up(&reference, pinned.as_deref(), &token.clusters) {
            Lookup::Found(cluster) => cluster.clone(),
            Lookup::NotListed { id } => {
                if self.memory.missing_since.is_some() {
                    let finding = self.finding.take();
                    let finding = finding.unwrap_or_else(|| Finding::of(Reason::ClusterNotFound));
                    return Err(NoCluster::Refused(finding));
                }
                let asked = self.get_cluster(token, &id).await;
                asked.map_err(|error| NoCluster::Failed(Box::new(error)))?
            }
            Lookup::NotFound if token.listed_at < self.now - NAME_LIST_FRESH_SECONDS => {
                self.request_list(self.now - NAME_LIST_FRESH_SECONDS);
                return Err(NoCluster::Parked);
            }
            Lookup::NotFound => {
                return Err(NoCluster::Refused(Finding::of(Reason::ClusterNotFound)));
            }
            Lookup::Ambiguous { ids } => {
                let subject = Some(format!("Clusters {}", ids.join(", ")));
                let reason = Reason::ClusterAmbiguous;
                return Err(NoCluster::Refused(Finding {
                    subject,
                    ..Finding::of(reason)
                }));
            }
        };
        self.subject.wanted.cluster_id = Some(cluster.id.to_ascii_lowercase());
        self.cluster = Some(facts(&cluster));
        match unusable(&cluster) {
            Some(reason) => Err(NoCluster::Refused(Finding::of(reason))),
            None => Ok(cluster),
        }
    }

    // ---- issue, verify, publish ------------------------------------------------------------------

    async fn issue(
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
        };
        let mut draft = self.take_draft(&cluster);
        if let Err(back) = self.grant(&found, &draft) {
            self.memory.draft = Some(draft);
            return back;
        }
        self.finding = None;
        let after_loss = self
            .memory
            .failure
            .as_ref()
            .is_some_and(|failure| failure.may_have_minted);
        if reason == IssueReason::Lost || after_loss {
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
        match minted {
            Ok(held) => {
                // A failed attempt is no issue: the retry rule alone spaces attempts.
                self.memory.last_issue_at = Some(self.now);
                self.memory.held = Some(held);
                self.publish_held(found).await
            }
            Err(IssueError::Call(error)) => {
                self.memory.draft = Some(draft);
                self.call_failed(found, &error, &token).await
            }
            Err(IssueError::Invalid { why }) => {
                self.memory.draft = Some(draft);
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
    fn grant(&self, found: &Observation, draft: &Draft) -> Result<(), EpochSeconds> {
        let Some(source) = &self.subject.source else {
            return Ok(());
        };
        let summary = found.summary(&self.subject, self.memory);
        let turn = match summary.published() {
            Some(issue) if issue.expires_at > self.now => Turn::Expiring(issue.expires_at),
            Some(issue) => Turn::Waiting(issue.expires_at),
            None => {
                let created = self.subject.access.metadata.creation_timestamp.as_ref();
                Turn::Waiting(created.map_or(self.now, |time| time.0.as_second()))
            }
        };
        let requests = issue::missing_calls(&self.subject, draft);
        let now = self.context.clock.now().as_millisecond();
        let mut tokens = self.context.tokens();
        let Some(account) = tokens.account_mut(source) else {
            return Ok(());
        };
        let granted = account.budget.grant(&self.subject.key, turn, requests, now);
        granted.map_err(|back| back.div_euclid(1000) + 1)
    }

    /// The half of an issue that succeeded before, while it is what is wanted now and worth it.
    fn take_draft(&mut self, cluster: &Cluster) -> Draft {
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
    async fn call_failed(
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
    async fn why_not_found(&mut self, token: &UsableToken) -> Reason {
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
    fn suspect_token(&self, error: &Error) -> Option<EpochSeconds> {
        let wait = error.retry_after().map(|wait| wait.as_secs().cast_signed());
        let not_before = wait.map(|seconds| self.now + seconds);
        if let Some(source) = self
            .subject
            .source
            .as_ref()
            .filter(|_| error.is_token_level())
        {
            let mut tokens = self.context.tokens();
            if let Some(account) = tokens.account_mut(source) {
                account.gate.suspect(reason_of(error), self.now, not_before);
            }
            drop(tokens);
            self.context.wake(Key::Token(source.clone()));
        }
        not_before
    }

    /// Goes on with the credential in memory: verify, write, report. It stays in memory until it is
    /// written, also when this run is cut short.
    async fn publish_held(mut self, mut found: Observation) -> EpochSeconds {
        let Some(mut held) = self.memory.held.clone() else {
            return self.settle(&found, self.now + 1).await;
        };
        self.cluster.get_or_insert_with(|| held.cluster.clone());
        if self.is_worse(&held, &found) {
            self.memory.held = None;
            let why = Some("the new credential expires before the published one".to_string());
            let until = self.fail(&found, Reason::ApiResponseInvalid, why, None, true);
            return self.settle(&found, until).await;
        }
        if held.verification.is_none() {
            let policy = self.subject.access.spec.verification;
            let published = found.material();
            match verify::clear(self.context, policy, &held, published, self.now).await {
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
                    self.memory.held = Some(HeldCredential {
                        not_before: until,
                        ..held
                    });
                    return self.settle(&found, until).await;
                }
            }
            self.memory.held = Some(held.clone());
        }
        let failure =
            publish::write_outputs(self.context, &self.subject, &mut found, &held.material).await;
        if found.holds(&held.material.issue) {
            self.verification.clone_from(&held.verification);
            report::issued(self.context, &self.subject, &held);
        }
        self.finish_writing(found, failure).await
    }

    /// A credential that was not asked for by the user never shortens what is published.
    fn is_worse(&self, held: &HeldCredential, found: &Observation) -> bool {
        let asked_for = matches!(held.reason, IssueReason::SpecChanged | IssueReason::Forced);
        let summary = found.summary(&self.subject, self.memory);
        !asked_for
            && summary.published().is_some_and(|published| {
                self.subject.wanted.is_for(published)
                    && published.expires_at > held.material.issue.expires_at.max(self.now)
            })
    }

    /// After the outputs: what is no longer wanted goes, and what failed is noted.
    async fn finish_writing(
        mut self,
        mut found: Observation,
        failure: Option<WriteFailure>,
    ) -> EpochSeconds {
        let failure = match failure {
            None => publish::remove_obsolete(self.context, &self.subject, &mut found).await,
            failure => failure,
        };
        let Some(failure) = failure else {
            self.memory.failure = None;
            self.memory.held = None;
            return self.rest(&found).await;
        };
        let until = self.fail(&found, failure.reason, Some(failure.subject), None, false);
        if let Some(held) = &mut self.memory.held {
            held.not_before = until;
        }
        self.settle(&found, until).await
    }

    /// Writes the outputs that are not as wanted from one that is intact, or from memory.
    async fn repair(mut self, mut found: Observation) -> EpochSeconds {
        let held = self.memory.held.as_ref().map(|held| held.material.clone());
        let published = found.material().cloned();
        let source = match (&published, held) {
            (Some(published), Some(held)) if held.issue == published.issue => Some(held),
            _ => published,
        };
        let Some(material) = source else {
            return self.settle(&found, self.now + 1).await;
        };
        let failure =
            publish::write_outputs(self.context, &self.subject, &mut found, &material).await;
        if failure.is_none() {
            info!("repaired the outputs");
        }
        self.finish_writing(found, failure).await
    }

    // ---- the end of a run ------------------------------------------------------------------------

    async fn cannot_read(mut self, error: &ApiError) -> EpochSeconds {
        warn!(%error, "the Secrets could not be read");
        let cached = observe::cached(self.context, &self.subject);
        let subject = Some("Secrets cannot be read".to_string());
        let until = self.fail(&cached, Reason::SecretWriteFailed, subject, None, false);
        self.settle(&cached, until).await
    }

    /// After success: what is left to do is to wait.
    async fn rest(mut self, found: &Observation) -> EpochSeconds {
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
        let summary = found.summary(&self.subject, self.memory);
        let expires_at = summary.published().map(|issue| issue.expires_at);
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
        let summary = found.summary(&self.subject, self.memory);
        let expires_at = summary.published().map(|issue| issue.expires_at);
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
        self.memory.failure = Some(Failure {
            attempt,
            since,
            at: now,
            retry_at,
            reason,
            subject,
            may_have_minted,
        });
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
