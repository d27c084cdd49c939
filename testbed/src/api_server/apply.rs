//! Field ownership: what a write makes its manager own, and server-side apply.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::fields::FieldSet;
use super::managed::{ManagedFields, Manager, Operation};
use super::merge::{difference, field_set, merged, with_named_fields, without};
use super::schema::Schema;

/// Fields that nobody owns.
static UNOWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "generation"],
        &["metadata", "resourceVersion"],
    ])
});

/// Who owns fields of objects that nobody was seen to write, once somebody applies.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// A write, as far as ownership goes.
pub(super) struct Writing<'a> {
    pub(super) schema: &'a Schema,
    /// Fields that such a write cannot change.
    pub(super) reset: &'a FieldSet,
    pub(super) manager: Manager,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// Managers that own, with another value, what somebody else applies: each with the path, in order.
pub(super) struct Conflicts(pub(super) Vec<(String, String)>);

/// What applying comes to.
pub(super) struct Applied {
    pub(super) object: Value,
    pub(super) managed: ManagedFields,
}

impl Writing<'_> {
    /// Takes note of a write other than apply, which turns `live` into `new`.
    pub(super) fn track(&self, live: &Value, new: &Value, managed: &mut ManagedFields) {
        // An object that once lost its managedFields goes without.
        if managed.0.is_empty() && live["metadata"]["uid"].is_string() {
            return;
        }
        let mut difference = difference(self.schema, live, new);
        difference.written.remove_recursively(self.reset);
        difference.removed.remove_recursively(self.reset);
        if difference.written.is_empty() && difference.removed.is_empty() {
            return;
        }
        disown(managed, &difference.written, None);
        disown(managed, &difference.removed, None);
        let mut written = difference.written;
        written.remove(&UNOWNED);
        if !written.is_empty() {
            let owned = managed.entry(&self.manager);
            Arc::make_mut(&mut owned.fields).add(&written);
            owned.time = Some(self.now);
        }
        managed.settle();
        managed.cap();
    }

    /// Applies `config` to `live`, which is `empty` where there is nothing yet.
    pub(super) fn apply(
        &self,
        empty: &Value,
        live: &Value,
        config: &Value,
        mut managed: ManagedFields,
        force: bool,
    ) -> Result<Applied, Conflicts> {
        if managed.0.is_empty() {
            self.note_what_was_before(empty, live, &mut managed);
        }
        let mut object = merged(self.schema, Some(live), Some(config)).unwrap_or_default();
        let mut applied = field_set(self.schema, config);
        applied.remove_recursively(self.reset);
        let owned = managed.entry(&self.manager);
        let before = std::mem::replace(&mut owned.fields, Arc::new(applied));
        if !before.is_subset(&owned.fields) {
            object = self.prune(&object, &before, &managed);
        }

        let mut difference = difference(self.schema, live, &object);
        difference.written.remove_recursively(self.reset);
        difference.removed.remove_recursively(self.reset);
        let conflicts = self.conflicts(&managed, &difference.written);
        if !force && !conflicts.0.is_empty() {
            return Err(conflicts);
        }
        disown(&mut managed, &difference.written, Some(&self.manager));
        disown(&mut managed, &difference.removed, Some(&self.manager));
        let owned = managed.entry(&self.manager);
        Arc::make_mut(&mut owned.fields).remove(&UNOWNED);
        if *live != object {
            owned.time = Some(self.now);
        }
        managed.settle();
        Ok(Applied { object, managed })
    }

    fn note_what_was_before(&self, empty: &Value, live: &Value, managed: &mut ManagedFields) {
        let nobody = Manager {
            name: BEFORE_FIRST_APPLY.into(),
            operation: Operation::Update,
            ..self.manager.clone()
        };
        let before = Writing {
            manager: nobody,
            ..*self
        };
        before.track(empty, live, managed);
    }

    /// Takes away what this manager applied before and no longer does, unless others own it.
    fn prune(&self, merged: &Value, before: &FieldSet, managed: &ManagedFields) -> Value {
        let named = |set: &FieldSet| with_named_fields(self.schema, set);
        let whole = named(&field_set(self.schema, merged));
        let before = named(before);
        let left = |object: &Value| named(&field_set(self.schema, object));

        let pruned = without(self.schema, merged, &before);
        let mut gone = whole.clone();
        gone.remove(&left(&pruned));
        for owned in &managed.0 {
            gone.remove(&named(&owned.fields));
        }
        let pruned = without(self.schema, merged, &gone);
        let mut gone = whole;
        gone.remove(&left(&pruned));
        without(self.schema, merged, &gone.intersection(&before))
    }

    fn conflicts(&self, managed: &ManagedFields, written: &FieldSet) -> Conflicts {
        let mut conflicts = Vec::new();
        for owned in &managed.0 {
            if owned.manager != self.manager {
                let printed = owned.manager.printed();
                let paths = owned.fields.intersection(written).paths();
                conflicts.extend(paths.into_iter().map(|path| (printed.clone(), path)));
            }
        }
        conflicts.sort_by(|one, other| one.0.cmp(&other.0));
        Conflicts(conflicts)
    }
}

/// Takes these fields from all managers but one.
fn disown(managed: &mut ManagedFields, fields: &FieldSet, except: Option<&Manager>) {
    for owned in &mut managed.0 {
        if Some(&owned.manager) != except && owned.fields.intersects(fields) {
            Arc::make_mut(&mut owned.fields).remove(fields);
        }
    }
}

impl Conflicts {
    /// The sentence that the API server answers with.
    pub(super) fn message(&self) -> String {
        if let [(manager, path)] = self.0.as_slice() {
            return format!("Apply failed with 1 conflict: conflict with {manager}: {path}");
        }
        let mut lines = Vec::new();
        let mut last = None;
        for (manager, path) in &self.0 {
            if last.replace(manager) != Some(manager) {
                lines.push(format!("conflicts with {manager}:"));
            }
            lines.push(format!("- {path}"));
        }
        format!(
            "Apply failed with {} conflicts: {}",
            self.0.len(),
            lines.join("\n")
        )
    }

    /// The causes in the details of the answer.
    pub(super) fn causes(&self) -> Value {
        let causes = self.0.iter().map(|(manager, path)| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {manager}"),
                "field": path,
            })
        });
        causes.collect()
    }
}
