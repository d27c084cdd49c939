//! Is what is there what is asked for: by its metadata alone, and when it was read.

use super::*;

/// Where the Secrets of these tests go.
fn here() -> Placement {
    placement(DeletionPolicy::Delete)
}

fn argocd() -> Output {
    output_of(OutputFormat::ArgoCD)
}

/// The Secret of `output`, as the API server has it after our write.
fn written(output: &Output) -> Secret {
    applied(&desired_of(output, &token_material()).unwrap())
}

/// Says both what metadata tells and what reading tells.
fn judged(output: &Output, facts: Option<&Facts>, secret: Secret) -> (bool, bool) {
    let found = found(secret);
    (
        here().is_as_wanted(output, facts, &found.metadata, None),
        here().is_right(output, facts, &found),
    )
}

const RIGHT: (bool, bool) = (true, true);
/// Only reading tells that it is right.
const LOOKS_WRONG: (bool, bool) = (false, true);
/// Only reading tells that it is wrong.
const LOOKS_RIGHT: (bool, bool) = (true, false);
const WRONG: (bool, bool) = (false, false);

fn facts_but(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = facts();
    change(&mut facts);
    facts
}

#[test]
fn what_was_written_is_as_wanted_in_every_format() {
    for output in outputs() {
        for material in materials() {
            if let Some(desired) = desired_of(&output, &material) {
                let judged = judged(&output, Some(&facts()), applied(&desired));
                assert_eq!(judged, RIGHT, "{:?}", output.format);
            }
        }
    }
}

/// Takes a field away from us in the record of the API server.
fn taken(mut secret: Secret, group: &str, field: &str) -> Secret {
    let entries = secret.metadata.managed_fields.take().unwrap();
    let mut record = serde_json::to_value(entries).unwrap();
    let fields = record[0]["fieldsV1"].pointer_mut(group).unwrap();
    let gone = fields.as_object_mut().unwrap().remove(field);
    assert!(gone.is_some(), "{field}");
    secret.metadata.managed_fields = Some(serde_json::from_value(record).unwrap());
    secret
}

fn owned_besides(mut secret: Secret, group: &str, field: &str) -> Secret {
    let entries = secret.metadata.managed_fields.take().unwrap();
    let mut record = serde_json::to_value(entries).unwrap();
    record[0]["fieldsV1"].pointer_mut(group).unwrap()[field] = json!({});
    secret.metadata.managed_fields = Some(serde_json::from_value(record).unwrap());
    secret
}

#[test]
fn what_somebody_else_wrote_as_we_would_have_is_right_although_it_does_not_look_it() {
    for (group, field) in [
        ("/f:data", "f:config"),
        ("/f:metadata/f:labels", "f:team"),
        ("/f:metadata/f:annotations", "f:contact"),
        ("", "f:type"),
    ] {
        let secret = taken(written(&argocd()), group, field);
        assert_eq!(
            judged(&argocd(), Some(&facts()), secret),
            LOOKS_WRONG,
            "{field}"
        );
    }
}

/// What metadata tells of a Secret that was read and found right when `asked_for` was asked for.
fn known_as_wanted(asked_for: &Output, output: &Output, facts: &Facts, secret: Secret) -> bool {
    let metadata = found(secret).metadata;
    let known = here().fields(asked_for, Some(&super::facts()), &metadata);
    assert!(known.is_some());
    here().is_as_wanted(output, Some(facts), &metadata, known.as_deref())
}

#[test]
fn what_was_read_and_found_right_is_as_wanted_until_something_else_is_asked_for() {
    let secret = || taken(written(&argocd()), "/f:data", "f:config");
    let known =
        |output: &Output, facts: &Facts| known_as_wanted(&argocd(), output, facts, secret());
    assert!(known(&argocd(), &facts()));
    let unlabelled = Output {
        labels: BTreeMap::new(),
        ..argocd()
    };
    assert!(!known(&unlabelled, &facts()), "a label is to go");
    let unannotated = Output {
        annotations: BTreeMap::new(),
        ..argocd()
    };
    assert!(!known(&unannotated, &facts()), "an annotation is to go");
    let untagged = facts_but(|facts| facts.tags = Some(vec!["k8s".to_string()]));
    assert!(!known(&argocd(), &untagged), "labels are to go");
    let mut labelled = argocd();
    labelled.labels.insert("more".to_string(), "x".to_string());
    assert!(!known(&labelled, &facts()), "a label is missing");
    let renamed = facts_but(|facts| facts.cluster_name = "renamed".to_string());
    assert!(!known(&argocd(), &renamed));
    // Only what is known counts.
    let metadata = found(secret()).metadata;
    assert!(!here().is_as_wanted(&argocd(), Some(&facts()), &metadata, None));
    assert!(!here().is_as_wanted(&argocd(), Some(&facts()), &metadata, Some("")));
}

#[test]
fn a_configuration_that_argo_cd_wrote_in_its_own_order_is_right() {
    let mut secret = taken(written(&argocd()), "/f:data", "f:config");
    let config = secret.data.as_mut().unwrap().get_mut("config").unwrap();
    let parsed: Value = serde_json::from_slice(&config.0).unwrap();
    config.0 = serde_json::to_vec_pretty(&parsed).unwrap();
    assert_eq!(judged(&argocd(), Some(&facts()), secret), LOOKS_WRONG);
}

#[test]
fn what_somebody_else_changed_is_wrong_either_way() {
    let mut secret = taken(written(&argocd()), "/f:data", "f:server");
    let server = secret.data.as_mut().unwrap().get_mut("server").unwrap();
    server.0 = b"https://example.com".to_vec();
    assert_eq!(judged(&argocd(), Some(&facts()), secret), WRONG);

    let mut secret = taken(written(&argocd()), "/f:metadata/f:labels", "f:team");
    let labels = secret.metadata.labels.as_mut().unwrap();
    labels.insert("team".to_string(), "web".to_string());
    assert_eq!(judged(&argocd(), Some(&facts()), secret), WRONG);

    let mut secret = written(&argocd());
    secret.metadata.owner_references = None;
    assert_eq!(judged(&argocd(), Some(&facts()), secret), WRONG);
}

#[test]
fn content_that_changed_without_a_trace_is_noticed_by_reading() {
    let mut secret = written(&output());
    let token = secret.data.as_mut().unwrap().get_mut("token").unwrap();
    token.0 = b"another".to_vec();
    assert_eq!(judged(&output(), Some(&facts()), secret), LOOKS_RIGHT);
}

#[test]
fn a_label_or_key_that_we_own_and_no_longer_ask_for_is_wrong() {
    let mut labelled = argocd();
    labelled.labels.insert("old".to_string(), "x".to_string());
    assert_eq!(judged(&argocd(), Some(&facts()), written(&labelled)), WRONG);
    let secret = owned_besides(written(&argocd()), "/f:data", "f:shard");
    assert_eq!(judged(&argocd(), Some(&facts()), secret), WRONG);
}

#[test]
fn what_others_own_beside_our_fields_is_no_matter() {
    let mut secret = written(&argocd());
    secret
        .data
        .as_mut()
        .unwrap()
        .insert("note".to_string(), ByteString(b"theirs".to_vec()));
    for map in [
        &mut secret.metadata.labels,
        &mut secret.metadata.annotations,
    ] {
        map.as_mut()
            .unwrap()
            .insert("argocd.argoproj.io/refresh".to_string(), "x".to_string());
    }
    assert_eq!(judged(&argocd(), Some(&facts()), secret), RIGHT);
}

#[test]
fn a_secret_without_any_record_of_our_write_is_wrong() {
    let mut secret = written(&argocd());
    secret.metadata.managed_fields = None;
    assert_eq!(judged(&argocd(), Some(&facts()), secret), WRONG);
}

#[test]
fn marks_that_are_missing_or_senseless_are_wrong() {
    for key in ["form", "content-hash", "access-uid", "expires-at"] {
        let key = format!("doclusteraccess.dev/{key}");
        let mut without = written(&argocd());
        let annotations = without.metadata.annotations.as_mut().unwrap();
        annotations.remove(&key);
        assert_eq!(judged(&argocd(), Some(&facts()), without), WRONG, "{key}");
    }
    let mut senseless = written(&argocd());
    let annotations = senseless.metadata.annotations.as_mut().unwrap();
    annotations.insert("doclusteraccess.dev/form".to_string(), "Secret".to_string());
    assert_eq!(judged(&argocd(), Some(&facts()), senseless), WRONG);
}

#[test]
fn another_format_or_option_or_key_is_noticed_by_metadata_alone() {
    let options = |options| Output {
        argocd: Some(options),
        ..argocd()
    };
    let none = ArgoCdOptions::default;
    let key = custom(&[("a", CustomField::Server)]);
    for (was, is) in [
        (argocd(), output_of(OutputFormat::Kubeconfig)),
        (
            output_of(OutputFormat::Flux),
            output_of(OutputFormat::ClusterAPI),
        ),
        (
            argocd(),
            options(ArgoCdOptions {
                name: Some("a".to_string()),
                ..none()
            }),
        ),
        (
            argocd(),
            options(ArgoCdOptions {
                project: Some("a".to_string()),
                ..none()
            }),
        ),
        (
            argocd(),
            options(ArgoCdOptions {
                shard: Some(0),
                ..none()
            }),
        ),
        (
            options(ArgoCdOptions {
                cluster_resources: Some(true),
                ..none()
            }),
            options(ArgoCdOptions {
                cluster_resources: Some(false),
                ..none()
            }),
        ),
        (key.clone(), custom(&[("b", CustomField::Server)])),
        (
            key.clone(),
            custom(&[("a", CustomField::CertificateAuthority)]),
        ),
        (
            key,
            custom(&[("a", CustomField::Server), ("b", CustomField::Server)]),
        ),
    ] {
        assert_eq!(judged(&is, Some(&facts()), written(&was)), WRONG, "{is:?}");
        assert_eq!(judged(&was, Some(&facts()), written(&is)), WRONG, "{was:?}");
        let found = found(written(&was));
        let relabelled = here().relabelled(&is, Some(&facts()), &found);
        assert!(relabelled.is_none(), "its content is another: {is:?}");
    }
}

#[test]
fn facts_that_changed_are_noticed_by_metadata_alone() {
    for changed in [
        facts_but(|facts| facts.version = "1.37.0-do.0".to_string()),
        facts_but(|facts| facts.cluster_name = "renamed".to_string()),
        facts_but(|facts| facts.tags = Some(vec!["k8s".to_string()])),
        facts_but(|facts| facts.tags.as_mut().unwrap().push("more".to_string())),
    ] {
        assert_eq!(judged(&argocd(), Some(&changed), written(&argocd())), WRONG);
        // Nobody else has them in it.
        assert_eq!(judged(&output(), Some(&changed), written(&output())), RIGHT);
    }
}

#[test]
fn facts_that_are_not_known_change_nothing() {
    assert_eq!(judged(&argocd(), None, written(&argocd())), RIGHT);
    let without_tags = facts_but(|facts| facts.tags = None);
    assert_eq!(
        judged(&argocd(), Some(&without_tags), written(&argocd())),
        RIGHT
    );
}

#[test]
fn facts_of_another_cluster_do_not_count() {
    // The reference leads elsewhere now: what is published is still of the cluster that it is of.
    let elsewhere = facts_but(|facts| {
        facts.cluster_id = "0b5e1ab2-0000-4000-8000-000000000000".to_string();
        facts.cluster_name = "elsewhere".to_string();
        facts.region = "ams3".to_string();
        facts.tags = Some(vec!["k8s".to_string()]);
    });
    assert_eq!(
        judged(&argocd(), Some(&elsewhere), written(&argocd())),
        RIGHT
    );
    let found = found(written(&argocd()));
    let relabelled = here()
        .relabelled(&argocd(), Some(&elsewhere), &found)
        .unwrap();
    assert_eq!(relabelled.labels, found.metadata.labels.to_map());
    assert_eq!(relabelled.contents.text("name"), Some("prod-cluster-01"));
}

#[test]
fn another_owner_or_policy_is_noticed() {
    let found = found(written(&argocd()));
    let retained = placement(DeletionPolicy::Retain);
    assert!(!retained.is_as_wanted(&argocd(), Some(&facts()), &found.metadata, None));
    assert!(!retained.is_right(&argocd(), Some(&facts()), &found));
    let mut namesake = here();
    namesake.owner.uid = "another".to_string();
    assert!(!namesake.is_right(&argocd(), Some(&facts()), &found));
    let mut renamed = here();
    renamed.owner.name = "another".to_string();
    assert!(!renamed.is_as_wanted(&argocd(), Some(&facts()), &found.metadata, None));
}

#[test]
fn new_labels_are_written_around_content_that_stays_as_it_is() {
    let facts = facts_but(|facts| {
        facts.version = "1.37.0-do.0".to_string();
        facts.tags = Some(vec!["k8s".to_string(), "env:test".to_string()]);
    });
    let mut output = argocd();
    output.labels = entries(&[("team", "web")]);
    output.annotations = BTreeMap::new();
    let mut secret = written(&argocd());
    // Argo CD has written it in its own way, and somebody has added a key.
    let data = secret.data.as_mut().unwrap();
    let config: Value = serde_json::from_slice(&data["config"].0).unwrap();
    let theirs = serde_json::to_vec_pretty(&config).unwrap();
    data.insert("config".to_string(), ByteString(theirs.clone()));
    data.insert("note".to_string(), ByteString(b"theirs".to_vec()));
    let found = found(secret);
    let relabelled = here().relabelled(&output, Some(&facts), &found).unwrap();
    assert_eq!(keys(&relabelled.contents), ["config", "name", "server"]);
    assert_eq!(relabelled.contents.get("config"), Some(&*theirs));
    for key in ["name", "server"] {
        assert_eq!(relabelled.contents.get(key), found.contents.get(key));
    }
    assert_eq!(Some(&relabelled.marks), found.metadata.marks.as_ref());
    assert_eq!(relabelled.labels["team"], "web");
    assert_eq!(
        relabelled.labels["doclusteraccess.dev/version"],
        "1.37.0-do.0"
    );
    assert_eq!(relabelled.labels["tags.doclusteraccess.dev/env"], "test");
    assert!(
        !relabelled
            .labels
            .contains_key("tags.doclusteraccess.dev/blue")
    );
    assert!(!relabelled.annotations.contains_key("contact"));
    assert_eq!(relabelled.owner, Some(here().owner));
    // And that is what is asked for.
    assert_eq!(judged(&output, Some(&facts), applied(&relabelled)), RIGHT);
}

#[test]
fn content_that_is_not_intact_is_not_written_again() {
    let mut secret = written(&argocd());
    let server = secret.data.as_mut().unwrap().get_mut("server").unwrap();
    server.0 = b"https://example.com".to_vec();
    assert!(
        here()
            .relabelled(&argocd(), Some(&facts()), &found(secret))
            .is_none()
    );
    let mut unmarked = written(&argocd());
    unmarked.metadata.annotations = None;
    assert!(
        here()
            .relabelled(&argocd(), Some(&facts()), &found(unmarked))
            .is_none()
    );
}

#[test]
fn content_that_was_rendered_for_other_facts_is_not_written_again() {
    let renamed = facts_but(|facts| facts.cluster_name = "renamed".to_string());
    let found = found(written(&argocd()));
    assert!(
        here()
            .relabelled(&argocd(), Some(&renamed), &found)
            .is_none()
    );
    assert!(here().relabelled(&argocd(), None, &found).is_some());
}

#[test]
fn an_adopted_secret_keeps_its_name_when_its_cluster_is_renamed() {
    let adopted = Output {
        adopt: true,
        ..argocd()
    };
    let mut present = Contents::default();
    present.insert("name", "legacy");
    let desired = |facts: &Facts, present: &Contents| {
        let source = Source {
            output: &adopted,
            material: &token_material(),
            facts,
            present: Some(present),
        };
        here().desired(&source, &BTreeMap::new()).unwrap()
    };
    let first = desired(&facts(), &present);
    let secret = applied(&first);
    assert_eq!(judged(&adopted, Some(&facts()), secret.clone()), RIGHT);
    assert_eq!(first.owner, None);
    let renamed = facts_but(|facts| facts.cluster_name = "renamed".to_string());
    let again = desired(&renamed, &found(secret).contents);
    assert_eq!(again.contents, first.contents);
}

#[test]
fn what_was_taken_over_and_is_ours_alone_now_gets_the_name_that_the_spec_comes_to() {
    let adopted = Output {
        adopt: true,
        ..argocd()
    };
    let mut present = Contents::default();
    present.insert("name", "legacy");
    let source = Source {
        output: &adopted,
        material: &token_material(),
        facts: &facts(),
        present: Some(&present),
    };
    let desired = here().desired(&source, &BTreeMap::new()).unwrap();
    let found = found(applied(&desired));
    assert!(!here().is_right(&argocd(), Some(&facts()), &found));
    assert!(
        here()
            .relabelled(&argocd(), Some(&facts()), &found)
            .is_none(),
        "or it would be renamed at the next renewal, whenever that is"
    );
}

#[test]
fn a_released_secret_keeps_exactly_our_keys_in_every_format() {
    for output in outputs() {
        let published = desired_of(&output, &token_material()).unwrap();
        let mut secret = applied(&published);
        let data = secret.data.as_mut().unwrap();
        data.insert("note".to_string(), ByteString(b"theirs".to_vec()));
        let released = DesiredSecret::released(&found(secret)).unwrap();
        assert_eq!(released.contents, published.contents, "{:?}", output.format);
        assert_eq!(released.secret_type, published.secret_type);
        assert_eq!(released.owner, None);
        let mut labels = published.labels.clone();
        labels.remove("doclusteraccess.dev/access");
        assert_eq!(released.labels, labels, "facts and all");
        let mut annotations = published.annotations.clone();
        annotations.remove("doclusteraccess.dev/access-uid");
        assert_eq!(released.annotations, annotations);
    }
}
