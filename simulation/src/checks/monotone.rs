//! I4: what is in a Secret never expires earlier than what was in it before, unless that was asked for.

use super::Violation;
use crate::chronicle::{Chronicle, SecretVersion};
use crate::journal::{Event, ProbeAnswer};

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for life in &chronicle.secrets {
        let ours: Vec<_> = life
            .versions
            .iter()
            .filter(|version| version.ours)
            .collect();
        for pair in ours.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let mints = &chronicle.record.mints;
            let (Some(from), Some(to)) = (before.expires_at(mints), after.expires_at(mints)) else {
                continue;
            };
            // Marks have whole seconds, and two leaders may ask within one.
            if to.as_second() < from.as_second()
                && !was_asked_for(before, after)
                && !was_rejected(chronicle, before, after)
            {
                violations.push(Violation::new(
                    "I4 monotone",
                    after.at,
                    format!(
                        "{}: what expired at {from} was replaced by what expires at {to}",
                        life.key
                    ),
                ));
            }
        }
    }
    violations
}

fn was_asked_for(before: &SecretVersion, after: &SecretVersion) -> bool {
    let (Some(before), Some(after)) = (before.marks(), after.marks()) else {
        return false;
    };
    before.access_uid != after.access_uid
        || before.issue.issue_hash != after.issue.issue_hash
        || before.issue.cluster_id != after.issue.cluster_id
        || before.issue.rotate != after.issue.rotate
}

/// Whether the cluster rejected a credential of `before` before `after` was written.
pub(super) fn was_rejected(
    chronicle: &Chronicle<'_>,
    before: &SecretVersion,
    after: &SecretVersion,
) -> bool {
    let mints = &chronicle.record.mints;
    chronicle.record.journal.iter().any(|entry| {
        let Event::Probe {
            credential,
            answer: ProbeAnswer::Rejected,
            ..
        } = &entry.event
        else {
            return false;
        };
        let mut credentials = before
            .credentials
            .iter()
            .map(|index| &mints[*index].fingerprint);
        entry.at <= after.at && credentials.any(|fingerprint| fingerprint == credential)
    })
}
