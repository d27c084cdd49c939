use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::json;

use super::*;

const ACCESS: &str = "DOClusterAccess";
const ACCOUNT: &str = "DOAccount";
const KINDS: [&str; 2] = [ACCESS, ACCOUNT];

fn definition(kind: &str) -> CustomResourceDefinition {
    custom_resource_definitions()
        .into_iter()
        .find(|definition| definition.spec.names.kind == kind)
        .expect(kind)
}

fn version(kind: &str) -> CustomResourceDefinitionVersion {
    let [version] = definition(kind)
        .spec
        .versions
        .try_into()
        .expect("one version so far");
    version
}

fn schema(kind: &str) -> JSONSchemaProps {
    version(kind)
        .schema
        .and_then(|schema| schema.open_api_v3_schema)
        .expect("it has a schema")
}

fn part(kind: &str, name: &str) -> JSONSchemaProps {
    schema(kind)
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

/// The paths of what `is_wrong` below a part of each schema.
fn wrong(part_name: &str, is_wrong: impl Fn(&str, &JSONSchemaProps) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in KINDS {
        walk(part_name, &part(kind, part_name), &mut |path, schema| {
            if is_wrong(path, schema) {
                wrong.push(format!("{kind}: {path}"));
            }
        });
    }
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
    let described =
        |schema: JSONSchemaProps| schema.description.is_some_and(|text| text.len() > 20);
    for kind in KINDS {
        assert!(described(schema(kind)), "{kind}");
        for name in ["spec", "status"] {
            assert!(described(part(kind, name)), "{kind}: {name}");
        }
    }
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

    let account = json!({
        "tokenSecretRef": {"name": "digitalocean"},
        "allowedNamespaces": ["argocd", "team-*"],
        "allowedClusters": {
            "ids": ["bd5f5959-5e1e-4205-a714-a914373942af"],
            "names": ["prod-*"],
        },
    });
    let account: DOAccountSpec = serde_json::from_value(account).expect("a spec");
    assert_eq!(account.token_secret_ref.key, "access-token");
    assert_eq!(account.allowed_namespaces, ["argocd", "team-*"]);
    let clusters = account.allowed_clusters.expect("clusters");
    assert_eq!(clusters.ids, ["bd5f5959-5e1e-4205-a714-a914373942af"]);
    assert_eq!(clusters.names, ["prod-*"]);
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
    for (kind, at_least) in [(ACCESS, 15), (ACCOUNT, 5)] {
        let mut rules = 0;
        walk("", &schema(kind), &mut |path, schema| {
            for rule in schema.x_kubernetes_validations.iter().flatten() {
                rules += 1;
                let message = rule.message.clone().unwrap_or_default();
                assert!(
                    message.len() > 30 && !message.ends_with('.'),
                    "{kind}: {path}: {message:?}"
                );
            }
        });
        assert!(rules >= at_least, "{kind}: {rules}");
    }
}

#[test]
fn a_fresh_object_does_not_look_healthy() {
    let fresh = json!({"observedGeneration": -1});
    for kind in KINDS {
        let default = part(kind, "status").default.map(|default| default.0);
        assert_eq!(default.as_ref(), Some(&fresh), "{kind}");
    }
    let access: DOClusterAccessStatus = serde_json::from_value(fresh.clone()).expect("a status");
    assert_eq!(access.observed_generation, Some(-1));
    let account: DOAccountStatus = serde_json::from_value(fresh).expect("a status");
    assert_eq!(account.observed_generation, Some(-1));
}

#[test]
fn nothing_is_nullable_so_that_an_explicit_null_is_as_good_as_absent() {
    for name in ["spec", "status"] {
        let nullable = wrong(name, |_, schema| schema.nullable.is_some());
        assert!(nullable.is_empty(), "{nullable:#?}");
    }
}

/// List type and keys of a list.
fn list_type(kind: &str, part_name: &str, field: &str) -> (String, Option<Vec<String>>) {
    let property = part(kind, part_name)
        .properties
        .and_then(|mut fields| fields.remove(field))
        .expect(field);
    let list_type = property.x_kubernetes_list_type.expect("a list type");
    (list_type, property.x_kubernetes_list_map_keys)
}

#[test]
fn conditions_and_outputs_are_maps_so_that_applies_of_several_managers_merge() {
    for (kind, part_name, field, key) in [
        (ACCESS, "spec", "outputs", "secretName"),
        (ACCESS, "status", "outputs", "secretName"),
        (ACCESS, "status", "conditions", "type"),
        (ACCOUNT, "status", "conditions", "type"),
    ] {
        let expected = ("map".to_string(), Some(vec![key.to_string()]));
        assert_eq!(list_type(kind, part_name, field), expected, "{field}");
    }
}

#[test]
fn what_an_account_allows_is_one_value_so_that_nothing_of_another_manager_lives_on() {
    let atomic = ("atomic".to_string(), None);
    assert_eq!(list_type(ACCOUNT, "spec", "allowedNamespaces"), atomic);
    let clusters = part(ACCOUNT, "spec").properties.expect("fields")["allowedClusters"].clone();
    for (name, list) in clusters.properties.expect("lists") {
        assert_eq!(
            list.x_kubernetes_list_type.as_deref(),
            Some("atomic"),
            "{name}"
        );
    }
}

fn column_names(kind: &str, wide: bool) -> Vec<String> {
    let columns = version(kind).additional_printer_columns.expect("columns");
    let columns = columns.into_iter();
    let columns = columns.filter(|column| (column.priority == Some(1)) == wide);
    columns.map(|column| column.name).collect()
}

#[test]
fn the_columns_tell_whether_it_works_why_not_and_until_when() {
    assert_eq!(
        column_names(ACCESS, false),
        ["Ready", "Reason", "Cluster", "Expires", "Renews", "Age"]
    );
    assert_eq!(column_names(ACCESS, true), ["Verified", "Account"]);
    assert_eq!(column_names(ACCOUNT, false), ["Ready", "Reason", "Age"]);
    for (kind, reason_of) in [(ACCESS, "Synced"), (ACCOUNT, "Ready")] {
        for column in version(kind).additional_printer_columns.expect("columns") {
            // A date in the future is printed as <invalid>.
            let is_age = column.name == "Age";
            let expected = if is_age { "date" } else { "string" };
            assert_eq!(column.type_, expected, "{kind}: {}", column.name);
            assert!(column.description.is_some(), "{kind}: {}", column.name);
            if column.name == "Reason" {
                assert!(column.json_path.contains(reason_of), "{kind}");
            }
        }
    }
}

#[test]
fn an_access_is_namespaced_an_account_is_not_and_each_has_a_status_of_its_own() {
    for (kind, scope, short_name) in [
        (ACCESS, "Namespaced", "doca"),
        (ACCOUNT, "Cluster", "doacct"),
    ] {
        let definition = definition(kind);
        assert_eq!(definition.spec.scope, scope);
        assert_eq!(definition.spec.group, GROUP);
        let names = definition.spec.names;
        assert_eq!(names.short_names, Some(vec![short_name.to_string()]));
        assert_eq!(names.categories, Some(vec!["digitalocean".to_string()]));
        let version = version(kind);
        assert_eq!(version.name, "v1alpha1");
        assert!(version.served && version.storage);
        let has_status = version.subresources.is_some_and(|own| own.status.is_some());
        assert!(has_status, "{kind}");
    }
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
fn what_is_left_out_of_an_account_allows_nothing() {
    let spec = json!({"tokenSecretRef": {"name": "digitalocean"}});
    let spec: DOAccountSpec = serde_json::from_value(spec).expect("a spec");
    assert_eq!(spec.token_secret_ref.key, "access-token");
    assert!(spec.allowed_namespaces.is_empty());
    assert_eq!(spec.allowed_clusters, None);
}

#[test]
fn each_definition_in_the_repository_is_the_one_that_the_program_prints() {
    for definition in custom_resource_definitions() {
        let plural = &definition.spec.names.plural;
        let path = format!("{}/crds/{plural}.yaml", env!("CARGO_MANIFEST_DIR"));
        let committed = std::fs::read_to_string(&path).expect(&path);
        let yaml = serde_saphyr::to_string(&definition).expect("YAML");
        assert!(
            format!("---\n{yaml}") == committed,
            "crds/ is not current: run `make generate`"
        );
    }
}
