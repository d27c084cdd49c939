//! A credential that is always valid: renewal, in real time, is never noticed by whoever uses the Secret.
//! (Long, and therefore first in the alphabet.)

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::harness::{Operator, Stage, eventually, text, token_in, whoami, whoami_by_token};

/// Uses what the Secret holds, five times a second.
struct Poller {
    seen: Arc<Mutex<Seen>>,
    polling: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Seen {
    polls: u32,
    refusals: Vec<String>,
    tokens: BTreeSet<String>,
}

impl Poller {
    fn start(stage: &Arc<Stage>, secret: &'static str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let polling = tokio::spawn(poll(stage.clone(), secret, seen.clone()));
        Self { seen, polling }
    }

    fn seen(&self) -> Seen {
        assert!(!self.polling.is_finished(), "the poller ended by itself");
        self.seen.lock().unwrap().clone()
    }
}

async fn poll(stage: Arc<Stage>, name: &str, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(Duration::from_millis(200));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let secret = stage.secrets().get(name).await.unwrap();
        let (kubeconfig, token) = (text(&secret, "kubeconfig"), text(&secret, "token"));
        let (by_kubeconfig, by_token) =
            futures::join!(whoami(&kubeconfig), whoami_by_token(&stage, &token));
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

#[tokio::test]
async fn three_rotations_of_60_second_tokens_are_never_noticed_by_who_uses_the_secret() {
    let stage = Arc::new(stage!());
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": 60});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let first = access.secret().await;
    let poller = Poller::start(&stage, "prod-kubeconfig");

    let mut current = first.clone();
    for _ in 0..3 {
        // Due 34 to 40 s after the issue before.
        current = access.renewed(&current).await;
    }
    access.ready().await;
    eventually("the last credential was used", async || {
        poller.seen().tokens.len() >= 8
    })
    .await;
    let seen = poller.seen();
    assert_eq!(
        seen.refusals,
        Vec::<String>::new(),
        "in {} polls",
        seen.polls
    );
    assert!(seen.polls > 200, "polled {} times only", seen.polls);
    assert_eq!(seen.tokens.len(), 8, "two tokens an issue, four issues");
    assert_eq!(stage.mints().len(), 8);

    // The proof that a poll can fail: what the first issue gave is refused by now.
    let (kubeconfig, token) = (text(&first, "kubeconfig"), text(&first, "token"));
    eventually("what the first issue gave is refused", async || {
        let refused = Err(401);
        whoami(&kubeconfig).await == refused && whoami_by_token(&stage, &token).await == refused
    })
    .await;
}
