//! A `DOClusterAccess` on the stage, and the Secret that it asks for.

use do_cluster_access::api::DOClusterAccess;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::waiting::object_until;

/// An access that exists.
#[derive(Clone)]
pub(crate) struct Access {
    /// Its name.
    pub(crate) name: String,
    /// The accesses of its namespace.
    pub(crate) api: Api<DOClusterAccess>,
    secrets: Api<Secret>,
    events: Api<Event>,
}

impl Access {
    pub(super) fn new(client: &Client, namespace: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api: Api::namespaced(client.clone(), namespace),
            secrets: Api::namespaced(client.clone(), namespace),
            events: Api::namespaced(client.clone(), namespace),
        }
    }

    /// As it is now.
    pub(crate) async fn get(&self) -> DOClusterAccess {
        self.api.get(&self.name).await.unwrap()
    }

    /// As it is as soon as `holds` says yes to it.
    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&DOClusterAccess) -> bool,
    ) -> DOClusterAccess {
        let holds = |access: Option<&DOClusterAccess>| access.is_some_and(&holds);
        object_until(&self.api, &self.name, what, holds)
            .await
            .unwrap()
    }

    /// Waits until status is that of the present spec, Ready is True and Synced is True.
    pub(crate) async fn ready(&self) -> DOClusterAccess {
        self.until("it is Ready and Synced", |access| {
            has_condition(access, "Ready", "True", "Published")
                && has_condition(access, "Synced", "True", "UpToDate")
        })
        .await
    }

    /// Waits until status is that of the present spec, and Synced has this reason.
    pub(crate) async fn synced(&self, reason: &str) -> DOClusterAccess {
        let what = format!("the reason of Synced is {reason}");
        self.until(&what, |access| {
            condition(access, "Synced").is_some_and(|condition| condition.reason == reason)
        })
        .await
    }

    /// Name of the Secret that it asks for where it names none.
    pub(crate) fn secret_name(&self) -> String {
        format!("{}-kubeconfig", self.name)
    }

    /// That Secret, as it is now.
    pub(crate) async fn secret(&self) -> Secret {
        self.secrets.get(&self.secret_name()).await.unwrap()
    }

    /// That Secret, as soon as `holds` says yes to it.
    pub(crate) async fn secret_until(&self, what: &str, holds: impl Fn(&Secret) -> bool) -> Secret {
        let holds = |secret: Option<&Secret>| secret.is_some_and(&holds);
        object_until(&self.secrets, &self.secret_name(), what, holds)
            .await
            .unwrap()
    }

    /// That Secret, as soon as it holds another credential than `before` and status tells of it.
    pub(crate) async fn renewed(&self, before: &Secret) -> Secret {
        let what = "it holds another credential";
        let secret = self
            .secret_until(what, |secret| {
                text(secret, "kubeconfig") != text(before, "kubeconfig")
            })
            .await;
        let hash = annotation(&secret, "content-hash");
        let told = |access: &DOClusterAccess| {
            let outputs = access.status.iter().flat_map(|status| &status.outputs);
            outputs
                .into_iter()
                .any(|output| output.content_hash == hash)
        };
        self.until("status tells of the new credential", told).await;
        secret
    }

    /// Applies a merge patch, as a user with kubectl would.
    pub(crate) async fn patch(&self, patch: Value) {
        let parameters = PatchParams {
            field_manager: Some("kubectl-patch".to_owned()),
            ..PatchParams::default()
        };
        self.api
            .patch(&self.name, &parameters, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Changes the spec by a merge patch.
    pub(crate) async fn patch_spec(&self, patch: Value) {
        self.patch(json!({ "spec": patch })).await;
    }

    /// Sets the annotation that forces an issue.
    pub(crate) async fn rotate(&self, value: &str) {
        self.patch(json!({"metadata": {"annotations": {"doclusteraccess.dev/rotate": value}}}))
            .await;
    }

    /// Sets a label that nobody looks at, so that the operator looks at the access.
    pub(crate) async fn touch(&self, value: &str) {
        self.patch(json!({"metadata": {"labels": {"example.com/touched": value}}}))
            .await;
    }

    /// Deletes it.
    pub(crate) async fn delete(&self) {
        self.api
            .delete(&self.name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// The events about it, oldest first.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let mut events = self
            .events
            .list(&ListParams::default())
            .await
            .unwrap()
            .items;
        events.retain(|event| {
            event
                .regarding
                .as_ref()
                .and_then(|object| object.name.as_ref())
                == Some(&self.name)
        });
        events.sort_by(|one, other| one.event_time.cmp(&other.event_time));
        events
    }
}

/// The condition of that type, where status is that of the present spec.
pub(crate) fn condition<'a>(access: &'a DOClusterAccess, kind: &str) -> Option<&'a Condition> {
    let status = access.status.as_ref()?;
    let current = status.observed_generation == access.metadata.generation;
    let mut conditions = status.conditions.iter().filter(|_| current);
    conditions.find(|condition| condition.type_ == kind)
}

/// Whether the condition of that type has this status for this reason, of the present spec.
pub(crate) fn has_condition(
    access: &DOClusterAccess,
    kind: &str,
    status: &str,
    reason: &str,
) -> bool {
    condition(access, kind)
        .is_some_and(|condition| condition.status == status && condition.reason == reason)
}

/// Panics with what there is unless the condition of that type has this status for this reason.
#[track_caller]
pub(crate) fn assert_condition(access: &DOClusterAccess, kind: &str, status: &str, reason: &str) {
    let conditions = access.status.as_ref().map(|status| &status.conditions);
    assert!(
        has_condition(access, kind, status, reason),
        "{kind} is not {status} for {reason}: {conditions:#?}"
    );
}

/// The decoded value of a key of a Secret, empty where it is not there.
pub(crate) fn text(secret: &Secret, key: &str) -> String {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    value
        .map(|value| String::from_utf8(value.0.clone()).unwrap())
        .unwrap_or_default()
}

/// The value of the operator's annotation `doclusteraccess.dev/<name>`, empty where it is not there.
pub(crate) fn annotation(secret: &Secret, name: &str) -> String {
    let key = format!("doclusteraccess.dev/{name}");
    let annotations = secret.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(&key))
        .cloned()
        .unwrap_or_default()
}
