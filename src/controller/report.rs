//! Reporting: status, events and the log tell what happened.

use tracing::{debug, info, warn};

use super::context::Context;
use super::events::Notice;
use super::key::Key;
use super::kubernetes::{ApiError, ApiErrorKind};
use super::memory::{HeldCredential, Memory};
use super::observe::Observation;
use super::subject::Subject;
use crate::api::{
    ClusterStatus, ConditionStatus, ConditionType, DOClusterAccess, DOClusterAccessStatus,
    EventType, OutputStatus, Reason,
};
use crate::outputs::rfc3339;
use crate::rotation::{EpochSeconds, IssueReason, Observed, OutputState, is_settled};
use crate::status::{Finding, Outcome, Verification};

/// How soon a status that could not be written is tried again, in seconds.
const STATUS_RETRY_SECONDS: i64 = 10;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Why it failed, where that is not the failure in memory.
    pub finding: Option<Finding>,
    /// What the cluster said of what was published.
    pub verification: Option<Verification>,
    /// Facts of the cluster.
    pub cluster: Option<ClusterStatus>,
    /// The time.
    pub now: EpochSeconds,
}

/// Writes the status where it differs from the one that is there, and tells of a change by an event.
/// Returns when to run again if it could not be written.
pub(super) async fn report(
    context: &Context,
    subject: &Subject,
    memory: &mut Memory,
    found: &Observation,
    attempt: Attempt,
) -> Option<EpochSeconds> {
    let observed = found.summary(subject, memory);
    if is_settled(&subject.wanted, &observed, attempt.now) {
        memory.failure = None;
        memory.held = None;
        memory.draft = None;
    }
    let now = attempt.now;
    let previous = subject.status();
    let verification = verdict(memory, &observed, attempt.verification);
    let outcome = Outcome {
        wanted: &subject.wanted,
        observed: &observed,
        outputs: written(subject, found),
        synced: synced(subject, memory, found, attempt.finding),
        verification,
        cluster: attempt.cluster,
        now,
    };
    let status = outcome.status(&previous);
    count_expired(context, memory, &observed, now);
    if status != previous {
        tell(context, subject, memory, &previous, &outcome.synced);
        let retry = write(context, subject, &status, now).await;
        if retry.is_some() {
            return retry;
        }
    }
    memory.verdict = None;
    None
}

/// What the cluster said of what is published: now, or before, should that never have reached status.
fn verdict(
    memory: &mut Memory,
    observed: &Observed,
    asked: Option<Verification>,
) -> Option<Verification> {
    let published = observed.published()?;
    if let Some(verification) = asked {
        memory.verdict = Some(Box::new((published.clone(), verification)));
    }
    let (issue, verification) = memory.verdict.as_deref()?;
    (issue == published).then(|| verification.clone())
}

fn synced(
    subject: &Subject,
    memory: &Memory,
    found: &Observation,
    finding: Option<Finding>,
) -> Finding {
    if subject.wanted.suspend {
        return Finding::of(Reason::Suspended);
    }
    let attempt = subject.wanted.attempt();
    let failure = memory
        .failure
        .as_ref()
        .filter(|failure| failure.attempt == attempt);
    let failed = failure.map(|failure| Finding {
        subject: failure.subject.clone(),
        ..Finding::of(failure.reason)
    });
    let refused = || {
        let (reason, subject) = first_refused(subject, found)?;
        Some(Finding {
            subject: Some(subject),
            ..Finding::of(reason)
        })
    };
    let mut finding = finding
        .or(failed)
        .or_else(refused)
        .unwrap_or_else(|| Finding::of(Reason::UpToDate));
    if finding.reason == Reason::SecretConflict && only_passing_conflicts(found) {
        finding.stalls = false;
    }
    finding
}

/// The first output that cannot be written, if there is one: why, and what to say of it.
#[must_use]
pub(super) fn first_refused(subject: &Subject, found: &Observation) -> Option<(Reason, String)> {
    subject
        .outputs
        .iter()
        .zip(&found.outputs)
        .find_map(|(output, place)| {
            let name = &output.secret_name;
            match place.state {
                OutputState::Conflict { .. } => {
                    let subject = match &place.conflict {
                        Some(why) => format!("Secret {name} ({why})"),
                        None => format!("Secret {name}"),
                    };
                    Some((Reason::SecretConflict, subject))
                }
                OutputState::Unsupported => Some((
                    Reason::FormatNotSupported,
                    format!("Output {name}, format {:?}", output.format),
                )),
                _ => None,
            }
        })
}

fn only_passing_conflicts(found: &Observation) -> bool {
    found
        .outputs
        .iter()
        .all(|place| !matches!(place.state, OutputState::Conflict { passing: false }))
}

fn written(subject: &Subject, found: &Observation) -> Vec<OutputStatus> {
    let outputs = subject.outputs.iter().zip(&found.outputs);
    outputs
        .filter(|(_, place)| matches!(place.state, OutputState::Intact { .. }))
        .filter_map(|(output, place)| {
            let marks = place.metadata.as_ref()?.marks.as_ref()?;
            Some(OutputStatus {
                secret_name: output.secret_name.clone(),
                content_hash: marks.content_hash.clone(),
            })
        })
        .collect()
}

/// Counts the seconds for which a published credential was left expired.
fn count_expired(context: &Context, memory: &mut Memory, observed: &Observed, now: EpochSeconds) {
    let expired_at = observed
        .published()
        .map(|issue| issue.expires_at)
        .filter(|at| *at <= now);
    if let Some(expired_at) = expired_at {
        let since = memory
            .expired_counted_until
            .unwrap_or(expired_at)
            .max(expired_at);
        context.metrics.count_expired(now - since);
    }
    memory.expired_counted_until = expired_at.map(|_| now);
}

/// Tells of a failure, once for each reason, and of its end.
fn tell(
    context: &Context,
    subject: &Subject,
    memory: &mut Memory,
    previous: &DOClusterAccessStatus,
    synced: &Finding,
) {
    let before = ConditionType::Synced.of(&previous.conditions);
    let reason = synced.reason.as_str();
    // A status that could not be written is no reason to tell again.
    let told = memory.told.replace(synced.reason) == Some(synced.reason);
    if told || before.is_some_and(|condition| condition.reason == reason) {
        return;
    }
    let failed = ConditionStatus::False.as_str();
    let recovered = before.is_some_and(|condition| condition.status == failed)
        && synced.reason.status() == ConditionStatus::True;
    let (reason, note) = match synced.reason.status() {
        ConditionStatus::False => {
            warn!(reason, message = synced.message(), "not synced");
            (reason, synced.message())
        }
        _ if recovered => {
            info!("recovered");
            ("Recovered", synced.message())
        }
        _ => return,
    };
    let event_type = synced.reason.event_type();
    let notice = Notice {
        event_type,
        reason,
        action: "Synchronize",
        note,
    };
    context
        .events
        .send(&subject.access, context.clock.now(), &notice);
}

/// Tells that the cluster's answer about the published credential is another than before.
pub(super) fn checked(context: &Context, subject: &Subject, reason: Reason) {
    let event_type = match reason {
        Reason::Rejected => EventType::Warning,
        _ => EventType::Normal,
    };
    let notice = Notice {
        event_type,
        reason: reason.as_str(),
        action: "Verify",
        note: reason.sentence().to_string(),
    };
    context
        .events
        .send(&subject.access, context.clock.now(), &notice);
}

/// Tells of a credential that was published. After a failure, that is the recovery.
pub(super) fn issued(
    context: &Context,
    subject: &Subject,
    memory: &mut Memory,
    held: &HeldCredential,
) {
    memory.told = Some(Reason::UpToDate);
    let expires_at = rfc3339(held.material.issue.expires_at);
    let cluster = held.cluster.name.as_deref().unwrap_or_default();
    let (reason, verb) = match held.reason {
        IssueReason::First => ("Issued", "issued"),
        _ => ("Renewed", "renewed"),
    };
    info!(
        cluster,
        why = held.reason.as_str(),
        expires_at,
        "credential {verb}"
    );
    let notice = Notice {
        event_type: EventType::Normal,
        reason,
        action: "Issue",
        note: format!(
            "Credential for cluster {cluster} {verb} ({}); it expires at {expires_at}",
            held.reason.as_str()
        ),
    };
    context
        .events
        .send(&subject.access, context.clock.now(), &notice);
}

async fn write(
    context: &Context,
    subject: &Subject,
    status: &DOClusterAccessStatus,
    now: EpochSeconds,
) -> Option<EpochSeconds> {
    match context
        .kubernetes
        .apply_status(&subject.access, status)
        .await
    {
        Ok(written) => {
            take_over(context, subject, written);
            None
        }
        Err(error) => status_retry(&error, now),
    }
}

/// When to write a status again that was not written; `None` where there is nothing to write it to.
pub(super) fn status_retry(error: &ApiError, now: EpochSeconds) -> Option<EpochSeconds> {
    match error.kind {
        ApiErrorKind::NotFound => {
            debug!(%error, "the status is that of an object that is gone");
            None
        }
        // It has changed, or was deleted and made again: what there is to say is found out anew.
        ApiErrorKind::Conflict => {
            debug!(%error, "the status is that of an object as it was before");
            Some(now + 1)
        }
        ApiErrorKind::Refused(_) | ApiErrorKind::Unavailable => {
            warn!(%error, "the status could not be written");
            Some(now + STATUS_RETRY_SECONDS)
        }
    }
}

/// The answer to our own write is what the watch will tell in a moment: knowing it now saves a run.
/// It may hold more than our write, though: then the run is needed.
fn take_over(context: &Context, subject: &Subject, written: DOClusterAccess) {
    let changed = written.spec != subject.access.spec
        || written.metadata.annotations != subject.access.metadata.annotations
        || written.metadata.deletion_timestamp != subject.access.metadata.deletion_timestamp;
    context.caches().observe_access(&subject.key, written);
    if changed {
        context.wake(Key::Access(subject.key.clone()));
    }
}
