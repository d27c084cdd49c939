//! What is stored, and everything that was ever written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::Clock;
use super::managed::{ManagedFields, printed_time};
use super::object::{Object, Stored};
use super::resources::{Kind, Resource};

/// What was asked for with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// POST.
    Create,
    /// PUT.
    Update,
    /// A merge patch.
    Patch,
    /// Server-side apply.
    Apply,
    /// DELETE, or what garbage collection and the end of a namespace delete.
    Delete,
}

/// A write that was committed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Write {
    /// The version that it made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What was asked for.
    pub verb: Verb,
    /// Who wrote: the field manager, or the user agent.
    pub manager: Arc<str>,
    /// Of what kind the object is.
    pub kind: Kind,
    /// The object before; `None` where it was created.
    pub before: Option<Arc<Object>>,
    /// The object after; `None` where it was deleted.
    pub after: Option<Arc<Object>>,
}

/// Who writes, and how.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) verb: Verb,
    pub(super) manager: Arc<str>,
}

/// Everything.
pub(super) struct State {
    clock: Clock,
    objects: [BTreeMap<String, Arc<Object>>; Kind::ALL.len()],
    log: VecDeque<Write>,
    /// Of the last write.
    pub(super) version: u64,
    /// Versions below cannot be watched or listed from any more.
    pub(super) compacted: u64,
    /// Of each kind, the version of the last write that the log no longer holds.
    dropped: [u64; Kind::ALL.len()],
    seed: u64,
    uids_drawn: u64,
    pub(super) bookmark_interval: Duration,
}

/// Where an object is among those of its kind.
pub(super) fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

impl State {
    pub(super) fn new(clock: Clock, seed: u64) -> Self {
        Self {
            clock,
            objects: Default::default(),
            log: VecDeque::new(),
            // No object ever has version 1.
            version: 1,
            compacted: 0,
            dropped: Default::default(),
            seed,
            uids_drawn: 0,
            bookmark_interval: super::watch::BOOKMARK_INTERVAL,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn objects(&self, kind: Kind) -> &BTreeMap<String, Arc<Object>> {
        &self.objects[kind as usize]
    }

    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects(kind).get(&key(namespace, name))
    }

    /// Stores a new object.
    pub(super) fn insert(
        &mut self,
        resource: &Resource,
        mut value: Value,
        managed: ManagedFields,
        writer: Writer,
    ) -> Arc<Object> {
        value["metadata"]["uid"] = self.draw_uid().into();
        value["metadata"]["creationTimestamp"] = printed_time(self.now().as_second()).into();
        let mut object = Object::new(value, managed);
        if resource.custom {
            object.stored = Stored::WithoutDefaults;
        }
        self.put(resource.kind, object, None, writer)
    }

    /// Stores a new version of an object.
    pub(super) fn put(
        &mut self,
        kind: Kind,
        mut object: Object,
        before: Option<Arc<Object>>,
        writer: Writer,
    ) -> Arc<Object> {
        self.version += 1;
        object.value["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        let key = key(object.namespace(), object.name());
        self.objects[kind as usize].insert(key, object.clone());
        self.note(kind, before, Some(object.clone()), writer);
        object
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, kind: Kind, object: &Arc<Object>, writer: Writer) {
        self.version += 1;
        self.objects[kind as usize].remove(&key(object.namespace(), object.name()));
        self.note(kind, Some(object.clone()), None, writer);
    }

    fn note(
        &mut self,
        kind: Kind,
        before: Option<Arc<Object>>,
        after: Option<Arc<Object>>,
        writer: Writer,
    ) {
        self.log.push_back(Write {
            version: self.version,
            at: self.now(),
            verb: writer.verb,
            manager: writer.manager,
            kind,
            before,
            after,
        });
    }

    /// The writes after `version`, in order, as far as the log still holds them.
    pub(super) fn log_after(&self, version: u64) -> impl DoubleEndedIterator<Item = &Write> {
        let first = self.log.front().map_or(0, |write| write.version);
        let skipped = usize::try_from((version + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.log.range(skipped.min(self.log.len())..)
    }

    /// Whether the log holds every write to objects of this kind after `version`.
    pub(super) fn knows(&self, kind: Kind, version: u64) -> bool {
        self.dropped[kind as usize] <= version
    }

    /// Empties the log.
    pub(super) fn take_log(&mut self) -> Vec<Write> {
        for write in &self.log {
            self.dropped[write.kind as usize] = write.version;
        }
        self.log.drain(..).collect()
    }

    /// The objects of a kind as they were at `version`.
    pub(super) fn snapshot(&self, kind: Kind, version: u64) -> BTreeMap<String, Arc<Object>> {
        let mut objects = self.objects(kind).clone();
        for write in self
            .log_after(version)
            .rev()
            .filter(|write| write.kind == kind)
        {
            match (&write.before, &write.after) {
                (Some(object), _) => {
                    objects.insert(key(object.namespace(), object.name()), object.clone());
                }
                (None, Some(object)) => {
                    objects.remove(&key(object.namespace(), object.name()));
                }
                (None, None) => {}
            }
        }
        objects
    }

    /// A number that no call returned before and that the seed decides.
    fn draw(&mut self) -> u64 {
        self.uids_drawn += 1;
        // splitmix64
        let mut number = self
            .seed
            .wrapping_add(self.uids_drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// A UID: of version 4 by its looks.
    fn draw_uid(&mut self) -> String {
        let number = self.draw();
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            number >> 32,
            (number >> 16) & 0xffff,
            (number >> 4) & 0xfff,
            number & 0xfff,
            self.uids_drawn
        )
    }

    /// The end of a generated name.
    pub(super) fn draw_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut number = self.draw();
        let mut letter = || {
            let place = usize::try_from(number % LETTERS.len() as u64).unwrap_or_default();
            number /= LETTERS.len() as u64;
            char::from(LETTERS[place])
        };
        (0..5).map(|_| letter()).collect()
    }

    /// Whether a namespace is there and takes new objects: `None` where it is not there.
    pub(super) fn namespace_is_active(&self, name: &str) -> Option<bool> {
        let namespace = self.get(Kind::Namespace, "", name)?;
        Some(namespace.value["metadata"]["deletionTimestamp"].is_null())
    }
}
