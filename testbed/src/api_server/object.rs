//! Objects, and how they are answered.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::managed::ManagedFields;
use super::resources::Resource;

/// How an object is stored. Where that is not as it is read, even a write that changes nothing makes a new
/// version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    AsRead,
    /// Defaults are not written down yet.
    WithoutDefaults,
    /// With empty maps in its metadata, which are left out when it is read.
    WithEmptyMaps,
}

/// One version of an object.
#[derive(Debug)]
pub struct Object {
    /// All but `metadata.managedFields`.
    pub(super) value: Value,
    pub(super) managed: ManagedFields,
    pub(super) stored: Stored,
    whole: OnceLock<Bytes>,
    metadata_only: OnceLock<Bytes>,
}

impl Object {
    pub(super) fn new(value: Value, managed: ManagedFields) -> Self {
        Self {
            value,
            managed,
            stored: Stored::AsRead,
            whole: OnceLock::new(),
            metadata_only: OnceLock::new(),
        }
    }

    /// The object, without `metadata.managedFields`.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// `metadata.managedFields`.
    #[must_use]
    pub fn managed_fields(&self) -> Value {
        serde_json::to_value(&self.managed).unwrap_or_default()
    }

    /// `metadata.namespace`, empty for what is in none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata("uid")
    }

    /// `metadata.resourceVersion`.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.metadata("resourceVersion").parse().unwrap_or_default()
    }

    fn metadata(&self, field: &str) -> &str {
        self.value["metadata"][field].as_str().unwrap_or_default()
    }

    /// The object as it is answered.
    pub(super) fn body(&self, metadata_only: bool) -> Bytes {
        let cell = if metadata_only {
            &self.metadata_only
        } else {
            &self.whole
        };
        let render = || {
            let answered = Answered {
                object: self,
                metadata_only,
            };
            Bytes::from(serde_json::to_vec(&answered).unwrap_or_default())
        };
        cell.get_or_init(render).clone()
    }

    /// The same content under another version.
    pub(super) fn at_version(&self, version: u64) -> Self {
        let mut value = self.value.clone();
        value["metadata"]["resourceVersion"] = version.to_string().into();
        Self::new(value, self.managed.clone())
    }
}

struct Answered<'a> {
    object: &'a Object,
    metadata_only: bool,
}

impl Serialize for Answered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let metadata = Metadata(self.object);
        if self.metadata_only {
            map.serialize_entry("kind", "PartialObjectMetadata")?;
            map.serialize_entry("apiVersion", "meta.k8s.io/v1")?;
            map.serialize_entry("metadata", &metadata)?;
            return map.end();
        }
        for (key, value) in self.object.value.as_object().into_iter().flatten() {
            if key == "metadata" {
                map.serialize_entry(key, &metadata)?;
            } else {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

struct Metadata<'a>(&'a Object);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.value["metadata"].as_object().into_iter().flatten() {
            map.serialize_entry(key, value)?;
        }
        if !self.0.managed.0.is_empty() {
            map.serialize_entry("managedFields", &self.0.managed)?;
        }
        map.end()
    }
}

/// The values that every new object has.
pub(super) fn empty(resource: &Resource) -> Value {
    let mut empty = json!({"apiVersion": &*resource.api_version, "kind": resource.name});
    if !resource.custom {
        resource.schema.normalise(&mut empty);
    }
    empty
}
