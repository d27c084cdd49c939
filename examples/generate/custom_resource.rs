//! The page about a custom resource.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps,
    JSONSchemaPropsOrArray,
};

use crate::field;
use crate::markdown::{code, one_line, page as markdown_page, points, sentence, table};

/// Everything about one kind.
pub(crate) fn page(definition: &CustomResourceDefinition) -> String {
    let [version] = definition.spec.versions.as_slice() else {
        panic!("the page describes one version");
    };
    let schema = version.schema.as_ref();
    let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
    let schema = schema.expect("a schema");
    let mut parts = vec![
        description(schema),
        identity(definition),
        "`kubectl explain` shows the same descriptions.".to_owned(),
        "## Columns".to_owned(),
        columns(version.additional_printer_columns.iter().flatten()),
    ];
    let whole: Vec<_> = field::rules(schema).collect();
    if !whole.is_empty() {
        parts.push("## The object as a whole".to_owned());
        parts.push(points(whole));
    }
    for name in ["spec", "status"] {
        let part = &schema.properties.as_ref().expect("spec and status")[name];
        parts.push(format!("## {name}"));
        parts.push(description(part));
        let rules: Vec<_> = field::rules(part).collect();
        if !rules.is_empty() {
            parts.push(points(rules));
        }
        fields(name, part, &mut parts);
    }
    markdown_page(&definition.spec.names.kind, "`src/api/`", &parts)
}

fn description(schema: &JSONSchemaProps) -> String {
    one_line(schema.description.as_deref().expect("a description"))
}

fn identity(definition: &CustomResourceDefinition) -> String {
    let spec = &definition.spec;
    let several = |words: &Option<Vec<String>>| {
        let words = words.iter().flatten().map(|word| code(word));
        words.collect::<Vec<_>>().join(", ")
    };
    points([
        format!(
            "apiVersion: {}",
            code(&format!("{}/{}", spec.group, spec.versions[0].name))
        ),
        format!("kind: {}", code(&spec.names.kind)),
        format!("scope: {}", spec.scope),
        format!("plural: {}", code(&spec.names.plural)),
        format!("short name: {}", several(&spec.names.short_names)),
        format!("category: {}", several(&spec.names.categories)),
    ])
}

fn columns<'a>(columns: impl Iterator<Item = &'a CustomResourceColumnDefinition>) -> String {
    let rows = columns.map(|column| {
        let shown = if column.priority.unwrap_or(0) > 0 {
            "with `--output wide`"
        } else {
            "always"
        };
        let description = column.description.as_deref().expect("a description");
        vec![column.name.clone(), sentence(description), shown.to_owned()]
    });
    table(&["column", "content", "shown"], rows)
}

/// The sections of every field below `parent`.
fn fields(path: &str, parent: &JSONSchemaProps, sections: &mut Vec<String>) {
    let required = parent.required.as_deref().unwrap_or_default();
    for (name, schema) in parent.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let mut section = field::section(&path, schema, required.contains(name));
        if name == "conditions" {
            section.push_str("\nConditions are Kubernetes' own: `type`, `status`, `reason`, `message`, `observedGeneration` and `lastTransitionTime`. The [reasons](reasons.md) have a page of their own.");
            sections.push(section);
            continue;
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            section.push_str(&points(field::rules_of_entries(items)));
            sections.push(section);
            fields(&format!("{path}[]"), items, sections);
        } else {
            sections.push(section);
            fields(&path, schema, sections);
        }
    }
}
