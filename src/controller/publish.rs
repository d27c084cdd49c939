//! Publishing: the Secrets are written, and those that are no longer wanted are removed or released.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::info;

use super::context::Context;
use super::key::Key;
use super::kubernetes::{ApiError, ApiErrorKind};
use super::observe::{FoundOutput, Observation};
use super::subject::Subject;
use crate::api::{DeletionPolicy, Output, Reason};
use crate::outputs::{DesiredSecret, FoundMetadata, Material, Parts, Source};
use crate::rotation::OutputState;

/// A write that failed: what status says of it, stable text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WriteFailure {
    /// Why.
    pub reason: Reason,
    /// The Secret, and how the API server answered.
    pub subject: String,
    /// Somebody else's write came first: what was found is no longer there.
    pub overtaken: bool,
}

/// Writes every output that can be written and does not hold `material` as wanted yet; without
/// `material`, what is there stays, and all else is put right. `found` must have been read fresh; it
/// is updated to what is there afterwards. Returns the first failure.
pub(super) async fn write_outputs(
    context: &Context,
    subject: &Subject,
    found: &mut Observation,
    material: Option<&Material>,
) -> Option<WriteFailure> {
    let mut first_failure = None;
    for (output, place) in subject.outputs.iter().zip(&mut found.outputs) {
        let failure = match &place.state {
            OutputState::Conflict { .. } | OutputState::Unsupported => None,
            state if holds(state, material) => None,
            _ => write_output(context, subject, output, place, material).await,
        };
        first_failure = first_failure.or(failure);
    }
    first_failure
}

fn holds(state: &OutputState, material: Option<&Material>) -> bool {
    match state {
        OutputState::Intact { issue, as_wanted } => {
            *as_wanted && material.is_none_or(|material| *issue == material.issue)
        }
        _ => false,
    }
}

/// The Secret to write for `output`.
enum Plan {
    Write(Box<DesiredSecret>),
    /// The credential has no form for the format.
    Unsupported,
    /// There is nothing to write it from.
    Nothing,
}

fn plan(
    subject: &Subject,
    output: &Output,
    place: &FoundOutput,
    material: Option<&Material>,
) -> Plan {
    let facts = subject.facts.as_ref();
    let same_issue = match (&place.state, material) {
        (OutputState::Intact { issue, .. }, Some(material)) => *issue == material.issue,
        (OutputState::Intact { .. }, None) => true,
        _ => false,
    };
    let relabelled = place
        .secret
        .as_ref()
        .filter(|_| same_issue)
        .and_then(|secret| subject.placement.relabelled(output, facts, secret));
    if let Some(desired) = relabelled {
        return Plan::Write(Box::new(desired));
    }
    let Some(facts) = facts else {
        return Plan::Nothing;
    };
    // What could only be written from more than is published has been issued for, or has no form.
    let Some(material) = material else {
        return Plan::Unsupported;
    };
    let source = Source {
        output,
        material,
        facts,
        present: place.secret.as_ref().map(|secret| &secret.contents),
    };
    let labels = place.metadata.as_ref();
    let labels = labels.map_or_else(BTreeMap::new, |metadata| metadata.labels.to_map());
    match subject.placement.desired(&source, &labels) {
        Some(desired) => Plan::Write(Box::new(desired)),
        None => Plan::Unsupported,
    }
}

async fn write_output(
    context: &Context,
    subject: &Subject,
    output: &Output,
    place: &mut FoundOutput,
    material: Option<&Material>,
) -> Option<WriteFailure> {
    let desired = match plan(subject, output, place, material) {
        Plan::Write(desired) => desired,
        Plan::Unsupported => {
            place.state = OutputState::Unsupported;
            return None;
        }
        // A Secret that waits for facts of a cluster which no list and no status tells of.
        Plan::Nothing => {
            return Some(WriteFailure {
                reason: Reason::ClusterNotFound,
                subject: format!("Secret {}", output.secret_name),
                overtaken: false,
            });
        }
    };
    let written = match &place.metadata {
        None => context.kubernetes.create_secret(&desired).await,
        Some(found) => context.kubernetes.update_secret(&desired, found).await,
    };
    match written {
        Ok(metadata) => {
            context.caches().observe_secret(metadata.clone());
            place.state = OutputState::Intact {
                issue: desired.marks.issue.clone(),
                as_wanted: true,
            };
            place.metadata = Some(Arc::new(metadata));
            place.parts = material.map(Parts::of_material).or(place.parts.take());
            None
        }
        Err(error) => {
            let immutable = place.secret.as_ref().is_some_and(|secret| secret.immutable);
            Some(write_failure(&output.secret_name, immutable, &error))
        }
    }
}

/// Removes, or releases, the Secrets of ours that the spec no longer names. Returns the first
/// failure.
pub(super) async fn remove_obsolete(
    context: &Context,
    subject: &Subject,
    found: &mut Observation,
) -> Option<WriteFailure> {
    let mut first_failure = None;
    let mut left = Vec::new();
    for secret in std::mem::take(&mut found.obsolete) {
        match remove(context, subject, &secret).await {
            Ok(()) => {}
            Err(error) => {
                let failure = write_failure(&secret.name, false, &error);
                first_failure = first_failure.or(Some(failure));
                left.push(secret);
            }
        }
    }
    found.obsolete = left;
    first_failure
}

async fn remove(
    context: &Context,
    subject: &Subject,
    secret: &FoundMetadata,
) -> Result<(), ApiError> {
    let owned = secret.owner_uid.as_deref() == Some(subject.wanted.uid.as_str());
    let deletes = subject.placement.deletion_policy == DeletionPolicy::Delete;
    // Somebody's copy of a Secret of ours has all our marks, but no field that we applied.
    let applied = secret.owned_fields.is_some();
    if owned && deletes && applied {
        context.kubernetes.delete_secret(secret).await?;
        info!(
            secret = &*secret.name,
            "deleted a Secret that is no longer an output"
        );
        return Ok(());
    }
    let found = context
        .kubernetes
        .read_secret(&secret.namespace, &secret.name)
        .await?;
    let Some(found) = found.filter(|found| found.metadata.belongs_to(&subject.wanted.uid)) else {
        return Ok(());
    };
    if let Some(released) = DesiredSecret::released(&found) {
        let metadata = context
            .kubernetes
            .update_secret(&released, &found.metadata)
            .await?;
        let concerned = context.caches().observe_secret(metadata);
        for other in concerned.into_iter().filter(|key| *key != subject.key) {
            context.wake(Key::Access(other));
        }
        info!(
            secret = &*secret.name,
            "released a Secret that is no longer an output"
        );
    }
    Ok(())
}

fn write_failure(secret: &str, immutable: bool, error: &ApiError) -> WriteFailure {
    tracing::warn!(secret, %error, "a Secret could not be written");
    let answer = match error.kind {
        ApiErrorKind::NotFound => "not found".to_string(),
        ApiErrorKind::Conflict => "it changed meanwhile".to_string(),
        ApiErrorKind::Refused(_) if immutable => "it is immutable: delete it".to_string(),
        ApiErrorKind::Refused(code) => format!("refused with status {code}"),
        ApiErrorKind::Unavailable => "no answer".to_string(),
    };
    WriteFailure {
        reason: Reason::SecretWriteFailed,
        subject: format!("Secret {secret} ({answer})"),
        overtaken: error.kind == ApiErrorKind::Conflict,
    }
}
