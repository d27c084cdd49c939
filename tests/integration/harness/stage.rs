//! Where one test plays: a namespace, a DigitalOcean account, and the operator's rights.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use do_cluster_access::api::DOClusterAccess;
use do_cluster_access_testbed::control_plane::audit::{Position, Request};
use do_cluster_access_testbed::control_plane::{AuditLog, client_of};
use do_cluster_access_testbed::simulator::{
    Account, Authentication, CertificateExpiry, Cluster, Entry, Fault, Mint, Scope, Simulator,
    fingerprint,
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::access::Access;
use super::chart::{RELEASE, Rights};
use super::waiting::{PATIENCE, object_until};
use super::world::{World, unavailable};

/// Name of the Secret with the API token; the key is `access-token`.
pub(crate) const TOKEN_SECRET: &str = "digitalocean";

/// Longer than any test takes.
const HOUR: Duration = Duration::from_secs(3600);

/// Where one test plays. See the [module](super).
pub(crate) struct Stage {
    /// The namespace that everything is in; also the label of the account.
    pub(crate) namespace: String,
    /// The API token of the account, as it is in the Secret [`TOKEN_SECRET`].
    pub(crate) api_token: String,
    /// An administrator's client, which belongs to the runtime of this test.
    pub(crate) client: Client,
    /// The DigitalOcean of all stages: mind the account.
    pub(crate) simulator: Simulator,
    /// Base URL of DigitalOcean's API.
    pub(crate) digitalocean_url: String,
    /// The kubeconfig of the operator: its ServiceAccount has the rights that the chart grants.
    pub(crate) operator_kubeconfig: PathBuf,
    /// The namespace of that ServiceAccount.
    pub(crate) operator_namespace: String,
    /// Its name.
    operator_account: String,
    /// URL of the control plane's API server.
    pub(crate) server: String,
    /// PEM of the authority behind its certificate.
    pub(crate) certificate_authority: String,
    admin_kubeconfig: PathBuf,
    audit_log: AuditLog,
}

/// As whom an operator acts.
struct Identity {
    namespace: String,
    account: String,
    kubeconfig: PathBuf,
}

impl Stage {
    /// A stage in the world that tests share; `None` where the programs that it takes were not built.
    pub(crate) async fn new() -> Option<Self> {
        if unavailable() {
            return None;
        }
        Some(Self::on(&*World::shared().await).await)
    }

    /// A stage in a world of the caller's own.
    pub(crate) async fn on(world: &World) -> Self {
        Self::with_rights(world, Rights::within).await
    }

    /// A stage whose operator has the rights that `rights` makes for the namespace.
    pub(crate) async fn with_rights(
        world: &World,
        rights: impl AsyncFnOnce(&str) -> Rights,
    ) -> Self {
        let (client, namespace) = new_namespace(world).await;
        let rights = rights(&namespace).await;
        rights.grant(&client).await;
        let operator_kubeconfig = world
            .control_plane
            .service_account_kubeconfig(&namespace, RELEASE, HOUR)
            .await
            .unwrap();
        rights
            .in_force(&client_of(&operator_kubeconfig).await.unwrap(), &namespace)
            .await;
        let operator = Identity {
            namespace: namespace.clone(),
            account: RELEASE.to_owned(),
            kubeconfig: operator_kubeconfig,
        };
        Self::with_token(Self::set(world, client, namespace, operator)).await
    }

    /// A stage whose operator `install` prepares in the namespace. It returns the name of the operator's ServiceAccount.
    pub(crate) async fn with_operator(
        world: &World,
        install: impl AsyncFnOnce(&str) -> String,
    ) -> Self {
        let (client, namespace) = new_namespace(world).await;
        let account = install(&namespace).await;
        let control_plane = &world.control_plane;
        let kubeconfig = control_plane.service_account_kubeconfig(&namespace, &account, HOUR);
        let operator = Identity {
            namespace: namespace.clone(),
            kubeconfig: kubeconfig.await.unwrap(),
            account,
        };
        Self::with_token(Self::set(world, client, namespace, operator)).await
    }

    async fn with_token(self) -> Self {
        self.put_secret(TOKEN_SECRET, &[("access-token", &self.api_token)])
            .await;
        self
    }

    /// A stage without an operator of its own, which that of `host` serves. Its API token is in no Secret yet.
    pub(crate) async fn served_by(world: &World, host: &Self) -> Self {
        let (client, namespace) = new_namespace(world).await;
        let operator = Identity {
            namespace: host.operator_namespace.clone(),
            account: host.operator_account.clone(),
            kubeconfig: host.operator_kubeconfig.clone(),
        };
        Self::set(world, client, namespace, operator)
    }

    /// Puts a DigitalOcean account to the namespace.
    fn set(world: &World, client: Client, namespace: String, operator: Identity) -> Self {
        let control_plane = &world.control_plane;
        let simulator = world.simulator.clone();
        let api_token = simulator.draw_api_token();
        simulator.add_account(Account::new(&namespace)).unwrap();
        simulator
            .add_token(&namespace, &api_token, Scope::Full)
            .unwrap();
        Self {
            api_token,
            client,
            simulator,
            digitalocean_url: world.digitalocean_url(),
            operator_kubeconfig: operator.kubeconfig,
            operator_namespace: operator.namespace,
            operator_account: operator.account,
            server: control_plane.server().to_owned(),
            certificate_authority: control_plane.certificate_authority().to_owned(),
            admin_kubeconfig: control_plane.kubeconfig().to_owned(),
            audit_log: control_plane.audit_log().clone(),
            namespace,
        }
    }

    // ---- DigitalOcean ------------------------------------------------------------------------------------

    /// A running cluster whose API server is the control plane: what is minted for it works there. It has to be
    /// [added](Self::add_cluster), with whatever is to be different.
    pub(crate) fn cluster(&self, name: &str) -> Cluster {
        Cluster {
            name: name.to_owned(),
            endpoint: Some(self.server.clone()),
            certificate_authority: Some(self.certificate_authority.clone()),
            ..Cluster::default()
        }
    }

    /// The same, with client certificates of that lifetime in place of tokens.
    pub(crate) fn certificate_cluster(&self, name: &str, lifetime_seconds: u32) -> Cluster {
        let expires_at = CertificateExpiry::default();
        Cluster {
            authentication: Authentication::Certificate {
                lifetime_seconds,
                expires_at,
            },
            ..self.cluster(name)
        }
    }

    /// Adds a cluster to the account. Returns its id.
    pub(crate) fn add_cluster(&self, cluster: Cluster) -> String {
        self.simulator
            .add_cluster(&self.namespace, cluster)
            .unwrap()
    }

    /// Lets something go wrong for this stage alone. Returns the fault's id.
    pub(crate) fn inject(&self, mut fault: Fault) -> u64 {
        fault.matches.account = Some(self.namespace.clone());
        self.simulator.inject(fault).unwrap()
    }

    /// Every credential minted for this stage's account, in order.
    pub(crate) fn mints(&self) -> Vec<Mint> {
        let mut mints = self.simulator.mints();
        mints.retain(|mint| mint.account == self.namespace);
        mints
    }

    /// Every request to DigitalOcean with this stage's API token, in order.
    pub(crate) fn digitalocean_requests(&self) -> Vec<Entry> {
        let token = fingerprint(&self.api_token);
        let mut history = self.simulator.history();
        history.retain(|entry| {
            entry.account.as_ref() == Some(&self.namespace) || entry.token.as_ref() == Some(&token)
        });
        history
    }

    // ---- the namespace -----------------------------------------------------------------------------------

    /// Creates an access. `spec` is completed by the token Secret of this stage where it names no other token.
    pub(crate) async fn create_access(&self, name: &str, spec: Value) -> Access {
        self.create_annotated_access(name, &[], spec).await
    }

    /// The same, with annotations.
    pub(crate) async fn create_annotated_access(
        &self,
        name: &str,
        annotations: &[(&str, &str)],
        mut spec: Value,
    ) -> Access {
        if spec.get("tokenSecretRef").is_none() && spec.get("accountRef").is_none() {
            spec["tokenSecretRef"] = json!({"name": TOKEN_SECRET});
        }
        self.create_bare_access(name, annotations, spec).await
    }

    /// Creates an access with that very `spec`.
    pub(crate) async fn create_bare_access(
        &self,
        name: &str,
        annotations: &[(&str, &str)],
        spec: Value,
    ) -> Access {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let object = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOClusterAccess",
            "metadata": {"name": name, "annotations": annotations},
            "spec": spec,
        });
        let resource = ApiResource::erase::<DOClusterAccess>(&());
        let accesses: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let object = serde_json::from_value(object).unwrap();
        accesses
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        self.access(name)
    }

    /// An access that exists.
    pub(crate) fn access(&self, name: &str) -> Access {
        Access::new(&self.client, &self.namespace, name)
    }

    /// One in another namespace.
    pub(crate) fn access_in(&self, namespace: &str, name: &str) -> Access {
        Access::new(&self.client, namespace, name)
    }

    /// The Secrets of the namespace.
    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The Secret of that name as soon as `holds` says yes to it.
    pub(crate) async fn secret_until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Secret) -> bool,
    ) -> Secret {
        let holds = |secret: Option<&Secret>| secret.is_some_and(&holds);
        object_until(&self.secrets(), name, what, holds)
            .await
            .unwrap()
    }

    /// Waits until there is no Secret of that name.
    pub(crate) async fn secret_gone(&self, name: &str) {
        let gone = |secret: Option<&Secret>| secret.is_none();
        object_until(&self.secrets(), name, "it is gone", gone).await;
    }

    /// Creates a Secret, or replaces all that is in it.
    pub(crate) async fn put_secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = data.iter().copied().collect();
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name},
            "stringData": data,
        }))
        .unwrap();
        let secrets = self.secrets();
        match secrets.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                secrets
                    .replace(name, &PostParams::default(), &secret)
                    .await
                    .unwrap();
            }
            created => {
                created.unwrap();
            }
        }
    }

    /// Applies a merge patch to a Secret, as a user with kubectl would.
    pub(crate) async fn patch_secret(&self, name: &str, patch: Value) {
        let parameters = PatchParams {
            field_manager: Some("kubectl-patch".to_owned()),
            ..PatchParams::default()
        };
        self.secrets()
            .patch_metadata(name, &parameters, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Deletes a Secret.
    pub(crate) async fn delete_secret(&self, name: &str) {
        self.secrets()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    // ---- what the operator asked of the API server -------------------------------------------------------

    /// The name under which the operator acts.
    pub(crate) fn operator_user(&self) -> String {
        format!(
            "system:serviceaccount:{}:{}",
            self.operator_namespace, self.operator_account
        )
    }

    /// Where the audit log ends now.
    pub(crate) async fn audit_position(&self) -> Position {
        self.audit_log.position().await.unwrap()
    }

    /// What the operator has asked of the API server since `position`, watches and the lease left out.
    pub(crate) async fn operator_requests(&self, position: Position) -> Vec<Request> {
        let mut requests = self.all_operator_requests(position).await;
        requests.retain(|request| !request.is_watch() && request.resource != "leases");
        requests
    }

    /// The same with watches and the lease.
    pub(crate) async fn all_operator_requests(&self, position: Position) -> Vec<Request> {
        self.audit_log
            .requests_of(&self.operator_user(), position)
            .await
            .unwrap()
    }

    /// Waits until the operator has been refused something.
    pub(crate) async fn refused(&self, position: Position, resource: &str, verb: &str) -> Request {
        let user = self.operator_user();
        let refusal = self.audit_log.wait_for(position, |request| {
            request.user == user
                && request.code == 403
                && request.verb == verb
                && plural(request) == resource
        });
        let Ok(request) = timeout(PATIENCE, refusal).await else {
            panic!("nobody refused {verb} {resource} to {user}");
        };
        request.unwrap()
    }
}

/// Creates a namespace, with a client that belongs to the runtime of this test.
async fn new_namespace(world: &World) -> (Client, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let namespace = format!("stage-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let client = world.control_plane.admin_client().await.unwrap();
    let object: Namespace =
        serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
    Api::all(client.clone())
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    (client, namespace)
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (kubeconfig, namespace) = (self.admin_kubeconfig.clone(), self.namespace.clone());
        super::world::in_background(async move {
            let Ok(client) = client_of(&kubeconfig).await else {
                return;
            };
            let namespaces: Api<Namespace> = Api::all(client);
            // The control plane of a private world may be gone before.
            drop(
                namespaces
                    .delete(&namespace, &DeleteParams::default())
                    .await,
            );
        });
    }
}

/// The resource, with the subresource behind a slash.
fn plural(request: &Request) -> String {
    if request.subresource.is_empty() {
        request.resource.clone()
    } else {
        format!("{}/{}", request.resource, request.subresource)
    }
}

/// A line for each request: verb, resource, name and status.
pub(crate) fn summary(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|request| {
            format!(
                "{} {} {} {}",
                request.verb,
                plural(request),
                request.name,
                request.code
            )
        })
        .collect()
}
