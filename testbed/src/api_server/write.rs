//! Writes: create, update, patch, apply, delete.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::Writing;
use super::errors::Refusal;
use super::managed::{ManagedFields, Manager, Operation};
use super::object::{Object, Stored, empty};
use super::resources::{Kind, Resource};
use super::routes::Call;
use super::schema::is_empty;
use super::storage::{State, Verb, key};
use super::validation;

/// What a write answers: the object as it is now, and whether it is new.
pub(super) type Written = Result<(Arc<Object>, bool), Refusal>;

/// An object as a write would have it.
struct Proposal {
    value: Value,
    managed: ManagedFields,
    stored: Stored,
}

impl Proposal {
    fn new(value: Value, managed: ManagedFields) -> Self {
        Self {
            value,
            managed,
            stored: Stored::AsRead,
        }
    }
}

impl State {
    /// POST.
    pub(super) fn create(&mut self, call: &Call, body: Value) -> Written {
        let resource = call.kind.resource();
        let (mut value, sent) = read(resource, body)?;
        if let Some(prefix) = value["metadata"]["generateName"]
            .as_str()
            .map(str::to_owned)
            && value["metadata"]["name"].is_null()
        {
            value["metadata"]["name"] = format!("{prefix}{}", self.draw_suffix()).into();
        }
        place_in_namespace(call, &mut value)?;
        let mut managed = choose_managed(call, sent, &ManagedFields::default());
        let writing = self.writing(call, Operation::Update);
        writing.track(&empty(resource), &value, &mut managed);
        self.insert_new(call, Verb::Create, Proposal::new(value, managed))
    }

    /// PUT.
    pub(super) fn update(&mut self, call: &Call, body: Value) -> Written {
        let resource = call.kind.resource();
        let (mut value, sent) = read(resource, body)?;
        same_name(call, &value)?;
        place_in_namespace(call, &mut value)?;
        let found = self.get(call.kind, &call.namespace, &call.name).cloned();
        let creates = resource.updates.create && !call.status;
        if found.is_none() && !creates {
            return Err(Refusal::not_found(resource, &call.name));
        }
        let uid = found.as_ref().map_or("", |object| object.uid());
        if let Some(wanted) = value["metadata"]["uid"].as_str()
            && wanted != uid
        {
            let place = registry_key(resource, &key(&call.namespace, &call.name));
            return Err(Refusal::uid_mismatch(
                resource, &place, &call.name, wanted, uid,
            ));
        }
        let nothing = ManagedFields::default();
        let live = found.as_ref().map_or(&nothing, |object| &object.managed);
        let mut managed = choose_managed(call, sent, live);
        let writing = self.writing(call, Operation::Update);
        let Some(found) = found else {
            writing.track(&empty(resource), &value, &mut managed);
            return self.insert_new(call, Verb::Update, Proposal::new(value, managed));
        };
        writing.track(&found.value, &value, &mut managed);
        self.replace(call, Verb::Update, &found, Proposal::new(value, managed))
    }

    /// A merge patch.
    pub(super) fn merge_patch(&mut self, call: &Call, patch: &Value) -> Written {
        let resource = call.kind.resource();
        if call.query.force {
            return Err(validation::force_without_apply());
        }
        let Some(found) = self.get(call.kind, &call.namespace, &call.name).cloned() else {
            return Err(Refusal::not_found(resource, &call.name));
        };
        let mut patched = found.value.clone();
        if !patch["metadata"]["managedFields"].is_null() {
            patched["metadata"]["managedFields"] = found.managed_fields();
        }
        json_patch::merge(&mut patched, patch);
        let (mut value, sent) = read(resource, patched)?;
        same_name(call, &value)?;
        place_in_namespace(call, &mut value)?;
        let mut managed = choose_managed(call, sent, &found.managed);
        let writing = self.writing(call, Operation::Update);
        writing.track(&found.value, &value, &mut managed);
        self.replace(call, Verb::Patch, &found, Proposal::new(value, managed))
    }

    /// Server-side apply.
    pub(super) fn apply(&mut self, call: &Call, config: &Value) -> Written {
        let resource = call.kind.resource();
        if call.query.field_manager.is_empty() {
            return Err(validation::apply_without_manager());
        }
        let found = self.get(call.kind, &call.namespace, &call.name).cloned();
        if found.is_none() && call.status {
            return Err(Refusal::not_found(resource, &call.name));
        }
        if config["apiVersion"] != *resource.api_version {
            let given = config["apiVersion"].as_str().unwrap_or_default();
            let slash = if given.contains('/') { "" } else { "/" };
            let message = format!(
                "invalid object type: {slash}{given}, Kind={}",
                resource.name
            );
            return Err(Refusal::bad_request(message));
        }
        if !config["metadata"]["managedFields"].is_null() {
            return Err(Refusal::bad_request("metadata.managedFields must be nil"));
        }
        let writing = self.writing(call, Operation::Apply);
        let nothing = empty(resource);
        let (live, managed) = match &found {
            Some(object) => (&object.value, object.managed.clone()),
            None => (&nothing, ManagedFields::default()),
        };
        let applied = writing
            .apply(&nothing, live, config, managed, call.query.force)
            .map_err(|conflicts| {
                Refusal::apply_conflict(conflicts.message(), conflicts.causes())
            })?;
        let empty_maps = resource.custom && !call.status && has_empty_metadata(&applied.object);
        let stored = if empty_maps {
            Stored::WithEmptyMaps
        } else {
            Stored::AsRead
        };
        let (mut value, _) = read(resource, applied.object)?;
        if let (None, Some(uid)) = (&found, value["metadata"]["uid"].as_str()) {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Refusal::conflict(resource, &call.name, &why));
        }
        same_name(call, &value)?;
        place_in_namespace(call, &mut value)?;
        let proposal = Proposal {
            stored,
            ..Proposal::new(value, applied.managed)
        };
        match found {
            Some(found) => self.replace(call, Verb::Apply, &found, proposal),
            None => self.insert_new(call, Verb::Apply, proposal),
        }
    }

    fn writing(&self, call: &Call, operation: Operation) -> Writing<'static> {
        let resource = call.kind.resource();
        Writing {
            schema: &resource.schema,
            reset: if call.status {
                &resource.reset_by_status
            } else {
                &resource.reset
            },
            manager: Manager {
                name: call.manager.as_str().into(),
                operation,
                api_version: resource.api_version.clone(),
                subresource: if call.status { "status" } else { "" },
            },
            now: self.now().as_second(),
        }
    }

    fn insert_new(&mut self, call: &Call, verb: Verb, proposal: Proposal) -> Written {
        let resource = call.kind.resource();
        let Proposal {
            mut value, managed, ..
        } = proposal;
        let name = value["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if resource.namespaced {
            match self.namespace_is_active(&call.namespace) {
                Some(true) => {}
                Some(false) => {
                    let namespace = &call.namespace;
                    return Err(Refusal::namespace_terminating(resource, &name, namespace));
                }
                None => {
                    return Err(Refusal::not_found(
                        Kind::Namespace.resource(),
                        &call.namespace,
                    ));
                }
            }
        }
        if resource.custom {
            // The status of a new object is the default.
            value
                .as_object_mut()
                .and_then(|object| object.remove("status"));
            resource.schema.normalise(&mut value);
            value["metadata"]["generation"] = json!(1);
        }
        if call.kind == Kind::Namespace {
            value["spec"]["finalizers"] = json!(["kubernetes"]);
            value["status"]["phase"] = json!("Active");
        }
        drop_repeated_owners(&mut value);
        validation::new_object(resource, &value)?;
        if self.get(call.kind, &call.namespace, &name).is_some() {
            return Err(Refusal::already_exists(resource, &name));
        }
        let writer = call.writer(verb);
        Ok((self.insert(resource, value, managed, writer), true))
    }

    fn replace(
        &mut self,
        call: &Call,
        verb: Verb,
        found: &Arc<Object>,
        proposal: Proposal,
    ) -> Written {
        let resource = call.kind.resource();
        let Proposal {
            mut value,
            mut managed,
            stored,
        } = proposal;
        check_version(resource, found, &value)?;
        if call.status {
            let status = value["status"].take();
            value = found.value.clone();
            value["status"] = status;
            if is_empty(&value["status"]) {
                value
                    .as_object_mut()
                    .and_then(|object| object.remove("status"));
                resource.schema.normalise(&mut value);
            }
        } else {
            keep_what_updates_cannot_change(resource, found, &mut value);
        }
        drop_repeated_owners(&mut value);
        validation::updated_object(resource, &value, &found.value)?;
        value["metadata"]["resourceVersion"] = found.value["metadata"]["resourceVersion"].clone();
        let same = value == found.value;
        if same && stored == Stored::AsRead && managed.same_but_for_times(&found.managed) {
            managed = found.managed.clone();
        }
        if same && stored == found.stored && managed == found.managed {
            return Ok((found.clone(), false));
        }
        let mut object = Object::new(value, managed);
        object.stored = stored;
        let writer = call.writer(verb);
        Ok((
            self.put(call.kind, object, Some(found.clone()), writer),
            false,
        ))
    }
}

/// Reads an object as it was sent: what it says, and the `managedFields` that it came with.
fn read(resource: &Resource, mut body: Value) -> Result<(Value, Option<Vec<Value>>), Refusal> {
    let Some(object) = body.as_object_mut() else {
        return Err(Refusal::bad_request("the object provided is unrecognized"));
    };
    for (field, expected) in [
        ("apiVersion", &*resource.api_version),
        ("kind", resource.name),
    ] {
        let given = object.entry(field).or_insert_with(|| expected.into());
        if given != expected {
            let what = if field == "kind" {
                "kind"
            } else {
                "API version"
            };
            let given = given.as_str().unwrap_or_default();
            return Err(Refusal::bad_request(format!(
                "the {what} in the data ({given}) does not match the expected {what} ({expected})"
            )));
        }
    }
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(Refusal::bad_request("the object provided is unrecognized"));
    };
    let sent = metadata.remove("managedFields");
    let sent = sent.and_then(|sent| match sent {
        Value::Array(entries) => Some(entries),
        _ => None,
    });
    if resource.kind == Kind::Secret {
        take_over_string_data(&mut body);
    }
    resource.schema.normalise(&mut body);
    match resource.kind {
        Kind::Secret if body["type"].is_null() => body["type"] = json!("Opaque"),
        Kind::Namespace => {
            let name = body["metadata"]["name"].clone();
            body["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        _ => {}
    }
    if body["metadata"].is_null() {
        body["metadata"] = json!({});
    }
    Ok((body, sent))
}

/// `stringData` is for writing alone: it becomes `data`.
fn take_over_string_data(secret: &mut Value) {
    let sent = secret
        .as_object_mut()
        .and_then(|secret| secret.remove("stringData"));
    for (key, text) in sent
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let bytes = text.as_str().unwrap_or_default().as_bytes();
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        secret["data"][key] = encoded.into();
    }
}

/// What a write starts from: the `managedFields` that were sent, so that a client may change them, or
/// else those that are there.
fn choose_managed(call: &Call, sent: Option<Vec<Value>>, live: &ManagedFields) -> ManagedFields {
    let Some(sent) = sent.filter(|_| !call.status) else {
        return live.clone();
    };
    let custom = call.kind.resource().custom;
    if sent == [json!({})] || sent.is_empty() && !custom {
        return ManagedFields::default();
    }
    if sent.is_empty() {
        return live.clone();
    }
    ManagedFields::read(&sent).unwrap_or_else(|| live.clone())
}

fn same_name(call: &Call, value: &Value) -> Result<(), Refusal> {
    match value["metadata"]["name"].as_str() {
        Some(name) if name != call.name => Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        ))),
        _ => Ok(()),
    }
}

fn place_in_namespace(call: &Call, value: &mut Value) -> Result<(), Refusal> {
    let metadata = &mut value["metadata"];
    if metadata["name"].is_null() && !call.name.is_empty() {
        metadata["name"] = call.name.as_str().into();
    }
    if !call.kind.resource().namespaced {
        return Ok(());
    }
    match metadata["namespace"].as_str() {
        Some(namespace) if namespace != call.namespace => Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => {
            metadata["namespace"] = call.namespace.as_str().into();
            Ok(())
        }
    }
}

/// Whether there are empty maps or lists in the metadata of a custom resource.
fn has_empty_metadata(value: &Value) -> bool {
    let metadata = value["metadata"].as_object();
    metadata.is_some_and(|metadata| metadata.values().any(is_empty))
}

/// Optimistic locking.
fn check_version(resource: &Resource, found: &Object, value: &Value) -> Result<(), Refusal> {
    let wanted = value["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    match wanted {
        "" | "0" if resource.updates.need_version => {
            Err(validation::version_missing(resource, found.name()))
        }
        "" | "0" => Ok(()),
        _ if wanted == found.version().to_string() => Ok(()),
        _ => Err(Refusal::modified(resource, found.name())),
    }
}

fn keep_what_updates_cannot_change(resource: &Resource, found: &Object, value: &mut Value) {
    let before = &found.value;
    if resource.custom || resource.kind == Kind::Namespace {
        value["status"] = before["status"].clone();
    }
    for field in ["generation", "creationTimestamp", "deletionTimestamp"] {
        value["metadata"][field] = before["metadata"][field].clone();
    }
    if value["metadata"]["uid"].is_null() {
        value["metadata"]["uid"] = before["metadata"]["uid"].clone();
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
    if resource.custom && value["spec"] != before["spec"] {
        let generation = before["metadata"]["generation"]
            .as_i64()
            .unwrap_or_default();
        value["metadata"]["generation"] = json!(generation + 1);
    }
}

fn drop_repeated_owners(value: &mut Value) {
    let owners = value["metadata"].get_mut("ownerReferences");
    let Some(owners) = owners.and_then(Value::as_array_mut) else {
        return;
    };
    let mut seen = Vec::with_capacity(owners.len());
    owners.retain(|owner| {
        let is_new = !seen.contains(owner);
        seen.push(owner.clone());
        is_new
    });
}

fn registry_key(resource: &Resource, key: &str) -> String {
    if resource.group.is_empty() || resource.kind == Kind::Lease {
        format!("/registry/{}/{key}", resource.plural)
    } else {
        format!("/registry/{}/{}/{key}", resource.group, resource.plural)
    }
}
