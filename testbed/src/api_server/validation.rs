//! What makes an object invalid, as far as the operator and its tests can run into it.

use serde_json::Value;

use super::errors::{Refusal, Wrong};
use super::resources::{Kind, Resource};
use super::schema::Violation;

/// # Errors
/// 422 with all that is wrong.
pub(super) fn new_object(resource: &Resource, value: &Value) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    if value["metadata"]["name"].is_null() {
        let why = "name or generateName is required";
        wrong.push(Wrong::required("metadata.name", why));
    }
    wrong.extend(owners(value));
    wrong.extend(labels(value));
    if resource.custom {
        require(resource, value, &mut wrong);
    }
    refuse(resource, value, &wrong)
}

/// What the schema of a custom resource requires.
fn require(resource: &Resource, value: &Value, wrong: &mut Vec<Wrong>) {
    let mut violations = Vec::new();
    resource.schema.check(value, "", &mut violations);
    wrong.extend(violations.iter().map(|violation| match violation {
        Violation::Missing(field) => Wrong::required(field, ""),
        Violation::Null(field, wanted) => Wrong::null(field, wanted),
    }));
    if !wrong.is_empty() {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        wrong.push(Wrong::value("<nil>", &Value::Null, why));
    }
}

/// # Errors
/// 422 with all that is wrong.
pub(super) fn updated_object(
    resource: &Resource,
    value: &Value,
    before: &Value,
) -> Result<(), Refusal> {
    let mut wrong = owners(value);
    wrong.extend(labels(value));
    if value["metadata"]["uid"] != before["metadata"]["uid"] {
        let uid = &value["metadata"]["uid"];
        // It is looked for once as of every kind, and once as of this one.
        for _ in 0..2 {
            wrong.push(Wrong::value("metadata.uid", uid, "field is immutable"));
        }
    }
    if resource.kind == Kind::Secret {
        wrong.extend(updated_secret(value, before));
    }
    if resource.custom && wrong.is_empty() {
        require(resource, value, &mut wrong);
    }
    refuse(resource, value, &wrong)
}

fn refuse(resource: &Resource, value: &Value, wrong: &[Wrong]) -> Result<(), Refusal> {
    if wrong.is_empty() {
        return Ok(());
    }
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    Err(Refusal::invalid(resource.group, resource.name, name, wrong))
}

fn owners(value: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let owners = value["metadata"]["ownerReferences"].as_array();
    for owner in owners.into_iter().flatten() {
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let field = format!("metadata.ownerReferences.{field}");
                wrong.push(Wrong::value(&field, &Value::from(""), why));
            }
        }
    }
    wrong
}

fn labels(value: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (key, value) in value["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("a", key));
        if name.is_empty() || !is_label_value(name) || !is_subdomain(prefix) {
            wrong.push(Wrong::value(
                "metadata.labels",
                &Value::from(key.as_str()),
                "no valid key",
            ));
        }
        if !value.as_str().is_some_and(is_label_value) {
            wrong.push(Wrong::value("metadata.labels", value, "no valid value"));
        }
    }
    wrong
}

/// Whether text is empty, or short, of few characters, and begins and ends well.
fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    text.len() <= 63
        && text.bytes().all(inner)
        && ends
            .into_iter()
            .flatten()
            .all(|byte| byte.is_ascii_alphanumeric())
}

fn is_subdomain(text: &str) -> bool {
    let is_part = |part: &str| {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = [part.bytes().next(), part.bytes().last()];
        part.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
            && ends.into_iter().all(|end| end.is_some_and(alphanumeric))
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

fn updated_secret(value: &Value, before: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if value["type"] != before["type"] {
        wrong.push(Wrong::value("type", &value["type"], "field is immutable"));
    }
    if before["immutable"] == true {
        let why = "field is immutable when `immutable` is set";
        if value["immutable"] != true {
            wrong.push(Wrong::forbidden("immutable", why));
        }
        if value["data"] != before["data"] {
            wrong.push(Wrong::forbidden("data", why));
        }
    }
    wrong
}

/// An update of what has to say which version it is based on, and does not.
pub(super) fn version_missing(resource: &Resource, name: &str) -> Refusal {
    let why = "must be specified for an update";
    let wrong = Wrong::value("metadata.resourceVersion", &Value::from(0), why);
    Refusal::invalid(resource.group, resource.plural, name, &[wrong])
}

/// An apply that does not say by whom.
pub(super) fn apply_without_manager() -> Refusal {
    patch_options(Wrong::required(
        "fieldManager",
        "is required for apply patch",
    ))
}

/// A patch other than apply that is to be forced.
pub(super) fn force_without_apply() -> Refusal {
    patch_options(Wrong::forbidden(
        "force",
        "may not be specified for non-apply patch",
    ))
}

fn patch_options(wrong: Wrong) -> Refusal {
    Refusal::invalid("meta.k8s.io", "PatchOptions", "", &[wrong])
}
