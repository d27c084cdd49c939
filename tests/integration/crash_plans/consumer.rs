//! Who uses the Secrets: reads them again and again, and works with what they hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::credential::Credential;
use crate::harness::{Stage, ask_who_i_am, eventually, target};

const BETWEEN_POLLS: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(super) struct Consumer {
    names: &'static [&'static str],
    seen: Arc<Mutex<Seen>>,
    polling: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Seen {
    uses: usize,
    refusals: Vec<String>,
}

impl Consumer {
    /// Uses the Secrets of these names as soon as they are there.
    pub(super) fn of(stage: &Stage, names: &'static [&'static str]) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let poller = Poller {
            secrets: stage.secrets(),
            simulator: stage.simulator.clone(),
            names,
            targets: BTreeMap::new(),
            seen: seen.clone(),
        };
        Self {
            names,
            seen,
            polling: tokio::spawn(poller.poll()),
        }
    }

    /// Waits until it has used what there is once more, all of it, and asserts that it was never refused.
    pub(super) async fn was_never_refused(&self) {
        let uses = self.seen().uses;
        eventually("the credential is used", async || {
            self.seen().uses > uses + self.names.len()
        })
        .await;
        let seen = self.seen();
        assert_eq!(seen.refusals, Vec::<String>::new(), "in {} uses", seen.uses);
    }

    fn seen(&self) -> Seen {
        assert!(!self.polling.is_finished(), "the consumer ended by itself");
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

struct Poller {
    secrets: Api<Secret>,
    simulator: do_cluster_access_testbed::simulator::Simulator,
    names: &'static [&'static str],
    /// The target cluster, by the kubeconfig that leads to it.
    targets: BTreeMap<String, Client>,
    seen: Arc<Mutex<Seen>>,
}

impl Poller {
    async fn poll(mut self) {
        let mut ticks = interval(BETWEEN_POLLS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let secrets = self.secrets.list(&ListParams::default()).await.unwrap();
            for secret in secrets {
                let name = secret.name_any();
                if self.names.contains(&name.as_str()) {
                    self.make_use_of(&name, &secret).await;
                }
            }
        }
    }

    async fn make_use_of(&mut self, name: &str, secret: &Secret) {
        let credential = Credential::of(secret);
        if !self.targets.contains_key(&credential.kubeconfig) {
            let client = target(&credential.kubeconfig).await;
            self.targets.insert(credential.kubeconfig.clone(), client);
        }
        let answer = ask_who_i_am(&self.targets[&credential.kubeconfig]).await;
        // The API server may remember an accepted token for a while; DigitalOcean knows.
        let mut tokens = credential.tokens.iter();
        let known = tokens.all(|token| self.simulator.review(token).is_some());
        let mut seen = self.seen.lock().unwrap();
        seen.uses += 1;
        if answer.is_err() || !known {
            let expires_at = &credential.issue.expires_at;
            seen.refusals.push(format!(
                "{name}, which expires at {expires_at}: {answer:?}, known to DigitalOcean: {known}"
            ));
        }
    }
}
