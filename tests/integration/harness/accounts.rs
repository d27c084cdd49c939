//! Tenants of one operator that serves the whole cluster, and the `DOAccount`s by which they use API tokens that
//! they cannot read.
//!
//! An operator that may see accounts looks after all of them, and finds their tokens in its own namespace alone: two
//! in one world would contradict each other. So the tests of accounts share a world of their own with one operator,
//! whose clock nobody may set. Those to which the time matters, or what is there besides, start a [`Host`] of their own.

use std::ops::Deref;
use std::sync::Arc;

use do_cluster_access::api::{DOAccount, DOClusterAccess};
use do_cluster_access_testbed::control_plane::Options;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::access::{Access, condition};
use super::chart::Rights;
use super::operator::Operator;
use super::stage::Stage;
use super::waiting::object_until;
use super::world::{World, beyond_the_test, unavailable};

/// A world, and the operator in it, which serves every namespace with the rights that the chart grants by default.
pub(crate) struct Host {
    /// Ends it first: it needs the others.
    pub(crate) operator: Operator,
    /// The operator's own namespace.
    pub(crate) stage: Stage,
    /// Where all is.
    pub(crate) world: World,
}

impl Host {
    /// One of the caller's own; `None` where the programs that it takes were not built.
    pub(crate) async fn start() -> Option<Self> {
        if unavailable() {
            return None;
        }
        let world = World::start(Options::default()).await;
        let stage = Stage::with_rights(&world, Rights::everywhere).await;
        let operator = Operator::start_as(&stage, 0, &Operator::everywhere(&stage)).await;
        Some(Self {
            operator,
            stage,
            world,
        })
    }

    /// That of every test which does nothing to it.
    async fn shared() -> Option<Arc<Self>> {
        static SHARED: OnceCell<Option<Arc<Host>>> = OnceCell::const_new();
        let start = async || beyond_the_test(Self::start).await.map(Arc::new);
        SHARED.get_or_init(start).await.clone()
    }
}

/// A namespace that the operator of a [`Host`] serves, with clusters and an API token at DigitalOcean that is kept in
/// the operator's namespace. Its account, that Secret, and the namespace are called alike in part.
pub(crate) struct Tenant {
    stage: Stage,
    host: Option<Arc<Host>>,
}

impl Deref for Tenant {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Tenant {
    /// A tenant of the operator that tests share, with its token in place; `None` where the programs that it takes
    /// were not built.
    pub(crate) async fn new() -> Option<Self> {
        let host = Host::shared().await?;
        let tenant = Self::of(&host).await;
        Some(Self {
            host: Some(host),
            ..tenant
        })
    }

    /// A tenant of that operator, with its token in place.
    pub(crate) async fn of(host: &Host) -> Self {
        let stage = Stage::served_by(&host.world, &host.stage).await;
        let tenant = Self { stage, host: None };
        tenant
            .put_token(&tenant.account_name(), &tenant.api_token)
            .await;
        tenant
    }

    /// Another tenant of the same operator.
    pub(crate) async fn neighbour(&self) -> Self {
        let host = self.host.clone().unwrap();
        let tenant = Self::of(&host).await;
        Self {
            host: Some(host),
            ..tenant
        }
    }

    /// A series of the operator's metrics; see [`Operator::metric`].
    pub(crate) fn metric(&self, series: &str) -> Option<String> {
        self.host.as_ref().unwrap().operator.metric(series)
    }

    // ---- the token -----------------------------------------------------------------------------------------

    /// Name of this tenant's account, and of the Secret with its token in the operator's namespace.
    pub(crate) fn account_name(&self) -> String {
        format!("account-of-{}", self.namespace)
    }

    /// The Secrets of the operator's namespace.
    pub(crate) fn tokens(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.operator_namespace)
    }

    /// Keeps a token beside the operator, under that name and the default key.
    pub(crate) async fn put_token(&self, name: &str, token: &str) {
        self.put_tokens(name, json!({"access-token": token})).await;
    }

    /// Creates a Secret beside the operator, or replaces all that is in it.
    pub(crate) async fn put_tokens(&self, name: &str, data: Value) {
        let secret: Secret =
            serde_json::from_value(json!({"metadata": {"name": name}, "stringData": data}))
                .unwrap();
        let tokens = self.tokens();
        match tokens.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let replaced = tokens.replace(name, &PostParams::default(), &secret).await;
                replaced.unwrap();
            }
            created => {
                created.unwrap();
            }
        }
    }

    // ---- the account ---------------------------------------------------------------------------------------

    /// Creates this tenant's account: it allows this namespace and all clusters, unless `spec` says otherwise.
    pub(crate) async fn create_account(&self, spec: Value) -> Account {
        self.create_account_named(&self.account_name(), spec).await
    }

    /// The same under another name, with the same token.
    pub(crate) async fn create_account_named(&self, name: &str, spec: Value) -> Account {
        let mut whole = json!({
            "tokenSecretRef": {"name": self.account_name()},
            "allowedNamespaces": [self.namespace],
            "allowedClusters": {"names": ["*"]},
        });
        for (key, value) in spec.as_object().unwrap() {
            whole[key] = value.clone();
        }
        Account::create(&self.client, name, whole).await
    }

    // ---- accesses ------------------------------------------------------------------------------------------

    /// Creates an access by this tenant's account, unless `spec` names another.
    pub(crate) async fn create_access_by_account(&self, name: &str, mut spec: Value) -> Access {
        if spec.get("accountRef").is_none() {
            spec["accountRef"] = json!({"name": self.account_name()});
        }
        self.create_bare_access(name, &[], spec).await
    }
}

/// A `DOAccount`.
#[derive(Clone)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    api: Api<DOAccount>,
}

impl Account {
    /// Creates it with that very `spec`.
    pub(crate) async fn create(client: &Client, name: &str, spec: Value) -> Self {
        Self::try_create(client, name, spec).await.unwrap()
    }

    /// The same where it may be refused.
    pub(crate) async fn try_create(client: &Client, name: &str, spec: Value) -> kube::Result<Self> {
        let object = json!({
            "apiVersion": "doclusteraccess.dev/v1alpha1",
            "kind": "DOAccount",
            "metadata": {"name": name},
            "spec": spec,
        });
        let resource = ApiResource::erase::<DOAccount>(&());
        let accounts: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let object = serde_json::from_value(object).unwrap();
        accounts.create(&PostParams::default(), &object).await?;
        Ok(Self {
            name: name.to_owned(),
            api: Api::all(client.clone()),
        })
    }

    /// One that exists.
    pub(crate) fn existing(client: &Client, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api: Api::all(client.clone()),
        }
    }

    /// As it is now.
    pub(crate) async fn get(&self) -> DOAccount {
        self.api.get(&self.name).await.unwrap()
    }

    /// As it is as soon as `holds` says yes to it.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&DOAccount) -> bool) -> DOAccount {
        let holds = |account: Option<&DOAccount>| account.is_some_and(&holds);
        object_until(&self.api, &self.name, what, holds)
            .await
            .unwrap()
    }

    /// Waits until Ready, of the present spec, has this reason. Returns the condition.
    pub(crate) async fn says(&self, reason: &str) -> Condition {
        let what = format!("the reason of Ready is {reason}");
        let told = self
            .until(&what, |account| {
                ready_condition(account).is_some_and(|condition| condition.reason == reason)
            })
            .await;
        ready_condition(&told).unwrap().clone()
    }

    /// Changes the spec by a merge patch.
    pub(crate) async fn patch_spec(&self, patch: Value) {
        self.api
            .patch(
                &self.name,
                &PatchParams::default(),
                &Patch::Merge(json!({ "spec": patch })),
            )
            .await
            .unwrap();
    }

    /// Deletes it.
    pub(crate) async fn delete(&self) {
        self.api
            .delete(&self.name, &DeleteParams::default())
            .await
            .unwrap();
    }
}

/// The condition Ready, where status is that of the present spec.
fn ready_condition(account: &DOAccount) -> Option<&Condition> {
    let status = account.status.as_ref()?;
    let current = status.observed_generation == account.metadata.generation;
    let mut conditions = status.conditions.iter().filter(|_| current);
    conditions.find(|condition| condition.type_ == "Ready")
}

/// The sentence of Synced.
pub(crate) fn message(access: &DOClusterAccess) -> String {
    condition(access, "Synced")
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}
