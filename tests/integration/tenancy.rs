//! Two tenants of one operator, with the API server's audit log and DigitalOcean's history as witnesses: nothing that
//! one of them writes makes the operator touch what is the other's.
//!
//! It is made easy for the one who tries: the clusters of both belong to one DigitalOcean team, so that either token
//! would open them all, and the names are known.

use do_cluster_access_testbed::control_plane::audit::Position;
use do_cluster_access_testbed::simulator::{Entry, Scope, fingerprint};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::harness::{
    Access, Account, Operator, TOKEN_SECRET, Tenant, annotation, assert_condition, condition,
    eventually, message, summary, text, token_in,
};

/// The tenant that is to be left alone, and one who tries not to.
struct Tenants {
    victim: Tenant,
    /// Served by the victim's account.
    theirs: Access,
    victim_account: Account,
    victim_cluster: String,
    attacker: Tenant,
    /// A cluster that the attacker may have.
    own_cluster: String,
}

/// What there is of the victim, by its versions, and where the witnesses' records end.
struct Before {
    versions: Vec<String>,
    secret: Secret,
    audit: Position,
    calls: usize,
}

impl Tenants {
    async fn new() -> Option<Self> {
        let victim = Tenant::new().await?;
        let attacker = victim.neighbour().await;
        // Each has a token of its own, of the same DigitalOcean team.
        attacker
            .simulator
            .add_token(&victim.namespace, &attacker.api_token, Scope::Full)
            .unwrap();
        let victim_cluster = victim.add_cluster(victim.cluster("victim-cluster"));
        let own_cluster = victim.add_cluster(victim.cluster("attacker-cluster"));
        let allowed = |names: &str| json!({"allowedClusters": {"names": [names]}});
        let victim_account = victim.create_account(allowed("victim-*")).await;
        attacker.create_account(allowed("attacker-*")).await;
        // The victim has a token in its own namespace, too, and an access by it.
        victim
            .put_secret(TOKEN_SECRET, &[("access-token", &victim.api_token)])
            .await;
        let by_name = json!({"cluster": {"name": "victim-cluster"}});
        let theirs = victim
            .create_access_by_account("prod", by_name.clone())
            .await;
        let by_secret = victim.create_access("own-token", by_name).await;
        for access in [&theirs, &by_secret] {
            access.ready().await;
            eventually("the event is written", async || {
                !access.events().await.is_empty()
            })
            .await;
        }
        Some(Self {
            victim,
            theirs,
            victim_account,
            victim_cluster,
            attacker,
            own_cluster,
        })
    }

    /// The version of everything that is the victim's.
    async fn versions(&self) -> Vec<String> {
        let accesses = self.theirs.api.list(&ListParams::default()).await.unwrap();
        let secrets = self.victim.secrets().list(&ListParams::default()).await;
        let token = self.victim.tokens().get(&self.victim.account_name()).await;
        let line = |kind: &str, name: String, version: Option<String>| {
            format!("{kind} {name} {}", version.unwrap())
        };
        let account = self.victim_account.get().await;
        let mut versions = vec![
            line("token", String::new(), token.unwrap().resource_version()),
            line("account", String::new(), account.resource_version()),
        ];
        for access in accesses {
            versions.push(line("access", access.name_any(), access.resource_version()));
        }
        for secret in secrets.unwrap() {
            versions.push(line("secret", secret.name_any(), secret.resource_version()));
        }
        versions
    }

    async fn before(&self) -> Before {
        Before {
            versions: self.versions().await,
            secret: self.theirs.secret().await,
            audit: self.victim.audit_position().await,
            calls: self.victim.simulator.history().len(),
        }
    }

    /// No request of the operator was about the victim, neither at the API server nor at DigitalOcean, and what is the
    /// victim's is as it was.
    async fn assert_untouched(&self, before: &Before) {
        let mut requests = self.attacker.all_operator_requests(before.audit).await;
        assert!(!requests.is_empty(), "the audit log tells nothing at all");
        let account = self.victim.account_name();
        requests.retain(|request| {
            let by_name = request.name == account && request.namespace != self.attacker.namespace;
            request.namespace == self.victim.namespace || by_name
        });
        assert!(requests.is_empty(), "{:#?}", summary(&requests));

        let token = fingerprint(&self.victim.api_token);
        let calls = self.victim.simulator.history().split_off(before.calls);
        let crosses = |entry: &&Entry| {
            entry.token.as_ref() == Some(&token)
                || entry.cluster.as_ref() == Some(&self.victim_cluster)
        };
        let crossing: Vec<_> = calls.iter().filter(crosses).collect();
        assert!(crossing.is_empty(), "{crossing:#?}");

        assert_eq!(self.versions().await, before.versions);
        assert_eq!(self.theirs.secret().await, before.secret);
    }

    /// The names of all Secrets that were written with a credential of the victim's cluster in the attacker's
    /// namespace.
    async fn stolen(&self) -> Vec<String> {
        let secrets = self.attacker.secrets().list(&ListParams::default()).await;
        let of_victim: Vec<_> = self
            .victim
            .mints()
            .into_iter()
            .filter(|mint| mint.cluster == self.victim_cluster)
            .map(|mint| mint.fingerprint)
            .collect();
        assert!(!of_victim.is_empty());
        let mut secrets = secrets.unwrap().items;
        secrets.retain(|secret| {
            let kubeconfig = text(secret, "kubeconfig");
            let in_kubeconfig = if kubeconfig.is_empty() {
                String::new()
            } else {
                token_in(&kubeconfig)
            };
            [text(secret, "token"), in_kubeconfig]
                .iter()
                .any(|token| of_victim.contains(&fingerprint(token)))
        });
        secrets.iter().map(ResourceExt::name_any).collect()
    }
}

#[tokio::test]
async fn no_reference_leads_to_what_is_another_tenants() {
    let Some(tenants) = Tenants::new().await else {
        return;
    };
    let (victim, attacker) = (&tenants.victim, &tenants.attacker);
    let before = tenants.before().await;
    let own = json!({"name": "attacker-cluster"});
    let theirs = json!({"id": tenants.victim_cluster});
    let by_their_account = json!({"name": victim.account_name()});
    let cases = [
        // The account.
        (
            json!({"cluster": own, "accountRef": by_their_account}),
            "NotAllowed",
        ),
        (
            json!({"cluster": {"name": "victim-cluster"}, "accountRef": by_their_account}),
            "NotAllowed",
        ),
        (
            json!({"cluster": theirs, "accountRef": by_their_account}),
            "NotAllowed",
        ),
        // The Secrets with tokens: in the victim's namespace, and beside the operator.
        (
            json!({"cluster": own, "tokenSecretRef": {"name": TOKEN_SECRET}}),
            "TokenSecretNotFound",
        ),
        (
            json!({"cluster": own, "tokenSecretRef": {"name": victim.account_name()}}),
            "TokenSecretNotFound",
        ),
        // The cluster.
        (json!({"cluster": {"name": "victim-cluster"}}), "NotAllowed"),
        (json!({"cluster": theirs}), "NotAllowed"),
        (
            json!({"cluster": {"id": tenants.victim_cluster.to_ascii_uppercase()}}),
            "NotAllowed",
        ),
        // The Secret that the victim's credential is in.
        (
            json!({"cluster": own, "outputs": [{"secretName": "prod-kubeconfig", "adopt": true}]}),
            "UpToDate",
        ),
        (
            json!({"cluster": own, "outputs": [{"secretName": "own-token-kubeconfig"}]}),
            "UpToDate",
        ),
    ];
    let mut asked = Vec::new();
    for (number, (mut spec, reason)) in cases.into_iter().enumerate() {
        spec["kubeconfigSource"] = json!("Rendered");
        let name = format!("try-{number}");
        let described = spec.to_string();
        let access = if spec.get("tokenSecretRef").is_some() {
            attacker.create_access(&name, spec).await
        } else {
            attacker.create_access_by_account(&name, spec).await
        };
        asked.push((access, reason, described));
    }
    for (access, reason, spec) in &asked {
        let told = access.synced(reason).await;
        let status = serde_json::to_string(&told.status).unwrap();
        let id = &tenants.victim_cluster;
        assert!(!status.contains(id), "{spec} told of {status}");
        if *reason != "UpToDate" {
            assert_condition(&told, "Stalled", "True", reason);
            // Each is asked again in vain.
            access.rotate("now").await;
            access
                .patch_spec(json!({"renewBeforeSeconds": 300_000}))
                .await;
            access.synced(reason).await;
        }
    }
    // Where a name would have to hold a namespace, the API server takes it for no name.
    for (field, value) in [
        (
            "outputs",
            json!([{"secretName": format!("{}/prod-kubeconfig", victim.namespace)}]),
        ),
        (
            "tokenSecretRef",
            json!({"name": format!("{}/{TOKEN_SECRET}", victim.namespace)}),
        ),
        (
            "tokenSecretRef",
            json!({"name": TOKEN_SECRET, "namespace": victim.namespace}),
        ),
        (
            "accountRef",
            json!({"name": format!("{}/x", victim.namespace)}),
        ),
    ] {
        let mut spec = json!({"cluster": own});
        spec[field] = value;
        assert_eq!(refused_as_invalid(attacker, &spec).await, Some(field));
    }
    tenants.assert_untouched(&before).await;
    assert_eq!(tenants.stolen().await, Vec::<String>::new());
}

/// The field of `spec` that the API server refuses an access for, if it does, under strict validation.
async fn refused_as_invalid<'a>(tenant: &Tenant, spec: &'a Value) -> Option<&'a str> {
    let object = json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "metadata": {"name": "invalid", "namespace": tenant.namespace},
        "spec": spec,
    });
    let uri = format!(
        "/apis/doclusteraccess.dev/v1alpha1/namespaces/{}/doclusteraccesses?fieldValidation=Strict&dryRun=All",
        tenant.namespace
    );
    let request = http::Request::post(uri)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&object).unwrap())
        .unwrap();
    let answer: kube::Result<Value> = tenant.client.request(request).await;
    match answer {
        Err(kube::Error::Api(status)) => spec
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .find(|field| *field != "cluster" && status.message.contains(*field)),
        answer => panic!("{spec} was taken: {answer:?}"),
    }
}

/// The attacker may write anything in its own namespace: Secrets, their marks, and the status of its accesses.
#[tokio::test]
async fn no_forged_mark_leads_to_what_is_another_tenants() {
    let Some(tenants) = Tenants::new().await else {
        return;
    };
    let attacker = &tenants.attacker;
    let own = json!({"cluster": {"name": "attacker-cluster"}});
    let published = attacker
        .create_access_by_account("published", own.clone())
        .await;
    let disowned = attacker
        .create_access_by_account("disowned", own.clone())
        .await;
    let unknown = json!({"cluster": {"name": "attacker-none"}});
    // Named like the victim's.
    let pinned = attacker.create_access_by_account("prod", unknown).await;
    for access in [&published, &disowned] {
        access.ready().await;
    }
    pinned.synced("ClusterNotFound").await;
    let before = tenants.before().await;
    let their_secret = &before.secret;
    let their_access = tenants.theirs.get().await;
    let their_uid = their_access.metadata.uid.clone().unwrap();
    let owner = json!([{
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "name": "prod",
        "uid": their_uid,
    }]);

    // Copies of the victim's Secret, with and without its owner, at free names and where an access wants to write.
    for (name, owners) in [
        ("copy", json!([])),
        ("owned-copy", owner.clone()),
        ("wanted-kubeconfig", json!([])),
    ] {
        let copy = json!({
            "metadata": {
                "name": name,
                "labels": their_secret.labels(),
                "annotations": their_secret.annotations(),
                "ownerReferences": owners,
            },
            "stringData": {"token": "forged"},
        });
        let copy: Secret = serde_json::from_value(copy).unwrap();
        attacker
            .secrets()
            .create(&PostParams::default(), &copy)
            .await
            .unwrap();
    }
    let wanted = attacker.create_access_by_account("wanted", own).await;
    let conflict = wanted.synced("SecretConflict").await;
    assert!(message(&conflict).contains("wanted-kubeconfig"));

    // Marks of the victim's on Secrets of the attacker's own.
    let forge = |mark: &str, value: &str| {
        let mark = format!("doclusteraccess.dev/{mark}");
        json!({"metadata": {"annotations": {mark: value}}})
    };
    attacker
        .patch_secret(
            &published.secret_name(),
            forge("cluster-id", &tenants.victim_cluster),
        )
        .await;
    attacker
        .patch_secret(&disowned.secret_name(), forge("access-uid", &their_uid))
        .await;

    // The id that a name was resolved to.
    let forged =
        json!({"status": {"cluster": {"id": tenants.victim_cluster, "name": "attacker-none"}}});
    let parameters = PatchParams::default();
    pinned
        .api
        .patch_status("prod", &parameters, &Patch::Merge(forged))
        .await
        .unwrap();

    // What it amounts to: refusals, and Secrets that are right again.
    let refused = pinned.synced("NotAllowed").await;
    assert!(condition(&refused, "Ready").is_some_and(|ready| ready.status == "False"));
    for access in [&published, &disowned] {
        let own_uid = access.get().await.metadata.uid.unwrap();
        let right = |secret: &Secret| {
            annotation(secret, "cluster-id") == tenants.own_cluster
                && annotation(secret, "access-uid") == own_uid
        };
        access
            .secret_until("its marks are right again", right)
            .await;
        access.ready().await;
    }

    for access in [&pinned, &wanted, &published, &disowned] {
        access.rotate("now").await;
    }
    for access in [&published, &disowned] {
        let rotated = |secret: &Secret| annotation(secret, "rotate") == "now";
        access.secret_until("it is rotated", rotated).await;
        access.ready().await;
    }
    tenants.assert_untouched(&before).await;
    assert_eq!(tenants.stolen().await, Vec::<String>::new());

    // What the victim's access does by itself does not concern a Secret that only says it is its own.
    let position = attacker.audit_position().await;
    tenants.theirs.rotate("by its owner").await;
    tenants.theirs.renewed(their_secret).await;
    tenants.theirs.ready().await;
    let mut requests = attacker.all_operator_requests(position).await;
    assert!(!requests.is_empty(), "the audit log tells nothing at all");
    requests.retain(|request| request.name.ends_with("copy"));
    assert!(requests.is_empty(), "{:#?}", summary(&requests));
    let copy = attacker.secrets().get("copy").await.unwrap();
    assert_eq!(text(&copy, "token"), "forged");
}

#[tokio::test]
async fn a_namesake_in_another_namespace_is_another_access_with_a_credential_of_its_own() {
    let one = tenant!();
    let other = one.neighbour().await;
    for tenant in [&one, &other] {
        tenant.add_cluster(tenant.cluster("prod"));
        tenant.create_account(json!({})).await;
    }
    let spec = json!({"cluster": {"name": "prod"}});
    let mut served = Vec::new();
    for tenant in [&one, &other] {
        let access = tenant.create_access_by_account("prod", spec.clone()).await;
        access.ready().await;
        assert_eq!(tenant.mints().len(), 2);
        served.push(access);
    }
    let before = served[1].secret().await;
    served[0].delete().await;
    one.secret_gone("prod-kubeconfig").await;
    let secrets: Api<Secret> = other.secrets();
    let after = secrets.get("prod-kubeconfig").await.unwrap();
    assert_eq!(after, before);
    assert_eq!(other.mints().len(), 2);
}

#[tokio::test]
async fn a_forged_cluster_id_does_not_turn_an_access_to_another_cluster_of_its_own_account() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let prod = stage.add_cluster(stage.cluster("prod"));
    let other = stage.add_cluster(stage.cluster("other"));
    let spec = json!({"cluster": {"name": "prod"}});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    stage
        .patch_secret(
            &access.secret_name(),
            json!({"metadata": {"annotations": {"doclusteraccess.dev/cluster-id": other}}}),
        )
        .await;
    let right = |secret: &Secret| annotation(secret, "cluster-id") == prod;
    access.secret_until("its mark is right again", right).await;
    let ready = access.ready().await;
    assert_eq!(
        ready.status.unwrap().cluster.unwrap().id,
        Some(prod.clone())
    );
    let mints = stage.mints();
    assert!(mints.iter().all(|mint| mint.cluster == prod), "{mints:#?}");
}
