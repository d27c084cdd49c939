//! A credential that is always valid: renewal, in real time, is never noticed by whoever uses the Secret.
//! (Long, and therefore first in the alphabet.)

mod failover;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Operator, Poller, eventually, text, whoami, whoami_by_token};

#[tokio::test]
async fn three_rotations_of_60_second_tokens_are_never_noticed_by_who_uses_the_secret() {
    let stage = Arc::new(stage!());
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}, "expirySeconds": 60});
    let access = stage.create_access("prod", spec).await;
    access.ready().await;
    let first = access.secret().await;
    let poller = Poller::start(&stage, "prod-kubeconfig", Duration::from_millis(200));

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
