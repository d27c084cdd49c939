//! A consumer that never rests.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::access::text;
use super::stage::Stage;
use super::target::{ask_who_i_am, kubeconfig_of_token, target, token_in};

/// Uses what a Secret holds, its kubeconfig and its token, again and again.
pub(crate) struct Poller {
    seen: Arc<Mutex<Seen>>,
    polling: JoinHandle<()>,
}

/// What a poller has seen so far.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// How often it read the Secret.
    pub(crate) polls: u32,
    /// A line for each time that something in it was refused.
    pub(crate) refusals: Vec<String>,
    /// The tokens that it has used.
    pub(crate) tokens: BTreeSet<String>,
}

impl Poller {
    /// Begins to use the Secret of that name, once each `period`.
    pub(crate) fn start(stage: &Arc<Stage>, secret: &'static str, period: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let polling = tokio::spawn(poll(stage.clone(), secret, period, seen.clone()));
        Self { seen, polling }
    }

    /// What it has seen so far.
    pub(crate) fn seen(&self) -> Seen {
        assert!(!self.polling.is_finished(), "the poller ended by itself");
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

async fn poll(stage: Arc<Stage>, name: &str, period: Duration, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clients = HashMap::new();
    loop {
        ticks.tick().await;
        let secret = stage.secrets().get(name).await.unwrap();
        let (kubeconfig, token) = (text(&secret, "kubeconfig"), text(&secret, "token"));
        let holder_of_token = kubeconfig_of_token(&stage, &token);
        let (with_kubeconfig, with_token) = (
            client(&mut clients, &kubeconfig).await,
            client(&mut clients, &holder_of_token).await,
        );
        let (by_kubeconfig, by_token) =
            futures::join!(ask_who_i_am(&with_kubeconfig), ask_who_i_am(&with_token));
        let mut seen = seen.lock().unwrap();
        seen.polls += 1;
        for (what, answer) in [("kubeconfig", by_kubeconfig), ("token", by_token)] {
            if let Err(code) = answer {
                let expires_at = text(&secret, "expires-at");
                seen.refusals.push(format!(
                    "{code} for the {what} that expires at {expires_at}"
                ));
            }
        }
        // An API server that is not ours may remember an accepted token for a while.
        if stage.simulator.review(&token).is_none() {
            seen.refusals
                .push("DigitalOcean does not know the token any more".to_owned());
        }
        seen.tokens.extend([token, token_in(&kubeconfig)]);
    }
}

/// One client for each kubeconfig: a connection for each question would cost more than all else.
async fn client(clients: &mut HashMap<String, Client>, kubeconfig: &str) -> Client {
    if let Some(client) = clients.get(kubeconfig) {
        return client.clone();
    }
    let client = target(kubeconfig).await;
    clients.insert(kubeconfig.to_owned(), client.clone());
    client
}
