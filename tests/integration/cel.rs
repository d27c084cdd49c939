//! What the API server takes for a `DOClusterAccess` and a `DOAccount`, and what it answers to what it does
//! not take: one table a kind, checked against the rules of the CustomResourceDefinition without a cluster,
//! and against the real API server.

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

/// A kind of ours, and what is to become of objects of it.
struct Kind {
    name: &'static str,
    /// Where objects of it are created.
    path: &'static str,
    cases: fn() -> Vec<Case>,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "DOClusterAccess",
        path: "/apis/doclusteraccess.dev/v1alpha1/namespaces/default/doclusteraccesses",
        cases: cases_of_access,
    },
    Kind {
        name: "DOAccount",
        path: "/apis/doclusteraccess.dev/v1alpha1/doaccounts",
        cases: cases_of_account,
    },
];

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": kind,
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

fn cases_of(kind: &str, cases: Vec<(&'static str, Value, Verdict)>) -> Vec<Case> {
    let case = |(what, spec, verdict)| Case {
        what,
        object: object(kind, "prod", spec),
        verdict,
    };
    cases.into_iter().map(case).collect()
}

fn cases_of_access() -> Vec<Case> {
    let tables = [
        references(),
        times_and_choices(),
        outputs(),
        formats(),
        labels(),
        annotations(),
        options_of_formats(),
    ];
    let mut cases = names();
    cases.extend(cases_of("DOClusterAccess", tables.concat()));
    cases
}

fn cases_of_account() -> Vec<Case> {
    let tables = [
        tokens_of_accounts(),
        allowed_namespaces(),
        allowed_clusters(),
    ];
    cases_of("DOAccount", tables.concat())
}

#[rustfmt::skip]
fn names() -> Vec<Case> {
    const TOO_LONG: Verdict = Rule("metadata.name must have at most 63 characters");
    const DEFAULT_OUTPUT: Verdict =
        Rule("the default output would overwrite the Secret of tokenSecretRef");
    let named = |what, name: &str, spec, verdict| Case {
        what,
        object: object("DOClusterAccess", name, spec),
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

/// The smallest spec of an account with `fields` set; one that is null is left out.
fn account(fields: Value) -> Value {
    let mut spec = json!({"tokenSecretRef": {"name": "digitalocean"}});
    let Value::Object(fields) = fields else {
        panic!("{fields} are no fields");
    };
    let spec_fields = spec.as_object_mut().unwrap();
    spec_fields.extend(fields);
    spec_fields.retain(|_, value| !value.is_null());
    spec
}

#[rustfmt::skip]
fn tokens_of_accounts() -> Vec<(&'static str, Value, Verdict)> {
    const NO_DNS_NAME: Verdict = Rule("name must be a DNS-1123 subdomain");
    const NO_KEY: Verdict = Rule("key must consist of letters, digits, '-', '_' and '.'");
    let token = |token: Value| account(json!({"tokenSecretRef": token}));
    vec![
        ("an account with nothing but a token", account(json!({})), Accepted),
        ("an account without token", account(json!({"tokenSecretRef": null})), Structure("spec.tokenSecretRef: Required value")),
        ("a token with a key", token(json!({"name": "digitalocean", "key": "DO_TOKEN.txt-1"})), Accepted),
        ("a token Secret with capitals", token(json!({"name": "DigitalOcean"})), NO_DNS_NAME),
        ("a token Secret with a slash", token(json!({"name": "other/digitalocean"})), NO_DNS_NAME),
        ("a token Secret of a chosen namespace", token(json!({"name": "digitalocean", "namespace": "other"})), Structure("unknown field \"spec.tokenSecretRef.namespace\"")),
        ("a token Secret without name", token(json!({"key": "token"})), Structure("spec.tokenSecretRef.name: Required value")),
        ("a token Secret whose name has 254 characters", token(json!({"name": "a".repeat(254)})), Structure("may not be more than 253")),
        ("a token key with a slash", token(json!({"name": "digitalocean", "key": "a/b"})), NO_KEY),
        ("an empty token key", token(json!({"name": "digitalocean", "key": ""})), Structure("should be at least 1 chars long")),
        ("a token in the spec itself", account(json!({"token": "dop_v1_x"})), Structure("unknown field \"spec.token\"")),
        ("the address of another API", account(json!({"apiUrl": "https://example.com"})), Structure("unknown field \"spec.apiUrl\"")),
    ]
}

#[rustfmt::skip]
fn allowed_namespaces() -> Vec<(&'static str, Value, Verdict)> {
    const NO_GLOB: Verdict = Rule("allowedNamespaces must consist of names of namespaces");
    let namespaces = |globs: Value| account(json!({"allowedNamespaces": globs}));
    vec![
        ("no namespace", namespaces(json!([])), Accepted),
        ("a namespace", namespaces(json!(["argocd"])), Accepted),
        ("globs", namespaces(json!(["*", "?", "team-*", "*-ci", "a?c-0", "**"])), Accepted),
        ("a namespace twice, which is harmless", namespaces(json!(["a", "a"])), Accepted),
        ("a glob with capitals", namespaces(json!(["Team-*"])), NO_GLOB),
        ("a glob with a class", namespaces(json!(["team-[ab]"])), NO_GLOB),
        ("a glob with alternatives", namespaces(json!(["{a,b}"])), NO_GLOB),
        ("a glob with a negation", namespaces(json!(["!kube-system"])), NO_GLOB),
        ("a regular expression", namespaces(json!(["team-.*"])), NO_GLOB),
        ("a glob with an underscore", namespaces(json!(["team_a"])), NO_GLOB),
        ("a glob with a blank", namespaces(json!(["team-a team-b"])), NO_GLOB),
        ("a glob with a line break at its end", namespaces(json!(["team-a\n"])), NO_GLOB),
        ("a wrong glob among right ones", namespaces(json!(["a", "B", "c"])), NO_GLOB),
        ("an empty glob", namespaces(json!([""])), Structure("should be at least 1 chars long")),
        ("a glob of 63 characters", namespaces(json!(["a".repeat(63)])), Accepted),
        ("a glob of 64 characters", namespaces(json!(["a".repeat(64)])), Structure("may not be more than 63")),
        ("sixty-four globs, each as long as can be", namespaces(json!(vec!["a".repeat(63); 64])), Accepted),
        ("sixty-five globs", namespaces(json!(vec!["a"; 65])), Structure("must have at most 64 items")),
        ("a namespace in place of a list", namespaces(json!("argocd")), Structure("must be of type array")),
        ("a number", namespaces(json!([1])), Structure("must be of type string")),
        ("a null, which is dropped", json!({"tokenSecretRef": {"name": "digitalocean"}, "allowedNamespaces": null}), Accepted),
    ]
}

#[rustfmt::skip]
fn allowed_clusters() -> Vec<(&'static str, Value, Verdict)> {
    const NO_UUID: Verdict = Rule("allowedClusters.ids must be UUIDs");
    const NO_NAME: Verdict = Rule("allowedClusters.names must be names of clusters");
    let ids = |ids: Value| account(json!({"allowedClusters": {"ids": ids}}));
    let names = |names: Value| account(json!({"allowedClusters": {"names": names}}));
    vec![
        ("no list of clusters", account(json!({"allowedClusters": {}})), Accepted),
        ("empty lists of clusters", account(json!({"allowedClusters": {"ids": [], "names": []}})), Accepted),
        ("a cluster by id", ids(json!([UUID])), Accepted),
        ("an id in upper case", ids(json!([UUID.to_uppercase()])), Accepted),
        ("a name among ids", ids(json!([UUID, "prod"])), NO_UUID),
        ("a glob among ids", ids(json!(["*"])), NO_UUID),
        ("an empty id", ids(json!([""])), NO_UUID),
        ("an id without dashes", ids(json!([UUID.replace('-', "")])), NO_UUID),
        ("an id that lacks a digit", ids(json!([&UUID[1..]])), NO_UUID),
        ("an id with a letter beyond f", ids(json!([UUID.replace('b', "g")])), NO_UUID),
        ("an id that is too long", ids(json!([format!("{UUID}0")])), Structure("may not be more than 36")),
        ("256 ids", ids(json!(vec![UUID; 256])), Accepted),
        ("257 ids", ids(json!(vec![UUID; 257])), Structure("must have at most 256 items")),
        ("names and globs", names(json!(["prod", "Prod Cluster 01", "prod-*", "*", "?", "größe-?"])), Accepted),
        ("a name with a line break", names(json!(["prod\nstaging"])), NO_NAME),
        ("a name with a line break at its end", names(json!(["prod\n"])), NO_NAME),
        ("a name with a tab", names(json!(["prod\t"])), NO_NAME),
        ("a name with a zero byte", names(json!(["a\u{0}"])), NO_NAME),
        ("a name with a control character beyond ASCII", names(json!(["a\u{85}b"])), NO_NAME),
        ("a wrong name among right ones", names(json!(["a", "\u{7f}", "b"])), NO_NAME),
        ("an empty name", names(json!([""])), Structure("should be at least 1 chars long")),
        ("a name of 255 characters", names(json!(["a".repeat(255)])), Accepted),
        ("a name of 256 characters", names(json!(["a".repeat(256)])), Structure("may not be more than 255")),
        ("sixty-four names, each as long as can be", names(json!(vec!["a".repeat(255); 64])), Accepted),
        ("sixty-five names", names(json!(vec!["a"; 65])), Structure("must have at most 64 items")),
        ("clusters as a list", account(json!({"allowedClusters": ["prod"]})), Structure("must be of type object")),
        ("a list that does not exist", account(json!({"allowedClusters": {"tags": ["prod"]}})), Structure("unknown field \"spec.allowedClusters.tags\"")),
    ]
}

/// The schema of a kind as the API server has it.
fn schema(kind: &str) -> Value {
    let definition = custom_resource_definitions()
        .into_iter()
        .find(|definition| definition.spec.names.kind == kind);
    let definition = serde_json::to_value(definition.expect(kind)).unwrap();
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
    for (kind, at_least) in KINDS.iter().zip([15, 5]) {
        let messages = messages(&schema(kind.name));
        assert!(messages.len() >= at_least, "{messages:#?}");
        let cases = (kind.cases)();
        for message in messages {
            let broken = |case: &Case| matches!(case.verdict, Rule(part) if message.contains(part));
            assert!(cases.iter().any(broken), "nothing breaks: {message}");
        }
    }
}

#[test]
fn each_rule_accepts_and_refuses_as_the_table_says() {
    let validator = Validator::new();
    let failure = |schema: &Value, case: &Case| {
        let found = match validator.validate(schema, &without_nulls(&case.object), None) {
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
    };
    assert_all(KINDS.iter().flat_map(|kind| {
        let schema = schema(kind.name);
        let cases = (kind.cases)().into_iter();
        cases.map(move |case| failure(&schema, &case))
    }));
}

/// Asks the API server, which keeps nothing of it, and takes no unknown field. Its answer, empty when
/// it accepts.
async fn ask(client: &Client, path: &str, object: &Value) -> String {
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
    let cases: Vec<_> = KINDS
        .iter()
        .flat_map(|kind| (kind.cases)().into_iter().map(|case| (kind.path, case)))
        .collect();
    let checks = cases.iter().map(async |(path, case)| {
        let found = ask(&client, path, &case.object).await;
        let as_expected = match case.verdict {
            Accepted => found.is_empty(),
            Rule(part) | Structure(part) => found.contains(part),
        };
        (!as_expected).then(|| format!("{}: {:?}, but: {found}", case.what, case.verdict))
    });
    assert_all(futures::future::join_all(checks).await);
}

/// A new object as the API server would keep it.
async fn fresh(client: &Client, kind: &Kind, spec: Value) -> Value {
    let request = http::Request::post(format!("{}?dryRun=All", kind.path))
        .header("content-type", "application/json")
        .body(object(kind.name, "fresh", spec).to_string().into_bytes());
    client.request(request.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_fresh_account_does_not_look_healthy_and_allows_nothing() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let client = world.control_plane.admin_client().await.unwrap();
    let created = fresh(&client, &KINDS[1], account(json!({}))).await;
    assert_eq!(created["status"], json!({"observedGeneration": -1}));
    let expected = json!({"tokenSecretRef": {"name": "digitalocean", "key": "access-token"}});
    assert_eq!(created["spec"], expected);
}

#[tokio::test]
async fn a_fresh_object_has_a_status_that_does_not_look_healthy() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let client = world.control_plane.admin_client().await.unwrap();
    let created = fresh(&client, &KINDS[0], spec(json!({}))).await;
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
