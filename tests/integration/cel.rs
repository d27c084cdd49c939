//! What the API server takes for a `DOClusterAccess`, and what it answers to what it does not take: one
//! table, checked against the rules of the CustomResourceDefinition without a cluster, and against the
//! real API server.

use std::collections::BTreeSet;

use do_cluster_access::api::custom_resource_definitions;
use kube::Client;
use kube_cel::Validator;
use serde_json::{Map, Value, json};

use crate::harness::{World, unavailable};

const UUID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";

/// What is to become of an object.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Accepted,
    /// By a validation rule, whose message has this part.
    Rule(&'static str),
    /// By type, bound, enumeration or unknown field; the answer has this part.
    Structure(&'static str),
}

struct Case {
    what: &'static str,
    object: Value,
    verdict: Verdict,
}

use Verdict::{Accepted, Rule, Structure};

fn object(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The smallest useful spec with `fields` set; one that is null is left out.
fn spec(fields: Value) -> Value {
    let mut spec = Map::new();
    spec.insert("cluster".to_owned(), json!({"name": "prod"}));
    spec.insert("tokenSecretRef".to_owned(), json!({"name": "digitalocean"}));
    let Value::Object(fields) = fields else {
        panic!("{fields} are no fields");
    };
    spec.extend(fields);
    spec.retain(|_, value| !value.is_null());
    Value::Object(spec)
}

/// A spec with one output, which has a name and `fields`.
fn with_output(fields: Value) -> Value {
    let mut output = json!({"secretName": "prod-kubeconfig"});
    let Value::Object(fields) = fields else {
        panic!("{fields} are no fields");
    };
    output.as_object_mut().unwrap().extend(fields);
    spec(json!({"outputs": [output]}))
}

fn cases_of(cases: Vec<(&'static str, Value, Verdict)>) -> Vec<Case> {
    let case = |(what, spec, verdict)| Case {
        what,
        object: object("prod", spec),
        verdict,
    };
    cases.into_iter().map(case).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(cases_of(references()));
    cases.extend(cases_of(times_and_choices()));
    cases.extend(cases_of(outputs()));
    cases.extend(cases_of(formats()));
    cases.extend(cases_of(labels()));
    cases.extend(cases_of(annotations()));
    cases.extend(cases_of(options_of_formats()));
    cases
}

#[rustfmt::skip]
fn names() -> Vec<Case> {
    const TOO_LONG: Verdict = Rule("metadata.name must have at most 63 characters");
    const DEFAULT_OUTPUT: Verdict =
        Rule("the default output would overwrite the Secret of tokenSecretRef");
    let named = |what, name: &str, spec, verdict| Case {
        what,
        object: object(name, spec),
        verdict,
    };
    let token = |name: &str| spec(json!({"tokenSecretRef": {"name": name}}));
    let elsewhere = json!({
        "tokenSecretRef": {"name": "web-kubeconfig"},
        "outputs": [{"secretName": "other"}],
    });
    vec![
        named("a name of 63 characters", &"a".repeat(63), spec(json!({})), Accepted),
        named("a name of 64 characters", &"a".repeat(64), spec(json!({})), TOO_LONG),
        named("a default output beside the token", "web", token("web"), Accepted),
        named("a default output over the token", "web", token("web-kubeconfig"), DEFAULT_OUTPUT),
        named("an output of another name than the token", "web", spec(elsewhere), Accepted),
        named("a default output without a token Secret", "web", spec(json!({"tokenSecretRef": null})), Accepted),
    ]
}

#[rustfmt::skip]
fn references() -> Vec<(&'static str, Value, Verdict)> {
    const ONE_OF_BOTH: Verdict = Rule("set exactly one of cluster.name and cluster.id");
    const AT_MOST_ONE: Verdict = Rule("set at most one of accountRef and tokenSecretRef");
    const NO_UUID: Verdict = Rule("cluster.id must be a UUID");
    const NO_DNS_NAME: Verdict = Rule("name must be a DNS-1123 subdomain");
    const NO_KEY: Verdict = Rule("key must consist of letters, digits, '-', '_' and '.'");
    let cluster = |cluster: Value| spec(json!({"cluster": cluster}));
    let token = |token: Value| spec(json!({"tokenSecretRef": token}));
    let account = |account: Value| spec(json!({"tokenSecretRef": null, "accountRef": account}));
    vec![
        ("a cluster by name", cluster(json!({"name": "Prod Cluster 01"})), Accepted),
        ("a cluster by id", cluster(json!({"id": UUID})), Accepted),
        ("an id in upper case", cluster(json!({"id": UUID.to_uppercase()})), Accepted),
        ("a cluster by both", cluster(json!({"name": "prod", "id": UUID})), ONE_OF_BOTH),
        ("a cluster by neither", cluster(json!({})), ONE_OF_BOTH),
        ("a null beside a name, which is dropped", cluster(json!({"name": "prod", "id": null})), Accepted),
        ("a name for an id", cluster(json!({"id": "prod"})), NO_UUID),
        ("an empty id", cluster(json!({"id": ""})), NO_UUID),
        ("an id without dashes", cluster(json!({"id": UUID.replace('-', "")})), NO_UUID),
        ("an id that lacks a digit", cluster(json!({"id": &UUID[1..]})), NO_UUID),
        ("an id with a letter beyond f", cluster(json!({"id": UUID.replace('b', "g")})), NO_UUID),
        ("an id that is too long", cluster(json!({"id": format!("{UUID}0")})), Structure("may not be more than 36")),
        ("an empty cluster name", cluster(json!({"name": ""})), Structure("should be at least 1 chars long")),
        ("a cluster name of 255 characters", cluster(json!({"name": "a".repeat(255)})), Accepted),
        ("a cluster name of 256 characters", cluster(json!({"name": "a".repeat(256)})), Structure("may not be more than 255")),
        ("no cluster", spec(json!({"cluster": null})), Structure("spec.cluster: Required value")),
        ("a field of cluster that does not exist", cluster(json!({"name": "prod", "region": "nyc1"})), Structure("unknown field \"spec.cluster.region\"")),
        ("no token and no account", spec(json!({"tokenSecretRef": null})), Accepted),
        ("an account", account(json!({"name": "default"})), Accepted),
        ("an account with a dot in its name", account(json!({"name": "team.a-1"})), Accepted),
        ("a token and an account", spec(json!({"accountRef": {"name": "default"}})), AT_MOST_ONE),
        ("an account with capitals", account(json!({"name": "Default"})), NO_DNS_NAME),
        ("an account with an underscore", account(json!({"name": "a_b"})), NO_DNS_NAME),
        ("an account without name", account(json!({})), Structure("spec.accountRef.name: Required value")),
        ("an account with a namespace", account(json!({"name": "default", "namespace": "x"})), Structure("unknown field \"spec.accountRef.namespace\"")),
        ("a token with a key", token(json!({"name": "digitalocean", "key": "DO_TOKEN.txt-1"})), Accepted),
        ("a token Secret with capitals", token(json!({"name": "DigitalOcean"})), NO_DNS_NAME),
        ("a token Secret that ends with a dash", token(json!({"name": "digitalocean-"})), NO_DNS_NAME),
        ("a token Secret with a slash", token(json!({"name": "other/digitalocean"})), NO_DNS_NAME),
        ("a token Secret of another namespace", token(json!({"name": "digitalocean", "namespace": "other"})), Structure("unknown field \"spec.tokenSecretRef.namespace\"")),
        ("a token Secret without name", token(json!({"key": "token"})), Structure("spec.tokenSecretRef.name: Required value")),
        ("a token key with a slash", token(json!({"name": "digitalocean", "key": "a/b"})), NO_KEY),
        ("a token key with a blank", token(json!({"name": "digitalocean", "key": "access token"})), NO_KEY),
        ("an empty token key", token(json!({"name": "digitalocean", "key": ""})), Structure("should be at least 1 chars long")),
        ("a token key of 254 characters", token(json!({"name": "digitalocean", "key": "a".repeat(254)})), Structure("may not be more than 253")),
        ("a token in the spec itself", token(json!({"name": "digitalocean", "token": "dop_v1_x"})), Structure("unknown field \"spec.tokenSecretRef.token\"")),
    ]
}

#[rustfmt::skip]
fn times_and_choices() -> Vec<(&'static str, Value, Verdict)> {
    const NOT_LESS: Verdict = Rule("renewBeforeSeconds must be less than expirySeconds");
    let expiry = |seconds: Value| spec(json!({"expirySeconds": seconds}));
    let margin = |seconds: Value| spec(json!({"renewBeforeSeconds": seconds}));
    let both = |expiry: i64, margin: i64| {
        spec(json!({"expirySeconds": expiry, "renewBeforeSeconds": margin}))
    };
    vec![
        ("the shortest lifetime", expiry(json!(60)), Accepted),
        ("a lifetime that is too short", expiry(json!(59)), Structure("should be greater than or equal to 60")),
        ("the longest lifetime", expiry(json!(31_536_000)), Accepted),
        ("a lifetime that is too long", expiry(json!(31_536_001)), Structure("should be less than or equal to 31536000")),
        ("a lifetime in quotes", expiry(json!("3600")), Structure("must be of type integer")),
        ("a lifetime with a unit", expiry(json!("1h")), Structure("must be of type integer")),
        ("a broken lifetime", expiry(json!(3600.5)), Structure("must be of type integer")),
        ("a null lifetime, which is dropped", json!({"cluster": {"name": "prod"}, "expirySeconds": null}), Accepted),
        ("a margin of one second", margin(json!(1)), Accepted),
        ("no margin at all", margin(json!(0)), Structure("should be greater than or equal to 1")),
        ("a margin just below the default lifetime", margin(json!(604_799)), Accepted),
        ("a margin of the default lifetime", margin(json!(604_800)), NOT_LESS),
        ("a margin just below the lifetime", both(3600, 3599), Accepted),
        ("a margin of the lifetime", both(3600, 3600), NOT_LESS),
        ("a margin beyond the default, below a longer lifetime", both(1_209_600, 700_000), Accepted),
        ("a margin beyond any lifetime", both(31_536_000, 31_536_000), Structure("should be less than or equal to 31535999")),
        ("a rendered kubeconfig", spec(json!({"kubeconfigSource": "Rendered"})), Accepted),
        ("another source", spec(json!({"kubeconfigSource": "doctl"})), Structure("Unsupported value: \"doctl\"")),
        ("verification required", spec(json!({"verification": "Required"})), Accepted),
        ("no verification", spec(json!({"verification": "Off"})), Accepted),
        ("verification in lower case", spec(json!({"verification": "off"})), Structure("Unsupported value: \"off\"")),
        ("Secrets that stay", spec(json!({"deletionPolicy": "Retain"})), Accepted),
        ("another deletion policy", spec(json!({"deletionPolicy": "Orphan"})), Structure("Unsupported value: \"Orphan\"")),
        ("a suspended access", spec(json!({"suspend": true})), Accepted),
        ("suspension as text", spec(json!({"suspend": "true"})), Structure("must be of type boolean")),
        ("a field that does not exist", spec(json!({"colour": "red"})), Structure("unknown field \"spec.colour\"")),
        ("a field with a typing error", spec(json!({"expirySecond": 3600})), Structure("unknown field \"spec.expirySecond\"")),
    ]
}

/// So many outputs.
fn numbered(count: usize) -> Value {
    let output = |number| json!({"secretName": format!("output-{number}")});
    spec(json!({"outputs": (0..count).map(output).collect::<Vec<_>>()}))
}

#[rustfmt::skip]
fn outputs() -> Vec<(&'static str, Value, Verdict)> {
    const NO_DNS_NAME: Verdict = Rule("secretName must be a DNS-1123 subdomain");
    const OVER_TOKEN: Verdict = Rule("an output must not overwrite the Secret of tokenSecretRef");
    let named = |name: &str| with_output(json!({"secretName": name}));
    vec![
        ("one output", numbered(1), Accepted),
        ("sixteen outputs", numbered(16), Accepted),
        ("seventeen outputs", numbered(17), Structure("must have at most 16 items")),
        ("no output", numbered(0), Structure("should have at least 1 items")),
        ("two outputs of one name", spec(json!({"outputs": [{"secretName": "a"}, {"secretName": "a"}]})), Structure("Duplicate value")),
        ("an output without name", spec(json!({"outputs": [{"format": "Kubeconfig"}]})), Structure("secretName: Required value")),
        ("an output over the token", named("digitalocean"), OVER_TOKEN),
        ("a second output over the token", spec(json!({"outputs": [{"secretName": "a"}, {"secretName": "digitalocean"}]})), OVER_TOKEN),
        ("an output with dots", named("prod.kubeconfig-1"), Accepted),
        ("an output with capitals", named("Prod"), NO_DNS_NAME),
        ("an output with an underscore", named("prod_kubeconfig"), NO_DNS_NAME),
        ("an output that starts with a dash", named("-prod"), NO_DNS_NAME),
        ("an output with a path", named("../prod"), NO_DNS_NAME),
        ("an output without characters", named(""), Structure("should be at least 1 chars long")),
        ("an output of 254 characters", named(&"a".repeat(254)), Structure("may not be more than 253")),
        ("an output in another namespace", with_output(json!({"namespace": "other"})), Structure("unknown field \"spec.outputs[0].namespace\"")),
        ("an adopted output", with_output(json!({"adopt": true})), Accepted),
        ("an output as text", spec(json!({"outputs": ["prod"]})), Structure("must be of type object")),
    ]
}

#[rustfmt::skip]
fn formats() -> Vec<(&'static str, Value, Verdict)> {
    const DELETION: Verdict = Rule("with an ArgoCD output set deletionPolicy to Delete or Retain");
    const CLUSTER_API: Verdict =
        Rule("with format ClusterAPI secretName must be the cluster's name");
    let format = |format: &str| with_output(json!({"format": format}));
    let cluster_api = |name: &str| with_output(json!({"secretName": name, "format": "ClusterAPI"}));
    // kube-cel, unlike the API server, takes no part of a DNS name beyond 63 characters.
    let of_length =
        |length: usize| format!("{}.{}-kubeconfig", "a".repeat(31), "b".repeat(length - 32));
    let argocd = |policy: Value| {
        let outputs = json!([{"secretName": "a"}, {"secretName": "b", "format": "ArgoCD"}]);
        spec(json!({"outputs": outputs, "deletionPolicy": policy}))
    };
    vec![
        ("format Kubeconfig", format("Kubeconfig"), Accepted),
        ("format Flux", format("Flux"), Accepted),
        ("format Karmada", format("Karmada"), Accepted),
        ("format ClusterAPI", format("ClusterAPI"), Accepted),
        ("another format", format("Rancher"), Structure("Unsupported value: \"Rancher\"")),
        ("ArgoCD with deletion", argocd(json!("Delete")), Accepted),
        ("ArgoCD with retention", argocd(json!("Retain")), Accepted),
        ("ArgoCD without a word on deletion", argocd(Value::Null), DELETION),
        ("ClusterAPI for a cluster of 63 characters", cluster_api(&of_length(63)), Accepted),
        ("ClusterAPI for a cluster of 64 characters", cluster_api(&of_length(64)), CLUSTER_API),
        ("ClusterAPI with another suffix", cluster_api("prod-config"), CLUSTER_API),
        ("ClusterAPI with nothing before the suffix", cluster_api("kubeconfig"), CLUSTER_API),
    ]
}

/// So many entries of a map.
fn entries(count: usize) -> Value {
    (0..count)
        .map(|number| (format!("key-{number}"), json!("value")))
        .collect::<Map<_, _>>()
        .into()
}

#[rustfmt::skip]
fn labels() -> Vec<(&'static str, Value, Verdict)> {
    const RESERVED: Verdict =
        Rule("label keys under kubernetes.io, k8s.io and doclusteraccess.dev are reserved");
    const INVALID: Verdict = Rule("labels must have valid keys (name, or prefix/name) and values");
    let labels = |labels: Value| with_output(json!({"labels": labels}));
    vec![
        ("a label", labels(json!({"team": "payments"})), Accepted),
        ("a label with a prefix", labels(json!({"example.com/Team_1": "a.b-c_D"})), Accepted),
        ("an empty value", labels(json!({"team": ""})), Accepted),
        ("the labels of an application that are free", labels(json!({"app.kubernetes.io/name": "a", "app.kubernetes.io/part-of": "b", "app.kubernetes.io/component": "c", "app.kubernetes.io/version": "d"})), Accepted),
        ("the label that says who manages it", labels(json!({"app.kubernetes.io/managed-by": "me"})), RESERVED),
        ("another label of an application", labels(json!({"app.kubernetes.io/instance": "a"})), RESERVED),
        ("a label of ours", labels(json!({"doclusteraccess.dev/access": "other"})), RESERVED),
        ("a label below ours", labels(json!({"tags.doclusteraccess.dev/env": "prod"})), RESERVED),
        ("a label under kubernetes.io", labels(json!({"kubernetes.io/metadata.name": "a"})), RESERVED),
        ("a label under k8s.io", labels(json!({"node.k8s.io/x": "a"})), RESERVED),
        ("a label of a domain that only ends alike", labels(json!({"notkubernetes.io/x": "a", "k8s.io.example.com/x": "a"})), Accepted),
        ("a label key that is a name with a reserved domain's letters", labels(json!({"kubernetes.io": "a"})), Accepted),
        ("a label that another operator reads", labels(json!({"argocd.argoproj.io/secret-type": "cluster"})), Accepted),
        ("a key with a blank", labels(json!({"my team": "a"})), INVALID),
        ("an empty key", labels(json!({"": "a"})), INVALID),
        ("a key with two slashes", labels(json!({"a/b/c": "a"})), INVALID),
        ("a key of 64 characters", labels(json!({"a".repeat(64): "a"})), INVALID),
        ("a key with a prefix that is no domain", labels(json!({"Example_/x": "a"})), INVALID),
        ("a value with a blank", labels(json!({"team": "the payments team"})), INVALID),
        ("a value that ends with a dash", labels(json!({"team": "payments-"})), INVALID),
        ("a value of 63 characters", labels(json!({"team": "a".repeat(63)})), Accepted),
        ("a value of 64 characters", labels(json!({"team": "a".repeat(64)})), Structure("may not be more than 63")),
        ("a value that is a number", labels(json!({"team": 1})), Structure("must be of type string")),
        ("thirty-two labels", labels(entries(32)), Accepted),
        ("thirty-three labels", labels(entries(33)), Structure("Too many: 33: must have at most 32 items")),
    ]
}

#[rustfmt::skip]
fn annotations() -> Vec<(&'static str, Value, Verdict)> {
    const RESERVED: Verdict =
        Rule("annotation keys under kubernetes.io, k8s.io and doclusteraccess.dev are reserved");
    const INVALID: Verdict = Rule("annotation keys must be valid");
    let annotations = |annotations: Value| with_output(json!({"annotations": annotations}));
    vec![
        ("an annotation", annotations(json!({"contact": "the payments team <payments@example.com>"})), Accepted),
        ("an annotation with a prefix", annotations(json!({"reflector.v1.example.com/allowed": "true"})), Accepted),
        ("an annotation that is free", annotations(json!({"app.kubernetes.io/version": "1 (beta)"})), Accepted),
        ("an annotation of ours", annotations(json!({"doclusteraccess.dev/expires-at": "2099-01-01T00:00:00Z"})), RESERVED),
        ("what kubectl writes", annotations(json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"})), RESERVED),
        ("an annotation under k8s.io", annotations(json!({"k8s.io/x": "a"})), RESERVED),
        ("an annotation with a blank in its key", annotations(json!({"my team": "a"})), INVALID),
        ("an annotation with an empty key", annotations(json!({"": "a"})), INVALID),
        ("an annotation of 4096 characters", annotations(json!({"a": "x".repeat(4096)})), Accepted),
        ("an annotation of 4097 characters", annotations(json!({"a": "x".repeat(4097)})), Structure("may not be more than 4096")),
        ("thirty-two annotations", annotations(entries(32)), Accepted),
        ("thirty-three annotations", annotations(entries(33)), Structure("Too many: 33: must have at most 32 items")),
    ]
}

#[rustfmt::skip]
fn options_of_formats() -> Vec<(&'static str, Value, Verdict)> {
    const KEYS: Verdict =
        Rule("keys is required with format Custom and must be absent with any other format");
    const ONLY_ARGOCD: Verdict = Rule("argocd is only for format ArgoCD");
    const NO_KEY: Verdict = Rule("key must consist of letters, digits, '-', '_' and '.'");
    let keys = json!([{"key": "kubeconfig", "field": "Kubeconfig"}]);
    let custom = |keys: Value| with_output(json!({"format": "Custom", "keys": keys}));
    let numbered_keys = |count: usize| -> Value {
        (0..count)
            .map(|number| json!({"key": format!("key-{number}"), "field": "Token"}))
            .collect()
    };
    let argocd = |options: Value| {
        let outputs = json!([{"secretName": "a", "format": "ArgoCD", "argocd": options}]);
        spec(json!({"outputs": outputs, "deletionPolicy": "Retain"}))
    };
    let namespaces = |count: usize| json!({"namespaces": vec!["web"; count]});
    vec![
        ("Custom with keys", custom(keys.clone()), Accepted),
        ("Custom without keys", with_output(json!({"format": "Custom"})), KEYS),
        ("Custom with no key", custom(json!([])), Structure("should have at least 1 items")),
        ("Custom with thirty-two keys", custom(numbered_keys(32)), Accepted),
        ("Custom with thirty-three keys", custom(numbered_keys(33)), Structure("must have at most 32 items")),
        ("Custom with a key twice", custom(json!([{"key": "a", "field": "Token"}, {"key": "a", "field": "Server"}])), Structure("Duplicate value")),
        ("Custom with a key that is none", custom(json!([{"key": "a/b", "field": "Token"}])), NO_KEY),
        ("Custom with an empty key", custom(json!([{"key": "", "field": "Token"}])), Structure("should be at least 1 chars long")),
        ("Custom with another field", custom(json!([{"key": "a", "field": "Password"}])), Structure("Unsupported value: \"Password\"")),
        ("Custom with a key for nothing", custom(json!([{"key": "a"}])), Structure("field: Required value")),
        ("keys with another format", with_output(json!({"keys": keys, "format": "Flux"})), KEYS),
        ("keys with the default format", with_output(json!({"keys": keys})), KEYS),
        ("options of ArgoCD", argocd(json!({"name": "prod", "project": "web", "namespaces": ["web", "jobs"], "clusterResources": true, "shard": 1})), Accepted),
        ("no options of ArgoCD", argocd(json!({})), Accepted),
        ("options of ArgoCD with another format", with_output(json!({"argocd": {"project": "web"}})), ONLY_ARGOCD),
        ("a shard below zero", argocd(json!({"shard": -1})), Structure("should be greater than or equal to 0")),
        ("a shard too many", argocd(json!({"shard": 1024})), Structure("should be less than or equal to 1023")),
        ("sixty-four namespaces", argocd(namespaces(64)), Accepted),
        ("sixty-five namespaces", argocd(namespaces(65)), Structure("must have at most 64 items")),
        ("no namespace", argocd(namespaces(0)), Structure("should have at least 1 items")),
        ("a namespace of 64 characters", argocd(json!({"namespaces": ["a".repeat(64)]})), Structure("may not be more than 63")),
        ("an empty project", argocd(json!({"project": ""})), Structure("should be at least 1 chars long")),
        ("an option that does not exist", argocd(json!({"server": "https://example.com"})), Structure("unknown field \"spec.outputs[0].argocd.server\"")),
    ]
}

/// The schema as the API server has it.
fn schema() -> Value {
    let definition = custom_resource_definitions().remove(0);
    let definition = serde_json::to_value(definition).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The messages of every rule at or below `schema`.
fn messages(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match schema {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.insert(rule["message"].as_str().unwrap().to_owned());
            }
            found.extend(fields.values().flat_map(messages));
        }
        Value::Array(items) => found.extend(items.iter().flat_map(messages)),
        _ => {}
    }
    found
}

/// The API server drops a null where none is allowed before it looks at the rules.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        value => value.clone(),
    }
}

/// What does not come out as the table says, a line each.
fn assert_all(failures: impl IntoIterator<Item = Option<String>>) {
    let failures: Vec<_> = failures.into_iter().flatten().collect();
    assert!(
        failures.is_empty(),
        "{} of the table:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn the_table_has_a_case_that_breaks_each_rule() {
    let messages = messages(&schema());
    assert!(messages.len() > 15, "{messages:#?}");
    let cases = cases();
    for message in messages {
        let broken = |case: &Case| matches!(case.verdict, Rule(part) if message.contains(part));
        assert!(cases.iter().any(broken), "nothing breaks: {message}");
    }
}

#[test]
fn each_rule_accepts_and_refuses_as_the_table_says() {
    let (schema, validator) = (schema(), Validator::new());
    assert_all(cases().iter().map(|case| {
        let found = match validator.validate(&schema, &without_nulls(&case.object), None) {
            Ok(()) => String::new(),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        let as_expected = match case.verdict {
            Accepted => found.is_empty(),
            Rule(part) => found.contains(part) && found.lines().count() == 1,
            // No matter of the rules.
            Structure(_) => true,
        };
        (!as_expected).then(|| format!("{}: {:?}, but: {found}", case.what, case.verdict))
    }));
}

/// Asks the API server, which keeps nothing of it, and takes no unknown field. Its answer, empty when
/// it accepts.
async fn ask(client: &Client, object: &Value) -> String {
    let path = "/apis/doclusteraccess.dev/v1alpha1/namespaces/default/doclusteraccesses";
    let request = http::Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => String::new(),
        Err(kube::Error::Api(status)) if [400, 422].contains(&status.code) => {
            status.message.clone()
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_real_api_server_accepts_and_refuses_as_the_table_says() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let client = world.control_plane.admin_client().await.unwrap();
    let cases = cases();
    let checks = cases.iter().map(async |case| {
        let found = ask(&client, &case.object).await;
        let as_expected = match case.verdict {
            Accepted => found.is_empty(),
            Rule(part) | Structure(part) => found.contains(part),
        };
        (!as_expected).then(|| format!("{}: {:?}, but: {found}", case.what, case.verdict))
    });
    assert_all(futures::future::join_all(checks).await);
}

#[tokio::test]
async fn a_fresh_object_has_a_status_that_does_not_look_healthy() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let client = world.control_plane.admin_client().await.unwrap();
    let path = "/apis/doclusteraccess.dev/v1alpha1/namespaces/default/doclusteraccesses?dryRun=All";
    let body = object("fresh", spec(json!({}))).to_string().into_bytes();
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let created: Value = client.request(request).await.unwrap();
    assert_eq!(created["status"], json!({"observedGeneration": -1}));
    let spec = &created["spec"];
    assert_eq!(spec["tokenSecretRef"]["key"], "access-token");
    assert_eq!(spec["kubeconfigSource"], "DigitalOcean");
    assert_eq!(spec["verification"], "WhenReachable");
    assert_eq!(spec["suspend"], false);
    // What is absent stays absent: it must not look as if the user had asked for it.
    for field in [
        "expirySeconds",
        "renewBeforeSeconds",
        "outputs",
        "deletionPolicy",
        "accountRef",
    ] {
        assert!(spec.get(field).is_none(), "{field}");
    }
}
