//! One access, and what its spec comes to.

use super::key::{ObjectKey, SecretKey, TokenSource};
use crate::api::{
    DEFAULT_ACCOUNT, DOClusterAccess, DOClusterAccessSpec, DOClusterAccessStatus, Output,
    ROTATE_ANNOTATION,
};
use crate::outputs::{Facts, Placement, issue_hash, same_cluster_reference};
use crate::rotation::{EpochSeconds, Issue, Wanted};

/// One access, and what its spec comes to.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// Namespace and name.
    pub key: ObjectKey,
    /// The access, as the cache had it when the run began.
    pub access: Box<DOClusterAccess>,
    /// Where its Secrets go.
    pub placement: Placement,
    /// Its outputs, the default one included.
    pub outputs: Vec<Output>,
    /// What decisions compare with.
    pub wanted: Wanted,
    /// What its API token is known by.
    pub source: TokenSource,
    /// What is known of the cluster.
    pub facts: Option<Facts>,
    /// When a credential was issued for another access that will do for this one, too.
    pub shared_at: Option<EpochSeconds>,
}

impl Subject {
    /// `None` for an object that no API server has stored.
    #[must_use]
    pub(super) fn new(key: &ObjectKey, access: DOClusterAccess) -> Option<Self> {
        let placement = Placement::of(&access)?;
        let wanted = Wanted {
            uid: placement.owner.uid.clone(),
            generation: access.metadata.generation.unwrap_or_default(),
            suspend: access.spec.suspend,
            renew_before_seconds: access.spec.renew_before_seconds,
            issue_hash: issue_hash(&access.spec),
            cluster_id: access
                .spec
                .cluster
                .id
                .as_deref()
                .map(str::to_ascii_lowercase),
            rotate: access
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(ROTATE_ANNOTATION).cloned()),
        };
        let source = token_source(key, &access.spec);
        let facts = remembered_facts(&access);
        let outputs = access.effective_outputs();
        Some(Self {
            key: key.clone(),
            access: Box::new(access),
            placement,
            outputs,
            wanted,
            source,
            facts,
            shared_at: None,
        })
    }

    /// Goes back to what status remembers of the cluster.
    pub(super) fn forget_facts(&mut self) {
        self.facts = remembered_facts(&self.access);
    }

    /// Status as the cache has it.
    #[must_use]
    pub(super) fn status(&self) -> DOClusterAccessStatus {
        self.access.status.clone().unwrap_or_default()
    }

    /// The id that the cluster reference was resolved to: a name that has not changed stays with the
    /// cluster that it led to. The Secrets remember; without them, status does.
    #[must_use]
    pub(super) fn pinned(&self, published: Option<&Issue>) -> Option<String> {
        if let Some(id) = &self.access.spec.cluster.id {
            return Some(id.to_ascii_lowercase());
        }
        if let Some(issue) = published {
            return same_cluster_reference(&issue.issue_hash, &self.wanted.issue_hash)
                .then(|| issue.cluster_id.clone());
        }
        let status = self.access.status.as_ref()?;
        let unchanged = status.observed_generation == self.access.metadata.generation;
        status.cluster.as_ref().filter(|_| unchanged)?.id.clone()
    }
}

fn remembered_facts(access: &DOClusterAccess) -> Option<Facts> {
    Facts::remembered(access.status.as_ref()?.cluster.as_ref()?)
}

/// What the API token of an access is known by: a Secret of its own namespace, or a DOAccount.
#[must_use]
pub(super) fn token_source(key: &ObjectKey, spec: &DOClusterAccessSpec) -> TokenSource {
    match (&spec.token_secret_ref, &spec.account_ref) {
        (Some(secret), _) => TokenSource::Secret(SecretKey {
            namespace: key.namespace.clone(),
            name: secret.name.as_str().into(),
            key: secret.key.as_str().into(),
        }),
        (None, account) => {
            let name = account.as_ref().map(|account| account.name.as_str());
            TokenSource::Account(name.unwrap_or(DEFAULT_ACCOUNT).into())
        }
    }
}
