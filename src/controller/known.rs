//! An access as it is kept between runs, of thousands: with what is looked up now and then at hand, and all that only
//! a run needs, status above all, as text.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::cache::Versioned;
use super::key::ObjectKey;
use crate::api::{DOClusterAccess, DOClusterAccessSpec, DOClusterAccessStatus, ROTATE_ANNOTATION};
use crate::rotation::EpochSeconds;

/// What is known of an access. Of its metadata, what decisions need.
#[derive(Debug)]
pub struct KnownAccess {
    /// UID.
    pub uid: Option<Box<str>>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was, or will be, deleted.
    pub deleted_at: Option<Timestamp>,
    /// The spec.
    pub spec: DOClusterAccessSpec,
    /// Id of the cluster that it led to last, in lower case.
    pub cluster_id: Option<Arc<str>>,
    /// When the published credential expires, as status says.
    pub expires_at: Option<EpochSeconds>,
    resource_version: Box<str>,
    generation: Option<i64>,
    rotate: Option<Box<str>>,
    /// JSON: as fields it takes twice the memory.
    status: Option<Box<str>>,
}

impl KnownAccess {
    /// Keeps `access`.
    #[must_use]
    pub fn of(access: DOClusterAccess) -> Self {
        let DOClusterAccess {
            metadata,
            spec,
            status,
        } = access;
        let cluster = status.as_ref().and_then(|status| status.cluster.as_ref());
        let credential = status
            .as_ref()
            .and_then(|status| status.credential.as_ref());
        let annotations = metadata.annotations.as_ref();
        let rotate = annotations.and_then(|annotations| annotations.get(ROTATE_ANNOTATION));
        let instant = |time: Option<Time>| time.map(|time| time.0);
        Self {
            uid: metadata.uid.map(Into::into),
            created_at: instant(metadata.creation_timestamp),
            deleted_at: instant(metadata.deletion_timestamp),
            cluster_id: cluster
                .and_then(|cluster| cluster.id.as_ref())
                .map(|id| id.to_ascii_lowercase().into()),
            expires_at: credential
                .and_then(|credential| credential.expires_at.as_ref())
                .map(|time| time.0.as_second()),
            resource_version: metadata.resource_version.unwrap_or_default().into(),
            generation: metadata.generation,
            rotate: rotate.map(|value| value.as_str().into()),
            // Texts, numbers and times: there is nothing in it that has no JSON.
            status: status.and_then(|status| Some(serde_json::to_string(&status).ok()?.into())),
            spec,
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Option<DOClusterAccessStatus> {
        serde_json::from_str(self.status.as_deref()?).ok()
    }

    /// All that is known of it, as the object that is called `key`.
    #[must_use]
    pub fn object(&self, key: &ObjectKey) -> DOClusterAccess {
        let rotate = |value: &str| [(ROTATE_ANNOTATION.to_owned(), value.to_owned())].into();
        DOClusterAccess {
            metadata: ObjectMeta {
                namespace: Some(key.namespace.to_string()),
                name: Some(key.name.to_string()),
                uid: self.uid.as_deref().map(str::to_owned),
                resource_version: Some(self.resource_version.to_string()),
                generation: self.generation,
                creation_timestamp: self.created_at.map(Time),
                deletion_timestamp: self.deleted_at.map(Time),
                annotations: self.rotate.as_deref().map(rotate),
                ..ObjectMeta::default()
            },
            spec: self.spec.clone(),
            status: self.status(),
        }
    }
}

impl Versioned for KnownAccess {
    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn there_and_back(object: Value) -> KnownAccess {
        let access: DOClusterAccess = serde_json::from_value(object).unwrap();
        let key = ObjectKey::new("team-a", "prod");
        let known = KnownAccess::of(access.clone());
        assert_eq!(known.object(&key), access);
        known
    }

    #[test]
    fn nothing_that_was_watched_is_lost() {
        let known = there_and_back(json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "metadata": {
                "namespace": "team-a",
                "name": "prod",
                "uid": "u",
                "resourceVersion": "7",
                "generation": 2,
                "creationTimestamp": "2026-11-22T10:00:00Z",
                "deletionTimestamp": "2026-11-22T11:00:00Z",
                "annotations": {"doclusteraccess.dev/rotate": "5"},
            },
            "spec": {
                "cluster": {"name": "prod"},
                "accountRef": {"name": "default"},
                "outputs": [{"secretName": "prod-flux", "format": "Flux", "labels": {"team": "a"}}],
                "suspend": true,
            },
            "status": {
                "observedGeneration": -1,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Published", "message": "It is \"there\".",
                    "observedGeneration": 2, "lastTransitionTime": "2026-11-22T10:00:01Z",
                }],
                "cluster": {
                    "id": "BD5F5959-5e1e-4205-a714-a914373942af", "name": "prod", "region": "nyc1",
                    "version": "1.36.1-do.0", "state": "running", "endpoint": "https://prod.example",
                },
                "credential": {
                    "issuedAt": "2026-11-22T10:00:00Z", "expiresAt": "2026-11-29T10:00:00Z",
                    "renewAt": "2026-11-27T01:00:00Z", "verifiedAt": "2026-11-22T10:00:01Z",
                    "username": "someone", "groups": ["a", "b"],
                },
                "outputs": [{"secretName": "prod-flux", "contentHash": "89ab.cdef"}],
                "lastRotateRequest": "5",
            },
        }));
        let id = known.cluster_id.as_deref();
        assert_eq!(id, Some("bd5f5959-5e1e-4205-a714-a914373942af"));
        assert_eq!(known.expires_at, Some(1_795_946_400));
        assert_eq!(known.resource_version(), "7");
    }

    #[test]
    fn what_is_not_there_is_not_there_afterwards() {
        let spec = json!({"cluster": {"name": "prod"}});
        let metadata = json!({"namespace": "team-a", "name": "prod", "resourceVersion": "1"});
        for status in [json!({}), Value::Null] {
            let known = there_and_back(json!({
                "apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess",
                "metadata": metadata, "spec": spec, "status": status,
            }));
            assert_eq!((known.cluster_id, known.expires_at), (None, None));
        }
    }
}
