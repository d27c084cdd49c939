//! I5: nothing is minted but what was due, and one issue for each crash, lost response or overlap of leaders.

use std::collections::BTreeSet;

use do_cluster_access::controller::READ_TIMEOUT;
use do_cluster_access_testbed::simulator::{Mint, Operation};
use jiff::{SignedDuration, Timestamp};

use super::Violation;
use super::monotone::was_rejected;
use crate::chronicle::{Access, Chronicle, SecretLife, SecretVersion};

/// How long after a mint something may still have come between it and its publication, in seconds.
const ON_ITS_WAY: i64 = 150;

/// How long half of an issue may wait for the other, in seconds: as long as it lasts in memory.
const WAITS_FOR_ITS_HALF: i64 = 3600;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations: Vec<_> = chronicle
        .accesses
        .iter()
        .flat_map(|access| unfounded(chronicle, access))
        .collect();
    violations.extend(wasted(chronicle));
    violations
}

/// Credentials that were replaced although nothing asked for it.
fn unfounded(chronicle: &Chronicle<'_>, access: &Access) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut before: Option<(&SecretLife, &SecretVersion)> = None;
    for (life, version) in chronicle.published(access) {
        let Some((_, previous)) = before.replace((life, version)) else {
            continue;
        };
        let (Some(old), Some(new)) = (previous.issue(), version.issue()) else {
            continue;
        };
        if old == new {
            continue;
        }
        let asked_for = old.issue_hash != new.issue_hash
            || old.cluster_id != new.cluster_id
            || old.rotate != new.rotate;
        let (earliest, _) =
            access.renewal(old, seen_since(chronicle, access, previous), version.at);
        // The marks of the two may be of different clocks. What another access asked for a little earlier
        // may be used from the earliest renewal on, so that the time of the write counts.
        let (least, most) = chronicle.skews_between(previous.at, version.at);
        let was_due = version.at.as_second() + most - least >= earliest;
        if asked_for
            || was_due
            || was_rejected(chronicle, previous, version)
            || was_damaged(chronicle, access, previous, version)
            || has_grown(access, previous, version)
            || was_overlap(chronicle, access, previous, version)
        {
            continue;
        }
        violations.push(Violation::new(
            "I5 mints",
            version.at,
            format!(
                "{}: the issue of {} was replaced by that of {}, before {earliest}, and nothing asked for it",
                access.key, old.issued_at, new.issued_at
            ),
        ));
    }
    violations
}

/// Since when there may be specs that the operator took for the present one when it wrote what came after `version`.
fn seen_since(chronicle: &Chronicle<'_>, access: &Access, version: &SecretVersion) -> Timestamp {
    let silent = SignedDuration::try_from(READ_TIMEOUT).unwrap_or_default();
    let since = version.at - silent;
    let mut impairments = chronicle.impairments_of(access, since, version.at);
    if impairments.next().is_some() {
        since
    } else {
        version.at
    }
}

/// Whether somebody else changed or deleted a Secret of the access between the two.
fn was_damaged(
    chronicle: &Chronicle<'_>,
    access: &Access,
    from: &SecretVersion,
    until: &SecretVersion,
) -> bool {
    let concerned = |life: &&SecretLife| {
        let mut versions = life.versions.iter();
        versions.any(|version| version.access_uid() == Some(&access.uid))
    };
    chronicle.secrets.iter().filter(concerned).any(|life| {
        let between = |version: u64| from.version <= version && version <= until.version;
        let mut versions = life.versions.iter();
        versions.any(|version| !version.ours && between(version.version))
            || life
                .gone
                .as_ref()
                .is_some_and(|(_, version, _)| between(*version))
    })
}

/// Whether an output was added or given another format: what is there may not hold what it needs.
fn has_grown(access: &Access, from: &SecretVersion, until: &SecretVersion) -> bool {
    let mut outputs: Vec<BTreeSet<_>> = access
        .specs_between(from.at, until.at)
        .map(|spec| {
            let outputs = spec.outputs.iter().flatten();
            outputs
                .map(|output| (output.secret_name.clone(), format!("{:?}", output.format)))
                .collect()
        })
        .collect();
    outputs.dedup();
    outputs.windows(2).any(|pair| !pair[1].is_subset(&pair[0]))
}

/// Whether two processes may have been at it, or one had died.
fn was_overlap(
    chronicle: &Chronicle<'_>,
    access: &Access,
    from: &SecretVersion,
    until: &SecretVersion,
) -> bool {
    let since = from.at - SignedDuration::from_secs(ON_ITS_WAY);
    chronicle
        .impairments_of(access, since, until.at)
        .any(|impairment| {
            impairment.what.contains("ended")
                || impairment.what.contains("Overlap")
                || impairment.what.contains("NoLease")
        })
}

/// Whether it is the half of an issue that tells when the other half expires: formats that hold a kubeconfig
/// alone do not show its token.
fn serves_a_kubeconfig(
    chronicle: &Chronicle<'_>,
    mint: &Mint,
    published: &BTreeSet<usize>,
) -> bool {
    let other_half = |index: &usize| {
        let other = &chronicle.record.mints[*index];
        let later = other.time.as_second() - mint.time.as_second();
        other.operation == Operation::GetKubeconfig
            && other.cluster == mint.cluster
            && (-WAITS_FOR_ITS_HALF..=ON_ITS_WAY).contains(&later)
    };
    mint.operation == Operation::GetCredentials && published.iter().any(other_half)
}

/// Credentials that never came into a Secret although nothing came in between.
fn wasted(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let versions = chronicle.secrets.iter().flat_map(|life| &life.versions);
    let published: BTreeSet<usize> = versions
        .flat_map(|version| version.credentials.iter().copied())
        .collect();
    let mut violations = Vec::new();
    for (index, mint) in chronicle.record.mints.iter().enumerate() {
        if published.contains(&index) || serves_a_kubeconfig(chronicle, mint, &published) {
            continue;
        }
        let from = mint.time - SignedDuration::from_secs(ON_ITS_WAY);
        let until = mint.time + SignedDuration::from_secs(ON_ITS_WAY);
        let users = chronicle.accesses.iter().filter(|access| {
            let born = access.born <= until;
            let alive = access.gone.is_none_or(|(at, _)| at >= from);
            let wants = chronicle.concerns(
                &crate::journal::Scope::Cluster(mint.cluster.clone()),
                access,
            );
            born && alive && wants
        });
        let users: Vec<_> = users.collect();
        // At the end of the record it may have been on its way.
        let excused = until > chronicle.end
            || users
                .iter()
                .any(|access| !chronicle.troubles(access, from, until).is_empty());
        if !excused {
            let names: Vec<_> = users.iter().map(|access| access.key.as_str()).collect();
            violations.push(Violation::new(
                "I5 mints",
                mint.time,
                format!(
                    "a credential of cluster {} ({:?}) came into no Secret, and nothing stood in the way of {names:?}",
                    mint.cluster, mint.operation
                ),
            ));
        }
    }
    violations
}
