//! `metadata.managedFields`: who owns which fields.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::fields::FieldSet;

/// How many managers may own fields by other writes than apply.
const MOST_UPDATERS: usize = 10;
/// Who owns what the others of them wrote.
const ANCIENT_CHANGES: &str = "ancient-changes";

/// How a manager came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// Who writes: what tells one entry of `managedFields` from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) name: Arc<str>,
    pub(super) operation: Operation,
    pub(super) api_version: Arc<str>,
    /// Empty for the object itself.
    pub(super) subresource: &'static str,
}

impl Manager {
    /// As conflicts name it.
    pub(super) fn printed(&self) -> String {
        let mut printed = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            printed = format!("{printed} with subresource {:?}", self.subresource);
        }
        match self.operation {
            Operation::Apply => printed,
            Operation::Update => format!("{printed} using {}", self.api_version),
        }
    }
}

/// An entry: what a manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) manager: Manager,
    /// Of the last write that changed the object, in seconds since 1970.
    pub(super) time: Option<i64>,
    pub(super) fields: Arc<FieldSet>,
}

impl Owned {
    fn order(&self, other: &Self) -> Ordering {
        let key = |owned: &Self| (owned.manager.operation, owned.time.unwrap_or_default());
        let names = |owned: &Self| {
            let Manager {
                name,
                api_version,
                subresource,
                ..
            } = owned.manager.clone();
            (name, api_version, subresource)
        };
        key(self)
            .cmp(&key(other))
            .then_with(|| names(self).cmp(&names(other)))
    }
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ManagedFields(pub(super) Vec<Owned>);

impl ManagedFields {
    /// The entry of a manager; a new one owns nothing yet.
    pub(super) fn entry(&mut self, manager: &Manager) -> &mut Owned {
        let found = self.0.iter().position(|owned| owned.manager == *manager);
        let place = found.unwrap_or_else(|| {
            self.0.push(Owned {
                manager: manager.clone(),
                time: None,
                fields: Arc::default(),
            });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    /// Drops entries of those that own nothing, and puts the others in the order in which they are
    /// written.
    pub(super) fn settle(&mut self) {
        self.0.retain(|owned| !owned.fields.is_empty());
        self.0.sort_by(Owned::order);
    }

    /// Keeps the number of entries of those that do not apply within bounds: of more, the oldest become one.
    pub(super) fn cap(&mut self) {
        let updates = |owned: &&Owned| owned.manager.operation == Operation::Update;
        let mut excess = self
            .0
            .iter()
            .filter(updates)
            .count()
            .saturating_sub(MOST_UPDATERS);
        if excess == 0 {
            return;
        }
        // Entries are in the order of their times.
        let mut rest = Vec::with_capacity(self.0.len());
        let mut ancient: Option<Owned> = None;
        for owned in std::mem::take(&mut self.0) {
            if !updates(&&owned) {
                rest.push(owned);
                continue;
            }
            match &mut ancient {
                None => ancient = Some(owned),
                Some(ancient) if excess > 0 => {
                    ancient.manager.name = ANCIENT_CHANGES.into();
                    ancient.manager.subresource = "";
                    ancient.time = owned.time;
                    Arc::make_mut(&mut ancient.fields).add(&owned.fields);
                    excess -= 1;
                }
                Some(_) => rest.push(owned),
            }
        }
        rest.extend(ancient);
        self.0 = rest;
        self.settle();
    }

    /// Whether both say the same, times aside.
    pub(super) fn same_but_for_times(&self, other: &Self) -> bool {
        let same = |(one, other): (&Owned, &Owned)| {
            one.manager == other.manager && one.fields == other.fields
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    /// Reads what a client sent; `None` where it makes no sense.
    pub(super) fn read(entries: &[Value]) -> Option<Self> {
        entries
            .iter()
            .map(read_entry)
            .collect::<Option<_>>()
            .map(Self)
    }
}

fn read_entry(entry: &Value) -> Option<Owned> {
    let text = |name: &str| entry[name].as_str();
    let manager = Manager {
        name: text("manager").unwrap_or_default().into(),
        operation: match text("operation")? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        },
        api_version: text("apiVersion")?.into(),
        subresource: match text("subresource") {
            Some("status") => "status",
            Some(_) => return None,
            None => "",
        },
    };
    let time = text("time").and_then(|time| time.parse::<Timestamp>().ok());
    let empty = Map::new();
    let fields = entry["fieldsV1"].as_object().unwrap_or(&empty);
    Some(Owned {
        manager,
        time: time.map(Timestamp::as_second),
        fields: Arc::new(FieldSet::from_fields(fields)),
    })
}

impl Serialize for ManagedFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl Serialize for Owned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("apiVersion", &*self.manager.api_version)?;
        map.serialize_entry("fieldsType", "FieldsV1")?;
        map.serialize_entry("fieldsV1", &*self.fields)?;
        map.serialize_entry("manager", &*self.manager.name)?;
        map.serialize_entry("operation", &self.manager.operation)?;
        if !self.manager.subresource.is_empty() {
            map.serialize_entry("subresource", self.manager.subresource)?;
        }
        if let Some(time) = self.time {
            map.serialize_entry("time", &printed_time(time))?;
        }
        map.end()
    }
}

/// A time as objects carry it, in whole seconds.
pub(super) fn printed_time(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}
