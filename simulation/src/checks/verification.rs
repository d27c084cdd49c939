//! A credential that the cluster rejects does not replace one that it accepts, and with `Required` nothing is
//! published that it has not accepted.

use do_cluster_access::api::VerificationPolicy;
use jiff::{SignedDuration, Timestamp};

use super::Violation;
use crate::chronicle::{Access, Chronicle, SecretVersion};
use crate::journal::{Event, ProbeAnswer};

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for access in &chronicle.accesses {
        let published = chronicle.published(access);
        let mut before: Option<&SecretVersion> = None;
        for (life, version) in published {
            let old = before.replace(version);
            if old.is_some_and(|old| old.issue() == version.issue()) {
                continue;
            }
            if let Some(what) = defect(chronicle, access, old, version) {
                let what = format!("{}: {what}", life.key);
                violations.push(Violation::new("verification", version.at, what));
            }
        }
    }
    violations
}

fn defect(
    chronicle: &Chronicle<'_>,
    access: &Access,
    old: Option<&SecretVersion>,
    new: &SecretVersion,
) -> Option<&'static str> {
    // Whatever policy was in force while it was issued.
    let since = new.at - SignedDuration::from_secs(200);
    let mut policies = access
        .specs_between(since, new.at)
        .map(|spec| spec.verification);
    let policy = policies.next()?;
    if policies.any(|other| other != policy) || policy == VerificationPolicy::Off {
        return None;
    }
    let answer = last_answer(chronicle, new, new.at);
    if policy == VerificationPolicy::Required && !matches!(answer, Some((_, ProbeAnswer::Accepted)))
    {
        return Some("published with Required, and never accepted");
    }
    let (_, rejected) = answer.filter(|(_, answer)| *answer == ProbeAnswer::Rejected)?;
    let (at, accepted) = last_answer(chronicle, old?, new.at)?;
    let just_now = new.at.as_second() - at.as_second() <= 2;
    (rejected == ProbeAnswer::Rejected && accepted == ProbeAnswer::Accepted && just_now)
        .then_some("what is rejected replaced what is accepted")
}

/// What a cluster said last of one of the credentials, before `until`.
fn last_answer(
    chronicle: &Chronicle<'_>,
    version: &SecretVersion,
    until: Timestamp,
) -> Option<(Timestamp, ProbeAnswer)> {
    let mints = &chronicle.record.mints;
    let of_it = |credential: &str| {
        let mut credentials = version.credentials.iter();
        credentials.any(|index| mints[*index].fingerprint == credential)
    };
    let mut answers =
        chronicle
            .record
            .journal
            .iter()
            .rev()
            .filter_map(|entry| match &entry.event {
                Event::Probe {
                    credential, answer, ..
                } if entry.at <= until && of_it(credential) => Some((entry.at, *answer)),
                _ => None,
            });
    answers.next()
}
