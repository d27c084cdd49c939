//! One access, many Secrets: what changes without a mint, what heals from what, and who gets a Secret that several
//! want.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::harness::{
    Access, Feed, Operator, Refusal, SIX, Stage, annotation, assert_condition, condition,
    has_condition, keys, labels, six, summary, text, token_in, uids, whoami,
};

/// The output of that name among [`six`].
fn one_of_six(name: &str) -> Value {
    let outputs = six();
    let mut found = outputs.as_array().unwrap().iter();
    found
        .find(|output| output["secretName"] == name)
        .unwrap()
        .clone()
}

/// What identifies the issue that Secrets hold, where they hold the same.
fn issue_of(secrets: &BTreeMap<String, Secret>) -> String {
    let mut issues: Vec<_> = secrets
        .values()
        .map(|secret| {
            let marks = ["issued-at", "expires-at", "rotate"];
            marks.map(|mark| annotation(secret, mark)).join(" ")
        })
        .collect();
    issues.dedup();
    assert_eq!(issues.len(), 1, "the outputs hold several issues");
    issues.remove(0)
}

// ---- changes of the spec ---------------------------------------------------------------------------------

#[tokio::test]
async fn outputs_of_every_format_are_added_renamed_reordered_and_removed_without_a_mint() {
    let feed = Feed::set(stage!(), json!([one_of_six("people")])).await;
    let before = feed.secret("people").await;
    feed.put_outputs(six()).await;
    feed.access.ready().await;
    let secrets = feed.secrets(&SIX).await;
    issue_of(&secrets);
    assert!(secrets["people"].data == before.data);
    let kubeconfig = text(&before, "kubeconfig");
    assert_eq!(text(&secrets["flux"], "value"), kubeconfig);
    assert_eq!(text(&secrets["karmada"], "token"), text(&before, "token"));

    // Another order is no reason to write.
    let position = feed.stage.audit_position().await;
    let mut reversed = six();
    reversed.as_array_mut().unwrap().reverse();
    feed.put_outputs(reversed.clone()).await;
    feed.access.ready().await;
    let writes = feed.writes(position).await;
    assert!(writes.is_empty(), "{:?}", summary(&writes));

    for output in reversed.as_array_mut().unwrap() {
        output["secretName"] = json!(format!("new-{}", output["secretName"].as_str().unwrap()));
    }
    feed.put_outputs(reversed).await;
    for name in SIX {
        feed.stage.secret_gone(name).await;
        let renamed = feed.secret(&format!("new-{name}")).await;
        assert!(renamed.data == secrets[name].data, "{name}");
    }
    feed.access.ready().await;
    feed.put_outputs(json!([{"secretName": "new-karmada", "format": "Karmada"}]))
        .await;
    for name in SIX.iter().filter(|name| **name != "karmada") {
        feed.stage.secret_gone(&format!("new-{name}")).await;
    }
    feed.access.ready().await;
    assert_eq!(feed.mints().len(), 2);
}

/// An output of each format of type Opaque, all with the same name, and the keys and labels that it has.
fn forms() -> Vec<(Value, Vec<&'static str>, Vec<&'static str>)> {
    let facts = vec![
        "argocd.argoproj.io/secret-type",
        "doclusteraccess.dev/cluster-id",
        "doclusteraccess.dev/cluster-name",
        "doclusteraccess.dev/region",
        "doclusteraccess.dev/version",
    ];
    let people = vec!["ca.crt", "expires-at", "kubeconfig", "server", "token"];
    let custom = json!([{"key": "a", "field": "Kubeconfig"}, {"key": "b", "field": "Region"}]);
    vec![
        (json!({"format": "Kubeconfig"}), people, vec![]),
        (
            json!({"format": "ArgoCD"}),
            vec!["config", "name", "server"],
            facts,
        ),
        (
            json!({"format": "Flux"}),
            vec!["value"],
            vec!["reconcile.fluxcd.io/watch"],
        ),
        (
            json!({"format": "Custom", "keys": custom}),
            vec!["a", "b"],
            vec![],
        ),
        (
            json!({"format": "Karmada"}),
            vec!["caBundle", "token"],
            vec![],
        ),
    ]
}

async fn has_form(feed: &Feed, name: &str, expected: &[&str], more_labels: &[&str]) {
    let secret = feed.secret(name).await;
    assert_eq!(keys(&secret), expected);
    let mut labels: Vec<_> = labels(&secret).into_keys().collect();
    labels.retain(|label| {
        label != "app.kubernetes.io/managed-by" && label != "doclusteraccess.dev/access"
    });
    assert_eq!(labels, more_labels);
}

#[tokio::test]
async fn an_output_changes_its_format_in_place_and_without_a_mint() {
    let keeper = json!({"secretName": "keeper", "format": "Flux"});
    let first = json!({"secretName": "morph", "format": "Karmada"});
    let feed = Feed::set(stage!(), json!([keeper, first])).await;
    let uid = feed.secret("morph").await.metadata.uid;
    for (mut output, expected, more_labels) in forms() {
        output["secretName"] = json!("morph");
        feed.put_outputs(json!([keeper, output])).await;
        feed.access.ready().await;
        has_form(&feed, "morph", &expected, &more_labels).await;
        assert_eq!(feed.secret("morph").await.metadata.uid, uid);
    }
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn a_lone_output_takes_another_format_from_its_own_content_while_that_is_enough() {
    let alone = |output: &Value| {
        let mut output = output.clone();
        output["secretName"] = json!("morph");
        json!([output])
    };
    let forms = forms();
    let feed = Feed::set(stage!(), alone(&forms[0].0)).await;
    let before = feed.secret("morph").await;
    for (output, expected, more_labels) in &forms {
        feed.put_outputs(alone(output)).await;
        feed.access.ready().await;
        has_form(&feed, "morph", expected, more_labels).await;
    }
    assert_eq!(feed.mints().len(), 2);
    let karmada = feed.secret("morph").await;
    assert_eq!(karmada.metadata.uid, before.metadata.uid);

    // A Karmada Secret does not say where the cluster is; DigitalOcean's list does.
    feed.put_outputs(alone(&forms[2].0)).await;
    feed.access.ready().await;
    has_form(&feed, "morph", &forms[2].1, &forms[2].2).await;
    let flux = feed.secret("morph").await;
    assert_eq!(flux.metadata.uid, before.metadata.uid);
    assert_eq!(token_in(&text(&flux, "value")), text(&karmada, "token"));
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn a_format_of_another_type_is_a_conflict_that_says_what_to_do_and_then_takes_what_is_there()
{
    let keeper = json!({"secretName": "keeper", "format": "Kubeconfig"});
    let output = |format: &str| json!([keeper, {"secretName": "x-kubeconfig", "format": format}]);
    let feed = Feed::set(stage!(), output("Flux")).await;
    let before = feed.secret("x-kubeconfig").await;
    feed.put_outputs(output("ClusterAPI")).await;
    let refused = feed.access.synced("SecretConflict").await;
    let message = &condition(&refused, "Synced").unwrap().message;
    for word in ["x-kubeconfig", "Opaque", "delete it", "secretName"] {
        assert!(message.contains(word), "{message}");
    }
    assert_condition(&refused, "Ready", "False", "OutputMissing");
    feed.retry().await;
    feed.all_is_seen().await;
    let after = feed.secret("x-kubeconfig").await;
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );

    feed.stage.delete_secret("x-kubeconfig").await;
    feed.retry().await;
    feed.access.ready().await;
    let after = feed.secret("x-kubeconfig").await;
    assert_eq!(after.type_.as_deref(), Some("cluster.x-k8s.io/secret"));
    assert!(after.data == before.data);
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn custom_keys_are_added_renamed_given_another_field_and_removed_without_a_mint() {
    let custom = |keys: Value| json!([{"secretName": "custom", "format": "Custom", "keys": keys}]);
    let key = |key: &str, field: &str| json!({"key": key, "field": field});
    let feed = Feed::set(stage!(), custom(json!([key("a", "Kubeconfig")]))).await;
    let uid = feed.secret("custom").await.metadata.uid;
    let kubeconfig = text(&feed.secret("custom").await, "a");
    let steps = [
        (
            vec![key("a", "Kubeconfig"), key("b", "Server")],
            vec![("a", kubeconfig.clone()), ("b", feed.stage.server.clone())],
        ),
        (
            vec![key("z", "Kubeconfig"), key("b", "ClusterName")],
            vec![("b", "prod".to_owned()), ("z", kubeconfig.clone())],
        ),
        (
            vec![key("t", "Token"), key("b", "Kubeconfig")],
            vec![("b", kubeconfig.clone()), ("t", token_in(&kubeconfig))],
        ),
        (
            vec![key("b", "Kubeconfig")],
            vec![("b", kubeconfig.clone())],
        ),
    ];
    for (keys_asked_for, expected) in steps {
        feed.put_outputs(custom(json!(keys_asked_for))).await;
        feed.access.ready().await;
        let secret = feed.secret("custom").await;
        let held: Vec<_> = keys(&secret)
            .into_iter()
            .map(|key| (key, text(&secret, key)))
            .collect();
        assert_eq!(held, expected);
        assert_eq!(secret.metadata.uid, uid);
    }
    assert_eq!(feed.mints().len(), 2, "the first issue alone");
}

#[tokio::test]
async fn a_secret_with_a_token_alone_is_relabelled_as_it_is_and_another_key_takes_one_issue() {
    let custom = |keys: Value, labels: Value| json!([{"secretName": "custom", "format": "Custom", "keys": keys, "labels": labels}]);
    let token = json!([{"key": "token", "field": "Token"}]);
    let mut feed = Feed::set(stage!(), custom(token.clone(), json!({}))).await;
    let before = feed.secret("custom").await;
    feed.put_outputs(custom(token.clone(), json!({"team": "payments"})))
        .await;
    feed.access.ready().await;
    let after = feed.secret("custom").await;
    assert_eq!(labels(&after)["team"], "payments");
    assert!(after.data == before.data);

    // Somebody else's edit of a label does not take a new token either, nor does a restart.
    let edit = json!({"metadata": {"labels": {"team": "mine"}}});
    feed.stage.patch_secret("custom", edit).await;
    let repaired = |secret: &Secret| labels(secret)["team"] == "payments";
    feed.stage
        .secret_until("custom", "its label is back", repaired)
        .await;
    feed.start().await;
    feed.all_is_seen().await;
    assert!(feed.secret("custom").await.data == before.data);
    assert_eq!(feed.mints().len(), 1);

    let more = json!([{"key": "token", "field": "Token"}, {"key": "server", "field": "Server"}]);
    feed.put_outputs(custom(more, json!({"team": "payments"})))
        .await;
    feed.access.ready().await;
    let after = feed.secret("custom").await;
    assert_eq!(keys(&after), ["server", "token"]);
    assert_eq!(after.metadata.uid, before.metadata.uid);
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn the_owner_reference_follows_deletion_policy_and_adoption_and_nothing_else_changes() {
    let mut feed = Feed::set(stage!(), six()).await;
    let before = feed.secrets(&SIX).await;
    let owned = async |feed: &Feed, expected: bool| {
        feed.access.ready().await;
        let secrets = feed.secrets(&SIX).await;
        assert_eq!(uids(&secrets), uids(&before));
        for (name, secret) in &secrets {
            let owners = secret.metadata.owner_references.clone().unwrap_or_default();
            assert_eq!(owners.len(), usize::from(expected), "{name}");
            assert!(secret.data == before[name].data, "{name}");
            assert_eq!(labels(secret), labels(&before[name]));
        }
    };
    let adopting = |adopt: bool| {
        let mut outputs = six();
        for output in outputs.as_array_mut().unwrap() {
            output["adopt"] = json!(adopt);
        }
        outputs
    };
    owned(&feed, true).await;
    let retain = json!({"deletionPolicy": "Retain"});
    feed.access.patch_spec(retain).await;
    owned(&feed, false).await;
    feed.start().await;
    feed.all_is_seen().await;
    owned(&feed, false).await;
    let delete = json!({"deletionPolicy": "Delete"});
    feed.access.patch_spec(delete).await;
    owned(&feed, true).await;
    feed.put_outputs(adopting(true)).await;
    owned(&feed, false).await;
    feed.put_outputs(adopting(false)).await;
    owned(&feed, true).await;
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn the_identity_of_every_secret_outlives_rotations_changes_of_the_spec_and_repairs() {
    let mut feed = Feed::set(stage!(), six()).await;
    let before = feed.secrets(&SIX).await;
    let mut issues = vec![issue_of(&before)];
    for number in 0..3 {
        feed.rotated(&number.to_string()).await;
        issues.push(issue_of(&feed.secrets(&SIX).await));
        let mut outputs = six();
        for output in outputs.as_array_mut().unwrap() {
            output["labels"] = json!({"round": number.to_string()});
        }
        outputs[0]["argocd"] = json!({ "shard": number });
        outputs[2]["keys"][0]["key"] = json!(format!("key-{number}"));
        let lifetime = 7200 + number;
        let spec = json!({"outputs": outputs, "expirySeconds": lifetime});
        feed.access.patch_spec(spec).await;
        feed.access.ready().await;
        issues.push(issue_of(&feed.secrets(&SIX).await));
        for name in SIX {
            let damage = json!({
                "metadata": {"labels": {"round": "theirs"}, "ownerReferences": null},
                "stringData": {"value": "broken", "config": "broken", "token": "broken"},
            });
            feed.stage.patch_secret(name, damage).await;
            feed.advance(Duration::from_secs(1)).await;
        }
        for name in SIX {
            let repaired = |secret: &Secret| {
                let round = labels(secret).get("round").cloned();
                let broken = ["value", "config", "token"];
                let of_ours = broken.iter().any(|key| {
                    before[name].data.as_ref().unwrap().contains_key(*key)
                        && text(secret, key) == "broken"
                });
                round == Some(number.to_string()) && !of_ours
            };
            feed.stage
                .secret_until(name, "it is repaired", repaired)
                .await;
        }
        feed.access.ready().await;
        feed.start().await;
    }
    let after = feed.secrets(&SIX).await;
    assert_eq!(uids(&after), uids(&before));
    issues.dedup();
    assert_eq!(issues.len(), 7, "each round has two issues: {issues:?}");
}

// ---- healing ---------------------------------------------------------------------------------------------

/// Takes away, behind the operator's back, all but `left`, partly by deletion, partly by damage.
async fn leave(feed: &mut Feed, left: &[&str]) {
    feed.stop();
    let mut broken = Vec::new();
    for (number, name) in SIX.iter().filter(|name| !left.contains(name)).enumerate() {
        let key = keys(&feed.secret(name).await)[0].to_owned();
        if number % 2 == 0 {
            feed.stage.delete_secret(name).await;
        } else {
            let damage = json!({"stringData": {&key: "broken"}});
            feed.stage.patch_secret(name, damage).await;
        }
        broken.push((name, key));
    }
    feed.start().await;
    for (name, key) in broken {
        let whole =
            |secret: &Secret| ![String::new(), "broken".to_owned()].contains(&text(secret, &key));
        feed.stage.secret_until(name, "it is healed", whole).await;
    }
    feed.access.ready().await;
}

/// Whether every one of the six works, with the credentials of `token` and `kubeconfig_token`.
async fn all_hold(feed: &Feed, token: &str, kubeconfig_token: &str) {
    let secrets = feed.secrets(&SIX).await;
    issue_of(&secrets);
    for (name, key) in [
        ("people", "kubeconfig"),
        ("flux", "value"),
        ("capi-kubeconfig", "value"),
        ("custom", "my.Kubeconfig"),
    ] {
        let found = token_in(&text(&secrets[name], key));
        assert_eq!(found, kubeconfig_token, "{name}");
    }
    for (name, key) in [
        ("people", "token"),
        ("karmada", "token"),
        ("custom", "my.Token"),
    ] {
        assert_eq!(text(&secrets[name], key), token, "{name}");
    }
    let config: Value = serde_json::from_str(&text(&secrets["argo"], "config")).unwrap();
    assert_eq!(config["bearerToken"], token);
    let user = format!("{}@example.com", feed.stage.namespace);
    let kubeconfig = text(&secrets["people"], "kubeconfig");
    assert_eq!(whoami(&kubeconfig).await, Ok(user));
}

#[tokio::test]
async fn each_format_that_holds_a_whole_credential_heals_all_the_others_alone() {
    let mut feed = Feed::set(stage!(), six()).await;
    let secret = feed.secret("people").await;
    let token = text(&secret, "token");
    let kubeconfig_token = token_in(&text(&secret, "kubeconfig"));
    assert_ne!(token, kubeconfig_token);
    // These hold both credentials of the issue.
    for name in ["people", "custom"] {
        leave(&mut feed, &[name]).await;
        all_hold(&feed, &token, &kubeconfig_token).await;
    }
    // This one the token of get_credentials, and from now on there is no other.
    leave(&mut feed, &["argo"]).await;
    all_hold(&feed, &token, &token).await;
    for name in ["flux", "capi-kubeconfig", "argo", "people"] {
        leave(&mut feed, &[name]).await;
        all_hold(&feed, &token, &token).await;
    }
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn a_kubeconfig_alone_heals_all_the_others_with_the_token_in_it() {
    let mut feed = Feed::set(stage!(), six()).await;
    let kubeconfig_token = token_in(&text(&feed.secret("flux").await, "value"));
    leave(&mut feed, &["flux", "capi-kubeconfig"]).await;
    all_hold(&feed, &kubeconfig_token, &kubeconfig_token).await;
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn what_no_secret_holds_alone_is_put_together_from_several() {
    let mut outputs = six();
    outputs[2]["keys"] = json!([{"key": "server", "field": "Server"}]);
    let mut feed = Feed::set(stage!(), outputs).await;
    let token = text(&feed.secret("karmada").await, "token");
    leave(&mut feed, &["karmada", "custom"]).await;
    let secrets = feed.secrets(&SIX).await;
    issue_of(&secrets);
    let people = &secrets["people"];
    assert_eq!(text(people, "token"), token);
    assert_eq!(token_in(&text(&secrets["flux"], "value")), token);
    let user = format!("{}@example.com", feed.stage.namespace);
    assert_eq!(whoami(&text(people, "kubeconfig")).await, Ok(user));
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn what_the_secrets_left_do_not_hold_leads_to_exactly_one_issue_for_all_of_them() {
    let mut outputs = six();
    outputs[2]["keys"] = json!([{"key": "token", "field": "Token"}]);
    let mut feed = Feed::set(stage!(), outputs).await;
    let before = feed.secret("custom").await;
    leave(&mut feed, &["custom"]).await;
    let secrets = feed.secrets(&SIX).await;
    issue_of(&secrets);
    assert_ne!(
        text(&secrets["custom"], "token"),
        text(&before, "token"),
        "it has the new one, too"
    );
    assert_eq!(secrets["custom"].metadata.uid, before.metadata.uid);
    assert_eq!(feed.mints().len(), 4);

    leave(&mut feed, &[]).await;
    issue_of(&feed.secrets(&SIX).await);
    assert_eq!(feed.mints().len(), 6);
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 6);
}

#[tokio::test]
async fn each_output_that_is_deleted_or_damaged_is_healed_from_its_siblings_while_they_are_served()
{
    let feed = Feed::set(stage!(), six()).await;
    let before = feed.secrets(&SIX).await;
    for name in SIX {
        // More than three repairs an hour would look like a fight.
        feed.advance(Duration::from_secs(3601)).await;
        feed.stage.delete_secret(name).await;
        let healed = feed
            .stage
            .secret_until(name, "it is there again", |_| true)
            .await;
        assert!(healed.data == before[name].data, "{name}");
        feed.access.ready().await;

        let key = keys(&healed)[0].to_owned();
        for damage in [
            json!({"stringData": {&key: "broken"}}),
            json!({"data": {&key: null}}),
        ] {
            feed.stage.patch_secret(name, damage).await;
            let whole = |secret: &Secret| secret.data == before[name].data;
            feed.stage.secret_until(name, "it is healed", whole).await;
            feed.access.ready().await;
        }
        let after = feed.secret(name).await;
        assert_eq!(after.metadata.uid, healed.metadata.uid);
    }
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn after_a_crash_between_two_writes_the_second_is_made_from_the_first_without_a_mint() {
    let stage = stage!();
    let refusal = Refusal::of(&stage, "second").await;
    let outputs = json!([
        {"secretName": "first", "format": "ArgoCD"},
        {"secretName": "second", "format": "Kubeconfig"},
    ]);
    let cluster = stage.cluster("prod");
    let spec = json!({"deletionPolicy": "Delete", "outputs": outputs});
    let mut feed = Feed::with(stage, cluster, spec).await;
    feed.access.synced("SecretWriteFailed").await;
    let first = feed.secret("first").await;
    feed.stop();
    refusal.lift().await;
    feed.start().await;
    feed.access.ready().await;
    let token = |first: &Secret| {
        let config: Value = serde_json::from_str(&text(first, "config")).unwrap();
        config["bearerToken"].as_str().unwrap().to_owned()
    };
    let second = feed.secret("second").await;
    assert_eq!(text(&second, "token"), token(&first));
    assert_eq!(feed.mints().len(), 2);

    // The same in the middle of a renewal.
    let refusal = Refusal::of(&feed.stage, "second").await;
    feed.rotate("1").await;
    feed.access.synced("SecretWriteFailed").await;
    assert!(feed.secret("second").await.data == second.data);
    feed.stop();
    refusal.lift().await;
    feed.start().await;
    feed.access.ready().await;
    let after = feed.secrets(&["first", "second"]).await;
    issue_of(&after);
    assert_ne!(token(&after["first"]), token(&first));
    assert_eq!(text(&after["second"], "token"), token(&after["first"]));
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn after_a_crash_what_the_written_outputs_do_not_hold_takes_one_issue() {
    let outputs = json!([
        {"secretName": "a", "format": "Custom", "keys": [{"key": "token", "field": "Token"}]},
        {"secretName": "last", "format": "Kubeconfig"},
    ]);
    let mut feed = Feed::set(stage!(), outputs).await;
    let refusal = Refusal::of(&feed.stage, "last").await;
    feed.rotate("1").await;
    feed.access.synced("SecretWriteFailed").await;
    feed.stop();
    refusal.lift().await;
    feed.start().await;
    let renewed = |secret: &Secret| annotation(secret, "rotate") == "1";
    feed.stage
        .secret_until("last", "it has the new issue, too", renewed)
        .await;
    feed.access.ready().await;
    let names = ["a", "last"];
    issue_of(&feed.secrets(&names).await);
    feed.start().await;
    feed.all_is_seen().await;
    assert_eq!(feed.mints().len(), 6);
}

#[tokio::test]
async fn an_output_that_cannot_be_written_holds_up_no_other_and_gets_the_same_issue_later() {
    let outputs = json!([
        {"secretName": "a", "format": "Karmada"},
        {"secretName": "middle", "format": "Kubeconfig"},
        {"secretName": "z", "format": "Custom", "keys": [{"key": "t", "field": "Token"}]},
    ]);
    let feed = Feed::set(stage!(), outputs).await;
    let names = ["a", "middle", "z"];
    let before = feed.secrets(&names).await;
    let refusal = Refusal::of(&feed.stage, "middle").await;
    feed.rotate("1").await;
    let failed = feed.access.synced("SecretWriteFailed").await;
    let message = &condition(&failed, "Synced").unwrap().message;
    assert!(message.contains("Secret middle"), "{message}");
    // What is there is old, and works.
    assert_condition(&failed, "Ready", "True", "Published");
    let during = feed.secrets(&names).await;
    assert_eq!(annotation(&during["a"], "rotate"), "1");
    assert_eq!(annotation(&during["z"], "rotate"), "1");
    assert!(during["middle"].data == before["middle"].data);
    for _ in 0..2 {
        feed.retry().await;
        feed.all_is_seen().await;
    }
    assert_eq!(feed.mints().len(), 4);

    refusal.lift().await;
    feed.retry().await;
    feed.access.ready().await;
    let after = feed.secrets(&names).await;
    issue_of(&after);
    let whole = &after["middle"];
    assert_eq!(text(whole, "token"), text(&after["a"], "token"));
    // The kubeconfig that was fetched was kept as well.
    assert_ne!(token_in(&text(whole, "kubeconfig")), text(whole, "token"));
    assert_eq!(uids(&after), uids(&before));
    assert_eq!(feed.mints().len(), 4);
}

#[tokio::test]
async fn a_secret_that_leaves_the_spec_stays_until_its_successor_is_written() {
    let feed = Feed::set(stage!(), json!([one_of_six("people")])).await;
    let before = feed.secret("people").await;
    let refusal = Refusal::of(&feed.stage, "renamed").await;
    let renamed = json!([{"secretName": "renamed", "format": "Flux"}]);
    feed.put_outputs(renamed).await;
    feed.access.synced("SecretWriteFailed").await;
    feed.retry().await;
    feed.all_is_seen().await;
    assert!(feed.secret("people").await.data == before.data);
    refusal.lift().await;
    feed.retry().await;
    feed.access.ready().await;
    feed.stage.secret_gone("people").await;
    let after = feed.secret("renamed").await;
    assert_eq!(text(&after, "value"), text(&before, "kubeconfig"));
    assert_eq!(feed.mints().len(), 2);
}

#[tokio::test]
async fn a_renamed_output_is_written_from_its_former_secret_where_the_others_do_not_hold_enough() {
    let keys = json!([{"key": "token", "field": "Token"}]);
    let bare = json!({"secretName": "bare", "format": "Custom", "keys": keys});
    let feed = Feed::set(stage!(), json!([bare, one_of_six("people")])).await;
    let before = feed.secret("people").await;
    let flux = json!({"secretName": "renamed", "format": "Flux"});
    feed.put_outputs(json!([bare, flux])).await;
    feed.stage.secret_gone("people").await;
    feed.access.ready().await;
    let after = feed.secret("renamed").await;
    assert_eq!(text(&after, "value"), text(&before, "kubeconfig"));

    // So are several that were renamed at once, of which none holds enough.
    let keys = json!([{"key": "server", "field": "Server"}]);
    let server = |name: &str| json!({"secretName": name, "format": "Custom", "keys": keys});
    let karmada = json!({"secretName": "karmada", "format": "Karmada"});
    feed.put_outputs(json!([karmada, server("server")])).await;
    feed.stage.secret_gone("renamed").await;
    let moved = json!({"secretName": "moved", "format": "Karmada"});
    feed.put_outputs(json!([moved, server("other"), flux]))
        .await;
    feed.stage.secret_gone("karmada").await;
    feed.stage.secret_gone("server").await;
    feed.access.ready().await;
    let after = feed.secret("renamed").await;
    let token = text(&feed.secret("moved").await, "token");
    assert_eq!(token_in(&text(&after, "value")), token);
    assert_eq!(token, text(&before, "token"));
    assert_eq!(feed.mints().len(), 2);
}

// ---- several accesses that want one Secret ---------------------------------------------------------------

/// An access that wants the Secret `wanted`, for a cluster of its own.
async fn claim(stage: &Stage, name: &str, more: Value) -> Access {
    stage.add_cluster(stage.cluster(name));
    create_claim(stage, name, more).await
}

async fn create_claim(stage: &Stage, name: &str, more: Value) -> Access {
    let mut output = json!({"secretName": "wanted"});
    for (key, value) in more.as_object().unwrap() {
        output[key] = value.clone();
    }
    let spec =
        json!({"cluster": {"name": name}, "kubeconfigSource": "Rendered", "outputs": [output]});
    stage.create_access(name, spec).await
}

/// The access whose Secret `wanted` is.
async fn holder(stage: &Stage) -> String {
    labels(&stage.secrets().get("wanted").await.unwrap())["doclusteraccess.dev/access"].clone()
}

async fn is_given_to(stage: &Stage, access: &Access) {
    let given =
        |secret: &Secret| labels(secret).get("doclusteraccess.dev/access") == Some(&access.name);
    stage
        .secret_until("wanted", "it changed hands", given)
        .await;
    access.ready().await;
}

/// Refused for that Secret, with the name of the access that has it, and nothing minted.
async fn is_refused(access: &Access, because_of: &str) {
    let refused = access.synced("SecretConflict").await;
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(
        message.contains("wanted") && message.contains(because_of),
        "{message}"
    );
    assert_condition(&refused, "Stalled", "True", "SecretConflict");
}

/// Two accesses of which the first has the Secret, and the second has been refused for so long that it asks rarely.
async fn claimed(stage: &Stage, operator: &Operator, more: Value) -> (Access, Access) {
    let older = claim(stage, "older", more.clone()).await;
    older.ready().await;
    let younger = claim(stage, "younger", more).await;
    is_refused(&younger, "older").await;
    for hour in 0..2 {
        operator.advance(Duration::from_secs(3600));
        younger.touch(&hour.to_string()).await;
        younger.until("it was looked at", |_| true).await;
    }
    is_refused(&younger, "older").await;
    assert_eq!(stage.mints().len(), 1, "minted for one that is refused");
    (older, younger)
}

#[tokio::test]
async fn the_younger_access_gets_the_secret_at_once_when_the_older_goes() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let (older, younger) = claimed(&stage, &operator, json!({})).await;
    older.delete().await;
    is_given_to(&stage, &younger).await;
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn the_younger_access_gets_the_secret_at_once_when_the_older_wants_another() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let (older, younger) = claimed(&stage, &operator, json!({})).await;
    let other = json!({"outputs": [{"secretName": "other"}]});
    older.patch_spec(other).await;
    is_given_to(&stage, &younger).await;
    older.ready().await;
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn an_adopted_secret_changes_hands_at_once_when_its_access_lets_it_go() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.put_secret("wanted", &[("theirs", "kept")]).await;
    let uid = stage.secrets().get("wanted").await.unwrap().metadata.uid;
    let (older, younger) = claimed(&stage, &operator, json!({"adopt": true})).await;
    let other = json!({"outputs": [{"secretName": "other"}]});
    older.patch_spec(other).await;
    is_given_to(&stage, &younger).await;
    older.ready().await;
    let wanted = stage.secrets().get("wanted").await.unwrap();
    assert_eq!(wanted.metadata.uid, uid);
    assert_eq!(text(&wanted, "theirs"), "kept");
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn an_older_access_does_not_take_what_a_younger_one_has() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("older"));
    stage.add_cluster(stage.cluster("younger"));
    let spec = json!({"cluster": {"name": "older"}, "kubeconfigSource": "Rendered"});
    let older = stage.create_access("older", spec).await;
    older.ready().await;
    let younger = create_claim(&stage, "younger", json!({})).await;
    younger.ready().await;
    let before = stage.secrets().get("wanted").await.unwrap();
    for adopt in [false, true] {
        let output = json!({"secretName": "wanted", "adopt": adopt});
        let own = json!({"secretName": "older-kubeconfig"});
        let outputs = json!({"outputs": [own, output]});
        older.patch_spec(outputs).await;
        let refused = older.synced("SecretConflict").await;
        let message = &condition(&refused, "Synced").unwrap().message;
        assert!(message.contains("younger"), "{message}");
        younger.touch(&adopt.to_string()).await;
    }
    younger.ready().await;
    let after = stage.secrets().get("wanted").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    younger.delete().await;
    is_given_to(&stage, &older).await;
    assert_eq!(stage.mints().len(), 2, "it holds what the other output has");
}

#[tokio::test]
async fn of_accesses_that_appear_together_exactly_one_gets_the_secret_and_only_that_one_mints() {
    for more in [json!({}), json!({"adopt": true})] {
        let stage = stage!();
        if more["adopt"] == true {
            stage.put_secret("wanted", &[("theirs", "kept")]).await;
        }
        let names = ["a", "b", "c", "d"];
        for name in names {
            stage.add_cluster(stage.cluster(name));
        }
        let create = names.map(|name| create_claim(&stage, name, more.clone()));
        let accesses = futures::future::join_all(create).await;
        let position = stage.audit_position().await;
        let operator = Operator::start(&stage).await;
        let settled = |access: &do_cluster_access::api::DOClusterAccess| {
            has_condition(access, "Synced", "True", "UpToDate")
                || has_condition(access, "Synced", "False", "SecretConflict")
        };
        for access in &accesses {
            access.until("it is settled", settled).await;
        }
        let winner = holder(&stage).await;
        for access in &accesses {
            if access.name == winner {
                access.ready().await;
            } else {
                is_refused(access, &winner).await;
            }
        }
        for _ in 0..2 {
            operator.advance(Duration::from_secs(800));
            for access in &accesses {
                access.touch(&winner).await;
            }
            stage.access(&winner).ready().await;
        }
        assert_eq!(holder(&stage).await, winner);
        let requests = stage.operator_requests(position).await;
        let writes: Vec<_> = requests
            .into_iter()
            .filter(|request| request.verb == "patch" && request.name == "wanted")
            .collect();
        assert_eq!(writes.len(), 1, "{:?}", summary(&writes));
        assert_eq!(stage.mints().len(), 1);
    }
}

#[tokio::test]
async fn a_secret_of_a_living_access_is_never_adopted() {
    let stage = stage!();
    let mut operator = Operator::start(&stage).await;
    let owner = claim(&stage, "owner", json!({})).await;
    owner.ready().await;
    let before = stage.secrets().get("wanted").await.unwrap();
    let thief = claim(&stage, "thief", json!({"adopt": true})).await;
    is_refused(&thief, "owner").await;
    drop(operator);
    operator = Operator::start(&stage).await;
    operator.advance(Duration::from_secs(800));
    thief.touch("once").await;
    // Not even while its owner has no time for it.
    owner.patch_spec(json!({"suspend": true})).await;
    owner.synced("Suspended").await;
    operator.advance(Duration::from_secs(800));
    thief.touch("twice").await;
    is_refused(&thief, "owner").await;
    let after = stage.secrets().get("wanted").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    assert_eq!(stage.mints().len(), 1);
}
