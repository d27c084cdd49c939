//! What the API answers, read tolerantly: unknown fields are ignored, null is absent.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use super::Malformed;
use super::text::printable;
use crate::credential::{Credential, EncodedCredential};

/// A cluster, as the list and the single answer describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its id: a UUID, never given to another cluster.
    pub id: String,
    /// Its name, which another cluster can have, too, or later.
    pub name: String,
    /// The slug of its region, such as `nyc1`.
    pub region: String,
    /// The slug of its version, such as `1.36.1-do.0`.
    pub version: String,
    /// What DigitalOcean says that it is doing.
    pub state: ClusterState,
    /// What DigitalOcean says besides, mostly in state `error`: one line, at most 256 characters.
    pub state_message: Option<String>,
    /// The URL of its API server; absent while it is being provisioned.
    pub endpoint: Option<String>,
    /// Its tags, in DigitalOcean's order; empty, too, when the token may not read tags.
    pub tags: Vec<String>,
    /// Single sign-on.
    pub sso: Sso,
}

/// A cluster's single sign-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Sso {
    /// People can log in by it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub enabled: bool,
    /// Nobody can log in without it: no token will work.
    #[serde(default, deserialize_with = "null_is_default")]
    pub required: bool,
}

/// A cluster's state. The set is open: DigitalOcean adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    /// Being made; its credentials may not be there yet.
    Provisioning,
    /// As it should be.
    Running,
    /// Working, with something amiss.
    Degraded,
    /// Working, while its version changes.
    Upgrading,
    /// Failed; [`Cluster::state_message`] may say why.
    Error,
    /// Being deleted.
    Deleting,
    /// Deleted.
    Deleted,
    /// Anything else, in lower case, at most 64 characters; empty when DigitalOcean gives none.
    Unknown(String),
}

/// A fresh credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCredential {
    /// The credential.
    pub credential: Credential,
    /// When its token expires, as far as DigitalOcean says (null, absent and the year 1 do not
    /// count). The notAfter of a client certificate is [`Credential::not_after`].
    pub expires_at: Option<Timestamp>,
}

impl ClusterState {
    /// The state as DigitalOcean writes it, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Upgrading => "upgrading",
            Self::Error => "error",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Unknown(state) => state,
        }
    }

    /// Whether credentials can be fetched and will work.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Running | Self::Degraded | Self::Upgrading)
    }

    /// Whether it is on its way out, or gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Deleting | Self::Deleted)
    }
}

impl From<&str> for ClusterState {
    fn from(state: &str) -> Self {
        let state = printable(state, 64).to_ascii_lowercase();
        match state.as_str() {
            "provisioning" => Self::Provisioning,
            "running" => Self::Running,
            "degraded" => Self::Degraded,
            "upgrading" => Self::Upgrading,
            "error" => Self::Error,
            "deleting" => Self::Deleting,
            "deleted" => Self::Deleted,
            _ => Self::Unknown(state),
        }
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// `GET /v2/kubernetes/clusters/{id}`.
#[derive(Deserialize)]
pub(super) struct ClusterAnswer {
    kubernetes_cluster: ClusterObject,
}

impl ClusterAnswer {
    /// The cluster, when it is the one that was asked for.
    pub(super) fn cluster(self, id: &str) -> Result<Cluster, Malformed> {
        let cluster = self.kubernetes_cluster.cluster()?;
        if cluster.id.eq_ignore_ascii_case(id) {
            Ok(cluster)
        } else {
            Err(Malformed::WrongCluster)
        }
    }
}

/// A page of `GET /v2/kubernetes/clusters`.
#[derive(Deserialize)]
pub(super) struct ListPage {
    #[serde(default, deserialize_with = "null_is_default")]
    kubernetes_clusters: Vec<ClusterObject>,
    #[serde(default, deserialize_with = "null_is_default")]
    links: Links,
    meta: ListMeta,
}

#[derive(Deserialize, Default)]
struct Links {
    #[serde(default, deserialize_with = "null_is_default")]
    pages: Pages,
}

/// Only that there is a next page is of interest: its URL is never followed.
#[derive(Deserialize, Default)]
struct Pages {
    next: Option<String>,
}

#[derive(Deserialize)]
struct ListMeta {
    total: u64,
}

impl ListPage {
    pub(super) fn has_next(&self) -> bool {
        self.links
            .pages
            .next
            .as_ref()
            .is_some_and(|next| !next.is_empty())
    }

    pub(super) fn total(&self) -> u64 {
        self.meta.total
    }

    pub(super) fn clusters(self) -> Result<Vec<Cluster>, Malformed> {
        self.kubernetes_clusters
            .into_iter()
            .map(ClusterObject::cluster)
            .collect()
    }
}

#[derive(Deserialize)]
struct ClusterObject {
    id: Option<String>,
    name: Option<String>,
    region: Option<String>,
    version: Option<String>,
    status: Option<Status>,
    endpoint: Option<String>,
    tags: Option<Vec<String>>,
    sso: Option<Sso>,
}

#[derive(Deserialize, Default)]
struct Status {
    state: Option<String>,
    message: Option<String>,
}

impl ClusterObject {
    fn cluster(self) -> Result<Cluster, Malformed> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let status = self.status.unwrap_or_default();
        Ok(Cluster {
            id: some(self.id).ok_or(Malformed::WrongCluster)?,
            name: some(self.name).ok_or(Malformed::WrongCluster)?,
            region: self.region.unwrap_or_default(),
            version: self.version.unwrap_or_default(),
            state: status.state.as_deref().unwrap_or_default().into(),
            state_message: some(status.message).map(|message| printable(&message, 256)),
            endpoint: some(self.endpoint),
            tags: self.tags.unwrap_or_default(),
            sso: self.sso.unwrap_or_default(),
        })
    }
}

/// `GET /v2/kubernetes/clusters/{id}/credentials`.
#[derive(Deserialize)]
pub(super) struct CredentialsAnswer {
    server: Option<String>,
    certificate_authority_data: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    expires_at: Option<String>,
}

impl CredentialsAnswer {
    pub(super) fn issued(self) -> Result<IssuedCredential, Malformed> {
        let expires_at = self
            .expires_at
            .as_deref()
            .map(expiry)
            .transpose()?
            .flatten();
        let mut encoded = EncodedCredential {
            server: self.server,
            certificate_authority_data: self.certificate_authority_data,
            token: self.token.map(SecretString::from),
            client_certificate_data: self.client_certificate_data,
            client_key_data: self.client_key_data.map(SecretString::from),
        };
        if encoded.has_token() {
            // Only clusters with token authentication return one, and there it is what counts.
            encoded.client_certificate_data = None;
            encoded.client_key_data = None;
        }
        Ok(IssuedCredential {
            credential: encoded.decode()?,
            expires_at,
        })
    }
}

/// Go writes a time that was never set as the year 1.
fn expiry(text: &str) -> Result<Option<Timestamp>, Malformed> {
    const YEAR_2000: i64 = 946_684_800;
    let time: Timestamp = text.parse().map_err(|_| Malformed::ExpiresAt)?;
    Ok(Some(time).filter(|time| time.as_second() >= YEAR_2000))
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::credential::fixtures::{AUTHORITY, SERVER, TOKEN, certificate_credential};
    use crate::credential::{Authentication, CredentialError, to_base64};

    fn credentials(changes: Value) -> Value {
        let mut answer = json!({
            "server": SERVER,
            "certificate_authority_data": to_base64(&AUTHORITY.pem()),
            "client_certificate_data": null,
            "client_key_data": null,
            "token": TOKEN,
            "expires_at": "2026-11-29T11:50:28.889080521Z",
            "new_field": {"a": [1]},
        });
        let Value::Object(changes) = changes else {
            panic!("an object")
        };
        answer.as_object_mut().unwrap().extend(changes);
        answer
    }

    fn issued(changes: Value) -> Result<IssuedCredential, Malformed> {
        serde_json::from_value::<CredentialsAnswer>(credentials(changes))
            .unwrap()
            .issued()
    }

    #[test]
    fn nine_fractional_digits_are_a_time() {
        let issued = issued(json!({})).unwrap();
        assert_eq!(
            issued.expires_at,
            Some("2026-11-29T11:50:28.889080521Z".parse().unwrap())
        );
        assert!(issued.credential.authentication().token().is_some());
    }

    #[test]
    fn an_expiry_that_was_never_set_is_unknown() {
        for never in [
            Value::Null,
            json!("0001-01-01T00:00:00Z"),
            json!("1970-01-01T00:00:00Z"),
            json!("1999-12-31T23:59:59Z"),
        ] {
            assert_eq!(
                issued(json!({"expires_at": never})).unwrap().expires_at,
                None
            );
        }
        let absent = json!({
            "server": SERVER,
            "certificate_authority_data": to_base64(&AUTHORITY.pem()),
            "token": TOKEN,
        });
        let absent: CredentialsAnswer = serde_json::from_value(absent).unwrap();
        assert_eq!(absent.issued().unwrap().expires_at, None);
    }

    #[test]
    fn an_expiry_that_is_no_time_is_malformed() {
        for unsound in [
            "",
            "soon",
            "2026-11-29",
            "2026-13-01T00:00:00Z",
            "1795341600",
        ] {
            assert_eq!(
                issued(json!({"expires_at": unsound})),
                Err(Malformed::ExpiresAt)
            );
        }
    }

    #[test]
    fn a_certificate_cluster_gives_a_certificate() {
        let credential = certificate_credential();
        let encoded = EncodedCredential::from(&credential);
        let key = encoded
            .client_key_data
            .as_ref()
            .map(secrecy::ExposeSecret::expose_secret);
        for token in [Value::Null, json!("")] {
            let issued = issued(json!({
                "token": token,
                "client_certificate_data": encoded.client_certificate_data,
                "client_key_data": key,
            }));
            assert_eq!(issued.unwrap().credential, credential);
        }
    }

    #[test]
    fn a_token_comes_before_a_certificate() {
        let issued = issued(json!({
            "client_certificate_data": "truncated", "client_key_data": "truncated",
        }));
        let credential = issued.unwrap().credential;
        assert!(matches!(
            credential.authentication(),
            Authentication::Token(_)
        ));
    }

    #[test]
    fn no_credential_at_all_is_malformed() {
        assert_eq!(
            issued(json!({"token": null})),
            Err(Malformed::Credential(CredentialError::NoAuthentication))
        );
        assert_eq!(
            issued(json!({"server": "http://plain"})),
            Err(Malformed::Credential(CredentialError::ServerNotHttps))
        );
    }

    #[test]
    fn a_cluster_is_read_with_little_and_with_much() {
        let little = json!({"kubernetes_cluster": {"id": "a", "name": "b"}});
        let little: ClusterAnswer = serde_json::from_value(little).unwrap();
        let expected = Cluster {
            id: "a".into(),
            name: "b".into(),
            region: String::new(),
            version: String::new(),
            state: ClusterState::Unknown(String::new()),
            state_message: None,
            endpoint: None,
            tags: vec![],
            sso: Sso::default(),
        };
        assert_eq!(little.cluster("A"), Ok(expected));
        let much = json!({"kubernetes_cluster": {
            "id": "a", "name": "b", "region": "nyc1", "version": "1.36.1-do.0",
            "status": {"state": "Running", "message": "all\nwell"},
            "endpoint": SERVER, "tags": ["k8s", "env:prod"],
            "sso": {"enabled": true, "required": null, "issuer_url": "https://id"},
            "node_pools": [{"labels": null}], "registries": null, "ha": true,
        }});
        let much: ClusterAnswer = serde_json::from_value(much).unwrap();
        let expected = Cluster {
            id: "a".into(),
            name: "b".into(),
            region: "nyc1".into(),
            version: "1.36.1-do.0".into(),
            state: ClusterState::Running,
            state_message: Some("all well".into()),
            endpoint: Some(SERVER.into()),
            tags: vec!["k8s".into(), "env:prod".into()],
            sso: Sso {
                enabled: true,
                required: false,
            },
        };
        assert_eq!(much.cluster("a"), Ok(expected));
    }

    #[test]
    fn another_cluster_than_the_one_asked_for_is_malformed() {
        for cluster in [
            json!({"id": "x", "name": "b"}),
            json!({"name": "b"}),
            json!({"id": "a"}),
        ] {
            let answer = json!({"kubernetes_cluster": cluster});
            let answer: ClusterAnswer = serde_json::from_value(answer).unwrap();
            assert_eq!(answer.cluster("a"), Err(Malformed::WrongCluster));
        }
    }

    #[test]
    fn the_set_of_states_is_open_and_in_any_case() {
        for (written, state) in [
            ("running", ClusterState::Running),
            ("DELETING", ClusterState::Deleting),
            ("Provisioning", ClusterState::Provisioning),
            ("hibernating", ClusterState::Unknown("hibernating".into())),
            ("", ClusterState::Unknown(String::new())),
        ] {
            assert_eq!(ClusterState::from(written), state);
            assert_eq!(state.to_string(), written.to_ascii_lowercase());
        }
        for usable in ["running", "degraded", "upgrading"] {
            assert!(ClusterState::from(usable).is_usable());
        }
        for unusable in [
            "provisioning",
            "error",
            "deleting",
            "deleted",
            "invalid",
            "",
        ] {
            assert!(!ClusterState::from(unusable).is_usable());
        }
        assert!(ClusterState::Deleting.is_gone() && ClusterState::Deleted.is_gone());
        assert!(!ClusterState::Error.is_gone());
    }
}
