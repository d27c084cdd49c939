use std::sync::Arc;

use super::super::memory::Expiry;
use super::*;
use crate::credential::fixtures::token_credential;
use crate::kubeconfig::{self, ContextName};
use crate::redaction::Redaction;

const NOW: EpochSeconds = 1_790_000_000;

fn key() -> SharedKey {
    SharedKey {
        cluster_id: "bd5f5959-5e1e-4205-a714-a914373942af".to_string(),
        expiry_seconds: 604_800,
    }
}

fn other_keys() -> [SharedKey; 2] {
    [
        SharedKey {
            cluster_id: "another".to_string(),
            ..key()
        },
        SharedKey {
            expiry_seconds: 3600,
            ..key()
        },
    ]
}

fn user(name: &str) -> ObjectKey {
    ObjectKey::new("team-a", name)
}

fn minted<T>(value: T, requested_at: EpochSeconds) -> Minted<T> {
    Minted {
        value,
        expiry: Expiry {
            requested_at,
            expires_at: requested_at + 604_800,
        },
        registration: Arc::new(Redaction::default().register("a secret of the tests")),
    }
}

/// An issue of which the credentials, and the kubeconfig, were asked for then.
fn draft(credentials: Option<EpochSeconds>, kubeconfig: Option<EpochSeconds>) -> Draft {
    let credential = token_credential();
    let document = kubeconfig::render(&ContextName::new("nyc1", "prod"), &credential);
    let parsed = kubeconfig::parse(secrecy::ExposeSecret::expose_secret(&document)).unwrap();
    let issued = IssuedCredential {
        credential,
        expires_at: None,
    };
    Draft {
        issue_hash: "cluster.rest".to_string(),
        cluster_id: key().cluster_id,
        credentials: credentials.map(|at| minted(issued, at)),
        kubeconfig: kubeconfig.map(|at| minted(parsed, at)),
    }
}

/// When what a draft holds was asked for.
fn held(draft: &Draft) -> (Option<EpochSeconds>, Option<EpochSeconds>) {
    (
        draft
            .credentials
            .as_ref()
            .map(|minted| minted.expiry.requested_at),
        draft
            .kubeconfig
            .as_ref()
            .map(|minted| minted.expiry.requested_at),
    )
}

/// What somebody who has nothing gets for `key` at `now`.
fn had(
    issues: &mut SharedIssues,
    key: &SharedKey,
    now: EpochSeconds,
) -> (Option<i64>, Option<i64>) {
    let mut nothing = draft(None, None);
    issues.complete(key, &mut nothing, now);
    held(&nothing)
}

#[test]
fn who_comes_while_somebody_mints_waits_and_is_told_at_the_end_of_it() {
    let mut issues = SharedIssues::default();
    assert!(!issues.wait(&key(), &user("a")), "nobody mints");
    issues.begin(&key(), NOW);
    for name in ["b", "a", "b"] {
        assert!(issues.wait(&key(), &user(name)));
    }
    assert_eq!(issues.end(&key()), BTreeSet::from([user("a"), user("b")]));
    assert!(!issues.wait(&key(), &user("a")), "nobody mints any more");
    assert_eq!(issues.end(&key()), BTreeSet::new(), "told once");
}

#[test]
fn only_the_same_cluster_and_lifetime_are_waited_for() {
    let mut issues = SharedIssues::default();
    issues.begin(&key(), NOW);
    for other in other_keys() {
        assert!(!issues.wait(&other, &user("a")), "{other:?}");
        assert_eq!(issues.end(&other), BTreeSet::new());
    }
    assert!(issues.wait(&key(), &user("a")), "it still mints");
}

#[test]
fn what_was_minted_can_be_had_for_the_same_cluster_and_lifetime_alone() {
    let mut issues = SharedIssues::default();
    assert_eq!(issues.issued_at(&key(), NOW), None);
    issues.begin(&key(), NOW);
    assert_eq!(issues.issued_at(&key(), NOW), None, "not yet");
    issues.offer(&key(), &draft(Some(NOW), Some(NOW + 1)));
    issues.end(&key());
    assert_eq!(issues.issued_at(&key(), NOW + 2), Some(NOW));
    assert_eq!(
        had(&mut issues, &key(), NOW + 2),
        (Some(NOW), Some(NOW + 1))
    );
    assert_eq!(
        had(&mut issues, &key(), NOW + 2),
        (Some(NOW), Some(NOW + 1)),
        "by all"
    );
    for other in other_keys() {
        assert_eq!(issues.issued_at(&other, NOW + 2), None);
        assert_eq!(had(&mut issues, &other, NOW + 2), (None, None));
    }
}

#[test]
fn nothing_that_is_sixty_seconds_old_is_handed_out() {
    for (age, fresh) in [
        (0, true),
        (59, true),
        (60, false),
        (61, false),
        (604_800, false),
    ] {
        let mut issues = SharedIssues::default();
        issues.offer(&key(), &draft(Some(NOW), Some(NOW)));
        let expected = fresh.then_some(NOW);
        assert_eq!(issues.issued_at(&key(), NOW + age), expected, "{age}");
        assert_eq!(
            had(&mut issues, &key(), NOW + age),
            (expected, expected),
            "{age}"
        );
    }
}

#[test]
fn each_half_grows_old_by_itself() {
    let mut issues = SharedIssues::default();
    issues.offer(&key(), &draft(Some(NOW), Some(NOW + 30)));
    assert_eq!(had(&mut issues, &key(), NOW + 60), (None, Some(NOW + 30)));
    assert_eq!(issues.issued_at(&key(), NOW + 60), None);
    assert_eq!(had(&mut issues, &key(), NOW + 90), (None, None));
}

#[test]
fn a_clock_that_was_set_back_hands_nothing_out() {
    let mut issues = SharedIssues::default();
    issues.offer(&key(), &draft(Some(NOW), Some(NOW)));
    assert_eq!(issues.issued_at(&key(), NOW - 1), None);
    assert_eq!(had(&mut issues, &key(), NOW - 1), (None, None));
    // Nor later, when that clock comes to the same instant again.
    assert_eq!(had(&mut issues, &key(), NOW + 1), (None, None));
}

#[test]
fn what_somebody_has_already_is_not_replaced() {
    let mut issues = SharedIssues::default();
    issues.offer(&key(), &draft(Some(NOW), Some(NOW)));
    for (own, expected) in [
        ((None, None), (Some(NOW), Some(NOW))),
        ((Some(NOW - 7), None), (Some(NOW - 7), Some(NOW))),
        ((None, Some(NOW - 7)), (Some(NOW), Some(NOW - 7))),
        (
            (Some(NOW - 7), Some(NOW - 8)),
            (Some(NOW - 7), Some(NOW - 8)),
        ),
    ] {
        let mut own = draft(own.0, own.1);
        issues.complete(&key(), &mut own, NOW);
        assert_eq!(held(&own), expected);
    }
    let mut own = draft(Some(NOW - 7), None);
    issues.complete(&other_keys()[0], &mut own, NOW);
    assert_eq!(held(&own), (Some(NOW - 7), None));
}

#[test]
fn an_issue_of_credentials_alone_brings_others_no_kubeconfig() {
    let mut issues = SharedIssues::default();
    issues.offer(&key(), &draft(Some(NOW), None));
    assert_eq!(issues.issued_at(&key(), NOW), Some(NOW));
    assert_eq!(had(&mut issues, &key(), NOW), (Some(NOW), None));
    // A later issue replaces both halves: they are of one issue.
    issues.offer(&key(), &draft(Some(NOW + 1), Some(NOW + 1)));
    issues.offer(&key(), &draft(Some(NOW + 2), None));
    assert_eq!(had(&mut issues, &key(), NOW + 2), (Some(NOW + 2), None));
}

#[test]
fn a_kubeconfig_alone_is_no_credential_that_could_be_had() {
    let mut issues = SharedIssues::default();
    issues.offer(&key(), &draft(None, Some(NOW)));
    assert_eq!(issues.issued_at(&key(), NOW), None);
    // Who issues by himself is spared that call.
    assert_eq!(had(&mut issues, &key(), NOW), (None, Some(NOW)));
}

#[test]
fn an_offer_ends_nobodys_waiting() {
    let mut issues = SharedIssues::default();
    issues.begin(&key(), NOW);
    issues.wait(&key(), &user("a"));
    issues.offer(&key(), &draft(Some(NOW), None));
    assert!(
        issues.wait(&key(), &user("b")),
        "the other call is under way"
    );
    assert_eq!(issues.end(&key()), BTreeSet::from([user("a"), user("b")]));
}

#[test]
fn what_has_grown_old_is_forgotten_and_who_waits_is_not() {
    let mut issues = SharedIssues::default();
    let [minting, fresh] = other_keys();
    issues.offer(&key(), &draft(Some(NOW), Some(NOW)));
    issues.begin(&minting, NOW);
    issues.wait(&minting, &user("a"));
    issues.offer(&fresh, &draft(Some(NOW + 30), None));
    let last = SharedKey {
        expiry_seconds: 60,
        ..key()
    };
    issues.begin(&last, NOW + 60);
    assert_eq!(
        issues.0.keys().collect::<BTreeSet<_>>(),
        BTreeSet::from([&minting, &fresh, &last])
    );
    assert_eq!(issues.end(&minting), BTreeSet::from([user("a")]));
    assert_eq!(had(&mut issues, &fresh, NOW + 60), (Some(NOW + 30), None));
}

#[test]
fn what_was_offered_before_can_be_had_while_somebody_mints_again() {
    let mut issues = SharedIssues::default();
    issues.offer(&key(), &draft(Some(NOW), None));
    issues.begin(&key(), NOW + 59);
    assert_eq!(issues.issued_at(&key(), NOW + 59), Some(NOW));
    assert!(issues.wait(&key(), &user("a")));
}
