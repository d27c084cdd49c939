//! What both controllers write: the Secret with the keys of the operator's, and a status that says Ready.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::super::world::now;
use super::DOClusterAccess;
use super::digitalocean::Credentials;

/// The Secret of `access`.
pub(super) fn secret(
    access: &DOClusterAccess,
    kubeconfig: String,
    credentials: &Credentials,
) -> Secret {
    let authority = BASE64_STANDARD.decode(&credentials.certificate_authority_data);
    let data = [
        ("kubeconfig", kubeconfig.into_bytes()),
        ("server", credentials.server.clone().into_bytes()),
        ("ca.crt", authority.unwrap_or_default()),
        ("token", credentials.token.clone().into_bytes()),
        ("expires-at", credentials.expires_at.clone().into_bytes()),
    ];
    let data: BTreeMap<String, ByteString> = data
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value)))
        .collect();
    Secret {
        metadata: ObjectMeta {
            name: Some(format!("{}-kubeconfig", access.name_any())),
            namespace: access.namespace(),
            owner_references: access.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// The status of `access` once that is written.
pub(super) fn status(access: &DOClusterAccess, credentials: &Credentials) -> Value {
    let now = now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "observedGeneration": access.metadata.generation,
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Published",
            "message": "The Secret is written.",
            "lastTransitionTime": now,
            "observedGeneration": access.metadata.generation,
        }],
        "credential": {"issuedAt": now, "expiresAt": whole_seconds(&credentials.expires_at)},
    })
}

/// The time without its fraction, which the API server does not take.
fn whole_seconds(time: &str) -> String {
    let whole = time.split(['.', 'Z']).next().unwrap_or(time);
    format!("{whole}Z")
}

#[cfg(test)]
mod tests {
    use super::whole_seconds;

    #[test]
    fn a_time_loses_its_fraction_alone() {
        let times = ["2026-11-22T10:00:00.123456789Z", "2026-11-22T10:00:00Z"];
        assert_eq!(times.map(whole_seconds), [times[1], times[1]]);
    }
}
