//! I1: between the renewal and the expiry there was time enough in which nothing stood in the way, so the
//! credential was renewed.

use do_cluster_access::rotation::spacing_seconds;
use jiff::{SignedDuration, Timestamp};

use super::Violation;
use crate::chronicle::{Access, Chronicle, SecretLife, SecretVersion};

/// Two requests that time out, in seconds.
const TWO_TIMEOUTS: i64 = 20;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let accesses = chronicle.accesses.iter();
    accesses
        .flat_map(|access| {
            chronicle
                .published(access)
                .into_iter()
                .filter_map(|(life, version)| expired(chronicle, access, life, version))
        })
        .collect()
}

fn expired(
    chronicle: &Chronicle<'_>,
    access: &Access,
    life: &SecretLife,
    version: &SecretVersion,
) -> Option<Violation> {
    let expiry = version.expires_at(&chronicle.record.mints)?;
    let until = wanted_until(chronicle, access, life, version);
    if until <= expiry {
        return None;
    }
    let due = due(chronicle, access, version, expiry)?;
    let (from, seconds) = chronicle.longest_window(access, due, expiry);
    let remaining = expiry.as_second() - from.as_second();
    let retry = 6 * (remaining / 10 + 1).clamp(5, 600) / 5;
    // Issues that were due keep their distance, also where answers to them were lost.
    let issue = version.issue()?;
    let needed = retry.max(spacing_seconds(issue.expires_at - issue.issued_at)) + TWO_TIMEOUTS;
    (seconds >= needed).then(|| {
        Violation::new(
            "I1 no-expired",
            expiry,
            format!(
                "{} (access {}) expired, although it was due at {due}, and from {from} nothing stood \
                 in the way for {seconds} s, where {needed} s suffice",
                life.key, access.key
            ),
        )
    })
}

/// Until when this version was there and was to be valid.
pub(super) fn wanted_until(
    chronicle: &Chronicle<'_>,
    access: &Access,
    life: &SecretLife,
    version: &SecretVersion,
) -> Timestamp {
    let mut later = life
        .versions
        .iter()
        .filter(|other| other.version > version.version);
    let replaced = later.next().map(|next| next.at);
    let gone = life.gone.as_ref().map(|(at, _, _)| *at);
    let deleted = access.gone.map(|(at, _)| at);
    let name = &version.found.metadata.name;
    let unwanted = access
        .versions
        .iter()
        .filter(|spec| spec.version > version.version)
        .find(|spec| {
            let outputs = spec.object.effective_outputs();
            !outputs.iter().any(|output| *output.secret_name == **name)
        })
        .map(|spec| spec.at);
    [replaced, gone, deleted, unwanted]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(chronicle.end)
}

/// When the renewal was due at the latest, by the true time.
pub(super) fn due(
    chronicle: &Chronicle<'_>,
    access: &Access,
    version: &SecretVersion,
    expiry: Timestamp,
) -> Option<Timestamp> {
    let (_, latest) = access.renewal(version.issue()?, version.at, expiry);
    let (least, _) = chronicle.skews_between(version.at, expiry);
    let due = Timestamp::from_second(latest).ok()? - SignedDuration::from_secs(least);
    Some(due.max(version.at))
}
