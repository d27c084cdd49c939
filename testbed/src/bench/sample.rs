//! What the operator writes for one access, as a pattern for others: the null writer's objects are as large
//! as the operator's.

use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::accesses::api;
use super::error::Error;
use super::world::NAMESPACE;

/// The Secret and the status of one access, as text to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    secret: String,
    status: String,
    name: String,
    uid: String,
}

impl Sample {
    /// Reads what was written for the access `name`.
    pub(super) async fn take(client: &Client, name: &str, secret: &str) -> Result<Self, Error> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
        let secret = secrets.get(secret).await?;
        let access = api(client).get(name).await?;
        let unexpected = || Error::Unexpected(name.to_owned());
        let uid = access.metadata.uid.clone().ok_or_else(unexpected)?;
        let status = access.data.get("status").ok_or_else(unexpected)?;
        Self::new(name, uid, &secret, status)
    }

    fn new(name: &str, uid: String, secret: &Secret, status: &Value) -> Result<Self, Error> {
        let metadata = ObjectMeta {
            name: secret.metadata.name.clone(),
            namespace: secret.metadata.namespace.clone(),
            labels: secret.metadata.labels.clone(),
            annotations: secret.metadata.annotations.clone(),
            owner_references: secret.metadata.owner_references.clone(),
            ..ObjectMeta::default()
        };
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": secret.type_,
            "data": secret.data,
        });
        let status = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid},
            "status": status,
        });
        Ok(Self {
            secret: serde_json::to_string(&secret)?,
            status: serde_json::to_string(&status)?,
            name: name.to_owned(),
            uid,
        })
    }

    /// The Secret and the status, to apply, of another access.
    pub(super) fn of(&self, name: &str, uid: &str) -> Result<(Value, Value), Error> {
        let of = |text: &str| {
            let text = text.replace(&self.name, name).replace(&self.uid, uid);
            serde_json::from_str(&text)
        };
        Ok((of(&self.secret)?, of(&self.status)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_of_another_access_differ_by_name_and_uid_alone() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": "access-000000-kubeconfig",
                "namespace": NAMESPACE,
                "uid": "of the Secret",
                "resourceVersion": "7",
                "managedFields": [],
                "annotations": {"doclusteraccess.dev/access-uid": "uid-0"},
                "labels": {"doclusteraccess.dev/access": "access-000000"},
                "ownerReferences": [{"apiVersion": "a", "kind": "k", "name": "access-000000", "uid": "uid-0"}],
            },
            "type": "Opaque",
            "data": {"token": "c2VjcmV0"},
        }))
        .expect("a Secret");
        let status = json!({"outputs": [{"secretName": "access-000000-kubeconfig"}]});
        let sample = Sample::new("access-000000", "uid-0".to_owned(), &secret, &status);
        let sample = sample.expect("a sample");
        let (secret, status) = sample.of("access-000009", "uid-9").expect("objects");
        let expected_metadata = json!({
            "name": "access-000009-kubeconfig",
            "namespace": NAMESPACE,
            "annotations": {"doclusteraccess.dev/access-uid": "uid-9"},
            "labels": {"doclusteraccess.dev/access": "access-000009"},
            "ownerReferences": [{"apiVersion": "a", "kind": "k", "name": "access-000009", "uid": "uid-9"}],
        });
        assert_eq!(secret["metadata"], expected_metadata);
        assert_eq!(secret["data"], json!({"token": "c2VjcmV0"}));
        assert_eq!(status["metadata"]["uid"], "uid-9");
        assert_eq!(
            status["status"]["outputs"][0]["secretName"],
            "access-000009-kubeconfig"
        );
    }
}
