//! DELETE.

use std::sync::Arc;

use serde_json::{Value, json};

use super::errors::Refusal;
use super::object::Object;
use super::resources::{Kind, Resource};
use super::routes::Call;
use super::schema::is_empty;
use super::storage::{State, Verb};

impl State {
    /// DELETE. Answers what is left of the object, if it is not gone yet.
    pub(super) fn delete(
        &mut self,
        call: &Call,
        options: &Value,
    ) -> Result<(Arc<Object>, bool), Refusal> {
        let resource = call.kind.resource();
        let Some(found) = self.get(call.kind, &call.namespace, &call.name).cloned() else {
            return Err(Refusal::not_found(resource, &call.name));
        };
        let policy = options["propagationPolicy"]
            .as_str()
            .unwrap_or(&call.query.propagation_policy);
        if matches!(policy, "Foreground" | "Orphan") {
            return Err(Refusal::not_modelled(
                "deletion in the foreground, or of an owner alone",
            ));
        }
        if !is_empty(&found.value["metadata"]["finalizers"]) {
            return Err(Refusal::not_modelled("finalizers"));
        }
        check_preconditions(resource, &found, &options["preconditions"])?;
        let writer = call.writer(Verb::Delete);
        if call.kind == Kind::Namespace {
            return Ok((self.terminate_namespace(&found, writer), false));
        }
        self.remove(call.kind, &found, writer);
        Ok((found, true))
    }
}

fn check_preconditions(resource: &Resource, found: &Object, wanted: &Value) -> Result<(), Refusal> {
    let name = found.name();
    if let Some(uid) = wanted["uid"].as_str()
        && uid != found.uid()
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            found.uid()
        );
        return Err(Refusal::precondition(resource, name, &why));
    }
    if let Some(version) = wanted["resourceVersion"].as_str()
        && version != found.version().to_string()
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            found.version()
        );
        return Err(Refusal::precondition(resource, name, &why));
    }
    Ok(())
}

/// The answer to a deletion that is done.
pub(super) fn deleted(call: &Call, object: &Object) -> Value {
    let resource = call.kind.resource();
    let mut details = json!({"name": object.name(), "kind": resource.plural, "uid": object.uid()});
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}
