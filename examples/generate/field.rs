//! One field of a schema, in words.

use do_cluster_access::api::{
    CustomField, DeletionPolicy, KubeconfigSource, OutputFormat, VerificationPolicy,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{Schema, schema_for};

use crate::markdown::{code, one_line, plain, points, sentence};

/// The section about a field: what it is for, its type, default and example, what it may be, and its rules.
pub(crate) fn section(path: &str, schema: &JSONSchemaProps, required: bool) -> String {
    let text = Description::of(schema);
    let mut facts = vec![format!("Type: {}", type_of(schema))];
    if required {
        facts.push("Required".to_owned());
    }
    facts.extend(text.default);
    facts.extend(text.example.map(|example| format!("Example: {example}")));
    facts.extend(values(path, schema));
    facts.extend(rules(schema));
    format!("### `{path}`\n\n{}\n\n{}", text.purpose, points(facts))
}

/// The rules of a schema, as the sentences that the API server answers with.
pub(crate) fn rules(schema: &JSONSchemaProps) -> impl Iterator<Item = String> {
    rules_for("Rule", schema)
}

/// Those of the schema of a list's entries.
pub(crate) fn rules_of_entries(entries: &JSONSchemaProps) -> impl Iterator<Item = String> {
    rules_for("Rule for each entry", entries)
}

fn rules_for(what: &str, schema: &JSONSchemaProps) -> impl Iterator<Item = String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.map(move |rule| {
        let message = rule.message.as_deref().expect("every rule has a message");
        format!("{what}: {}", sentence(&plain(message)))
    })
}

/// What one can say about any schema.
struct Description {
    purpose: String,
    /// With the word at its beginning, behind which may stand when it applies.
    default: Option<String>,
    example: Option<String>,
}

impl Description {
    /// Descriptions of the spec are written as: purpose, `Default: …`, `Example: …`.
    fn of(schema: &JSONSchemaProps) -> Self {
        let text = one_line(
            schema
                .description
                .as_deref()
                .expect("every field is described"),
        );
        let (text, example) = match text.split_once(" Example: ") {
            Some((text, example)) => (text, Some(example.trim_end_matches('.').to_owned())),
            None => (text.as_str(), None),
        };
        let (purpose, default) = match text.split_once(" Default") {
            Some((purpose, default)) => {
                let default = default.trim_end_matches('.');
                let is_required = default == ": none, required";
                (purpose, (!is_required).then(|| format!("Default{default}")))
            }
            None => (text, None),
        };
        Self {
            purpose: purpose.to_owned(),
            default,
            example,
        }
    }
}

/// The type with its bounds.
fn type_of(schema: &JSONSchemaProps) -> String {
    match schema.type_.as_deref() {
        Some("string") if schema.format.as_deref() == Some("date-time") => {
            "time, as in `2030-01-31T12:00:00Z`".to_owned()
        }
        Some("string") if schema.enum_.is_some() => "string, one of the values below".to_owned(),
        Some("string") => {
            let bounds = range(schema.min_length, schema.max_length);
            with(
                "string",
                bounds.map(|bounds| format!("{bounds} characters")),
            )
        }
        Some("integer") => {
            let bounds = schema.minimum.zip(schema.maximum);
            with(
                "integer",
                bounds.map(|(least, most)| format!("{least} to {most}")),
            )
        }
        Some("array") => list(schema),
        Some("object") => map(schema).unwrap_or_else(|| "object".to_owned()),
        Some(other) => other.to_owned(),
        None => panic!("a schema without type"),
    }
}

fn list(schema: &JSONSchemaProps) -> String {
    let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else {
        panic!("a list without one schema for its entries");
    };
    let bounds =
        range(schema.min_items, schema.max_items).map(|bounds| format!("{bounds} entries"));
    let list = with(&format!("list ({})", type_of(items)), bounds);
    match schema.x_kubernetes_list_map_keys.as_deref() {
        Some([key]) => format!("{list}, distinguished by {}", code(key)),
        _ => list,
    }
}

fn map(schema: &JSONSchemaProps) -> Option<String> {
    let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties else {
        return None;
    };
    let bounds = range(None, schema.max_properties).map(|bounds| format!("{bounds} entries"));
    Some(with(&format!("map (to {})", type_of(values)), bounds))
}

fn with(what: &str, bounds: Option<String>) -> String {
    match bounds {
        Some(bounds) => format!("{what}, {bounds}"),
        None => what.to_owned(),
    }
}

fn range(least: Option<i64>, most: Option<i64>) -> Option<String> {
    match (least.filter(|least| *least > 0), most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, None) => None,
    }
}

/// What an enumeration may be, a point each. The definition has the words alone; what they mean stands on the types.
fn values(path: &str, schema: &JSONSchemaProps) -> Option<String> {
    let allowed = schema.enum_.as_ref()?;
    let mut words: Vec<_> = allowed.iter().map(|word| word.0.clone()).collect();
    words.sort_by_key(ToString::to_string);
    let described = enumerations().into_iter().find(|described| {
        let mut of_type: Vec<_> = described.iter().map(|(word, _)| word.clone()).collect();
        of_type.sort_by_key(ToString::to_string);
        of_type == words
    });
    let described = described.unwrap_or_else(|| panic!("no type describes the values of {path}"));
    let values = described.into_iter().map(|(word, meaning)| {
        let word = word.as_str().expect("a string").to_owned();
        format!("\n  * {}: {}", code(&word), one_line(&meaning))
    });
    Some(format!("Values:{}", values.collect::<String>()))
}

/// Every enumeration, as pairs of word and meaning.
fn enumerations() -> Vec<Vec<(serde_json::Value, String)>> {
    let schemas: [Schema; 5] = [
        schema_for!(KubeconfigSource),
        schema_for!(VerificationPolicy),
        schema_for!(DeletionPolicy),
        schema_for!(OutputFormat),
        schema_for!(CustomField),
    ];
    let pairs = |schema: &Schema| {
        let variants = schema.get("oneOf").and_then(|variants| variants.as_array());
        let variants = variants.expect("variants with descriptions");
        let pair = |variant: &serde_json::Value| {
            let meaning = variant["description"].as_str().expect("a description");
            (variant["const"].clone(), meaning.to_owned())
        };
        variants.iter().map(pair).collect()
    };
    schemas.iter().map(pairs).collect()
}
