//! I2: `Ready=True` means that every output exists, is ours, unexpired, and for the cluster that the spec names.

use jiff::{SignedDuration, Timestamp};

use do_cluster_access::api::{ConditionStatus, ConditionType, DOClusterAccess};

use super::Violation;
use crate::chronicle::{Access, AccessVersion, Chronicle, SecretVersion};

/// How long what a run has seen may be past when it writes, in seconds: a run's deadline.
const LOOK_BACK: i64 = 95;
/// How soon after the expiry that must be told, in seconds.
const TELL_WITHIN: i64 = 30;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for access in &chronicle.accesses {
        for version in access.versions.iter().filter(|version| version.ours) {
            violations.extend(untrue(chronicle, access, version));
        }
        violations.extend(untold(chronicle, access));
    }
    violations
}

fn is_ready(object: &DOClusterAccess) -> bool {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| ConditionType::Ready.of(&status.conditions));
    ready.is_some_and(|ready| ready.status == ConditionStatus::True.as_str())
}

/// A status that says Ready, and is not true of any moment that the run can have seen.
fn untrue(
    chronicle: &Chronicle<'_>,
    access: &Access,
    version: &AccessVersion,
) -> Option<Violation> {
    let status = version.object.status.as_ref()?;
    let current = status.observed_generation == version.object.metadata.generation;
    if !is_ready(&version.object) || !current {
        return None;
    }
    let from = version.at - SignedDuration::from_secs(LOOK_BACK);
    let blind = chronicle
        .impairments_of(access, from - SignedDuration::from_secs(120), version.at)
        .any(|impairment| {
            let what = &impairment.what;
            what.contains("Watches") || what.contains("Hang") || what.contains("a watch")
        });
    if blind {
        return None;
    }
    for output in version.object.effective_outputs() {
        let key = format!("{}/{}", access.namespace, output.secret_name);
        let held = versions_between(chronicle, &key, from, version.at)
            .any(|(secret, since)| is_right(chronicle, access, version, secret, since));
        if !held {
            return Some(Violation::new(
                "I2 truth",
                version.at,
                format!("{} says Ready, which the Secret {key} was not", access.key),
            ));
        }
    }
    None
}

/// The versions of a Secret that were in force between the two, each with the time from which it was.
fn versions_between<'a>(
    chronicle: &'a Chronicle<'_>,
    key: &'a str,
    from: Timestamp,
    until: Timestamp,
) -> impl Iterator<Item = (&'a SecretVersion, Timestamp)> {
    let lives = chronicle.secrets.iter().filter(move |life| life.key == key);
    lives.flat_map(move |life| {
        life.versions
            .iter()
            .enumerate()
            .filter_map(move |(index, version)| {
                let next = life.versions.get(index + 1).map(|next| next.at);
                let end = next.or(life.gone.as_ref().map(|(at, _, _)| *at));
                let in_force = version.at <= until && end.is_none_or(|end| end >= from);
                in_force.then(|| (version, version.at.max(from)))
            })
    })
}

fn is_right(
    chronicle: &Chronicle<'_>,
    access: &Access,
    version: &AccessVersion,
    secret: &SecretVersion,
    since: Timestamp,
) -> bool {
    let (least, _) = chronicle.skews_between(since, version.at);
    let unexpired = secret
        .expires_at(&chronicle.record.mints)
        .is_some_and(|expiry| expiry > since + SignedDuration::from_secs(least));
    let wanted = &version.object.spec.cluster;
    let cluster = secret.issue().map(|issue| issue.cluster_id.as_str());
    let right_cluster = match &wanted.id {
        Some(id) => cluster == Some(id),
        None => true,
    };
    secret.access_uid() == Some(&access.uid)
        && secret.found.intact().is_some()
        && unexpired
        && right_cluster
}

/// A credential that expired, and whose access went on to say Ready although nothing kept it from telling.
fn untold(chronicle: &Chronicle<'_>, access: &Access) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (life, secret) in chronicle.published(access) {
        let Some(expiry) = secret.expires_at(&chronicle.record.mints) else {
            continue;
        };
        let until = super::no_expired::wanted_until(chronicle, access, life, secret);
        let (least, _) = chronicle.skews_between(secret.at, expiry);
        let told_by = expiry + SignedDuration::from_secs(TELL_WITHIN - least);
        if until <= told_by || told_by > chronicle.end {
            continue;
        }
        // Writing a status may wait for its turn after a failure.
        let since = expiry - SignedDuration::from_secs(660);
        let impaired = chronicle
            .impairments_of(access, since, told_by)
            .any(|impairment| {
                !impairment.what.contains("Target") && !impairment.what.contains("DigitalOcean")
            });
        let still_ready = access
            .at(told_by)
            .is_some_and(|version| is_ready(&version.object));
        if still_ready && !impaired {
            let what = format!(
                "{} says Ready {TELL_WITHIN} s after {} expired",
                access.key, life.key
            );
            violations.push(Violation::new("I2 truth", told_by, what));
        }
    }
    violations
}
