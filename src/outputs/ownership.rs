//! Which fields of a Secret the API server attributes to us. When somebody else changes a field that
//! we own, ownership moves to them, so the record in `managedFields` tells of drift without reading
//! the Secret's data.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{DesiredSecret, FIELD_MANAGER};
use crate::hexadecimal::hexadecimal;

/// A set of fields, as paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedFields(BTreeSet<String>);

impl OwnedFields {
    /// Whether all of them are among `others`.
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    /// What tells one set from another.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for path in &self.0 {
            hash.update(path);
            hash.update([0]);
        }
        hexadecimal(&hash.finalize()[..8])
    }
}

/// The fields that an apply of `desired` with `keys` for content owns.
#[must_use]
pub fn fields_of<'a>(desired: &DesiredSecret, keys: impl Iterator<Item = &'a str>) -> OwnedFields {
    let mut paths = BTreeSet::from(["f:type".to_string()]);
    paths.extend(keys.map(|key| format!("f:data/f:{key}")));
    paths.extend(
        desired
            .labels
            .keys()
            .map(|key| format!("f:metadata/f:labels/f:{key}")),
    );
    paths.extend(
        desired
            .annotations
            .keys()
            .map(|key| format!("f:metadata/f:annotations/f:{key}")),
    );
    if let Some(owner) = &desired.owner {
        let key = serde_json::json!({ "uid": owner.uid });
        paths.insert(format!("f:metadata/f:ownerReferences/k:{key}"));
    }
    OwnedFields(paths)
}

/// The fields that `entries` attribute to our applies; `None` where there are none.
#[must_use]
pub fn recorded_fields(entries: &[ManagedFieldsEntry]) -> Option<OwnedFields> {
    let ours = entries.iter().find(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    })?;
    let mut paths = BTreeSet::new();
    collect(&ours.fields_v1.as_ref()?.0, "", &mut paths);
    Some(OwnedFields(paths))
}

/// The leaves below `value`, as paths.
fn collect(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    let children: Vec<_> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != ".")
        .collect();
    if children.is_empty() && !path.is_empty() {
        paths.insert(path.to_string());
    }
    for (name, child) in children {
        let child_path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}/{name}")
        };
        collect(child, &child_path, paths);
    }
}
