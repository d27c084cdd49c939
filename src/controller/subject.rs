//! One access, and what its spec comes to.

use std::sync::Arc;

use super::key::{ObjectKey, TokenSource};
use crate::api::{DOClusterAccess, DOClusterAccessStatus, Output, ROTATE_ANNOTATION};
use crate::outputs::{Placement, issue_hash, same_cluster_reference};
use crate::rotation::{Issue, Wanted};

/// One access, and what its spec comes to.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// Namespace and name.
    pub key: ObjectKey,
    /// The access, as the cache had it when the run began.
    pub access: Arc<DOClusterAccess>,
    /// Where its Secrets go.
    pub placement: Placement,
    /// Its outputs, the default one included.
    pub outputs: Vec<Output>,
    /// What decisions compare with.
    pub wanted: Wanted,
    /// Where its API token is kept; `None` with a DOAccount, which this version does not serve.
    pub source: Option<TokenSource>,
}

impl Subject {
    /// `None` for an object that no API server has stored.
    #[must_use]
    pub(super) fn new(key: &ObjectKey, access: Arc<DOClusterAccess>) -> Option<Self> {
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
        let source = access
            .spec
            .token_secret_ref
            .as_ref()
            .map(|secret| TokenSource {
                namespace: key.namespace.clone(),
                name: secret.name.as_str().into(),
                key: secret.key.as_str().into(),
            });
        let outputs = access.effective_outputs();
        Some(Self {
            key: key.clone(),
            access,
            placement,
            outputs,
            wanted,
            source,
        })
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
        if self.wanted.cluster_id.is_some() {
            return self.wanted.cluster_id.clone();
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
