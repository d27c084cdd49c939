//! The resources that are served.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::fields::FieldSet;
use super::schema::{self, Schema};

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "kinds of Kubernetes and of the operator")]
pub enum Kind {
    Namespace,
    Secret,
    Lease,
    Event,
    DOClusterAccess,
    DOAccount,
}

impl Kind {
    /// Every kind that is served.
    pub const ALL: [Self; 6] = [
        Self::Namespace,
        Self::Secret,
        Self::Lease,
        Self::Event,
        Self::DOClusterAccess,
        Self::DOAccount,
    ];

    pub(super) fn resource(self) -> &'static Resource {
        &RESOURCES[self as usize]
    }
}

/// How the objects of a kind are served.
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) api_version: Arc<str>,
    pub(super) namespaced: bool,
    /// Custom resources have a status of its own, and count generations.
    pub(super) custom: bool,
    pub(super) updates: Updates,
    pub(super) schema: Schema,
    /// What a write to the object itself cannot change.
    pub(super) reset: FieldSet,
    /// What a write to its status cannot change.
    pub(super) reset_by_status: FieldSet,
}

/// How PUT is taken.
#[derive(Clone, Copy, Default)]
pub(super) struct Updates {
    /// It creates what is not there.
    pub(super) create: bool,
    /// It has to say which version it is based on.
    pub(super) need_version: bool,
}

impl Resource {
    /// The name that errors use.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

static RESOURCES: LazyLock<[Resource; 6]> = LazyLock::new(|| {
    let accesses = definition(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/doclusteraccesses.yaml"
    )));
    let accounts = definition(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/doaccounts.yaml"
    )));
    [
        Resource {
            namespaced: false,
            reset: FieldSet::of(&[&["status"]]),
            ..built_in(
                Kind::Namespace,
                "Namespace",
                "namespaces",
                schema::namespace(),
            )
        },
        built_in(Kind::Secret, "Secret", "secrets", schema::secret()),
        Resource {
            group: "coordination.k8s.io",
            api_version: "coordination.k8s.io/v1".into(),
            updates: Updates {
                create: true,
                need_version: true,
            },
            ..built_in(Kind::Lease, "Lease", "leases", schema::lease())
        },
        Resource {
            group: "events.k8s.io",
            api_version: "events.k8s.io/v1".into(),
            updates: Updates {
                create: true,
                need_version: false,
            },
            ..built_in(Kind::Event, "Event", "events", schema::event())
        },
        Resource {
            namespaced: true,
            ..custom(
                Kind::DOClusterAccess,
                "DOClusterAccess",
                "doclusteraccesses",
                &accesses,
            )
        },
        custom(Kind::DOAccount, "DOAccount", "doaccounts", &accounts),
    ]
});

fn definition(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| unreachable!("crds/: {error}"))
}

fn built_in(kind: Kind, name: &'static str, plural: &'static str, schema: Schema) -> Resource {
    Resource {
        kind,
        name,
        group: "",
        version: "v1",
        plural,
        api_version: "v1".into(),
        namespaced: true,
        custom: false,
        updates: Updates::default(),
        schema,
        reset: FieldSet::default(),
        reset_by_status: FieldSet::default(),
    }
}

fn custom(kind: Kind, name: &'static str, plural: &'static str, definition: &Value) -> Resource {
    Resource {
        group: "doclusteraccess.dev",
        version: "v1alpha1",
        api_version: "doclusteraccess.dev/v1alpha1".into(),
        namespaced: false,
        custom: true,
        updates: Updates {
            create: false,
            need_version: true,
        },
        reset: FieldSet::of(&[&["status"]]),
        reset_by_status: FieldSet::of(&[&["metadata"], &["spec"]]),
        ..built_in(kind, name, plural, schema::custom_resource(definition))
    }
}
