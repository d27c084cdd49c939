//! What a plan plays on: a stage, an access, who uses its Secrets, and processes that go through a fault proxy each.

use std::sync::atomic::{AtomicU32, Ordering};

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use do_cluster_access_testbed::fault_proxy::{CallName, FaultProxy, Stalled, Strike, Upstreams};
use futures::FutureExt;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::consumer::Consumer;
use super::credential::Issue;
use super::history::History;
use super::invariants::{self, Crash};
use crate::harness::{
    Access, OperatorProcess, PATIENCE, Route, Stage, TOKEN_SECRET, annotation, eventually,
    has_condition,
};

/// The two outputs that every scenario begins with, in order: the first holds all that the second needs.
pub(super) const OUTPUTS: &[&str] = &["people", "flux"];

/// What most of the time of a plan goes into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Work, from beginning to end.
    Working,
    /// Waiting, once the scene is set.
    Waiting,
}

/// Lets few plans work at once. Held by whoever works. Those that are to wait are not kept from it by the others.
pub(super) async fn turn(pace: Pace) -> SemaphorePermit<'static> {
    static WORKING: Semaphore = Semaphore::const_new(6);
    static WAITING: Semaphore = Semaphore::const_new(4);
    let turns = match pace {
        Pace::Working => &WORKING,
        Pace::Waiting => &WAITING,
    };
    turns.acquire().await.unwrap()
}

/// See the [module](self).
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) history: History,
    consumer: Consumer,
}

impl Scene {
    /// Sets it, with a cluster at DigitalOcean and nothing else. Whoever uses the Secrets `uses` those.
    pub(super) async fn set(uses: &'static [&'static str]) -> Self {
        let stage = Stage::new().await.unwrap();
        stage.add_cluster(stage.cluster("prod"));
        let history = History::of(&stage).await;
        let consumer = Consumer::of(&stage, uses);
        Self {
            stage,
            history,
            consumer,
        }
    }

    /// Creates the access, with [`OUTPUTS`].
    pub(super) async fn create_access(&self, mut spec: Value) -> Access {
        spec["cluster"] = json!({"name": "prod"});
        spec["outputs"] = json!([
            {"secretName": "people", "format": "Kubeconfig"},
            {"secretName": "flux", "format": "Flux"},
        ]);
        self.stage.create_access("prod", spec).await
    }

    /// Creates the access, and waits until its first issue is published.
    pub(super) async fn first_issue(&self, spec: Value) -> Issue {
        let access = self.create_access(spec).await;
        self.published(OUTPUTS, |_| true).await;
        // Its event is the last call of it.
        eventually("the first issue is announced", async || {
            !access.events().await.is_empty()
        })
        .await;
        Issue::of(&self.history.present()["people"])
    }

    /// The access.
    pub(super) fn access(&self) -> Access {
        self.stage.access("prod")
    }

    /// Waits until every output holds one and the same issue, `holds` says yes to it, and status says all of that.
    pub(super) async fn published(&self, outputs: &[&str], holds: impl Fn(&Issue) -> bool) {
        let access = self.access();
        let mut missing = String::new();
        let look = async || {
            let found = self.is_published(&access, outputs, &holds).await;
            missing = found.err().unwrap_or_default();
            missing.is_empty()
        };
        let looked = AssertUnwindSafe(eventually("it is published", look))
            .catch_unwind()
            .await;
        assert!(looked.is_ok(), "it is not published: {missing}");
    }

    async fn is_published(
        &self,
        access: &Access,
        outputs: &[&str],
        holds: impl Fn(&Issue) -> bool,
    ) -> Result<(), String> {
        let present = self.history.present();
        let names: Vec<_> = outputs
            .iter()
            .filter_map(|name| present.get(*name))
            .collect();
        if names.len() != outputs.len() || present.len() != outputs.len() {
            return Err(format!("there are {:?}", present.keys()));
        }
        let issues: Vec<_> = names.iter().map(|secret| Issue::of(secret)).collect();
        if issues
            .iter()
            .any(|issue| *issue != issues[0] || !holds(issue))
        {
            return Err(format!("they hold {issues:?}"));
        }
        let access = &access.get().await;
        let conditions = has_condition(access, "Ready", "True", "Published")
            && has_condition(access, "Synced", "True", "UpToDate");
        let status = access.status.as_ref().filter(|_| conditions);
        let told = status.is_some_and(|status| {
            let hashes = status
                .outputs
                .iter()
                .map(|output| output.content_hash.clone());
            let actual = names
                .iter()
                .map(|secret| annotation(secret, "content-hash"));
            let credential = status.credential.as_ref();
            let expires_at = credential.and_then(|credential| credential.expires_at.as_ref());
            hashes.eq(actual)
                && expires_at.is_some_and(|time| time.0.to_string() == issues[0].expires_at)
        });
        told.then_some(())
            .ok_or_else(|| format!("status is {:?}", access.status))
    }

    /// Returns when the operator has looked at the access as it is after all that happened to it before, and left
    /// nothing to do. Costs a change of the spec that asks for what is there.
    pub(super) async fn settled(&self, outputs: &[&str]) {
        self.access()
            .patch_spec(json!({"deletionPolicy": "Delete"}))
            .await;
        self.published(outputs, |_| true).await;
    }

    /// What there is now, with no process on the stage.
    pub(super) async fn after_crash(&self) -> Crash {
        let secrets = self
            .stage
            .secrets()
            .list(&ListParams::default())
            .await
            .unwrap();
        let ours = secrets
            .iter()
            .filter(|secret| secret.name_any() != TOKEN_SECRET);
        let issues: BTreeSet<_> = ours.map(Issue::of).collect();
        let access = self.access().api.get_opt("prod").await.unwrap();
        let status = access.and_then(|access| access.status).unwrap_or_default();
        let outputs = status.outputs.into_iter();
        Crash {
            minted: self.stage.mints().len(),
            is_torn: issues.len() > 1,
            told: outputs
                .map(|output| (output.secret_name, output.content_hash))
                .collect(),
        }
    }

    /// Asserts that users were told of no failure: a crash is none.
    pub(super) async fn nothing_failed(&self) {
        let events = self.access().events().await.into_iter();
        let warnings = events.filter(|event| event.type_.as_deref() == Some("Warning"));
        let warnings: Vec<_> = warnings.map(|event| event.note).collect();
        assert!(warnings.is_empty(), "users were told {warnings:?}");
    }

    /// Asserts what holds in the end, whatever happened in between.
    pub(super) async fn check(self, expected: invariants::Expected) {
        self.consumer.was_never_refused().await;
        self.check_unused(expected).await;
    }

    /// The same where the Secrets have gone.
    pub(super) async fn check_unused(self, expected: invariants::Expected) {
        drop(self.consumer);
        let changes = self.history.complete(&self.stage).await;
        invariants::check(&changes, &self.stage.mints(), &expected);
    }
}

/// A process of the operator, and the proxy that it goes through.
pub(super) struct Proxied {
    pub(super) process: OperatorProcess,
    pub(super) proxy: FaultProxy,
}

impl Proxied {
    /// A process that leads without being elected, with all set for its first call.
    pub(super) async fn start(stage: &Stage, strike: Option<Strike>) -> (Self, Option<Stalled>) {
        Self::start_with(stage, strike, &["--leader-elect=false"]).await
    }

    /// The same with these arguments.
    pub(super) async fn start_with(
        stage: &Stage,
        strike: Option<Strike>,
        arguments: &[&str],
    ) -> (Self, Option<Stalled>) {
        let upstreams = Upstreams {
            kubernetes: stage.server.clone(),
            certificate_authority: stage.certificate_authority.clone(),
            digitalocean: stage.digitalocean_url.clone(),
        };
        let proxy = FaultProxy::start(&upstreams).await.unwrap();
        let stalled = strike.map(|strike| proxy.strike(strike));
        let route = route(stage, &proxy);
        let namespace = format!("--watch-namespace={}", stage.namespace);
        let arguments = [&[namespace.as_str()], arguments].concat();
        let process = OperatorProcess::spawn(stage, &route, &arguments);
        (Self { process, proxy }, stalled)
    }

    /// Waits for the stalled call.
    pub(super) async fn is_at(&self, stalled: &Stalled) {
        if timeout(PATIENCE, stalled.here()).await.is_err() {
            let calls = self.proxy.calls();
            let calls: String = calls
                .iter()
                .map(|call| format!("{}\n", call.name))
                .collect();
            panic!(
                "the call never came; there were\n{calls}\nand the log is\n{}",
                self.process.log()
            );
        }
    }

    /// Kills it. Afterwards nothing that it did can take effect any more.
    pub(super) async fn crash(mut self) {
        self.process.kill().await;
        self.proxy.shut().await;
    }

    /// Ends it as Kubernetes does: what it does, it does to its end. Returns all of its calls.
    pub(super) async fn stop(mut self) -> Vec<CallName> {
        self.process.terminate().await;
        let ended = self.process.ends().await;
        let log = self.process.log();
        // To leave at once is what it must do on a machine that is too busy to renew a lease in time.
        let too_busy = log.contains("the lease could not be renewed in time");
        let expected = Some(i32::from(too_busy));
        assert_eq!(ended.code(), expected, "{log}");
        let calls = self
            .proxy
            .calls()
            .into_iter()
            .map(|call| call.name)
            .collect();
        self.proxy.shut().await;
        calls
    }
}

/// The way through `proxy`: a kubeconfig with the operator's own token, and without TLS.
fn route(stage: &Stage, proxy: &FaultProxy) -> Route {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let kubeconfig = std::fs::read(&stage.operator_kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_json::from_slice(&kubeconfig).unwrap();
    kubeconfig["clusters"][0]["cluster"] = json!({"server": proxy.kubernetes_url()});
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = stage
        .operator_kubeconfig
        .with_extension(format!("proxy-{number}"));
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    Route {
        kubeconfig: path,
        digitalocean_url: proxy.digitalocean_url(),
    }
}
