//! What fields objects have: for merging, ownership, defaults and pruning.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fields::{Element, field_element};

/// The type of a value.
#[derive(Clone, Debug)]
pub(super) enum Schema {
    /// A string, a number or a boolean, by the name of its type.
    Scalar(&'static str),
    /// An object with named fields.
    Struct(Arc<Struct>),
    /// An object with keys of the user's choice.
    Map(Box<Schema>),
    /// A value that is owned, and replaced, as a whole.
    Atomic(Box<Schema>),
    /// A list whose items are told apart by some of their fields.
    ListMap(Vec<String>, Box<Schema>),
    /// A list of scalars, in which each is there once.
    ListSet,
    /// A list; always within [`Schema::Atomic`].
    List(Box<Schema>),
}

const STRING: Schema = Schema::Scalar("string");

/// An object with named fields.
#[derive(Debug, Default)]
pub(super) struct Struct {
    fields: BTreeMap<String, Field>,
    /// Go's `omitempty`: an empty map or list is the same as none.
    omits_empty: bool,
    /// What must be there.
    required: Vec<String>,
}

/// A named field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) element: Element,
    pub(super) schema: Schema,
    default: Option<Value>,
    /// An empty string or zero is the same as none.
    omits_zero: bool,
}

impl Struct {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }

    pub(super) fn field_of_element(&self, element: &str) -> Option<&Field> {
        self.fields.get(element.strip_prefix("f:")?)
    }
}

/// Fields of Go structs: `name` is a string or number without a pointer, `*name` one with a pointer, and
/// `+name` is always written, as null where there is none.
fn scalars(names: &[&str]) -> Vec<(String, Field)> {
    let field = |name: &&str| {
        let plain = name.trim_start_matches(['*', '+']);
        let mut field = field(plain, STRING);
        field.omits_zero = plain == *name;
        field.default = name.starts_with('+').then_some(Value::Null);
        (plain.to_owned(), field)
    };
    names.iter().map(field).collect()
}

fn field(name: &str, schema: Schema) -> Field {
    Field {
        element: field_element(name),
        schema,
        default: None,
        omits_zero: false,
    }
}

/// A Go struct, whose fields are [scalars], and `others`: of those, the ones marked with `+` are structs
/// without a pointer, which are always written.
fn go_struct(scalar_names: &[&str], others: Vec<(&str, Schema)>) -> Schema {
    let others = others.into_iter().map(|(name, schema)| {
        let plain = name.trim_start_matches('+');
        let mut field = field(plain, schema);
        field.default = (plain != name).then(|| json!({}));
        (plain.to_owned(), field)
    });
    Schema::Struct(Arc::new(Struct {
        fields: scalars(scalar_names).into_iter().chain(others).collect(),
        omits_empty: true,
        required: Vec::new(),
    }))
}

fn strings() -> Schema {
    Schema::Map(Box::new(STRING))
}

fn atomic(schema: Schema) -> Schema {
    Schema::Atomic(Box::new(schema))
}

fn metadata() -> Schema {
    let owner = go_struct(
        &[
            "*apiVersion",
            "*kind",
            "*name",
            "*uid",
            "*controller",
            "*blockOwnerDeletion",
        ],
        vec![],
    );
    let owners = Schema::ListMap(vec!["uid".to_owned()], Box::new(atomic(owner)));
    go_struct(
        &[
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
            "*creationTimestamp",
            "*deletionTimestamp",
            "*deletionGracePeriodSeconds",
        ],
        vec![
            ("labels", strings()),
            ("annotations", strings()),
            ("ownerReferences", owners),
            ("finalizers", Schema::ListSet),
        ],
    )
}

fn built_in(scalar_names: &[&str], mut others: Vec<(&str, Schema)>) -> Schema {
    let names: Vec<_> = ["apiVersion", "kind"]
        .iter()
        .chain(scalar_names)
        .copied()
        .collect();
    others.push(("metadata", metadata()));
    go_struct(&names, others)
}

pub(super) fn secret() -> Schema {
    built_in(
        &["*immutable", "type"],
        vec![("data", strings()), ("stringData", strings())],
    )
}

pub(super) fn lease() -> Schema {
    let spec = go_struct(
        &[
            "*holderIdentity",
            "*leaseDurationSeconds",
            "*acquireTime",
            "*renewTime",
            "*leaseTransitions",
            "*strategy",
            "*preferredHolder",
        ],
        vec![],
    );
    built_in(&[], vec![("+spec", spec)])
}

pub(super) fn event() -> Schema {
    let reference = || {
        let names = [
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        ];
        atomic(go_struct(&names, vec![]))
    };
    let source = go_struct(&["component", "host"], vec![]);
    let series = go_struct(&["*count", "*lastObservedTime"], vec![]);
    built_in(
        &[
            "*eventTime",
            "reportingController",
            "reportingInstance",
            "action",
            "reason",
            "note",
            "type",
            "+deprecatedFirstTimestamp",
            "+deprecatedLastTimestamp",
            "deprecatedCount",
        ],
        vec![
            ("+regarding", reference()),
            ("related", reference()),
            ("+deprecatedSource", source),
            ("series", series),
        ],
    )
}

pub(super) fn namespace() -> Schema {
    let condition = go_struct(
        &[
            "*type",
            "*status",
            "*lastTransitionTime",
            "reason",
            "message",
        ],
        vec![],
    );
    let conditions = Schema::ListMap(vec!["type".to_owned()], Box::new(condition));
    let spec = go_struct(
        &[],
        vec![("finalizers", atomic(Schema::List(Box::new(STRING))))],
    );
    let status = go_struct(&["phase"], vec![("conditions", conditions)]);
    built_in(&[], vec![("+spec", spec), ("+status", status)])
}

/// The schema of a custom resource, as its CustomResourceDefinition has it.
pub(super) fn custom_resource(definition: &Value) -> Schema {
    let root = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let Schema::Struct(root) = open_api(root) else {
        unreachable!("the schema of a custom resource is an object with fields");
    };
    let mut root = Arc::into_inner(root).unwrap_or_default();
    root.fields.extend(scalars(&["apiVersion", "kind"]));
    root.fields
        .insert("metadata".to_owned(), field("metadata", metadata()));
    Schema::Struct(Arc::new(root))
}

fn open_api(schema: &Value) -> Schema {
    match schema["type"].as_str() {
        Some("object") => open_api_object(schema),
        Some("array") => {
            let item = Box::new(open_api(&schema["items"]));
            let keys = || strings_of(&schema["x-kubernetes-list-map-keys"]);
            match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => Schema::ListMap(keys(), item),
                Some("set") => Schema::ListSet,
                _ => atomic(Schema::List(item)),
            }
        }
        Some("integer") => Schema::Scalar("integer"),
        Some("boolean") => Schema::Scalar("boolean"),
        _ => STRING,
    }
}

fn strings_of(list: &Value) -> Vec<String> {
    let strings = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    strings.map(str::to_owned).collect()
}

fn open_api_object(schema: &Value) -> Schema {
    let object = if schema["additionalProperties"].is_object() {
        Schema::Map(Box::new(open_api(&schema["additionalProperties"])))
    } else {
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let fields = properties.iter().map(|(name, property)| {
            let default = property.get("default").cloned();
            let field = Field {
                default,
                ..field(name, open_api(property))
            };
            (name.clone(), field)
        });
        Schema::Struct(Arc::new(Struct {
            fields: fields.collect(),
            omits_empty: false,
            required: strings_of(&schema["required"]),
        }))
    };
    match schema["x-kubernetes-map-type"].as_str() {
        Some("atomic") => atomic(object),
        _ => object,
    }
}

impl Schema {
    /// The value as the API server reads it: without unknown fields, and with defaults.
    pub(super) fn normalise(&self, value: &mut Value) {
        match self {
            Self::Scalar(_) | Self::ListSet => {}
            Self::Struct(fields) => fields.normalise(value),
            Self::Atomic(schema) => schema.normalise(value),
            Self::Map(item) => {
                for value in value.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    item.normalise(value);
                }
            }
            Self::ListMap(_, item) | Self::List(item) => {
                for value in value.as_array_mut().into_iter().flatten() {
                    item.normalise(value);
                }
            }
        }
    }
}

/// What is wrong with a value of a custom resource, and where.
pub(super) enum Violation {
    /// It must be there.
    Missing(String),
    /// It must be of this type, and is null.
    Null(String, &'static str),
}

impl Schema {
    /// Adds what is wrong with a value.
    pub(super) fn check(&self, value: &Value, path: &str, wrong: &mut Vec<Violation>) {
        if value.is_null() {
            wrong.push(Violation::Null(path.to_owned(), self.type_name()));
            return;
        }
        match self {
            Self::Scalar(_) | Self::ListSet => {}
            Self::Atomic(schema) => schema.check(value, path, wrong),
            Self::Struct(fields) => fields.check(value, path, wrong),
            Self::Map(item) => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    item.check(value, &format!("{path}[{key}]"), wrong);
                }
            }
            Self::ListMap(_, item) | Self::List(item) => {
                for (number, value) in value.as_array().into_iter().flatten().enumerate() {
                    item.check(value, &format!("{path}[{number}]"), wrong);
                }
            }
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(name) => name,
            Self::Struct(_) | Self::Map(_) => "object",
            Self::Atomic(schema) => schema.type_name(),
            Self::ListMap(..) | Self::ListSet | Self::List(_) => "array",
        }
    }
}

impl Struct {
    fn check(&self, value: &Value, path: &str, wrong: &mut Vec<Violation>) {
        let below = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        let absent = self
            .required
            .iter()
            .filter(|name| value.get(name.as_str()).is_none());
        wrong.extend(absent.map(|name| Violation::Missing(below(name))));
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(field) = self.field(name) {
                field.schema.check(value, &below(name), wrong);
            }
        }
    }
}

impl Struct {
    fn normalise(&self, value: &mut Value) {
        let Some(object) = value.as_object_mut() else {
            return;
        };
        object.retain(|name, value| {
            let Some(field) = self.fields.get(name) else {
                return false;
            };
            field.schema.normalise(value);
            let defaulted = value.is_null() && field.default.is_some();
            !(defaulted
                || self.omits_empty && is_empty(value)
                || field.omits_zero && is_zero(value))
        });
        for (name, field) in &self.fields {
            if let Some(default) = &field.default
                && !object.contains_key(name)
            {
                let mut default = default.clone();
                field.schema.normalise(&mut default);
                object.insert(name.clone(), default);
            }
        }
    }
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(array) => array.is_empty(),
        _ => false,
    }
}

fn is_zero(value: &Value) -> bool {
    value.as_str() == Some("") || *value == json!(0)
}
