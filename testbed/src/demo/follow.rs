//! Following an object through a watch, as a consumer would.

use std::fmt::Debug;

use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::names::{ACCESS, NAMESPACE, SECRET};

/// What a consumer reads from the Secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) server: String,
    /// PEM.
    pub(super) certificate_authority: Vec<u8>,
    pub(super) token: String,
    pub(super) kubeconfig: Vec<u8>,
    pub(super) expires_at: Timestamp,
}

impl Published {
    /// `None` where a key is missing or makes no sense.
    fn read(secret: &Secret) -> Option<Self> {
        let bytes = |key: &str| Some(secret.data.as_ref()?.get(key)?.0.clone());
        let text = |key: &str| String::from_utf8(bytes(key)?).ok();
        Some(Self {
            server: text("server")?,
            certificate_authority: bytes("ca.crt")?,
            token: text("token")?,
            kubeconfig: bytes("kubeconfig")?,
            expires_at: text("expires-at")?.parse().ok()?,
        })
    }
}

/// What the status of the access says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AccessStatus {
    pub(super) ready: Condition,
    pub(super) synced: Condition,
    pub(super) verified: Condition,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) renew_at: Option<Timestamp>,
    /// Who the target cluster says the credential is.
    pub(super) username: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// True, False or Unknown; empty where there is no such condition.
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Condition {
    pub(super) fn holds(&self) -> bool {
        self.status == "True"
    }
}

impl AccessStatus {
    /// `None` while there is no status.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the signature of what `follow` is given"
    )]
    fn read(access: &DynamicObject) -> Option<Self> {
        let status = &access.data["status"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let instant = |field: &str| status["credential"][field].as_str()?.parse().ok();
        let condition = |wanted: &str| {
            let conditions = status["conditions"].as_array();
            let condition = conditions
                .into_iter()
                .flatten()
                .find(|condition| condition["type"] == wanted);
            condition.map_or_else(Condition::default, |condition| Condition {
                status: text(&condition["status"]),
                reason: text(&condition["reason"]),
                message: text(&condition["message"]),
            })
        };
        Some(Self {
            ready: condition("Ready"),
            synced: condition("Synced"),
            verified: condition("Verified"),
            expires_at: instant("expiresAt"),
            renew_at: instant("renewAt"),
            username: text(&status["credential"]["username"]),
        })
    }
}

/// Follows the Secret; `None` while there is none that a consumer could use.
pub(super) fn secret(client: &Client) -> watch::Receiver<Option<Published>> {
    let secrets = Api::namespaced(client.clone(), NAMESPACE);
    follow(secrets, SECRET, Published::read)
}

/// Follows the access.
pub(super) fn access(client: &Client) -> watch::Receiver<Option<AccessStatus>> {
    let kind = GroupVersionKind::gvk("doclusteraccess.dev", "v1alpha1", "DOClusterAccess");
    let resource = ApiResource::from_gvk_with_plural(&kind, "doclusteraccesses");
    let accesses = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    follow(accesses, ACCESS, AccessStatus::read)
}

/// The latest state of one object, for as long as anybody looks.
fn follow<K, T>(api: Api<K>, name: &str, read: fn(&K) -> Option<T>) -> watch::Receiver<Option<T>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: PartialEq + Send + Sync + 'static,
{
    let (tell, state) = watch::channel(None);
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher(api, only).default_backoff();
    tokio::spawn(async move {
        pin_mut!(events);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = tell.closed() => return,
            };
            let object = match event {
                Some(Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object))) => {
                    Some(object)
                }
                Some(Ok(watcher::Event::Delete(_))) => None,
                Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => continue,
                Some(Err(error)) => {
                    tracing::warn!(%error, "a watch broke off and begins anew");
                    continue;
                }
                None => return,
            };
            let new = object.as_ref().and_then(read);
            tell.send_if_modified(|known| {
                let changes = *known != new;
                *known = new;
                changes
            });
        }
    });
    state
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_lacks_a_key_is_of_no_use_to_a_consumer() {
        let mut data = json!({
            "server": "aHR0cHM6Ly8xMjcuMC4wLjE=",
            "ca.crt": "UEVN",
            "token": "dG9rZW4=",
            "kubeconfig": "e30=",
            "expires-at": "MjAyNi0wMS0wMVQwMDowMDowMFo=",
        });
        let read = |data: &Value| {
            let secret = serde_json::from_value(json!({"data": data})).expect("a Secret");
            Published::read(&secret)
        };
        let published = read(&data).expect("every key is there");
        assert_eq!(published.token, "token");
        assert_eq!(published.expires_at.to_string(), "2026-01-01T00:00:00Z");
        data.as_object_mut().expect("an object").remove("token");
        assert!(read(&data).is_none());
    }

    #[test]
    fn a_status_is_read_by_the_types_of_its_conditions() {
        let access = serde_json::from_value(json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess", "metadata": {},
            "status": {
                "conditions": [
                    {"type": "Synced", "status": "False", "reason": "ApiUnavailable", "message": "Why."},
                    {"type": "Ready", "status": "True", "reason": "Published"},
                ],
                "credential": {"renewAt": "2026-01-01T00:00:00Z", "username": "demo@example.com"},
            },
        }));
        let status = AccessStatus::read(&access.expect("an access")).expect("a status");
        assert!(status.ready.holds() && !status.synced.holds() && !status.verified.holds());
        assert_eq!(status.synced.status, "False");
        assert_eq!(status.synced.reason, "ApiUnavailable");
        assert_eq!(status.username, "demo@example.com");
        assert!(status.renew_at.is_some() && status.expires_at.is_none());
    }
}
