//! I11: when nothing goes wrong any more, everything is as it should be within 12 minutes.

use jiff::{SignedDuration, Timestamp};

use do_cluster_access::api::{ConditionStatus, ConditionType};

use super::Violation;
use crate::chronicle::{Access, Chronicle};
use crate::run::CONVERGENCE_SECONDS;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let by = chronicle.converged_at;
    let alive = chronicle
        .accesses
        .iter()
        .filter(|access| access.gone.is_none());
    alive
        .filter_map(|access| {
            let defect = defect(chronicle, access, by)?;
            let what = format!(
                "{} {CONVERGENCE_SECONDS} s after the last fault: {defect}",
                access.key
            );
            Some(Violation::new("I11 converge", by, what))
        })
        .collect()
}

fn defect(chronicle: &Chronicle<'_>, access: &Access, by: Timestamp) -> Option<String> {
    // Who uses the token besides may have left nothing of the hour: that is the queue.
    let mut impairments = chronicle.impairments_of(access, by - SignedDuration::from_secs(1), by);
    if impairments.any(|impairment| impairment.what.contains("OtherUser")) {
        return None;
    }
    let object = &access.at(by)?.object;
    let status = object.status.clone().unwrap_or_default();
    for wanted in [ConditionType::Ready, ConditionType::Synced] {
        let condition = wanted.of(&status.conditions);
        let is_true =
            condition.is_some_and(|condition| condition.status == ConditionStatus::True.as_str());
        if !is_true {
            return Some(format!("{condition:?}"));
        }
    }
    if status.observed_generation != object.metadata.generation {
        return Some("its status is about an older spec".to_owned());
    }
    for output in object.effective_outputs() {
        let key = format!("{}/{}", access.namespace, output.secret_name);
        let mut versions = chronicle
            .secrets
            .iter()
            .filter(|life| life.key == key && life.gone.as_ref().is_none_or(|(at, _, _)| *at > by))
            .flat_map(|life| &life.versions);
        let Some(version) = versions.rfind(|version| version.at <= by) else {
            return Some(format!("there is no Secret {key}"));
        };
        if version.access_uid() != Some(&access.uid) || version.found.intact().is_none() {
            return Some(format!("the Secret {key} is not what was written for it"));
        }
        if version
            .expires_at(&chronicle.record.mints)
            .is_none_or(|expiry| expiry <= by)
        {
            return Some(format!("the credential in the Secret {key} has expired"));
        }
        let revoked = |index: &usize| chronicle.record.mints[*index].revoked_at.is_some();
        if version.credentials.iter().any(revoked)
            && object.spec.verification != do_cluster_access::api::VerificationPolicy::Off
        {
            let long_ago = chronicle.record.mints[version.credentials[0]].revoked_at?
                + SignedDuration::from_secs(2400);
            if long_ago < by {
                return Some(format!(
                    "the cluster no longer knows the credential in the Secret {key}"
                ));
            }
        }
    }
    None
}
