//! What kube-controller-manager does, each thing when told to: garbage collection, and the end of a
//! namespace.

use std::sync::Arc;

use serde_json::{Value, json};

use super::managed::printed_time;
use super::object::Object;
use super::resources::Kind;
use super::storage::{State, Verb, Writer, key};

/// Who does it.
const CONTROLLERS: &str = "kube-controller-manager";

fn writer(verb: Verb) -> Writer {
    Writer {
        verb,
        manager: CONTROLLERS.into(),
    }
}

impl State {
    /// Deletes what has owners of which none is there any more, until there is no such object; of
    /// others, removes the references to owners that are gone. Returns how many were deleted.
    pub(super) fn collect_garbage(&mut self) -> usize {
        let mut deleted = 0;
        loop {
            let garbage = self.garbage();
            if garbage.is_empty() {
                return deleted;
            }
            for (kind, object, remaining) in garbage {
                if remaining.is_empty() {
                    self.remove(kind, &object, writer(Verb::Delete));
                    deleted += 1;
                } else {
                    self.drop_owners(kind, &object, remaining);
                }
            }
        }
    }

    /// Objects with an owner that is gone, and the owners that are not.
    fn garbage(&self) -> Vec<(Kind, Arc<Object>, Vec<Value>)> {
        let mut garbage = Vec::new();
        for kind in Kind::ALL {
            for object in self.objects(kind).values() {
                let owners = object.value["metadata"]["ownerReferences"].as_array();
                let Some(owners) = owners.filter(|owners| !owners.is_empty()) else {
                    continue;
                };
                let there = |owner: &&Value| self.owner_is_there(object, owner);
                let remaining: Vec<_> = owners.iter().filter(there).cloned().collect();
                if remaining.len() < owners.len() {
                    garbage.push((kind, object.clone(), remaining));
                }
            }
        }
        garbage
    }

    /// An owner of a kind that is not served cannot be looked up and counts as there.
    fn owner_is_there(&self, object: &Object, owner: &Value) -> bool {
        let is_of = |kind: &&Kind| {
            let resource = kind.resource();
            owner["apiVersion"] == *resource.api_version && owner["kind"] == resource.name
        };
        let Some(kind) = Kind::ALL.iter().find(is_of) else {
            return true;
        };
        let namespace = if kind.resource().namespaced {
            object.namespace()
        } else {
            ""
        };
        let name = owner["name"].as_str().unwrap_or_default();
        let found = self.objects(*kind).get(&key(namespace, name));
        found.is_some_and(|found| owner["uid"] == found.uid())
    }

    fn drop_owners(&mut self, kind: Kind, object: &Arc<Object>, remaining: Vec<Value>) {
        let mut value = object.value.clone();
        value["metadata"]["ownerReferences"] = remaining.into();
        let mut managed = object.managed.clone();
        let gone = super::merge::difference(&kind.resource().schema, &object.value, &value).removed;
        for owned in &mut managed.0 {
            Arc::make_mut(&mut owned.fields).remove(&gone);
        }
        managed.settle();
        let before = Some(object.clone());
        self.put(
            kind,
            Object::new(value, managed),
            before,
            writer(Verb::Patch),
        );
    }

    /// Marks a namespace as terminating: nothing can be created in it any more.
    pub(super) fn terminate_namespace(
        &mut self,
        found: &Arc<Object>,
        writer: Writer,
    ) -> Arc<Object> {
        if !found.value["metadata"]["deletionTimestamp"].is_null() {
            return found.clone();
        }
        let mut value = found.value.clone();
        value["metadata"]["deletionTimestamp"] = printed_time(self.now().as_second()).into();
        value["status"]["phase"] = json!("Terminating");
        let object = Object::new(value, found.managed.clone());
        self.put(Kind::Namespace, object, Some(found.clone()), writer)
    }

    /// Deletes everything in a namespace.
    pub(super) fn empty_namespace(&mut self, name: &str) {
        for kind in Kind::ALL {
            let inside = |object: &&Arc<Object>| object.namespace() == name;
            let objects: Vec<_> = self
                .objects(kind)
                .values()
                .filter(inside)
                .cloned()
                .collect();
            for object in objects {
                self.remove(kind, &object, writer(Verb::Delete));
            }
        }
    }

    /// Removes the terminating namespaces that are empty.
    pub(super) fn remove_terminated_namespaces(&mut self) {
        let terminating = |namespace: &&Arc<Object>| {
            let name = namespace.name();
            let is_empty = Kind::ALL.iter().all(|kind| {
                self.objects(*kind)
                    .values()
                    .all(|object| object.namespace() != name)
            });
            self.namespace_is_active(name) == Some(false) && is_empty
        };
        let namespaces = self.objects(Kind::Namespace).values();
        let gone: Vec<_> = namespaces.filter(terminating).cloned().collect();
        for namespace in gone {
            self.remove(Kind::Namespace, &namespace, writer(Verb::Delete));
        }
    }
}
