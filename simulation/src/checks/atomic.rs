//! I3: all keys and annotations of one version of a Secret come from one issue and one write.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::Violation;
use crate::chronicle::{Chronicle, SecretVersion};

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mints = &chronicle.record.mints;
    // By access and issue, then by the call that mints.
    let mut issues = BTreeMap::new();
    for life in &chronicle.secrets {
        let mut before: &[usize] = &[];
        for version in &life.versions {
            let known = std::mem::replace(&mut before, &version.credentials);
            if !version.ours {
                continue;
            }
            let mut defects = defects(chronicle, version);
            if version.access_uid().is_none() && known != version.credentials {
                defects.push("new data without marks");
            }
            if let (Some(uid), Some(issue)) = (version.access_uid(), version.issue()) {
                let identity = (
                    uid.to_owned(),
                    issue.issued_at,
                    issue.expires_at,
                    issue.cluster_id.clone(),
                    issue.issue_hash.clone(),
                    issue.rotate.clone(),
                );
                for index in &version.credentials {
                    let operation = mints[*index].operation;
                    let first = *issues
                        .entry((identity.clone(), operation))
                        .or_insert(*index);
                    // Two leaders that ask within the same second give their issues the same marks.
                    let apart = mints[first].time.duration_until(mints[*index].time).abs();
                    if first != *index && apart > SignedDuration::from_secs(2) {
                        defects.push("two Secrets of one issue hold different credentials");
                    }
                }
            }
            violations.extend(defects.into_iter().map(|defect| {
                let what = format!("{} version {}: {defect}", life.key, version.version);
                Violation::new("I3 atomic", version.at, what)
            }));
        }
    }
    violations
}

fn defects(chronicle: &Chronicle<'_>, version: &SecretVersion) -> Vec<&'static str> {
    let mints = &chronicle.record.mints;
    let mut defects = Vec::new();
    if version.forged {
        defects.push("holds a token that DigitalOcean never minted");
    }
    if version.credentials.is_empty() {
        defects.push("holds no credential");
    }
    if version.credentials.len() > 2 {
        defects.push("holds credentials of more than one issue");
    }
    let mut operations: Vec<_> = version
        .credentials
        .iter()
        .map(|index| mints[*index].operation)
        .collect();
    operations.dedup();
    if operations.len() < version.credentials.len() {
        defects.push("holds two credentials of the same call");
    }
    // A released Secret bears fewer marks.
    if version.access_uid().is_some() {
        let Some(marks) = version.marks() else {
            defects.push("lacks marks");
            return defects;
        };
        if version.found.intact().is_none() {
            defects.push("content and marks do not fit together");
        }
        let elsewhere = |index: &usize| mints[*index].cluster != marks.issue.cluster_id;
        if version.credentials.iter().any(elsewhere) {
            defects.push("holds a credential for another cluster than it says");
        }
    }
    defects
}
