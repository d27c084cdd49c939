//! A Secret as it was found.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{
    ACCESS_LABEL, Contents, DesiredSecret, Form, Marks, OwnedFields, Pairs, Parts, content_hash,
    format_of, recorded_fields,
};
use crate::api::DOClusterAccess;

/// What the metadata of a Secret tells, reduced to what decisions need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMetadata {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// UID.
    pub uid: String,
    /// Resource version.
    pub resource_version: String,
    /// Labels.
    pub labels: Pairs,
    /// Our marks, where they are complete.
    pub marks: Option<Marks>,
    /// The annotations that the marks do not say already.
    beside_marks: Pairs,
    /// UID of the `DOClusterAccess` that owns it.
    pub owner_uid: Option<String>,
    /// Digest of the fields that belong to our applies.
    pub owned_fields: Option<String>,
    /// It is being deleted.
    pub terminating: bool,
}

impl FoundMetadata {
    /// Reduces `metadata`; `None` for an object that no API server has stored.
    #[must_use]
    pub fn new(metadata: &ObjectMeta) -> Option<Self> {
        let mut annotations = metadata.annotations.clone().unwrap_or_default();
        // May hold a copy of the whole Secret, data included.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        let marks = Marks::read(&annotations);
        if let Some(marks) = &marks {
            let said = marks.annotations(false);
            annotations.retain(|name, value| said.get(name) != Some(value));
        }
        Some(Self {
            namespace: metadata.namespace.as_deref()?.into(),
            name: metadata.name.as_deref()?.into(),
            uid: metadata.uid.clone()?,
            resource_version: metadata.resource_version.clone()?,
            labels: metadata.labels.clone().into_iter().flatten().collect(),
            marks,
            beside_marks: annotations.into_iter().collect(),
            owner_uid: metadata
                .owner_references
                .iter()
                .flatten()
                .find(|reference| is_access(reference))
                .map(|reference| reference.uid.clone()),
            owned_fields: metadata
                .managed_fields
                .as_deref()
                .and_then(recorded_fields)
                .map(|fields| fields.digest()),
            terminating: metadata.deletion_timestamp.is_some(),
        })
    }

    /// Annotations.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let marks = self.marks.as_ref();
        let mut annotations = marks.map_or_else(BTreeMap::new, |marks| marks.annotations(false));
        // Of a mark in another spelling, too.
        annotations.extend(self.beside_marks.to_map());
        annotations
    }

    /// UID in the annotation of ours that names the access.
    #[must_use]
    pub fn access_uid(&self) -> Option<&str> {
        match &self.marks {
            Some(marks) => Some(&marks.access_uid),
            None => self.beside_marks.get(Marks::ACCESS_UID),
        }
    }

    /// Whether it belongs to the access with this UID.
    #[must_use]
    pub fn belongs_to(&self, access_uid: &str) -> bool {
        self.access_uid() == Some(access_uid)
    }

    /// Name of the access that it says it belongs to.
    #[must_use]
    pub fn access_name(&self) -> Option<&str> {
        self.labels.get(ACCESS_LABEL)
    }

    /// Whether every label and annotation of `desired` is there, and the owner is the same.
    pub(super) fn carries(&self, desired: &DesiredSecret) -> bool {
        let annotations = self.annotations();
        let mut labels = desired.labels.iter();
        labels.all(|(key, value)| self.labels.get(key) == Some(value))
            && (desired.annotations.iter()).all(|(key, value)| annotations.get(key) == Some(value))
            && self.owner_uid.as_ref() == desired.owner.as_ref().map(|owner| &owner.uid)
    }
}

fn is_access(reference: &OwnerReference) -> bool {
    let group = reference.api_version.split('/').next();
    group == Some(crate::api::GROUP)
        && reference.kind == <DOClusterAccess as kube::Resource>::kind(&())
}

/// A Secret as it was read, data included.
#[derive(Clone, Debug)]
pub struct FoundSecret {
    /// What its metadata tells.
    pub metadata: FoundMetadata,
    /// `type`.
    pub secret_type: String,
    /// Keys and values.
    pub contents: Contents,
    /// The fields that belong to our applies.
    pub owned_fields: Option<OwnedFields>,
    /// Nobody may change it, so that it can only be deleted.
    pub immutable: bool,
}

impl FoundSecret {
    /// Takes over `secret`; `None` for an object that no API server has stored.
    #[must_use]
    pub fn new(secret: Secret) -> Option<Self> {
        let data = secret.data.unwrap_or_default();
        Some(Self {
            metadata: FoundMetadata::new(&secret.metadata)?,
            owned_fields: secret
                .metadata
                .managed_fields
                .as_deref()
                .and_then(recorded_fields),
            immutable: secret.immutable.unwrap_or_default(),
            secret_type: secret.type_.unwrap_or_else(|| "Opaque".to_string()),
            contents: data
                .into_iter()
                .map(|(key, value)| (key, value.0))
                .collect(),
        })
    }

    /// The content that a write of ours left; `None` where content and marks are not those of one
    /// write.
    #[must_use]
    pub fn intact(&self) -> Option<Contents> {
        let marks = self.metadata.marks.as_ref()?;
        let form = Form::parse(&marks.form)?;
        let contents = self.contents.restricted_to(form.keys());
        let canonical = format_of(form.format).canonical(contents.clone());
        let hash = content_hash(
            &marks.access_uid,
            &marks.issue,
            &marks.form,
            marks.rendering(),
            &canonical,
        );
        (hash == marks.content_hash).then_some(contents)
    }

    /// What it holds of the credential; `None` where it is not [`intact`](Self::intact).
    #[must_use]
    pub fn parts(&self) -> Option<Parts> {
        let contents = self.intact()?;
        let form = Form::parse(&self.metadata.marks.as_ref()?.form)?;
        Some(format_of(form.format).read(&contents, &form))
    }
}
