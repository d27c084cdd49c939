//! Real documents to start from: the simulator's answers, honest and with each of its faults, and our
//! own resources. Every secret in them holds the canary.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use do_cluster_access_testbed::simulator::{
    self, Account, Authentication, BrokenAuthority, CertificateExpiry, Cluster, ExpiresAt, Fault,
    FaultKind, KubeconfigDefect, LimitWindow, Operation, Request, Scope, Settings, Simulator, Sso,
};
use http::StatusCode;
use serde_json::{Value, json};

use super::answers::{CLUSTER_ID, Given};
use super::secrecy::CANARY;
use super::secrets::stored;
use crate::api::{ArgoCdOptions, CustomField, CustomKey, DeletionPolicy, Output, OutputFormat};
use crate::credential::Credential;
use crate::kubeconfig;
use crate::outputs::{Facts, Material, Owner, Placement, Source};
use crate::rotation::Issue;

/// UID of the access that every seed of a Secret belongs to.
pub(crate) const ACCESS_UID: &str = "ecadb801-22a4-4948-ab48-930427c76c17";
const API_TOKEN: &str = "dop_v1_seed";
const ISSUED_AT: i64 = 1_795_338_000;

fn simulator(authentication: Authentication) -> Simulator {
    let simulator = Simulator::new(Settings {
        clock: Arc::new(|| jiff::Timestamp::constant(ISSUED_AT, 123_456_789)),
        ..Settings::default()
    })
    .expect("a simulator");
    let account = Account::default();
    let label = account.label.clone();
    simulator.add_account(account).expect("the first account");
    let scope = Scope::default();
    simulator
        .add_token(&label, API_TOKEN, scope)
        .expect("an account");
    let cluster = Cluster {
        id: CLUSTER_ID.to_owned(),
        name: "prod".to_owned(),
        region: "nyc1".to_owned(),
        tags: vec!["env:prod".to_owned(), "blue".to_owned()],
        sso: Some(Sso::default()),
        authentication,
        ..Cluster::default()
    };
    simulator
        .add_cluster(&label, cluster)
        .expect("the first cluster");
    simulator
}

fn ask(simulator: &Simulator, operation: Operation) -> Given {
    let path = match operation {
        Operation::ListClusters => "/v2/kubernetes/clusters".to_owned(),
        Operation::GetCluster => format!("/v2/kubernetes/clusters/{CLUSTER_ID}"),
        Operation::GetKubeconfig => format!("/v2/kubernetes/clusters/{CLUSTER_ID}/kubeconfig"),
        Operation::GetCredentials => format!("/v2/kubernetes/clusters/{CLUSTER_ID}/credentials"),
    };
    let query = match operation {
        Operation::ListClusters => "per_page=200&page=1",
        Operation::GetKubeconfig => "type=token",
        _ => "",
    };
    let answer = simulator.handle(&Request {
        path,
        query: query.to_owned(),
        authorization: Some(format!("Bearer {API_TOKEN}")),
        base_url: "https://api.example.com".to_owned(),
        ..Request::default()
    });
    Given {
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
    }
}

/// The faults that change what is answered to `operation`.
fn faults(operation: Operation) -> Vec<FaultKind> {
    let mut faults = vec![
        FaultKind::TruncatedDocument,
        FaultKind::ContentType("text/html".to_owned()),
        FaultKind::DateSkew(-94_000),
        FaultKind::Redirect {
            code: 302,
            location: "https://elsewhere.example.com/".to_owned(),
        },
        FaultKind::RateLimit {
            window: LimitWindow::Minute,
            retry_after: Some("29".to_owned()),
            reset_seconds: 60,
        },
        FaultKind::RateLimit {
            window: LimitWindow::Hour,
            retry_after: None,
            reset_seconds: -1500,
        },
    ];
    for code in [401, 403, 404, 500, 503, 504] {
        faults.push(FaultKind::Status {
            code,
            body: simulator::ErrorBody::default(),
            retry_after: (code == 503).then(|| "Sun, 22 Nov 2026 09:01:30 GMT".to_owned()),
        });
    }
    faults.extend(match operation {
        Operation::ListClusters => vec![
            FaultKind::ShortPage(1),
            FaultKind::ForeignNextLink("https://elsewhere.example.com".to_owned()),
        ],
        Operation::GetCluster => vec![],
        Operation::GetKubeconfig => {
            use KubeconfigDefect::{
                AuthProvider, CertificateAuthorityFile, ClientCertificateFile, Exec,
                InsecureSkipTlsVerify, NoCredential, NotAKubeconfig, NotYaml, ProxyUrl, TokenFile,
                TwoClusters, TwoContexts, TwoUsers,
            };
            let defects = [
                Exec,
                AuthProvider,
                TokenFile,
                ClientCertificateFile,
                CertificateAuthorityFile,
                ProxyUrl,
                InsecureSkipTlsVerify,
                TwoContexts,
                TwoUsers,
                TwoClusters,
                NoCredential,
                NotYaml,
                NotAKubeconfig,
            ];
            defects.map(FaultKind::Kubeconfig).to_vec()
        }
        Operation::GetCredentials => {
            use ExpiresAt::{Absent, Empty, Null, Past, Unparsable, YearOne};
            let ends = [Null, Absent, YearOne, Past, Unparsable, Empty];
            let mut faults = ends.map(FaultKind::ExpiresAt).to_vec();
            faults.push(FaultKind::NoCredential);
            faults
        }
    });
    if operation.mints() {
        use BrokenAuthority::{Absent, NotBase64, NotPem};
        faults.extend([NotBase64, NotPem, Absent].map(FaultKind::CertificateAuthority));
        faults.push(FaultKind::PlainHttpServer);
        faults.push(FaultKind::Server(
            "https://elsewhere.example.com".to_owned(),
        ));
    }
    faults
}

/// What the simulator answers to `operation`: honestly for a cluster with tokens and one with
/// certificates, and with each fault.
fn answers(operation: Operation) -> Vec<Given> {
    let certificate = Authentication::Certificate {
        lifetime_seconds: 86_400,
        expires_at: CertificateExpiry::Null,
    };
    let honest = [Authentication::Token, certificate].map(simulator);
    let mut answers: Vec<_> = honest.iter().map(|world| ask(world, operation)).collect();
    for fault in faults(operation) {
        let [world, _] = &honest;
        world.inject(Fault::new(fault)).expect("a sound fault");
        answers.push(ask(world, operation));
        world.clear_faults();
    }
    answers.into_iter().map(with_canary).collect()
}

/// The same with the canary for a token. Other bytes stay as they are.
fn with_canary(mut given: Given) -> Given {
    let Ok(text) = std::str::from_utf8(&given.body) else {
        return given;
    };
    for before in ["\"token\":\"", "token: "] {
        if let Some((head, tail)) = text.split_once(before) {
            let end = tail.find(['"', '\n']).unwrap_or(tail.len());
            let text = format!("{head}{before}{CANARY}0123456789{}", &tail[end..]);
            given.body = text.into();
            return given;
        }
    }
    given
}

fn bodies(operation: Operation) -> Vec<Vec<u8>> {
    let answers = answers(operation).into_iter();
    answers.map(|answer| answer.body.to_vec()).collect()
}

/// Documents of get_kubeconfig.
pub(crate) fn kubeconfigs() -> Vec<Vec<u8>> {
    let mut documents = bodies(Operation::GetKubeconfig);
    let honest = String::from_utf8_lossy(&documents[0]).into_owned();
    let with = |from: &str, to: &str| honest.replacen(from, to, 1).into_bytes();
    documents.extend([
        with("apiVersion", "---\napiVersion"),
        with("preferences: {}", "preferences: &a {}\nextensions: *a"),
        with("kind: Config", "kind: !!str Config"),
        with("kind: Config", "<<: {kind: Config}"),
        with("token: ", "token: >-\n      "),
        with("token: ", "token: !!binary "),
        with("kind: Config", "kind: Config\n---\nkind: Config"),
        with("insecure", "insecure"),
        with("users:", "\"\\u0075sers\":"),
    ]);
    documents
}

/// Documents of get_credentials.
pub(crate) fn credentials() -> Vec<Vec<u8>> {
    bodies(Operation::GetCredentials)
}

/// Pages of the list, and answers to a GET of one cluster.
pub(crate) fn clusters() -> Vec<Vec<u8>> {
    let operations = [Operation::ListClusters, Operation::GetCluster];
    operations.into_iter().flat_map(bodies).collect()
}

/// Whole answers, as [`Given::parse`] reads them.
pub(crate) fn responses() -> Vec<Vec<u8>> {
    let operations = [Operation::GetCredentials, Operation::GetKubeconfig];
    let answers: Vec<_> = operations.into_iter().flat_map(answers).collect();
    // What a proxy makes of an honest answer.
    let altered = [203, 206, 226].map(|code| Given {
        status: StatusCode::from_u16(code).expect("a status"),
        ..answers[0].clone()
    });
    let all = answers.iter().chain(&altered);
    all.map(Given::written).collect()
}

/// What is known of the cluster.
pub(crate) fn facts() -> Facts {
    Facts {
        cluster_id: CLUSTER_ID.to_owned(),
        cluster_name: "prod".to_owned(),
        region: "nyc1".to_owned(),
        version: "1.36.3-do.0".to_owned(),
        tags: Some(["k8s", "env:prod", "blue"].map(str::to_owned).to_vec()),
    }
}

/// An output of each format.
pub(crate) fn outputs() -> [Output; 6] {
    let output = |format| Output {
        format,
        labels: BTreeMap::from([("team".to_owned(), "payments".to_owned())]),
        ..Output::kubeconfig("prod-kubeconfig".to_owned())
    };
    let keys = [
        ("config", CustomField::Kubeconfig),
        ("secret", CustomField::Token),
        ("end", CustomField::ExpiresAt),
    ];
    let keys = keys.map(|(key, field)| CustomKey {
        key: key.to_owned(),
        field,
    });
    [
        output(OutputFormat::Kubeconfig),
        output(OutputFormat::Flux),
        Output {
            argocd: Some(ArgoCdOptions {
                cluster_resources: Some(false),
                namespaces: Some(vec!["web".to_owned()]),
                ..ArgoCdOptions::default()
            }),
            ..output(OutputFormat::ArgoCD)
        },
        output(OutputFormat::ClusterAPI),
        output(OutputFormat::Karmada),
        Output {
            keys: Some(keys.to_vec()),
            ..output(OutputFormat::Custom)
        },
    ]
}

/// The credential of the first seed.
fn credential() -> Credential {
    static CREDENTIAL: LazyLock<Credential> = LazyLock::new(|| {
        let document = String::from_utf8(kubeconfigs().swap_remove(0)).expect("text");
        let kubeconfig = kubeconfig::parse(&document).expect("an honest document");
        kubeconfig.credential().clone()
    });
    CREDENTIAL.clone()
}

/// A Secret of ours in every format, and how it would be stored.
pub(crate) fn secret_values() -> Vec<Value> {
    let material = Material {
        issue: Issue {
            issued_at: ISSUED_AT,
            expires_at: ISSUED_AT + 604_800,
            cluster_id: CLUSTER_ID.to_owned(),
            issue_hash: "0123.4567".to_owned(),
            rotate: Some("1".to_owned()),
        },
        credential: credential(),
        kubeconfig: None,
    };
    let placement = Placement {
        namespace: "team-a".to_owned(),
        owner: Owner {
            name: "prod".to_owned(),
            uid: ACCESS_UID.to_owned(),
        },
        deletion_policy: DeletionPolicy::Delete,
    };
    let facts = facts();
    let stored = outputs().map(|output| {
        let source = Source {
            output: &output,
            material: &material,
            facts: &facts,
            present: None,
        };
        let desired = placement.desired(&source, &BTreeMap::new());
        stored(&desired.expect("a token has every format"))
    });
    stored.to_vec()
}

/// Secrets.
pub(crate) fn secrets() -> Vec<Vec<u8>> {
    written(&secret_values())
}

/// Accesses and accounts.
pub(crate) fn resources() -> Vec<Vec<u8>> {
    let metadata = json!({"name": "prod", "namespace": "team-a", "uid": ACCESS_UID,
        "resourceVersion": "7", "generation": 3, "creationTimestamp": "2026-11-22T08:00:00Z"});
    let object = |kind: &str, spec: Value, status: Value| {
        json!({"apiVersion": "doclusteraccess.dev/v1alpha1", "kind": kind, "metadata": metadata,
            "spec": spec, "status": status})
    };
    let condition = json!({"type": "Ready", "status": "True", "reason": "Published", "message": "x",
        "lastTransitionTime": "2026-11-22T09:00:00Z", "observedGeneration": 3});
    let outputs = serde_json::to_value(outputs()).expect("JSON");
    let full = json!({
        "cluster": {"name": "prod"}, "accountRef": {"name": "default"}, "expirySeconds": 604_800,
        "renewBeforeSeconds": 201_600, "kubeconfigSource": "Rendered", "verification": "Required",
        "outputs": outputs, "deletionPolicy": "Retain", "suspend": false,
    });
    let status = json!({
        "observedGeneration": 3, "conditions": [condition],
        "cluster": {"id": CLUSTER_ID, "name": "prod", "region": "nyc1", "state": "running"},
        "credential": {"issuedAt": "2026-11-22T09:00:00Z", "expiresAt": "2026-11-29T09:00:00Z",
            "renewAt": "2026-11-26T09:00:00Z", "username": "a@example.com", "groups": ["g"]},
        "outputs": [{"secretName": "prod-kubeconfig", "contentHash": "00.11"}],
        "lastRotateRequest": "1",
    });
    let other = json!({"cluster": {"id": CLUSTER_ID}, "tokenSecretRef": {"name": "digitalocean"}});
    let account = json!({
        "tokenSecretRef": {"name": "digitalocean", "key": "access-token"},
        "allowedNamespaces": ["argocd", "team-*"],
        "allowedClusters": {"ids": [CLUSTER_ID], "names": ["prod-*", "?"]},
    });
    written(&[
        object("DOClusterAccess", full, status),
        object("DOClusterAccess", other, json!({"observedGeneration": -1})),
        object("DOAccount", account, json!({"conditions": [condition]})),
        object(
            "DOClusterAccess",
            json!({"tokenSecretRef": "dop_v1_0123456789abcdef"}),
            Value::Null,
        ),
    ])
}

fn written(values: &[Value]) -> Vec<Vec<u8>> {
    let text = values.iter().map(Value::to_string);
    text.map(String::into_bytes).collect()
}
