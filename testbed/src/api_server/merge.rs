//! Objects as sets of fields: what differs between two, what one consists of, how one is merged into
//! another, and what remains when fields are taken away.

use serde_json::{Map, Value};

use super::fields::{Element, FieldSet, field_element};
use super::schema::{Schema, is_empty};

/// What differs between two objects.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Added, or there with another value.
    pub(super) written: FieldSet,
    /// No longer there.
    pub(super) removed: FieldSet,
}

/// Compares two objects.
pub(super) fn difference(schema: &Schema, before: &Value, after: &Value) -> Difference {
    let mut difference = Difference::default();
    compare(
        schema,
        Some(before),
        Some(after),
        &mut Vec::new(),
        &mut difference,
    );
    difference
}

fn compare(
    schema: &Schema,
    before: Option<&Value>,
    after: Option<&Value>,
    path: &mut Vec<Element>,
    difference: &mut Difference,
) {
    if before == after {
        return;
    }
    if is_leaf(schema, before, after) {
        match after {
            Some(_) => difference.written.insert(path),
            None => difference.removed.insert(path),
        }
        return;
    }
    for (element, item, before, after) in children(schema, before, after, true) {
        path.push(element);
        compare(item, before, after, path, difference);
        path.pop();
    }
    match (before, after) {
        (None, _) => difference.written.insert(path),
        (_, None) => difference.removed.insert(path),
        _ => {}
    }
}

/// Whether the two are treated as one value. Empty ones are, so that empty and absent stay distinct.
fn is_leaf(schema: &Schema, one: Option<&Value>, other: Option<&Value>) -> bool {
    match schema {
        Schema::Scalar(_) | Schema::Atomic(_) | Schema::List(_) => true,
        _ => one.is_none_or(is_empty) && other.is_none_or(is_empty),
    }
}

type Child<'a> = (Element, &'a Schema, Option<&'a Value>, Option<&'a Value>);

/// The fields, keys or items of two values, each once: those of the first in its order, then the rest; when
/// `differing`, only those that differ.
fn children<'a>(
    schema: &'a Schema,
    one: Option<&'a Value>,
    other: Option<&'a Value>,
    differing: bool,
) -> Vec<Child<'a>> {
    match schema {
        Schema::Struct(_) | Schema::Map(_) => {
            let (one, other) = (
                one.and_then(Value::as_object),
                other.and_then(Value::as_object),
            );
            let keys = one.into_iter().flat_map(Map::keys);
            let new = |key: &&String| !one.is_some_and(|one| one.contains_key(*key));
            let more = other.into_iter().flat_map(Map::keys).filter(new);
            let child = |key: &'a String| {
                let value = |map: Option<&'a Map<String, Value>>| map.and_then(|map| map.get(key));
                let (one, other) = (value(one), value(other));
                if differing && one == other {
                    return None;
                }
                let (element, item) = key_of(schema, key)?;
                Some((element, item, one, other))
            };
            keys.chain(more).filter_map(child).collect()
        }
        Schema::ListMap(..) | Schema::ListSet => {
            let (one, other) = (items(schema, one), items(schema, other));
            let found = |list: &[(Element, &'a Value)], element: &Element| {
                let item = list.iter().find(|(candidate, _)| candidate == element);
                item.map(|(_, value)| *value)
            };
            let item = item_schema(schema);
            let mut children: Vec<Child<'a>> = Vec::with_capacity(one.len());
            for (element, value) in &one {
                children.push((element.clone(), item, Some(*value), found(&other, element)));
            }
            for (element, value) in &other {
                if found(&one, element).is_none() {
                    children.push((element.clone(), item, None, Some(*value)));
                }
            }
            children
        }
        Schema::Scalar(_) | Schema::Atomic(_) | Schema::List(_) => Vec::new(),
    }
}

/// The step to a key of an object, and the type of what is there; `None` for an unknown field.
fn key_of<'a>(schema: &'a Schema, key: &str) -> Option<(Element, &'a Schema)> {
    match schema {
        Schema::Struct(fields) => {
            let field = fields.field(key)?;
            Some((field.element.clone(), &field.schema))
        }
        Schema::Map(item) => Some((field_element(key), item)),
        _ => None,
    }
}

/// The type of what is at a key of an object; `None` for an unknown field.
fn below_key<'a>(schema: &'a Schema, key: &str) -> Option<&'a Schema> {
    match schema {
        Schema::Struct(fields) => Some(&fields.field(key)?.schema),
        Schema::Map(item) => Some(item),
        _ => None,
    }
}

fn item_schema(schema: &Schema) -> &Schema {
    match schema {
        Schema::ListMap(_, item) | Schema::Map(item) => item,
        _ => &Schema::Scalar("string"),
    }
}

/// The items of a list by what tells them apart.
fn items<'a>(schema: &Schema, list: Option<&'a Value>) -> Vec<(Element, &'a Value)> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items
        .map(|item| (item_element(schema, item), item))
        .collect()
}

fn item_element(schema: &Schema, item: &Value) -> Element {
    match schema {
        Schema::ListMap(keys, _) => {
            let keys = keys
                .iter()
                .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
            format!("k:{}", Value::Object(keys.collect())).into()
        }
        _ => format!("v:{item}").into(),
    }
}

/// The fields that an object consists of.
pub(super) fn field_set(schema: &Schema, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(schema, value, &mut Vec::new(), &mut set);
    set
}

fn collect(schema: &Schema, value: &Value, path: &mut Vec<Element>, set: &mut FieldSet) {
    if matches!(
        schema,
        Schema::Scalar(_) | Schema::Atomic(_) | Schema::List(_)
    ) {
        set.insert(path);
        return;
    }
    let named = matches!(schema, Schema::Struct(_));
    for (element, item, value, _) in children(schema, Some(value), None, false) {
        let Some(value) = value else { continue };
        path.push(element);
        collect(item, value, path, set);
        let hollow = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if hollow || !named {
            set.insert(path);
        }
        path.pop();
    }
}

/// `live` with what `config` says.
pub(super) fn merged(
    schema: &Schema,
    live: Option<&Value>,
    config: Option<&Value>,
) -> Option<Value> {
    let (Some(live_value), Some(config_value)) = (live, config) else {
        return config.or(live).cloned();
    };
    if is_leaf(schema, live, config) {
        return Some(config_value.clone());
    }
    match schema {
        Schema::ListMap(..) | Schema::ListSet => {
            let list = merged_list(schema, live_value, config_value);
            (!list.is_empty()).then_some(Value::Array(list))
        }
        _ => {
            let (Some(live), Some(config)) = (live_value.as_object(), config_value.as_object())
            else {
                let given = if config_value.is_null() {
                    live_value
                } else {
                    config_value
                };
                return Some(given.clone());
            };
            let mut object = live.clone();
            for (key, value) in config {
                let value = match below_key(schema, key) {
                    Some(item) => merged(item, live.get(key), Some(value)),
                    None => Some(value.clone()),
                };
                if let Some(value) = value {
                    object.insert(key.clone(), value);
                }
            }
            Some(Value::Object(object))
        }
    }
}

/// The items of both lists. Those that only `live` has stay where they are relative to those that both
/// have; the order of the latter, and of new ones, is that of `config`.
fn merged_list(schema: &Schema, live: &Value, config: &Value) -> Vec<Value> {
    let (live, config) = (items(schema, Some(live)), items(schema, Some(config)));
    let position = |list: &[(Element, &Value)], element: &Element| {
        list.iter().position(|(candidate, _)| candidate == element)
    };
    let item = item_schema(schema);
    let mut shared = config
        .iter()
        .map(|(element, _)| element)
        .filter(|element| position(&live, element).is_some());
    let mut next_shared = shared.next();
    let mut taken = vec![false; config.len()];
    let mut list = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < config.len() {
        if left < live.len() && right < config.len() {
            let (element, value) = &live[left];
            if *element == config[right].0 {
                taken[right] = true;
                list.extend(merged(item, Some(value), Some(config[right].1)));
                left += 1;
                right += 1;
                next_shared = shared.next();
                continue;
            }
            let elsewhere = position(&config, element).is_some();
            if elsewhere && next_shared.is_some_and(|next| next != element) {
                left += 1;
                continue;
            }
        }
        if left < live.len() {
            let (element, value) = &live[left];
            match position(&config, element) {
                None => {
                    list.push((*value).clone());
                    left += 1;
                    continue;
                }
                Some(place) if taken[place] => left += 1,
                Some(_) => {}
            }
        }
        if right < config.len() {
            let (element, value) = &config[right];
            taken[right] = true;
            let found = position(&live, element).map(|place| live[place].1);
            list.extend(merged(item, found, Some(value)));
            right += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    list
}

/// `value` without the fields and items of `set`. What is left of an object whose last field goes is
/// null.
pub(super) fn without(schema: &Schema, value: &Value, set: &FieldSet) -> Value {
    match schema {
        Schema::Scalar(_) => value.clone(),
        Schema::Struct(_) | Schema::Map(_) => {
            let fields = value.as_object().into_iter().flatten();
            let kept: Map<_, _> = fields
                .filter_map(|(key, value)| {
                    let Some((element, item)) = key_of(schema, key) else {
                        return Some((key.clone(), value.clone()));
                    };
                    let value = kept(item, value, set, &element)?;
                    Some((key.clone(), value))
                })
                .collect();
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        Schema::ListMap(..) | Schema::ListSet => {
            let item = item_schema(schema);
            let items = items(schema, Some(value)).into_iter();
            let kept: Vec<_> = items
                .filter_map(|(element, value)| kept(item, value, set, &element))
                .collect();
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Array(kept)
            }
        }
        Schema::Atomic(_) | Schema::List(_) => Value::Null,
    }
}

fn kept(schema: &Schema, value: &Value, set: &FieldSet, element: &str) -> Option<Value> {
    if set.has(element) {
        return None;
    }
    Some(match set.below(element) {
        Some(below) => without(schema, value, below),
        None => value.clone(),
    })
}

/// Adds to a set the named fields that lead to its members, which are there but are usually not written
/// down.
pub(super) fn with_named_fields(schema: &Schema, set: &FieldSet) -> FieldSet {
    let mut set = set.clone();
    let mut is_named = |path: &[Element]| {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        let parent = parents
            .iter()
            .try_fold(schema, |schema, element| below(schema, element));
        matches!(parent, Some(Schema::Struct(fields)) if fields.field_of_element(last).is_some())
    };
    set.promote(&mut is_named, &mut Vec::new());
    set
}

fn below<'a>(schema: &'a Schema, element: &str) -> Option<&'a Schema> {
    match schema {
        Schema::Struct(fields) => Some(&fields.field_of_element(element)?.schema),
        Schema::Map(item) | Schema::ListMap(_, item) => Some(item),
        _ => None,
    }
}
