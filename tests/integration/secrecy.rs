//! Credentials are in the Secrets, and nowhere else.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::harness::{OperatorProcess, Stage, eventually, text, token_in};

/// Everything that must not be seen, as it is and as base64 of something that contains it would show it.
fn canaries(stage: &Stage, secrets: &[Secret]) -> Vec<String> {
    let mut canaries = vec![stage.api_token.clone()];
    for secret in secrets {
        for key in ["token", "client.key"] {
            canaries.extend(
                text(secret, key)
                    .lines()
                    .filter(|line| line.len() > 20)
                    .map(str::to_owned),
            );
        }
        let kubeconfig = text(secret, "kubeconfig");
        if !text(secret, "token").is_empty() {
            canaries.push(token_in(&kubeconfig));
        }
        canaries.extend(text(secret, "client.key").is_empty().then(String::new));
    }
    canaries.retain(|canary| !canary.is_empty() && !canary.starts_with("-----"));
    let encoded: Vec<_> = canaries
        .iter()
        .flat_map(|canary| in_base64(canary))
        .collect();
    canaries.extend(encoded);
    canaries
}

/// What is seen of `text` in base64, at each of the three alignments.
fn in_base64(text: &str) -> Vec<String> {
    (0..3)
        .map(|padding| {
            let encoded = BASE64_STANDARD.encode(format!("{}{text}", "x".repeat(padding)));
            // What depends on the neighbours is cut off at both ends.
            let end = encoded.trim_end_matches('=').len() - 2;
            encoded[4..end].to_owned()
        })
        .collect()
}

fn assert_clean(place: &str, content: &str, canaries: &[String]) {
    for canary in canaries {
        let Some(position) = content.find(canary.as_str()) else {
            continue;
        };
        let line = content[..position].matches('\n').count();
        panic!(
            "{place} shows a secret in line {line}: {}",
            content.lines().nth(line).unwrap()
        );
    }
}

#[tokio::test]
async fn no_secret_is_in_logs_at_trace_level_events_status_or_metrics() {
    let stage = stage!();
    let mut operator = OperatorProcess::start(&stage, &["--log-filter=trace"]).await;
    stage.add_cluster(stage.cluster("prod"));
    stage.add_cluster(stage.certificate_cluster("legacy", 7200));
    let tokens = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let certificates = stage
        .create_access("legacy", json!({"cluster": {"name": "legacy"}}))
        .await;
    tokens.ready().await;
    certificates.ready().await;
    let mut secrets = vec![tokens.secret().await, certificates.secret().await];
    tokens.rotate("now").await;
    secrets.push(tokens.renewed(&secrets[0]).await);

    // Things that go wrong tend to be told in detail.
    stage
        .put_secret(
            "broken",
            &[("access-token", &format!("{0} {0}", stage.api_token))],
        )
        .await;
    let spec = json!({"cluster": {"name": "prod"}, "tokenSecretRef": {"name": "broken"}});
    let broken = stage.create_access("broken", spec).await;
    broken.synced("TokenInvalid").await;
    stage
        .patch_secret(
            "prod-kubeconfig",
            json!({"stringData": {"token": "edited"}}),
        )
        .await;
    secrets.push(tokens.renewed(&secrets[2]).await);
    tokens.ready().await;
    eventually("the events are written", async || {
        tokens.events().await.len() >= 3
    })
    .await;

    let canaries = canaries(&stage, &secrets);
    assert!(
        canaries.len() > 20,
        "there is little to look for: {}",
        canaries.len()
    );
    let (_, metrics) = operator.get("/metrics").await;
    operator.terminate().await;
    operator.ends().await;
    let log = operator.log();
    assert!(
        log.contains("TRACE"),
        "the log does not go as deep as it should"
    );
    assert_clean("the log", &log, &canaries);
    assert_clean("the metrics page", &metrics, &canaries);
    for access in [tokens, certificates, broken] {
        let object = serde_json::to_string_pretty(&access.get().await).unwrap();
        assert_clean("an access", &object, &canaries);
        let events = serde_json::to_string_pretty(&access.events().await).unwrap();
        assert_clean("an event", &events, &canaries);
    }
    // The proof that a canary would be found.
    let secret = serde_json::to_string(&secrets[0]).unwrap();
    assert!(canaries.iter().any(|canary| secret.contains(canary)));
}
