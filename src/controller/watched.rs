//! Objects as the API server tells of them, without what no decision needs, and told apart from those that
//! cannot be decoded: one of these must disturb no other.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::{DOAccount, DOClusterAccess, ROTATE_ANNOTATION};

/// An object of ours, or why it is none.
#[derive(Clone, Debug)]
pub(crate) struct Watched<K>(pub(crate) Result<K, Undecodable>);

/// An object that could not be decoded.
#[derive(Clone, Debug)]
pub(crate) struct Undecodable {
    /// Why.
    pub(crate) error: String,
    /// What is needed of its metadata, which an API server always checks.
    pub(crate) metadata: ObjectMeta,
}

/// A custom resource that is put together from its parts.
pub(crate) trait Parts: Resource<DynamicType = ()> {
    type Spec: DeserializeOwned;
    type Status: DeserializeOwned;

    fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

impl Parts for DOClusterAccess {
    type Spec = crate::api::DOClusterAccessSpec;
    type Status = crate::api::DOClusterAccessStatus;

    fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self {
            metadata,
            spec,
            status,
        }
    }
}

impl Parts for DOAccount {
    type Spec = crate::api::DOAccountSpec;
    type Status = crate::api::DOAccountStatus;

    fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self {
            metadata,
            spec,
            status,
        }
    }
}

/// Spec and status are kept as they are until all of the object has been read: what is wrong with them
/// must not end the reading of a list.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Option<Value>,
}

/// The metadata that decisions need. `managedFields`, the largest part by far, is skipped as it is read.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(deserialize_with = "rotate_annotation")]
    annotations: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let rotate = |value| [(ROTATE_ANNOTATION.to_owned(), value)].into();
        Self {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            annotations: read.annotations.map(rotate),
            ..Self::default()
        }
    }
}

impl<'de, K: Parts> Deserialize<'de> for Watched<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Raw {
            metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        let metadata = metadata.into();
        let decoded = serde_json::from_value(spec).and_then(|spec| {
            let status = status.map(serde_json::from_value).transpose()?;
            Ok((spec, status))
        });
        Ok(Self(match decoded {
            Ok((spec, status)) => Ok(K::of(metadata, spec, status)),
            Err(error) => Err(Undecodable {
                error: error.to_string(),
                metadata,
            }),
        }))
    }
}

impl<K: Parts> Watched<K> {
    /// What is needed of its metadata.
    pub(crate) fn metadata(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(undecodable) => &undecodable.metadata,
        }
    }
}

impl<K: Parts> Resource for Watched<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(undecodable) => &mut undecodable.metadata,
        }
    }
}

/// Of all annotations, which may hold a copy of the whole object, the one that is for us.
fn rotate_annotation<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    struct Annotations;

    impl<'de> Visitor<'de> for Annotations {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("annotations")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut rotate = None;
            while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                if key == ROTATE_ANNOTATION {
                    rotate = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(rotate)
        }
    }

    deserializer
        .deserialize_any(Annotations)
        .map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(object: &Value) -> Watched<DOClusterAccess> {
        serde_json::from_value(object.clone()).expect("read whatever is in it")
    }

    fn object() -> Value {
        json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "metadata": {
                "name": "prod",
                "namespace": "team-a",
                "uid": "u",
                "resourceVersion": "7",
                "generation": 2,
                "creationTimestamp": "2026-11-22T10:00:00Z",
                "deletionTimestamp": "2026-11-22T11:00:00Z",
                "labels": {"app": "a"},
                "annotations": {"doclusteraccess.dev/rotate": "5", "a/copy": "{}"},
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {"cluster": {"name": "prod"}},
            "status": {"observedGeneration": 2},
        })
    }

    #[test]
    fn what_decisions_need_is_kept_and_nothing_else() {
        let whole: DOClusterAccess = serde_json::from_value(object()).expect("sound");
        let read = read(&object()).0.expect("sound");
        let rotate = [(ROTATE_ANNOTATION.to_owned(), "5".to_owned())];
        let mut expected = whole;
        expected.metadata.labels = None;
        expected.metadata.annotations = Some(rotate.into());
        expected.metadata.managed_fields = None;
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_absent_or_null_is_none() {
        let mut object = object();
        object["metadata"]["annotations"] = Value::Null;
        object["status"] = Value::Null;
        let null = read(&object).0.expect("sound");
        assert_eq!((null.metadata.annotations, null.status), (None, None));
        object.as_object_mut().expect("an object").remove("status");
        let metadata = object["metadata"].as_object_mut().expect("an object");
        metadata.remove("annotations");
        let absent = read(&object).0.expect("sound");
        assert_eq!((absent.metadata.annotations, absent.status), (None, None));
    }

    #[test]
    fn an_object_that_cannot_be_decoded_still_says_which_it_is() {
        for (field, value) in [
            ("spec", json!(1)),
            ("status", json!("odd")),
            ("spec", Value::Null),
        ] {
            let mut object = object();
            object[field] = value;
            let read = read(&object);
            assert_eq!(read.meta().name.as_deref(), Some("prod"));
            assert_eq!(read.meta().resource_version.as_deref(), Some("7"));
            assert!(!read.0.expect_err("not decoded").error.is_empty());
        }
    }
}
