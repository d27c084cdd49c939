//! What holds over every version of every Secret and every mint, whatever was killed, and when.

use std::collections::{BTreeMap, BTreeSet};

use do_cluster_access_testbed::simulator::{Mint, fingerprint};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::credential::{Credential, Issue};
use super::history::Change;
use super::scenario::Scenario;
use crate::harness::{annotation, same};

/// Calls that an issue makes.
const MINTS_OF_AN_ISSUE: usize = 2;

/// What there was when a process had crashed.
pub(super) struct Crash {
    /// How many mints.
    pub(super) minted: usize,
    /// Whether two outputs held different issues.
    pub(super) is_torn: bool,
    /// The outputs of which status told, by name, and the hash of what they hold.
    pub(super) told: Vec<(String, String)>,
}

/// What was asked for, and what a crash may have cost.
pub(super) struct Expected {
    /// How many issues should have been published.
    pub(super) issues: Issues,
    /// How many mints there were when the crash was over: of those, one issue may be lost, of later ones none.
    pub(super) minted_before: usize,
    /// What status told of the outputs when the crash was over.
    pub(super) told: Vec<(String, String)>,
    /// The outputs in the end. While they are wanted, nothing goes before all of them are there.
    pub(super) outputs: &'static [&'static str],
    /// The Secrets that should have been removed; `None` for all that there were.
    pub(super) removed: Option<&'static [&'static str]>,
}

impl Expected {
    /// What a scenario comes to.
    pub(super) fn of(scenario: Scenario, crash: &Crash) -> Self {
        Self {
            issues: scenario.issues(crash.is_torn),
            minted_before: crash.minted,
            told: crash.told.clone(),
            outputs: scenario.outputs(),
            removed: Some(scenario.removed()),
        }
    }
}

/// How many issues should have been published.
#[derive(Clone, Copy, Debug)]
pub(super) enum Issues {
    /// So many at the least, counting the first, each so many seconds after the one before it at the least: they come
    /// due by themselves.
    EverySeconds { at_least: usize, apart: i64 },
    /// Between so many, counting the first.
    Between(usize, usize),
}

/// Asserts all of it.
pub(super) fn check(changes: &[Change], mints: &[Mint], expected: &Expected) {
    let versions: Vec<&Secret> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Written(secret) => Some(secret),
            Change::Removed(_) => None,
        })
        .collect();
    every_version_is_of_one_issue(&versions, mints);
    nothing_is_written_for_nothing(&versions);
    expiry_never_decreases(&versions);
    status_tells_of_nothing_that_was_not_published(&versions, &expected.told);
    nothing_else_is_removed(changes, expected);
    as_many_as_were_asked_for(&versions, expected.issues);
    at_most_one_issue_is_lost(&versions, mints, expected.minted_before);
    let most = MINTS_OF_AN_ISSUE * (expected.due(&versions) + 1);
    assert!(
        mints.len() <= most,
        "{} mints, {most} at the most were expected",
        mints.len()
    );
}

/// Data and annotations of a version are of one issue, and those of two versions never mix.
fn every_version_is_of_one_issue(versions: &[&Secret], mints: &[Mint]) {
    let mut issue_of = BTreeMap::<String, Issue>::new();
    let mut partner_of = BTreeMap::<String, String>::new();
    for secret in versions {
        let name = secret.name_any();
        let credential = Credential::of(secret);
        let owners = secret.owner_references();
        assert_eq!(owners.len(), 1, "{name} has no owner");
        assert_eq!(owners[0].uid, annotation(secret, "access-uid"), "{name}");
        let expires_at: Timestamp = credential.issue.expires_at.parse().unwrap();
        for token in &credential.tokens {
            let mint = mint_of(token, mints);
            assert!(
                expires_at.as_second() <= mint.expires_at.as_second() + 1,
                "{name} promises {expires_at} for what expires at {}",
                mint.expires_at
            );
            let issue = issue_of
                .entry(token.clone())
                .or_insert_with(|| credential.issue.clone());
            assert_eq!(
                *issue, credential.issue,
                "{name} says two things of one token"
            );
        }
        if let [one, other] = credential.tokens.as_slice() {
            for (one, other) in [(one, other), (other, one)] {
                let partner = partner_of
                    .entry(one.clone())
                    .or_insert_with(|| other.clone());
                assert!(partner == other, "{name} mixes two issues");
            }
        }
    }
}

/// Two versions of a Secret differ in what they say.
fn nothing_is_written_for_nothing(versions: &[&Secret]) {
    let mut last = BTreeMap::<String, &Secret>::new();
    for secret in versions {
        let name = secret.name_any();
        if let Some(before) = last.insert(name.clone(), secret) {
            assert!(!same(before, secret), "{name} was written again as it was");
        }
    }
}

fn mint_of<'a>(token: &str, mints: &'a [Mint]) -> &'a Mint {
    let fingerprint = fingerprint(token);
    let mint = mints.iter().find(|mint| mint.fingerprint == fingerprint);
    mint.expect("a token that was never minted is published")
}

/// The expiry of a Secret never decreases while the spec asks for the same, and what it asked for before does not
/// come back. The Secret stays the same object.
fn expiry_never_decreases(versions: &[&Secret]) {
    let mut last = BTreeMap::<String, (Timestamp, String, Option<String>)>::new();
    let mut former = BTreeSet::new();
    for secret in versions {
        let name = secret.name_any();
        let issue = Issue::of(secret);
        let expires_at: Timestamp = issue.expires_at.parse().unwrap();
        let now = (expires_at, issue.spec_hash, secret.uid());
        if let Some((before, hash, uid)) = last.get(&name) {
            assert_eq!(*uid, now.2, "{name} was replaced by another object");
            if *hash == now.1 {
                assert!(
                    now.0 >= *before,
                    "{name}: the expiry went from {before} to {expires_at}"
                );
            } else {
                former.insert((name.clone(), hash.clone()));
            }
        }
        assert!(
            !former.contains(&(name.clone(), now.1.clone())),
            "{name}: a former spec came back"
        );
        last.insert(name, now);
    }
}

fn status_tells_of_nothing_that_was_not_published(versions: &[&Secret], told: &[(String, String)]) {
    for (name, hash) in told {
        let mut published = versions.iter().filter(|secret| secret.name_any() == *name);
        let is_true = published.any(|secret| annotation(secret, "content-hash") == *hash);
        assert!(
            is_true,
            "status told of something in {name} that was not there"
        );
    }
}

/// No Secret is removed that should stay, and none before all others are there.
fn nothing_else_is_removed(changes: &[Change], expected: &Expected) {
    let mut present = BTreeSet::new();
    let mut removed = Vec::new();
    for change in changes {
        match change {
            Change::Written(secret) => {
                present.insert(secret.name_any());
            }
            Change::Removed(secret) => {
                let name = secret.name_any();
                let others = expected.outputs.iter().all(|name| present.contains(*name));
                assert!(others, "{name} was removed, and there was {present:?}");
                present.remove(&name);
                removed.push(name);
            }
        }
    }
    match expected.removed {
        Some(expected) => assert_eq!(removed, expected),
        None => assert_eq!(present, BTreeSet::new()),
    }
}

impl Expected {
    /// How many issues were due, counting the first.
    fn due(&self, versions: &[&Secret]) -> usize {
        match self.issues {
            Issues::Between(least, _) => least,
            // Each of these was due, or it would have been told apart.
            Issues::EverySeconds { .. } => issues_of(versions).len(),
        }
    }
}

fn issues_of(versions: &[&Secret]) -> BTreeSet<Issue> {
    versions.iter().map(|secret| Issue::of(secret)).collect()
}

fn as_many_as_were_asked_for(versions: &[&Secret], expected: Issues) {
    let issues = issues_of(versions);
    let met = match expected {
        Issues::Between(least, most) => (least..=most).contains(&issues.len()),
        Issues::EverySeconds { at_least, apart } => {
            let instant = |issue: &Issue| issue.issued_at.parse::<Timestamp>().unwrap().as_second();
            let mut instants: Vec<_> = issues.iter().map(instant).collect();
            instants.sort_unstable();
            let in_time = instants.windows(2).all(|pair| pair[1] - pair[0] >= apart);
            issues.len() >= at_least && in_time
        }
    };
    assert!(met, "{expected:?} should have been published: {issues:#?}");
}

/// What was minted and never published was lost with the crash, and is one issue at the most.
fn at_most_one_issue_is_lost(versions: &[&Secret], mints: &[Mint], minted_before: usize) {
    let published: BTreeSet<_> = versions
        .iter()
        .flat_map(|secret| Credential::of(secret).tokens)
        .map(|token| fingerprint(&token))
        .collect();
    let (before, after) = mints.split_at(minted_before);
    let lost = |mints: &[Mint]| {
        let lost = mints
            .iter()
            .filter(|mint| !published.contains(&mint.fingerprint));
        lost.count()
    };
    assert!(
        lost(before) <= MINTS_OF_AN_ISSUE,
        "{} mints are lost",
        lost(before)
    );
    assert_eq!(lost(after), 0, "minted after the crash and never published");
}
