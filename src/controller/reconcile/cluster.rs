//! The cluster of an access: which one does the reference lead to, and may the access have it?

use tracing::{debug, info};

use super::super::accounts;
use super::super::key::TokenSource;
use super::super::memory::Missing;
use super::super::observe::Observation;
use super::super::tokens::{LIST_FRESH_SECONDS, NAME_LIST_FRESH_SECONDS, UsableToken};
use super::Run;
use crate::api::Reason;
use crate::digitalocean::{Cluster, Error, ErrorKind, Operation};
use crate::lookup::{Lookup, Permission, facts, look_up, unusable};
use crate::outputs::Facts;
use crate::rotation::Issue;
use crate::status::Finding;

/// How long GET must have answered 404 before a cluster counts as gone, in seconds.
const GONE_AFTER_SECONDS: i64 = 600;

/// Why there is no cluster to issue for.
pub(super) enum NoCluster {
    /// The list is being read again; the access is woken then.
    Parked,
    /// There is none.
    Refused(Finding),
    /// The account does not allow it, or would not if there were one.
    NotAllowed,
    /// A call failed.
    Failed(Box<Error>),
}

impl Run<'_> {
    /// Resolves the reference as far as the last list allows, and asks about a pinned cluster that
    /// the list does not hold, at most every ten minutes.
    pub(super) async fn follow_cluster(&mut self, published: Option<&Issue>) {
        self.pinned = self.subject.pinned(published);
        self.subject.wanted.cluster_id.clone_from(&self.pinned);
        if self.refusal.is_some() {
            return;
        }
        let list = self.context.tokens().last_list(&self.subject.source);
        let Some(clusters) = list else {
            return;
        };
        let reference = self.subject.access.spec.cluster.clone();
        let pinned = self.subject.wanted.cluster_id.clone();
        match look_up(&reference, pinned.as_deref(), &clusters, self.permission()) {
            Lookup::Found(cluster) => {
                self.memory.missing_since = None;
                self.note_cluster(cluster);
            }
            Lookup::NotListed { id } if self.may_ask_about(&id) => {
                let gone = self.is_gone(&id).await;
                if gone
                    && let Lookup::Found(cluster) =
                        look_up(&reference, None, &clusters, self.permission())
                {
                    info!(
                        from = id,
                        to = cluster.id,
                        "the cluster is gone: its name leads to another one now"
                    );
                    self.note_cluster(cluster);
                }
            }
            Lookup::NotAllowed if !self.may_be_too_new() => {
                self.refuse_cluster();
                self.may_be_renamed =
                    self.newer_list_may_allow() && self.list_is_older_than(LIST_FRESH_SECONDS);
            }
            Lookup::NotListed { .. }
            | Lookup::NotAllowed
            | Lookup::NotFound
            | Lookup::Ambiguous { .. } => {}
        }
        self.subject.shared_at = self.shared_at();
    }

    /// Follows the reference again where the Secrets do not lead to the cluster that their metadata led
    /// to: somebody has changed a mark.
    pub(super) async fn follow_cluster_afresh(&mut self, found: &Observation) {
        let published = found.published();
        if self.subject.pinned(published) == self.pinned {
            return;
        }
        self.refusal = None;
        self.may_be_renamed = false;
        self.finding = None;
        self.cluster = None;
        self.subject.forget_facts();
        self.admit();
        self.follow_cluster(published).await;
    }

    /// Which clusters the access may have.
    pub(super) fn permission(&self) -> Permission<'_> {
        match &self.account {
            Some(account) => Permission::Account(&account.spec),
            None => Permission::Everything,
        }
    }

    /// Whether DigitalOcean may be asked about a cluster that is not in the list: it is allowed under
    /// any name, or was allowed under the one that it had.
    pub(super) fn may_ask_about(&self, id: &str) -> bool {
        let permission = self.permission();
        let name = self
            .subject
            .facts
            .as_ref()
            .filter(|facts| facts.cluster_id == id)
            .map(|facts| facts.cluster_name.as_str());
        permission.allows_id(id) || name.is_some_and(|name| permission.allows(id, name))
    }

    /// Whether the spec is new, and a list that is newer could hold the cluster, and allow it.
    pub(super) fn may_be_too_new(&self) -> bool {
        let access = &self.subject.access;
        let status = access.status.as_ref();
        self.newer_list_may_allow()
            && status.is_none_or(|status| status.observed_generation != access.metadata.generation)
            && self.list_is_older_than(NAME_LIST_FRESH_SECONDS)
    }

    /// Whether a cluster that is not allowed could turn out to be: by another name that it has now, or by
    /// the id of one that has its name now.
    fn newer_list_may_allow(&self) -> bool {
        let account = self.account.as_ref();
        let allowed = account.and_then(|account| account.spec.allowed_clusters.as_ref());
        let id_is_known = self.subject.wanted.cluster_id.is_some();
        allowed.is_some_and(|allowed| {
            if id_is_known {
                !allowed.names.is_empty()
            } else {
                !allowed.ids.is_empty()
            }
        })
    }

    fn list_is_older_than(&self, seconds: i64) -> bool {
        let tokens = self.context.tokens();
        tokens
            .account(&self.subject.source)
            .is_none_or(|account| account.listed_at < self.now - seconds)
    }

    pub(super) fn refuse_cluster(&mut self) {
        if let TokenSource::Account(name) = &self.subject.source {
            let refusal = accounts::finding(name, Reason::NotAllowed);
            self.finding = Some(refusal.clone());
            self.refusal = Some(refusal);
        }
    }

    pub(super) fn note_cluster(&mut self, cluster: &Cluster) {
        self.subject.wanted.cluster_id = Some(cluster.id.to_ascii_lowercase());
        self.subject.facts = Some(Facts::of(cluster));
        self.cluster = Some(facts(cluster));
        if let Some(reason) = unusable(cluster)
            && self.memory.failure.is_none()
        {
            self.finding = Some(Finding::of(reason));
        }
    }

    /// Whether a pinned cluster is confirmed gone: 404 twice, ten minutes apart.
    pub(super) async fn is_gone(&mut self, id: &str) -> bool {
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

    pub(super) async fn ask_whether_missing(
        &mut self,
        token: &UsableToken,
        id: &str,
        known: Option<Missing>,
    ) -> Option<Missing> {
        match self.get_cluster(token, id).await {
            Ok(cluster) if !self.permission().allows(&cluster.id, &cluster.name) => {
                self.refuse_cluster();
                None
            }
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

    pub(super) async fn get_cluster(
        &self,
        token: &UsableToken,
        id: &str,
    ) -> Result<Cluster, Error> {
        if let Some(account) = self.context.tokens().account_mut(&self.subject.source) {
            let now = self.context.steady_millis();
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
    pub(super) async fn cluster(&mut self, token: &UsableToken) -> Result<Cluster, NoCluster> {
        let reference = self.subject.access.spec.cluster.clone();
        let pinned = self.subject.wanted.cluster_id.clone();
        let lookup = look_up(
            &reference,
            pinned.as_deref(),
            &token.clusters,
            self.permission(),
        );
        let list_may_be_too_old = token.listed_at < self.now - NAME_LIST_FRESH_SECONDS;
        let cluster = match lookup {
            // What was in the way may be over, and the retry must not be told of it by an old list.
            Lookup::Found(cluster) if list_may_be_too_old && unusable(cluster).is_some() => {
                self.request_list(self.now - NAME_LIST_FRESH_SECONDS);
                return Err(NoCluster::Parked);
            }
            Lookup::Found(cluster) => cluster.clone(),
            Lookup::NotListed { id } if self.may_ask_about(&id) => {
                if self.memory.missing_since.is_some() {
                    let finding = self.finding.take();
                    let finding = finding.unwrap_or_else(|| Finding::of(Reason::ClusterNotFound));
                    return Err(NoCluster::Refused(finding));
                }
                let asked = self.get_cluster(token, &id).await;
                asked.map_err(|error| NoCluster::Failed(Box::new(error)))?
            }
            Lookup::NotFound | Lookup::NotListed { .. } | Lookup::NotAllowed
                if list_may_be_too_old =>
            {
                self.request_list(self.now - NAME_LIST_FRESH_SECONDS);
                return Err(NoCluster::Parked);
            }
            Lookup::NotListed { .. } | Lookup::NotAllowed => return Err(NoCluster::NotAllowed),
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
        if !self.permission().allows(&cluster.id, &cluster.name) {
            return Err(NoCluster::NotAllowed);
        }
        self.note_cluster(&cluster);
        match unusable(&cluster) {
            Some(reason) => Err(NoCluster::Refused(Finding::of(reason))),
            None => Ok(cluster),
        }
    }
}
