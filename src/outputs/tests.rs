use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::api::{
    ArgoCdOptions, CustomField, CustomKey, DOClusterAccess, DOClusterAccessSpec, DeletionPolicy,
};
use crate::credential::fixtures::{AUTHORITY, SERVER, certificate_credential, token_credential};
use crate::credential::{Authentication, Credential};
use crate::kubeconfig::{self, ContextName};
use crate::rotation::Issue;

mod argocd_format;
mod custom_format;
mod drift;
mod fact_labels;
mod forgery;
mod forms;
mod hashing;
mod kubeconfig_format;
mod ownership;
mod parts;
mod placement;
mod reading;
mod rendering;
mod single_format;
mod strategies;

const ACCESS_UID: &str = "ecadb801-22a4-4948-ab48-930427c76c17";
const CLUSTER_ID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";
const SECRET_UID: &str = "0b9bb0a2-7b66-45c4-b1a5-1f0b8f6b7a10";
/// The token inside the kubeconfig: of an issue with two mints, not that of the credential.
const KUBECONFIG_TOKEN: &str = "dop_v1_0ther5ecre7";

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

fn facts() -> Facts {
    Facts {
        cluster_id: CLUSTER_ID.to_string(),
        cluster_name: "prod-cluster-01".to_string(),
        region: "nyc1".to_string(),
        version: "1.36.1-do.0".to_string(),
        tags: Some(["k8s", "env:prod", "blue"].map(str::to_string).to_vec()),
    }
}

/// What get_kubeconfig would have answered beside `credential`.
fn document(credential: &Credential) -> SecretString {
    let authentication = match credential.authentication() {
        Authentication::Token(_) => Authentication::Token(KUBECONFIG_TOKEN.into()),
        certificate @ Authentication::Certificate { .. } => certificate.clone(),
    };
    let beside = Credential::new(SERVER.to_string(), AUTHORITY.pem(), authentication).unwrap();
    kubeconfig::render(&ContextName::new("nyc1", "prod-cluster-01"), &beside)
}

fn material(credential: Credential) -> Material {
    Material {
        issue: issue(),
        kubeconfig: Some(document(&credential)),
        credential,
    }
}

fn token_material() -> Material {
    material(token_credential())
}

/// One for all: a key takes its time.
fn certificate_material() -> Material {
    static MATERIAL: LazyLock<Material> = LazyLock::new(|| material(certificate_credential()));
    MATERIAL.clone()
}

fn materials() -> [Material; 2] {
    [token_material(), certificate_material()]
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

fn output_of(format: OutputFormat) -> Output {
    Output { format, ..output() }
}

/// An output of format `Custom` with these keys.
fn custom(keys: &[(&str, CustomField)]) -> Output {
    let keys = keys.iter().map(|(key, field)| CustomKey {
        key: (*key).to_string(),
        field: *field,
    });
    Output {
        keys: Some(keys.collect()),
        ..output_of(OutputFormat::Custom)
    }
}

/// An output of each format, with all that either kind of credential can fill.
fn outputs() -> [Output; 6] {
    [
        output_of(OutputFormat::Kubeconfig),
        output_of(OutputFormat::Flux),
        output_of(OutputFormat::ArgoCD),
        output_of(OutputFormat::ClusterAPI),
        output_of(OutputFormat::Karmada),
        custom(&[
            ("config", CustomField::Kubeconfig),
            ("endpoint", CustomField::Server),
            ("ca", CustomField::CertificateAuthority),
        ]),
    ]
}

/// What `output` looks like with `material`, when there is nothing yet.
fn render(output: &Output, material: &Material, facts: &Facts) -> Option<Contents> {
    format_of(output.format).render(&Source {
        output,
        material,
        facts,
        present: None,
    })
}

/// The keys and values, as text.
fn texts(contents: &Contents) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    contents
        .iter()
        .map(|(key, value)| (key.to_string(), text(value)))
        .collect()
}

fn keys(contents: &Contents) -> Vec<&str> {
    contents.iter().map(|(key, _)| key).collect()
}

fn entries(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_string(), (*value).to_string()))
        .collect()
}

/// The Secret of `output` where there is none yet.
fn desired_of(output: &Output, material: &Material) -> Option<DesiredSecret> {
    placement(DeletionPolicy::Delete).desired(
        &Source {
            output,
            material,
            facts: &facts(),
            present: None,
        },
        &BTreeMap::new(),
    )
}

fn desired(material: &Material) -> DesiredSecret {
    desired_of(&output(), material).expect("every kind of credential has this format")
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

/// The record of the API server after an apply of `desired`: each field is ours.
fn recorded(desired: &DesiredSecret) -> Value {
    let named = |names: Vec<&str>| -> Value {
        let leaves = names.iter().map(|name| (format!("f:{name}"), json!({})));
        leaves.collect::<serde_json::Map<_, _>>().into()
    };
    let mut fields = json!({
        "f:data": named(keys(&desired.contents)),
        "f:metadata": {
            "f:annotations": named(desired.annotations.keys().map(String::as_str).collect()),
            "f:labels": named(desired.labels.keys().map(String::as_str).collect()),
        },
        "f:type": {},
    });
    if let Some(owner) = &desired.owner {
        let key = format!("k:{}", json!({"uid": owner.uid}));
        fields["f:metadata"]["f:ownerReferences"] = json!({ key: {} });
    }
    json!([{
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "manager": "do-cluster-access",
        "operation": "Apply",
    }])
}

/// The same as [`stored`], with the record of who owns what.
fn applied(desired: &DesiredSecret) -> Secret {
    let mut secret = stored(desired);
    secret.metadata.managed_fields = Some(serde_json::from_value(recorded(desired)).unwrap());
    secret
}

fn found(secret: Secret) -> FoundSecret {
    FoundSecret::new(secret).expect("it has a uid and a resourceVersion")
}

fn spec(spec: Value) -> DOClusterAccessSpec {
    serde_json::from_value(spec).expect("a spec")
}
