use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::json;

use super::*;

fn definition() -> CustomResourceDefinition {
    let [definition] = custom_resource_definitions()
        .try_into()
        .expect("one kind so far");
    definition
}

fn version() -> CustomResourceDefinitionVersion {
    let [version] = definition()
        .spec
        .versions
        .try_into()
        .expect("one version so far");
    version
}

fn schema() -> JSONSchemaProps {
    version()
        .schema
        .and_then(|schema| schema.open_api_v3_schema)
        .expect("it has a schema")
}

fn part(name: &str) -> JSONSchemaProps {
    schema()
        .properties
        .and_then(|mut parts| parts.remove(name))
        .expect(name)
}

/// Every schema at and below `schema`, with its path.
fn walk(path: &str, schema: &JSONSchemaProps, visit: &mut impl FnMut(&str, &JSONSchemaProps)) {
    visit(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        walk(&format!("{path}[]"), items, visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        walk(&format!("{path}{{}}"), values, visit);
    }
}

/// The paths of what `is_wrong` below a part of the schema.
fn wrong(part_name: &str, is_wrong: impl Fn(&str, &JSONSchemaProps) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    walk(part_name, &part(part_name), &mut |path, schema| {
        if is_wrong(path, schema) {
            wrong.push(path.to_string());
        }
    });
    wrong
}

/// A named field, as opposed to the values of a list or map.
fn is_field(path: &str) -> bool {
    path.contains('.') && !path.ends_with(']') && !path.ends_with('}')
}

#[test]
fn every_field_of_the_spec_says_what_it_is_for_with_its_default_and_an_example() {
    let incomplete = wrong("spec", |path, schema| {
        let text = schema.description.as_deref().unwrap_or_default();
        let (purpose, _) = text.split_once("Default").unwrap_or((text, ""));
        let required_choice = path == "spec.cluster";
        let complete = purpose.len() >= 10
            && text.contains("Example: `")
            && (text.contains("Default: ") || text.contains("Default, when") || required_choice);
        is_field(path) && !complete
    });
    assert!(incomplete.is_empty(), "{incomplete:#?}");
}

#[test]
fn every_field_of_the_status_and_every_object_is_described() {
    let incomplete = wrong("status", |path, schema| {
        is_field(path) && schema.description.as_deref().unwrap_or_default().len() < 3
    });
    assert!(incomplete.is_empty(), "{incomplete:#?}");
    for name in ["spec", "status"] {
        assert!(
            part(name).description.is_some_and(|text| text.len() > 20),
            "{name}"
        );
    }
    assert!(schema().description.is_some_and(|text| text.len() > 20));
}

#[test]
fn every_example_is_accepted_in_its_place() {
    let spec = json!({
        "cluster": {"name": "prod-cluster-01"},
        "accountRef": {"name": "default"},
        "expirySeconds": 604_800,
        "renewBeforeSeconds": 201_600,
        "kubeconfigSource": "Rendered",
        "verification": "Required",
        "outputs": [{"secretName": "prod-kubeconfig", "format": "Kubeconfig"}],
        "deletionPolicy": "Retain",
        "suspend": true,
    });
    let spec: DOClusterAccessSpec = serde_json::from_value(spec).expect("a spec");
    assert_eq!(spec.effective_expiry_seconds(), 604_800);
    assert_eq!(spec.effective_deletion_policy(), DeletionPolicy::Retain);
}

#[test]
fn every_string_list_and_map_of_the_spec_is_bounded() {
    // Otherwise the cost of the validation rules is not, and the API server refuses the definition.
    let unbounded = wrong("spec", |_, schema| match schema.type_.as_deref() {
        Some("string") => schema.max_length.is_none() && schema.enum_.is_none(),
        Some("array") => schema.max_items.is_none(),
        Some("object") if schema.properties.is_none() => schema.max_properties.is_none(),
        Some("integer") => schema.minimum.is_none() || schema.maximum.is_none(),
        _ => false,
    });
    assert!(unbounded.is_empty(), "{unbounded:#?}");
}

#[test]
fn every_validation_rule_has_a_message_that_says_what_to_do() {
    let mut rules = 0;
    let mut messages = Vec::new();
    walk("", &schema(), &mut |path, schema| {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            rules += 1;
            let message = rule.message.clone().unwrap_or_default();
            assert!(
                message.len() > 30 && !message.ends_with('.'),
                "{path}: {message:?}"
            );
            messages.push(message);
        }
    });
    assert!(rules > 15, "{rules}");
    assert_eq!(messages.len(), rules);
}

#[test]
fn a_fresh_object_does_not_look_healthy() {
    let status = part("status");
    assert_eq!(
        status.default.map(|default| default.0),
        Some(json!({"observedGeneration": -1}))
    );
    let fresh: DOClusterAccessStatus =
        serde_json::from_value(json!({"observedGeneration": -1})).expect("a status");
    assert_eq!(fresh.observed_generation, Some(-1));
}

#[test]
fn nothing_is_nullable_so_that_an_explicit_null_is_as_good_as_absent() {
    for name in ["spec", "status"] {
        let nullable = wrong(name, |_, schema| schema.nullable.is_some());
        assert!(nullable.is_empty(), "{nullable:#?}");
    }
}

#[test]
fn conditions_and_outputs_are_maps_so_that_applies_of_several_managers_merge() {
    let keys_of = |part_name: &str, field: &str| {
        let property = part(part_name)
            .properties
            .and_then(|mut fields| fields.remove(field));
        let property = property.expect("a field");
        assert_eq!(
            property.x_kubernetes_list_type.as_deref(),
            Some("map"),
            "{field}"
        );
        property.x_kubernetes_list_map_keys.expect("keys")
    };
    assert_eq!(keys_of("spec", "outputs"), ["secretName"]);
    assert_eq!(keys_of("status", "outputs"), ["secretName"]);
    assert_eq!(keys_of("status", "conditions"), ["type"]);
}

#[test]
fn the_columns_tell_whether_it_works_why_not_and_until_when() {
    let columns = version().additional_printer_columns.expect("columns");
    let narrow = |wide: bool| -> Vec<_> {
        let columns = columns
            .iter()
            .filter(|column| (column.priority == Some(1)) == wide);
        columns.map(|column| column.name.as_str()).collect()
    };
    assert_eq!(
        narrow(false),
        ["Ready", "Reason", "Cluster", "Expires", "Renews", "Age"]
    );
    assert_eq!(narrow(true), ["Verified", "Account"]);
    for column in &columns {
        // A date in the future is printed as <invalid>.
        let expected = if column.name == "Age" {
            "date"
        } else {
            "string"
        };
        assert_eq!(column.type_, expected, "{}", column.name);
        assert!(column.description.is_some(), "{}", column.name);
    }
    let reason = columns
        .iter()
        .find(|column| column.name == "Reason")
        .expect("Reason");
    assert!(reason.json_path.contains("Synced"));
}

#[test]
fn the_kind_is_namespaced_and_has_a_status_of_its_own() {
    let definition = definition();
    assert_eq!(definition.spec.scope, "Namespaced");
    assert_eq!(definition.spec.group, GROUP);
    assert_eq!(
        definition.spec.names.short_names,
        Some(vec!["doca".to_string()])
    );
    let version = version();
    assert_eq!(version.name, "v1alpha1");
    assert!(version.served && version.storage);
    assert!(
        version
            .subresources
            .is_some_and(|subresources| subresources.status.is_some())
    );
}

#[test]
fn an_access_without_outputs_has_one_named_after_it() {
    let spec = json!({"cluster": {"name": "prod"}});
    let access = DOClusterAccess::new("web", serde_json::from_value(spec).expect("a spec"));
    let [output] = access.effective_outputs().try_into().expect("one");
    assert_eq!(output, Output::kubeconfig("web-kubeconfig".to_string()));
    assert_eq!(output.format, OutputFormat::Kubeconfig);
    assert!(!output.adopt);
}

#[test]
fn what_is_left_out_of_a_spec_has_the_documented_default() {
    let spec = json!({"cluster": {"name": "prod"}, "tokenSecretRef": {"name": "digitalocean"}});
    let spec: DOClusterAccessSpec = serde_json::from_value(spec).expect("a spec");
    assert_eq!(spec.effective_expiry_seconds(), 604_800);
    assert_eq!(spec.effective_deletion_policy(), DeletionPolicy::Delete);
    assert_eq!(spec.kubeconfig_source, KubeconfigSource::DigitalOcean);
    assert_eq!(spec.verification, VerificationPolicy::WhenReachable);
    assert!(!spec.suspend);
    assert_eq!(
        spec.token_secret_ref.map(|secret| secret.key).as_deref(),
        Some("access-token")
    );
}

#[test]
fn the_definition_in_the_repository_is_the_one_that_the_program_prints() {
    let printed: String = custom_resource_definitions()
        .iter()
        .map(|definition| {
            format!(
                "---\n{}",
                serde_saphyr::to_string(definition).expect("YAML")
            )
        })
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/doclusteraccesses.yaml");
    let committed = std::fs::read_to_string(path).expect(path);
    assert!(
        printed == committed,
        "crds/ is not current: run `make generate`"
    );
}
