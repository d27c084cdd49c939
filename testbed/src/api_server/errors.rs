//! Refusals, in the words of the API server.

use serde_json::{Map, Value, json};

use super::resources::Resource;

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
    /// Whether the answer is no `Status`, but plain text.
    pub(super) plain: bool,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Map::new(),
            plain: false,
        }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                self.details.insert(key.to_owned(), value.into());
            }
        }
        self
    }

    fn because(mut self, causes: Value) -> Self {
        self.details.insert("causes".to_owned(), causes);
        self
    }

    /// 404 for a path that nobody serves.
    pub(super) fn unknown_path() -> Self {
        Self {
            plain: true,
            ..Self::new(404, "", "404 page not found\n")
        }
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let qualified = resource.qualified();
        Self::new(404, "NotFound", format!("{qualified} {name:?} not found")).about(
            resource.group,
            resource.plural,
            name,
        )
    }

    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let qualified = resource.qualified();
        Self::new(
            409,
            "AlreadyExists",
            format!("{qualified} {name:?} already exists"),
        )
        .about(resource.group, resource.plural, name)
    }

    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let qualified = resource.qualified();
        let message = format!("Operation cannot be fulfilled on {qualified} {name:?}: {why}");
        Self::new(409, "Conflict", message).about(resource.group, resource.plural, name)
    }

    /// The object has another version than the writer knows.
    pub(super) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// A precondition of a deletion does not hold; the kind stands for the resource here.
    pub(super) fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = if resource.group.is_empty() {
            resource.name.to_owned()
        } else {
            format!("{}.{}", resource.name, resource.group)
        };
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        Self::new(409, "Conflict", message).about(resource.group, resource.name, name)
    }

    pub(super) fn apply_conflict(message: String, causes: Value) -> Self {
        Self::new(409, "Conflict", message).because(causes)
    }

    pub(super) fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let qualified = resource.qualified();
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let message = format!("{qualified} {name:?} is forbidden: {why}");
        Self::new(403, "Forbidden", message)
            .about(resource.group, resource.plural, name)
            .because(json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]))
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// What a precondition of a write on the UID comes to when it does not hold.
    pub(super) fn uid_mismatch(
        resource: &Resource,
        key: &str,
        name: &str,
        wanted: &str,
        found: &str,
    ) -> Self {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
             Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        );
        Self::conflict(resource, name, &why)
    }

    /// 410: the version is no longer known.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 504: the version is not known yet.
    pub(super) fn too_large_version(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut refusal = Self::new(504, "Timeout", message).because(json!([{
            "reason": "ResourceVersionTooLarge",
            "message": "Too large resource version",
        }]));
        refusal
            .details
            .insert("retryAfterSeconds".to_owned(), json!(1));
        refusal
    }

    /// 422, with one cause for each wrong field.
    pub(super) fn invalid(group: &str, kind: &str, name: &str, wrong: &[Wrong]) -> Self {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let mut sentences: Vec<_> = wrong
            .iter()
            .map(|wrong| format!("{}: {}", wrong.field, wrong.sentence))
            .collect();
        sentences.dedup();
        let why = match sentences.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", sentences.join(", ")),
        };
        let causes = wrong.iter().map(|wrong| {
            json!({"reason": wrong.reason, "message": wrong.sentence, "field": wrong.field})
        });
        Self::new(
            422,
            "Invalid",
            format!("{qualified} {name:?} is invalid: {why}"),
        )
        .about(group, kind, name)
        .because(causes.collect())
    }

    /// What this model leaves out.
    pub(super) fn not_modelled(what: &str) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("the API server model does not know {what}"),
        )
    }

    /// The `Status` to answer with.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if !self.details.is_empty() {
            status["details"] = Value::Object(self.details.clone());
        }
        status
    }

    /// The text to answer with where that is no `Status`.
    pub(super) fn text(&self) -> String {
        self.message.clone()
    }
}

/// A wrong field.
pub(super) struct Wrong {
    pub(super) reason: &'static str,
    pub(super) field: String,
    pub(super) sentence: String,
}

impl Wrong {
    pub(super) fn value(field: &str, value: &Value, why: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.to_owned(),
            sentence: format!("Invalid value: {value}: {why}"),
        }
    }

    /// A null that the schema does not allow.
    pub(super) fn null(field: &str, wanted: &str) -> Self {
        let why = format!("{field} in body must be of type {wanted}: \"null\"");
        Self {
            reason: "FieldValueTypeInvalid",
            ..Self::value(field, &Value::from("null"), &why)
        }
    }

    pub(super) fn forbidden(field: &str, why: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.to_owned(),
            sentence: format!("Forbidden: {why}"),
        }
    }

    pub(super) fn required(field: &str, why: &str) -> Self {
        let sentence = if why.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {why}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.to_owned(),
            sentence,
        }
    }
}
