use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::*;
use crate::api::{DOClusterAccess, DOClusterAccessSpec, DeletionPolicy};
use crate::credential::fixtures::{certificate_credential, token_credential};
use crate::rotation::Issue;

mod hashing;
mod kubeconfig_format;
mod ownership;
mod placement;
mod reading;

const ACCESS_UID: &str = "ecadb801-22a4-4948-ab48-930427c76c17";
const CLUSTER_ID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";
const SECRET_UID: &str = "0b9bb0a2-7b66-45c4-b1a5-1f0b8f6b7a10";
const DOCUMENT: &str = "apiVersion: v1\nkind: Config\n";

/// 2026-11-22T09:00:00Z.
const ISSUED_AT: i64 = 1_795_338_000;
/// A week later.
const EXPIRES_AT: i64 = ISSUED_AT + 604_800;

fn issue() -> Issue {
    Issue {
        issued_at: ISSUED_AT,
        expires_at: EXPIRES_AT,
        cluster_id: CLUSTER_ID.to_string(),
        issue_hash: "0123.4567".to_string(),
        rotate: Some("1".to_string()),
    }
}

fn token_material() -> Material {
    Material {
        issue: issue(),
        credential: token_credential(),
        kubeconfig: Some(DOCUMENT.into()),
    }
}

fn certificate_material() -> Material {
    Material {
        credential: certificate_credential(),
        ..token_material()
    }
}

fn placement(deletion_policy: DeletionPolicy) -> Placement {
    Placement {
        namespace: "team-a".to_string(),
        owner: Owner {
            name: "prod".to_string(),
            uid: ACCESS_UID.to_string(),
        },
        deletion_policy,
    }
}

/// An output with a label and an annotation of the user's.
fn output() -> Output {
    let entry = |key: &str, value: &str| BTreeMap::from([(key.to_string(), value.to_string())]);
    Output {
        labels: entry("team", "payments"),
        annotations: entry("contact", "payments@example.com"),
        ..Output::kubeconfig("prod-kubeconfig".to_string())
    }
}

fn desired(material: &Material) -> DesiredSecret {
    placement(DeletionPolicy::Delete)
        .desired(&output(), material)
        .expect("this version has the format")
}

/// What an API server would have after the apply of `desired` to nothing, managed fields excepted.
fn stored(desired: &DesiredSecret) -> Secret {
    let owners = desired.owner.as_ref().map(|owner| {
        json!([{
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "name": owner.name,
            "uid": owner.uid,
            "controller": true,
        }])
    });
    Secret {
        metadata: ObjectMeta {
            name: Some(desired.name.clone()),
            namespace: Some(desired.namespace.clone()),
            uid: Some(SECRET_UID.to_string()),
            resource_version: Some("7".to_string()),
            labels: Some(desired.labels.clone()),
            annotations: Some(desired.annotations.clone()),
            owner_references: owners.map(|owners| serde_json::from_value(owners).unwrap()),
            ..ObjectMeta::default()
        },
        type_: Some(desired.secret_type.clone()),
        data: Some(
            desired
                .contents
                .iter()
                .map(|(key, value)| (key.to_string(), ByteString(value.to_vec())))
                .collect(),
        ),
        ..Secret::default()
    }
}

fn found(secret: Secret) -> FoundSecret {
    FoundSecret::new(secret).expect("it has a uid and a resourceVersion")
}

fn spec(spec: Value) -> DOClusterAccessSpec {
    serde_json::from_value(spec).expect("a spec")
}
