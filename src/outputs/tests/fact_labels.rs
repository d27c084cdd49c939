//! Facts of a cluster as labels, and the tag rule.

use super::*;
use crate::api::ClusterStatus;
use crate::digitalocean::{Cluster, ClusterState, Sso};

/// The labels of these tags, without the prefix.
fn labels_of(tags: &[&str]) -> BTreeMap<String, String> {
    let facts = Facts {
        tags: Some(tags.iter().map(ToString::to_string).collect()),
        ..Facts::default()
    };
    facts
        .labels(&BTreeMap::new())
        .into_iter()
        .map(|(key, value)| {
            let key = key.strip_prefix("tags.doclusteraccess.dev/").unwrap();
            (key.to_string(), value)
        })
        .collect()
}

#[test]
fn a_tag_is_split_at_its_first_colon_and_one_without_is_true() {
    for (tag, key, value) in [
        ("env:prod", "env", "prod"),
        ("blue", "blue", "true"),
        ("env:", "env", ""),
        ("a.b_c-d:E.f_g-1", "a.b_c-d", "E.f_g-1"),
        ("K8s", "K8s", "true"),
        ("k8s-extra:x", "k8s-extra", "x"),
        ("k8sx", "k8sx", "true"),
    ] {
        assert_eq!(labels_of(&[tag]), entries(&[(key, value)]), "{tag}");
    }
}

#[test]
fn digitaloceans_own_tags_are_left_out() {
    for tag in [
        "k8s",
        "k8s:",
        "k8s:worker",
        "k8s:bd5f5959-5e1e-4205-a714-a914373942af",
    ] {
        assert_eq!(labels_of(&[tag]), entries(&[]), "{tag}");
    }
}

#[test]
fn a_tag_that_makes_no_valid_label_is_skipped_and_hides_no_other() {
    let longest = "a".repeat(63);
    let too_long = "a".repeat(64);
    for tag in [
        "",
        ":",
        ":prod",
        "-env:prod",
        "env-:prod",
        "env/x:prod",
        "env:-prod",
        "env:prod.",
        "env:pr od",
        "env:prod:eu",
        "env:ä",
        "ä",
        &format!("{too_long}:x"),
        &format!("x:{too_long}"),
        &too_long,
    ] {
        assert_eq!(labels_of(&[tag]), entries(&[]), "{tag}");
        assert_eq!(
            labels_of(&[tag, "team:a"]),
            entries(&[("team", "a")]),
            "{tag}"
        );
    }
    let both = format!("{longest}:{longest}");
    assert_eq!(labels_of(&[&both]), entries(&[(&longest, &longest)]));
}

#[test]
fn of_two_tags_that_collide_the_lexically_first_wins_in_whatever_order_they_come() {
    for (one, other, value) in [
        ("env:a", "env:b", "a"),
        ("env", "env:prod", "true"),
        ("env:", "env:a", ""),
        // One that makes no label is not in the way of one that does.
        ("env:a:b", "env:b", "b"),
        ("env: a", "env:z", "z"),
    ] {
        for tags in [[one, other], [other, one]] {
            assert_eq!(labels_of(&tags), entries(&[("env", value)]), "{tags:?}");
        }
    }
}

#[test]
fn tags_that_are_not_known_stay_as_they_are() {
    let present = entries(&[
        ("tags.doclusteraccess.dev/env", "prod"),
        ("tags.doclusteraccess.dev/blue", "true"),
        ("doclusteraccess.dev/region", "ams3"),
        ("team", "payments"),
        ("doclusteraccess.dev/access", "prod"),
    ]);
    let unknown = Facts {
        tags: None,
        ..facts()
    };
    let expected = entries(&[
        ("doclusteraccess.dev/cluster-id", CLUSTER_ID),
        ("doclusteraccess.dev/cluster-name", "prod-cluster-01"),
        ("doclusteraccess.dev/region", "nyc1"),
        ("doclusteraccess.dev/version", "1.36.1-do.0"),
        ("tags.doclusteraccess.dev/env", "prod"),
        ("tags.doclusteraccess.dev/blue", "true"),
    ]);
    assert_eq!(unknown.labels(&present), expected);
}

#[test]
fn tags_that_are_known_to_be_none_are_removed() {
    let present = entries(&[("tags.doclusteraccess.dev/env", "prod")]);
    let none = Facts {
        tags: Some(vec!["k8s".to_string()]),
        ..facts()
    };
    let labels = none.labels(&present);
    assert_eq!(labels.len(), 4);
    assert!(!labels.contains_key("tags.doclusteraccess.dev/env"));
}

#[test]
fn a_fact_that_makes_no_valid_label_is_skipped() {
    for odd in ["", "-a", "a b", "ä", &"a".repeat(64)] {
        let odd = odd.to_string();
        let facts = Facts {
            cluster_name: odd.clone(),
            region: odd.clone(),
            version: odd,
            tags: Some(Vec::new()),
            ..facts()
        };
        let expected = entries(&[("doclusteraccess.dev/cluster-id", CLUSTER_ID)]);
        assert_eq!(facts.labels(&BTreeMap::new()), expected);
    }
}

fn cluster(tags: &[&str]) -> Cluster {
    Cluster {
        id: CLUSTER_ID.to_uppercase(),
        name: "prod-cluster-01".to_string(),
        region: "nyc1".to_string(),
        version: "1.36.1-do.0".to_string(),
        state: ClusterState::Running,
        state_message: None,
        endpoint: None,
        tags: tags.iter().map(ToString::to_string).collect(),
        sso: Sso::default(),
    }
}

#[test]
fn facts_are_what_digitalocean_says_with_the_id_in_lower_case() {
    assert_eq!(Facts::of(&cluster(&["k8s", "env:prod", "blue"])), facts());
}

#[test]
fn tags_are_known_only_where_the_one_that_every_cluster_has_is_among_them() {
    for unreadable in [&[][..], &["env:prod"], &["k8s:worker"], &["K8S"]] {
        assert_eq!(Facts::of(&cluster(unreadable)).tags, None, "{unreadable:?}");
    }
    let readable = Facts::of(&cluster(&["k8s"]));
    assert_eq!(readable.tags, Some(vec!["k8s".to_string()]));
}

#[test]
fn status_remembers_all_but_the_tags() {
    let text = |text: &str| Some(text.to_string());
    let status = ClusterStatus {
        id: Some(CLUSTER_ID.to_uppercase()),
        name: text("prod-cluster-01"),
        region: text("nyc1"),
        version: text("1.36.1-do.0"),
        ..ClusterStatus::default()
    };
    let remembered = Facts::remembered(&status);
    let expected = Facts {
        tags: None,
        ..facts()
    };
    assert_eq!(remembered, Some(expected));
    for unknown in [
        ClusterStatus {
            id: None,
            ..status.clone()
        },
        ClusterStatus {
            name: None,
            ..status.clone()
        },
    ] {
        assert_eq!(Facts::remembered(&unknown), None);
    }
    let sparse = ClusterStatus {
        region: None,
        version: None,
        ..status
    };
    assert_eq!(Facts::remembered(&sparse).unwrap().region, "");
}

#[test]
fn only_argo_cd_gets_facts_as_labels() {
    for output in outputs() {
        let labels = desired_of(&output, &token_material()).unwrap().labels;
        let has_facts = labels.contains_key("doclusteraccess.dev/region");
        assert_eq!(has_facts, output.format == OutputFormat::ArgoCD);
    }
}
