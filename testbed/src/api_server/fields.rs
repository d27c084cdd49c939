//! Sets of field paths, in the tree that `managedFields` writes as `FieldsV1`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// One step of a path as `FieldsV1` writes it: `f:name`, `k:{"uid":"…"}` or `v:"…"`.
pub(super) type Element = Arc<str>;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    children: FieldSet,
}

/// The step to a field, or to a key of a map.
pub(super) fn field_element(name: &str) -> Element {
    format!("f:{name}").into()
}

impl FieldSet {
    /// The set of these paths, each of them names of fields.
    pub(super) fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| field_element(name)).collect();
            set.insert(&path);
        }
        set
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a path. The empty one stands for the whole object, which nobody owns.
    pub(super) fn insert(&mut self, path: &[Element]) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut set = self;
        for parent in parents {
            set = &mut set.nodes.entry(parent.clone()).or_default().children;
        }
        set.nodes.entry(last.clone()).or_default().member = true;
    }

    /// Whether the path of this one step is in the set.
    pub(super) fn has(&self, element: &str) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// The paths that go on from this step.
    pub(super) fn below(&self, element: &str) -> Option<&Self> {
        let children = &self.nodes.get(element)?.children;
        (!children.is_empty()).then_some(children)
    }

    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.nodes.iter().all(|(element, node)| {
            other.nodes.get(element).is_some_and(|found| {
                found.member >= node.member && node.children.is_subset(&found.children)
            })
        })
    }

    pub(super) fn intersects(&self, other: &Self) -> bool {
        self.nodes.iter().any(|(element, node)| {
            other.nodes.get(element).is_some_and(|found| {
                (found.member && node.member) || node.children.intersects(&found.children)
            })
        })
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (element, node) in &other.nodes {
            match self.nodes.entry(element.clone()) {
                Entry::Vacant(place) => {
                    place.insert(node.clone());
                }
                Entry::Occupied(place) => {
                    let found = place.into_mut();
                    found.member |= node.member;
                    found.children.add(&node.children);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, other: &Self) {
        self.nodes.retain(|element, node| {
            if let Some(found) = other.nodes.get(element) {
                node.member &= !found.member;
                node.children.remove(&found.children);
            }
            node.member || !node.children.is_empty()
        });
    }

    /// Removes paths together with all that is below them.
    pub(super) fn remove_recursively(&mut self, other: &Self) {
        self.nodes.retain(|element, node| {
            if let Some(found) = other.nodes.get(element) {
                if found.member {
                    return false;
                }
                node.children.remove_recursively(&found.children);
            }
            node.member || !node.children.is_empty()
        });
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let common = |(element, node): (&Element, &Node)| {
            let found = other.nodes.get(element)?;
            let node = Node {
                member: node.member && found.member,
                children: node.children.intersection(&found.children),
            };
            (node.member || !node.children.is_empty()).then(|| (element.clone(), node))
        };
        Self {
            nodes: self.nodes.iter().filter_map(common).collect(),
        }
    }

    /// Makes a member of every step for which `is_member` says so, given the path to it, among those
    /// that lead to members.
    pub(super) fn promote(
        &mut self,
        is_member: &mut dyn FnMut(&[Element]) -> bool,
        path: &mut Vec<Element>,
    ) {
        for (element, node) in &mut self.nodes {
            path.push(element.clone());
            if !node.children.is_empty() {
                node.member |= is_member(path);
                node.children.promote(is_member, path);
            }
            path.pop();
        }
    }

    /// All paths as errors print them, those of a level before those below it.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let members = self.nodes.iter().filter(|(_, node)| node.member);
        paths.extend(members.map(|(element, _)| format!("{prefix}{}", printed(element))));
        for (element, node) in &self.nodes {
            let prefix = format!("{prefix}{}", printed(element));
            node.children.collect_paths(&prefix, paths);
        }
    }

    /// Reads `FieldsV1`.
    pub(super) fn from_fields(fields: &Map<String, Value>) -> Self {
        let node = |(element, value): (&String, &Value)| {
            let below = value.as_object();
            let node = Node {
                member: below.is_none_or(|below| below.is_empty() || below.contains_key(".")),
                children: below.map(Self::from_fields).unwrap_or_default(),
            };
            (Element::from(element.as_str()), node)
        };
        let nodes = fields.iter().filter(|(element, _)| *element != ".");
        Self {
            nodes: nodes.map(node).collect(),
        }
    }
}

/// A step as errors print it.
fn printed(element: &str) -> String {
    match element.split_at(2) {
        ("f:", name) => format!(".{name}"),
        ("k:", keys) => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<_> = keys
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("[{}]", keys.join(","))
        }
        (_, value) => format!("[={value}]"),
    }
}

impl Serialize for FieldSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.nodes.len()))?;
        for (element, node) in &self.nodes {
            map.serialize_entry(&**element, node)?;
        }
        map.end()
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = self.member && !self.children.is_empty();
        let mut map = serializer.serialize_map(None)?;
        if own {
            map.serialize_entry(".", &FieldSet::default())?;
        }
        for (element, node) in &self.children.nodes {
            map.serialize_entry(&**element, node)?;
        }
        map.end()
    }
}
