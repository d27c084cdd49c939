//! I12: once the operator has seen that an access is gone, nothing is written for it any more; unseen, at most
//! one issue, and nothing that garbage collection leaves behind. A namesake inherits nothing.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Violation;
use crate::chronicle::{Access, Chronicle};
use crate::journal::Event;

/// A run that is under way may still end, in seconds.
const UNDER_WAY: i64 = 100;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for access in &chronicle.accesses {
        violations.extend(after_the_end(chronicle, access));
        violations.extend(inherited(chronicle, access));
    }
    violations
}

fn after_the_end(chronicle: &Chronicle<'_>, access: &Access) -> Vec<Violation> {
    let Some((gone, gone_version)) = access.gone else {
        return Vec::new();
    };
    let seen = seen_by_all(chronicle, access, gone);
    let mut violations = Vec::new();
    let mut issues = BTreeSet::new();
    for (life, version) in chronicle.published(access) {
        if version.version < gone_version {
            continue;
        }
        if seen.is_some_and(|seen| version.at > seen + SignedDuration::from_secs(UNDER_WAY)) {
            let what = format!(
                "{} was written for {}, long after that was gone",
                life.key, access.key
            );
            violations.push(Violation::new("I12 deletion", version.at, what));
        }
        if version.at > gone
            && version
                .issue()
                .is_some_and(|issue| issue.issued_at > gone.as_second())
        {
            issues.insert(version.issue().map(|issue| issue.issued_at));
        }
        let owner = version.found.metadata.owner_uid.as_deref();
        let retained = access.versions.last().is_some_and(|last| {
            last.object.spec.effective_deletion_policy()
                == do_cluster_access::api::DeletionPolicy::Retain
        });
        if owner != Some(&access.uid) && !retained {
            let what = format!(
                "{} was written for {}, which is gone, and will stay",
                life.key, access.key
            );
            violations.push(Violation::new("I12 deletion", version.at, what));
        }
    }
    if issues.len() > 1 + due_while_unseen(chronicle, access, gone, seen) {
        let what = format!("{} issues for {}, which is gone", issues.len(), access.key);
        violations.push(Violation::new("I12 deletion", gone, what));
    }
    violations
}

/// How many renewals may have fallen due before every replica knew: a watch that has fallen silent tells of
/// nothing until that is noticed, and an access with a life of a minute falls due meanwhile.
fn due_while_unseen(
    chronicle: &Chronicle<'_>,
    access: &Access,
    gone: Timestamp,
    seen: Option<Timestamp>,
) -> usize {
    let unseen = seen.unwrap_or(chronicle.end).as_second() - gone.as_second();
    let lifetimes = access.specs_between(access.born, gone);
    let shortest = lifetimes.filter_map(|spec| spec.expiry_seconds).min();
    let between = shortest.unwrap_or(i64::MAX) / 2;
    usize::try_from(unseen / between.max(30)).unwrap_or_default()
}

/// When every replica knew; `None` where one may never have been told.
fn seen_by_all(chronicle: &Chronicle<'_>, access: &Access, gone: Timestamp) -> Option<Timestamp> {
    let journal = &chronicle.record.journal;
    let told = journal.iter().filter_map(|entry| match &entry.event {
        Event::DeletionSeen { replica, uid } if *uid == access.uid => Some((*replica, entry.at)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let overlapped = journal.iter().any(
        |entry| matches!(entry.event, Event::Started { alone: true, replica } if replica != 0),
    );
    if overlapped {
        return None;
    }
    let by_all = (0..chronicle.record.plan.replicas).map(|replica| {
        let told = told
            .iter()
            .find(|(which, _)| *which == replica)
            .map(|(_, at)| *at);
        // A process that began later has never heard of it.
        let began = journal.iter().find(|entry| {
            entry.at > gone
                && matches!(entry.event, Event::Started { replica: which, .. } if which == replica)
        });
        told.into_iter().chain(began.map(|entry| entry.at)).min()
    });
    by_all.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// What an access has that was issued before it was born.
fn inherited(chronicle: &Chronicle<'_>, access: &Access) -> Vec<Violation> {
    let published = chronicle.published(access);
    let mut violations = Vec::new();
    for (life, version) in &published {
        let Some(issue) = version.issue() else {
            continue;
        };
        let (least, most) =
            chronicle.skews_between(access.born - SignedDuration::from_hours(1), version.at);
        let born = access.born.as_second() + least;
        if issue.issued_at < born && least == most {
            let what = format!(
                "{} holds for {} what was issued at {}, before it was born at {}",
                life.key, access.key, issue.issued_at, access.born
            );
            violations.push(Violation::new("I12 deletion", version.at, what));
        }
    }
    for version in access.versions.iter().filter(|version| version.ours) {
        let status = version.object.status.as_ref();
        let issued = status
            .and_then(|status| status.credential.as_ref())
            .and_then(|credential| credential.issued_at.as_ref());
        let known = issued.is_none_or(|issued| {
            published.iter().any(|(_, secret)| {
                secret
                    .issue()
                    .is_some_and(|issue| issue.issued_at == issued.0.as_second())
            })
        });
        if !known {
            let what = format!(
                "the status of {} tells of a credential that it never had",
                access.key
            );
            violations.push(Violation::new("I12 deletion", version.at, what));
        }
    }
    violations
}
