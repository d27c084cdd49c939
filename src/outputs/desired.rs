//! The Secret as it is to be.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{
    ACCESS_LABEL, Contents, FoundMetadata, FoundSecret, MANAGED_BY, MANAGED_BY_LABEL, Marks,
    Material, content_hash, format_of, owned_fields_digest,
};
use crate::api::{DOClusterAccess, DeletionPolicy, Output};
use crate::rotation::Issue;

/// The access that a Secret belongs to, for its owner reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the access.
    pub name: String,
    /// UID of the access.
    pub uid: String,
}

/// Where the Secrets of one access go, and how.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Namespace of the access and of its Secrets.
    pub namespace: String,
    /// The access.
    pub owner: Owner,
    /// Whether Secrets go with the access.
    pub deletion_policy: DeletionPolicy,
}

impl Placement {
    /// The placement of `access`; `None` for an object that no API server has stored.
    #[must_use]
    pub fn of(access: &DOClusterAccess) -> Option<Self> {
        Some(Self {
            namespace: access.metadata.namespace.clone()?,
            owner: Owner {
                name: access.metadata.name.clone()?,
                uid: access.metadata.uid.clone()?,
            },
            deletion_policy: access.spec.effective_deletion_policy(),
        })
    }

    /// The Secret for `output`, with the content of `material`; `None` where the format is not
    /// available for it.
    #[must_use]
    pub fn desired(&self, output: &Output, material: &Material) -> Option<DesiredSecret> {
        let format = format_of(output.format)?;
        let contents = format.render(output, material)?;
        Some(self.with_contents(output, format.secret_type(), &material.issue, contents))
    }

    /// Whether a Secret with this metadata has the keys, labels, annotations and owner that
    /// `output` asks for, as far as metadata tells.
    #[must_use]
    pub fn is_as_wanted(&self, output: &Output, found: &FoundMetadata) -> bool {
        let (Some(format), Some(marks)) = (format_of(output.format), &found.marks) else {
            return false;
        };
        let mut desired = self.with_contents(
            output,
            format.secret_type(),
            &marks.issue,
            Contents::default(),
        );
        desired.annotations.extend(marks.annotations(false));
        found.carries(&desired)
            && format.key_sets(output).iter().any(|keys| {
                found.owned_fields.as_ref() == Some(&owned_fields_digest(&desired, keys))
            })
    }

    fn with_contents(
        &self,
        output: &Output,
        secret_type: &'static str,
        issue: &Issue,
        contents: Contents,
    ) -> DesiredSecret {
        let uid = &self.owner.uid;
        let marks = Marks {
            access_uid: uid.clone(),
            issue: issue.clone(),
            content_hash: content_hash(uid, issue, &contents),
        };
        let mut labels = output.labels.clone();
        labels.insert(MANAGED_BY_LABEL.to_string(), MANAGED_BY.to_string());
        labels.insert(ACCESS_LABEL.to_string(), self.owner.name.clone());
        let mut annotations = output.annotations.clone();
        annotations.extend(marks.annotations(false));
        let owned = self.deletion_policy == DeletionPolicy::Delete && !output.adopt;
        DesiredSecret {
            namespace: self.namespace.clone(),
            name: output.secret_name.clone(),
            secret_type: secret_type.to_string(),
            labels,
            annotations,
            owner: owned.then(|| self.owner.clone()),
            marks,
            contents,
        }
    }
}

/// A Secret as it is to be.
#[derive(Clone, Debug)]
pub struct DesiredSecret {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `type`.
    pub secret_type: String,
    /// Labels, ours and the user's.
    pub labels: BTreeMap<String, String>,
    /// Annotations, ours and the user's.
    pub annotations: BTreeMap<String, String>,
    /// The access that owns it; `None` where it is to outlive the access.
    pub owner: Option<Owner>,
    /// Its marks; contained in the annotations.
    pub marks: Marks,
    /// Keys and values.
    pub contents: Contents,
}

impl DesiredSecret {
    /// The Secret as it was found, without owner reference and marks of ownership. The data stays in
    /// it: an apply of less would delete the keys. `None` for a Secret without marks.
    #[must_use]
    pub fn released(found: &FoundSecret) -> Option<Self> {
        let metadata = &found.metadata;
        let marks = metadata.marks.clone()?;
        let mut labels = metadata.labels.clone();
        labels.remove(ACCESS_LABEL);
        let kept = marks.annotations(true);
        let mut annotations = metadata.annotations.clone();
        annotations
            .retain(|key, _| !key.starts_with("doclusteraccess.dev/") || kept.contains_key(key));
        Some(Self {
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
            secret_type: found.secret_type.clone(),
            labels,
            annotations,
            owner: None,
            marks,
            contents: found.contents.clone(),
        })
    }

    /// The body of a server-side apply. `precondition` names fields of `metadata` that the API
    /// server compares: `resourceVersion`, `uid`.
    #[must_use]
    pub fn apply_body(&self, precondition: &[(&str, &str)]) -> Value {
        let data: BTreeMap<_, _> = self
            .contents
            .iter()
            .map(|(key, value)| (key, BASE64_STANDARD.encode(value)))
            .collect();
        let mut metadata = json!({
            "namespace": self.namespace,
            "name": self.name,
            "labels": self.labels,
            "annotations": self.annotations,
        });
        if let Some(owner) = &self.owner {
            metadata["ownerReferences"] = json!([{
                "apiVersion": "doclusteraccess.dev/v1alpha1",
                "kind": "DOClusterAccess",
                "name": owner.name,
                "uid": owner.uid,
                "controller": true,
            }]);
        }
        for (field, value) in precondition {
            metadata[*field] = json!(value);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": self.secret_type,
            "data": data,
        })
    }
}
