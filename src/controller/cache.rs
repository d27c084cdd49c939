//! What the watches have told, and what our own writes were answered: a cache that reads its own
//! writes.
//!
//! kube-runtime's reflector store takes whatever a watch delivers. After a write the watch lags for
//! some milliseconds, and deciding on the older version would cost another read of the Secret; so
//! here the newer resource version wins, whoever brought it. Resource versions of one resource are
//! ordered numbers (Kubernetes' KEP-5504); one that is no number never wins.
//!
//! What is gone is remembered for a while, too: an answer that was under way when the watch told of the
//! deletion must not bring the object back, for the watch will not tell a second time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::key::ObjectKey;

/// Something with a resource version.
pub trait Versioned {
    /// `metadata.resourceVersion`.
    fn resource_version(&self) -> &str;
}

/// Deletions that are remembered: more than come in the time that a request takes.
const DELETIONS_REMEMBERED: usize = 4096;

/// Objects of one kind, by key, in key order.
#[derive(Debug)]
pub struct Cache<T> {
    items: BTreeMap<ObjectKey, Arc<T>>,
    deleted: Deleted,
}

/// The version at which each of the objects that were deleted lately was gone.
#[derive(Debug, Default)]
struct Deleted {
    versions: BTreeMap<ObjectKey, u64>,
    oldest_first: VecDeque<ObjectKey>,
}

impl Deleted {
    fn note(&mut self, key: &ObjectKey, at: u64) {
        if let Some(known) = self.versions.get_mut(key) {
            *known = at.max(*known);
            return;
        }
        self.versions.insert(key.clone(), at);
        self.oldest_first.push_back(key.clone());
        if self.oldest_first.len() > DELETIONS_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.versions.remove(&oldest);
        }
    }

    /// Whether the object was gone by this version.
    fn includes(&self, key: &ObjectKey, at: u64) -> bool {
        self.versions.get(key).is_some_and(|gone| at <= *gone)
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            deleted: Deleted::default(),
        }
    }
}

impl<T: Versioned> Cache<T> {
    /// The object with this key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.items.get(key).cloned()
    }

    /// All objects, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<T>)> {
        self.items.iter()
    }

    /// The objects of one namespace, in key order.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = (&ObjectKey, &Arc<T>)> {
        let namespace = namespace.to_string();
        self.items
            .range(ObjectKey::new(&namespace, "")..)
            .take_while(move |(key, _)| *key.namespace == *namespace)
    }

    /// Takes over `item` unless a newer version is there, or was deleted; says whether it did.
    pub fn observe(&mut self, key: &ObjectKey, item: T) -> bool {
        let observed = version(item.resource_version());
        let newer = match self.items.get(key) {
            Some(present) => observed > version(present.resource_version()),
            None => !self.deleted.includes(key, observed),
        };
        if newer {
            self.items.insert(key.clone(), Arc::new(item));
        }
        newer
    }

    /// Forgets the object, unless what is there is newer than the deletion.
    pub fn remove(&mut self, key: &ObjectKey, resource_version: &str) -> bool {
        let older = self.items.get(key).is_some_and(|present| {
            version(present.resource_version()) <= version(resource_version)
        });
        if older {
            self.items.remove(key);
        }
        self.deleted.note(key, version(resource_version));
        older
    }

    /// Forgets every object of `namespace` (of all, if `None`) that is not `listed`, and says which.
    pub fn retain_listed(
        &mut self,
        namespace: Option<&str>,
        listed: &BTreeSet<ObjectKey>,
    ) -> Vec<ObjectKey> {
        let gone: Vec<_> = self
            .items
            .keys()
            .filter(|key| namespace.is_none_or(|namespace| *key.namespace == *namespace))
            .filter(|key| !listed.contains(*key))
            .cloned()
            .collect();
        for key in &gone {
            if let Some(item) = self.items.remove(key) {
                self.deleted.note(key, version(item.resource_version()));
            }
        }
        gone
    }
}

fn version(resource_version: &str) -> u64 {
    resource_version.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(&'static str);

    impl Versioned for Item {
        fn resource_version(&self) -> &str {
            self.0
        }
    }

    fn key() -> ObjectKey {
        ObjectKey::new("namespace", "name")
    }

    #[test]
    fn an_older_version_from_a_lagging_watch_does_not_undo_our_own_write() {
        let mut cache = Cache::default();
        assert!(cache.observe(&key(), Item("9")));
        assert!(cache.observe(&key(), Item("10")));
        assert!(!cache.observe(&key(), Item("9")));
        assert_eq!(cache.get(&key()).map(|item| item.0), Some("10"));
    }

    #[test]
    fn a_deletion_that_came_before_a_recreation_removes_nothing() {
        let mut cache = Cache::default();
        cache.observe(&key(), Item("10"));
        assert!(!cache.remove(&key(), "9"));
        assert!(cache.remove(&key(), "11"));
        assert!(cache.get(&key()).is_none());
    }

    #[test]
    fn an_answer_that_was_under_way_does_not_bring_back_what_was_deleted_meanwhile() {
        let mut cache = Cache::default();
        cache.observe(&key(), Item("10"));
        assert!(cache.remove(&key(), "11"));
        assert!(!cache.observe(&key(), Item("10")));
        assert!(cache.get(&key()).is_none());
        assert!(cache.observe(&key(), Item("12")), "it was made again");

        cache.retain_listed(None, &BTreeSet::new());
        assert!(!cache.observe(&key(), Item("12")));
        assert!(cache.observe(&key(), Item("13")));
    }

    #[test]
    fn of_deletions_only_the_latest_are_remembered() {
        let mut cache = Cache::<Item>::default();
        for number in 0..2 * DELETIONS_REMEMBERED {
            cache.remove(&ObjectKey::new("namespace", &number.to_string()), "5");
        }
        assert_eq!(cache.deleted.versions.len(), DELETIONS_REMEMBERED);
        assert_eq!(cache.deleted.oldest_first.len(), DELETIONS_REMEMBERED);
        assert!(cache.observe(&ObjectKey::new("namespace", "0"), Item("4")));
        let last = (2 * DELETIONS_REMEMBERED - 1).to_string();
        assert!(!cache.observe(&ObjectKey::new("namespace", &last), Item("4")));
    }

    #[test]
    fn a_list_of_one_namespace_removes_nothing_elsewhere() {
        let mut cache = Cache::default();
        let other = ObjectKey::new("other", "name");
        cache.observe(&key(), Item("1"));
        cache.observe(&other, Item("1"));
        assert_eq!(
            cache.retain_listed(Some("namespace"), &BTreeSet::new()),
            [key()]
        );
        assert!(cache.get(&other).is_some());
    }

    #[test]
    fn only_the_objects_of_a_namespace_are_in_it() {
        let mut cache = Cache::default();
        for namespace in ["a", "ab", "b"] {
            cache.observe(&ObjectKey::new(namespace, "name"), Item("1"));
        }
        let found: Vec<_> = cache
            .in_namespace("ab")
            .map(|(key, _)| key.to_string())
            .collect();
        assert_eq!(found, ["ab/name"]);
    }
}
