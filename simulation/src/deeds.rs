//! What users, tenants and other programs do to the world, each as one request of theirs.

use std::collections::BTreeSet;
use std::time::Duration;

use do_cluster_access::api::DOClusterAccess;
use do_cluster_access_testbed::api_server::Kind;
use do_cluster_access_testbed::simulator::{Account, Cluster, MintSelector, Request, Scope};
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::plan::{AccessPlan, AccountPlan, Deed, Edit, Plan};
use crate::world::{OPERATOR_NAMESPACE, World};

/// Does things.
#[derive(Clone)]
pub struct Hands {
    world: World,
    plan: std::sync::Arc<Plan>,
}

impl Hands {
    /// In this world, with the indices of this plan.
    #[must_use]
    pub fn new(world: &World, plan: &std::sync::Arc<Plan>) -> Self {
        Self {
            world: world.clone(),
            plan: plan.clone(),
        }
    }

    fn access(&self, index: usize) -> &AccessPlan {
        &self.plan.accesses[index]
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.world.api_server.client(), namespace)
    }

    fn accesses(&self, namespace: &str) -> Api<DOClusterAccess> {
        Api::namespaced(self.world.api_server.client(), namespace)
    }

    /// The API token that an account has at present.
    #[must_use]
    pub fn token_name(account: usize, generation: u32) -> String {
        format!("dop_v1_{:0>64}", format!("{account}c0ffee{generation}"))
    }

    /// Accounts, clusters, tokens and namespaces.
    pub async fn furnish(&self) {
        for namespace in self.tenants() {
            self.world.api_server.create_namespace(&namespace);
        }
        for (index, account) in self.plan.accounts.iter().enumerate() {
            let token = Self::token_name(index, 0);
            let digitalocean = &self.world.digitalocean;
            expect(digitalocean.add_account(Account::new(&account.label)));
            expect(digitalocean.add_token(&account.label, &token, Scope::Full));
            for cluster in &account.clusters {
                expect(digitalocean.add_cluster(
                    &account.label,
                    Cluster {
                        id: cluster.id.clone(),
                        name: cluster.name.clone(),
                        tags: vec!["env:prod".to_owned()],
                        ..Cluster::default()
                    },
                ));
            }
            self.put_token(index, &token).await;
            if account.shared {
                self.put_account(account, &["*"]).await;
            }
        }
    }

    /// Where the token of an account is kept.
    fn token_places(&self, account: usize) -> Vec<String> {
        if self.plan.accounts[account].shared {
            return vec![OPERATOR_NAMESPACE.to_owned()];
        }
        self.tenants().into_iter().collect()
    }

    /// The namespaces with accesses.
    fn tenants(&self) -> BTreeSet<String> {
        let accesses = self.plan.accesses.iter();
        accesses.map(|access| access.namespace.clone()).collect()
    }

    /// Writes the token of an account wherever it is kept.
    pub async fn put_token(&self, account: usize, token: &str) {
        let name = &self.plan.accounts[account].label;
        for namespace in self.token_places(account) {
            let body = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name}, "stringData": {"access-token": token},
            });
            let parameters = PatchParams::apply("platform").force();
            let secrets = self.secrets(&namespace);
            expect(secrets.patch(name, &parameters, &Patch::Apply(body)).await);
        }
    }

    /// Removes it.
    pub async fn remove_token(&self, account: usize) {
        let name = &self.plan.accounts[account].label;
        for namespace in self.token_places(account) {
            self.delete_secret(&namespace, name).await;
        }
    }

    /// Lets namespaces use an account.
    pub async fn put_account(&self, account: &AccountPlan, namespaces: &[&str]) {
        let body = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOAccount",
            "metadata": {"name": account.label},
            "spec": {
                "tokenSecretRef": {"name": account.label},
                "allowedNamespaces": namespaces,
                "allowedClusters": {"names": ["*"]},
            },
        });
        let accounts: Api<do_cluster_access::api::DOAccount> =
            Api::all(self.world.api_server.client());
        let parameters = PatchParams::apply("platform").force();
        let body = Patch::Apply(body);
        expect(accounts.patch(&account.label, &parameters, &body).await);
    }

    /// Creates an access.
    pub async fn create_access(&self, index: usize, spec: &Value) {
        let access = self.access(index);
        let object = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess",
            "metadata": {"name": access.name, "namespace": access.namespace},
            "spec": spec,
        });
        let Ok(object) = serde_json::from_value(object) else {
            unreachable!("plans are valid");
        };
        let accesses = self.accesses(&access.namespace);
        expect(accesses.create(&PostParams::default(), &object).await);
    }

    /// The spec of an access as it is now; `None` while there is none.
    #[must_use]
    pub fn spec(&self, index: usize) -> Option<Value> {
        let access = self.access(index);
        let server = &self.world.api_server;
        let object = server.object(Kind::DOClusterAccess, &access.namespace, &access.name)?;
        Some(object.value()["spec"].clone())
    }

    /// Changes the spec of an access, if there is one.
    pub async fn patch_spec(&self, index: usize, change: Value) {
        self.patch_access(index, json!({ "spec": change })).await;
    }

    async fn patch_access(&self, index: usize, change: Value) {
        let access = self.access(index);
        if self.spec(index).is_none() {
            return;
        }
        let parameters = PatchParams {
            field_manager: Some("kubectl".to_owned()),
            ..PatchParams::default()
        };
        let accesses = self.accesses(&access.namespace);
        let change = Patch::Merge(change);
        expect(accesses.patch(&access.name, &parameters, &change).await);
    }

    /// The outputs of an access as it is now.
    fn outputs(&self, index: usize) -> Vec<Value> {
        let spec = self.spec(index).unwrap_or_default();
        spec["outputs"].as_array().cloned().unwrap_or_default()
    }

    /// Name of the first output's Secret.
    #[must_use]
    pub fn first_output(&self, index: usize) -> Option<String> {
        let outputs = self.outputs(index);
        Some(outputs.first()?["secretName"].as_str()?.to_owned())
    }

    async fn delete_secret(&self, namespace: &str, name: &str) {
        // What is gone already needs no deletion.
        drop(
            self.secrets(namespace)
                .delete(name, &DeleteParams::default())
                .await,
        );
    }

    /// Puts somebody else's Secret in place of an output.
    pub async fn occupy(&self, index: usize) {
        let Some(name) = self.first_output(index) else {
            return;
        };
        let namespace = &self.access(index).namespace;
        self.delete_secret(namespace, &name).await;
        let body = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "annotations": {"somebody": "else"}},
            "stringData": {"mine": "precious"},
        });
        let parameters = PatchParams::apply("somebody-else").force();
        let secrets = self.secrets(namespace);
        expect(secrets.patch(&name, &parameters, &Patch::Apply(body)).await);
    }

    /// Writes what concerns nobody.
    pub async fn write_elsewhere(&self) {
        let body = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"generateName": "unrelated-"},
        });
        let secrets = self.secrets(OPERATOR_NAMESPACE);
        let secret = serde_json::from_value(body);
        if let Ok(secret) = secret {
            expect(secrets.create(&PostParams::default(), &secret).await);
        }
    }

    /// Removes every such Secret of a namespace.
    pub async fn vacate(&self, index: usize) {
        let namespace = self.access(index).namespace.clone();
        for secret in self.world.api_server.objects(Kind::Secret) {
            let foreign = secret.value()["metadata"]["annotations"]["somebody"] == "else";
            if foreign && secret.namespace() == namespace {
                self.delete_secret(&namespace, secret.name()).await;
            }
        }
    }

    async fn edit_secret(&self, index: usize, edit: Edit) {
        let Some(name) = self.first_output(index) else {
            return;
        };
        let namespace = &self.access(index).namespace;
        let server = &self.world.api_server;
        let Some(secret) = server.object(Kind::Secret, namespace, &name) else {
            return;
        };
        let data = secret.value()["data"].as_object();
        let key = data.and_then(|data| data.keys().next().cloned());
        let key = key.unwrap_or_else(|| "token".to_owned());
        let change = match edit {
            Edit::Data => json!({"data": {key: "Zm9yZ2Vk"}}),
            Edit::Key => json!({"data": {key: null}}),
            Edit::Mark => json!({"metadata": {"annotations": {
                "doclusteraccess.dev/expires-at": "2099-01-01T00:00:00Z",
            }}}),
            Edit::Label => {
                json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}})
            }
            Edit::Annotation => json!({"metadata": {"annotations": {"example.com/seen": "yes"}}}),
            Edit::Owner => json!({"metadata": {"ownerReferences": null}}),
        };
        let parameters = PatchParams {
            field_manager: Some("meddler".to_owned()),
            ..PatchParams::default()
        };
        let secrets = self.secrets(namespace);
        expect(
            secrets
                .patch(&name, &parameters, &Patch::Merge(change))
                .await,
        );
    }

    /// Uses an API token beside the operator.
    pub fn use_up(&self, token: &str, requests: u32) {
        for _ in 0..requests {
            drop(self.world.digitalocean.handle(&Request {
                method: Method::GET,
                path: "/v2/account".to_owned(),
                authorization: Some(format!("Bearer {token}")),
                user_agent: Some("somebody-else".to_owned()),
                base_url: "https://api.digitalocean.com".to_owned(),
                ..Request::default()
            }));
        }
    }

    /// Does what is done at once; the rest belongs to the run.
    pub async fn perform(&self, deed: &Deed) {
        match deed {
            Deed::Rotate(access, number) => {
                let annotations = json!({"doclusteraccess.dev/rotate": number.to_string()});
                self.patch_access(*access, json!({"metadata": {"annotations": annotations}}))
                    .await;
            }
            Deed::Lifetime(access, seconds) => {
                // Keeps the margin below the lifetime, as the API server demands.
                let change = json!({"expirySeconds": seconds, "renewBeforeSeconds": null});
                self.patch_spec(*access, change).await;
            }
            Deed::Margin(access, seconds) => {
                let spec = self.spec(*access).unwrap_or_default();
                if spec["expirySeconds"].as_i64() > Some(*seconds) {
                    self.patch_spec(*access, json!({"renewBeforeSeconds": seconds}))
                        .await;
                }
            }
            Deed::Label(access, number) => {
                let mut outputs = self.outputs(*access);
                if let Some(output) = outputs.first_mut() {
                    output["labels"] = json!({"example.com/number": number.to_string()});
                    self.patch_spec(*access, json!({ "outputs": outputs }))
                        .await;
                }
            }
            Deed::Source(access) => {
                let spec = self.spec(*access).unwrap_or_default();
                let rendered = spec["kubeconfigSource"] == "Rendered";
                let source = if rendered { "DigitalOcean" } else { "Rendered" };
                self.patch_spec(*access, json!({"kubeconfigSource": source}))
                    .await;
            }
            Deed::Verification(access, policy) => {
                self.patch_spec(*access, json!({"verification": policy}))
                    .await;
            }
            Deed::AddOutput(access, format) => {
                let mut outputs = self.outputs(*access);
                if !outputs.is_empty() && outputs.len() < 6 {
                    let name = format!("{}-more-{}", self.access(*access).name, outputs.len());
                    if outputs.iter().all(|output| output["secretName"] != *name) {
                        outputs.push(json!({"secretName": name, "format": format}));
                        self.patch_spec(*access, json!({ "outputs": outputs }))
                            .await;
                    }
                }
            }
            Deed::RemoveOutput(access) => {
                let mut outputs = self.outputs(*access);
                if outputs.len() > 1 {
                    outputs.pop();
                    self.patch_spec(*access, json!({ "outputs": outputs }))
                        .await;
                }
            }
            Deed::RenameOutput(access, number) => {
                let mut outputs = self.outputs(*access);
                if let Some(output) = outputs.first_mut() {
                    output["secretName"] =
                        format!("{}-{number}-kubeconfig", self.access(*access).name).into();
                    self.patch_spec(*access, json!({ "outputs": outputs }))
                        .await;
                }
            }
            Deed::OtherCluster(access, cluster) => {
                let account = &self.plan.accounts[self.access(*access).account];
                let reference = json!({"name": account.clusters[*cluster].name, "id": null});
                self.patch_spec(*access, json!({ "cluster": reference }))
                    .await;
            }
            Deed::Recreate(access, delay) => self.recreate(*access, *delay).await,
            Deed::DeleteSecret(access) => {
                if let Some(name) = self.first_output(*access) {
                    let namespace = self.access(*access).namespace.clone();
                    self.delete_secret(&namespace, &name).await;
                }
            }
            Deed::EditSecret(access, edit) => self.edit_secret(*access, *edit).await,
            Deed::RevokeMinted(account, cluster) => {
                let id = &self.plan.accounts[*account].clusters[*cluster].id;
                let _revoked = self.world.digitalocean.revoke_minted(&MintSelector {
                    cluster: Some(id.clone()),
                    ..MintSelector::default()
                });
            }
            Deed::RenameCluster(account, cluster, number) => {
                self.name_cluster(*account, *cluster, &format!("renamed-{number}"));
            }
            Deed::ReplaceToken(_) | Deed::CutWatches | Deed::Compact => {}
        }
    }

    /// Gives a cluster a name.
    pub fn name_cluster(&self, account: usize, cluster: usize, name: &str) {
        let id = &self.plan.accounts[account].clusters[cluster].id;
        expect(
            self.world
                .digitalocean
                .update_cluster(id, |cluster| name.clone_into(&mut cluster.name)),
        );
    }

    /// Puts a cluster into a state.
    pub fn set_state(&self, account: usize, cluster: usize, state: &str) {
        let id = &self.plan.accounts[account].clusters[cluster].id;
        expect(
            self.world
                .digitalocean
                .update_cluster(id, |cluster| state.clone_into(&mut cluster.state)),
        );
    }

    /// Whether there is such a Secret, and garbage collection will leave it alone.
    fn has_no_owner(&self, namespace: &str, name: &Value) -> bool {
        let secrets = self.world.api_server.objects(Kind::Secret);
        secrets.iter().any(|secret| {
            secret.namespace() == namespace
                && *name == secret.name()
                && secret.value()["metadata"]["ownerReferences"].is_null()
        })
    }

    async fn recreate(&self, index: usize, delay: i64) {
        let Some(mut spec) = self.spec(index) else {
            return;
        };
        // Whoever goes on after a pause may find nobody.
        spec["suspend"] = false.into();
        let access = self.access(index);
        let retained = spec["deletionPolicy"] == "Retain";
        for output in spec["outputs"].as_array_mut().into_iter().flatten() {
            // What does not go with the access belongs to nobody: who wants it back has to say so.
            if retained || self.has_no_owner(&access.namespace, &output["secretName"]) {
                output["adopt"] = true.into();
            }
        }
        let accesses = self.accesses(&access.namespace);
        expect(
            accesses
                .delete(&access.name, &DeleteParams::default())
                .await,
        );
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(delay.unsigned_abs())).await;
            this.create_access(index, &spec).await;
        });
        let server = self.world.api_server.clone();
        tokio::spawn(async move {
            // The garbage collector takes some seconds.
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.collect_garbage();
        });
    }
}

/// What a plan asks for is possible.
fn expect<T, E: std::fmt::Debug>(result: Result<T, E>) {
    if let Err(error) = result {
        unreachable!("the world refused a deed of the plan: {error:?}");
    }
}
