//! Publishing: the Secrets are written, and those that are no longer wanted are removed or released.

use std::sync::Arc;

use tracing::info;

use super::context::Context;
use super::kubernetes::{ApiError, ApiErrorKind};
use super::observe::{FoundOutput, Observation};
use super::subject::Subject;
use crate::api::{DeletionPolicy, Output, Reason};
use crate::outputs::{DesiredSecret, FoundMetadata, Material};
use crate::rotation::OutputState;

/// A write that failed: what status says of it, stable text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WriteFailure {
    /// Why.
    pub reason: Reason,
    /// The Secret, and how the API server answered.
    pub subject: String,
}

/// Writes every output that can be written and does not hold `material` as wanted yet. `found` must
/// have been read fresh; it is updated to what is there afterwards. Returns the first failure.
pub(super) async fn write_outputs(
    context: &Context,
    subject: &Subject,
    found: &mut Observation,
    material: &Material,
) -> Option<WriteFailure> {
    let mut first_failure = None;
    for (output, place) in subject.outputs.iter().zip(&mut found.outputs) {
        if holds(&place.state, material) {
            continue;
        }
        let failure = match place.state {
            OutputState::Conflict { .. } | OutputState::Unsupported => None,
            _ => write_output(context, subject, output, place, material).await,
        };
        first_failure = first_failure.or(failure);
    }
    first_failure
}

fn holds(state: &OutputState, material: &Material) -> bool {
    matches!(state, OutputState::Intact { issue, as_wanted: true } if *issue == material.issue)
}

async fn write_output(
    context: &Context,
    subject: &Subject,
    output: &Output,
    place: &mut FoundOutput,
    material: &Material,
) -> Option<WriteFailure> {
    let Some(desired) = subject.placement.desired(output, material) else {
        place.state = OutputState::Unsupported;
        return None;
    };
    let written = match &place.metadata {
        None => context.kubernetes.create_secret(&desired).await,
        Some(found) => context.kubernetes.update_secret(&desired, found).await,
    };
    match written {
        Ok(metadata) => {
            context.caches().observe_secret(metadata.clone());
            let issue = material.issue.clone();
            place.state = OutputState::Intact {
                issue,
                as_wanted: true,
            };
            place.metadata = Some(Arc::new(metadata));
            place.material = Some(material.clone());
            None
        }
        Err(error) => Some(write_failure(&output.secret_name, &error)),
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
                let failure = write_failure(&secret.name, &error);
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
    if owned && deletes {
        context.kubernetes.delete_secret(secret).await?;
        info!(
            secret = secret.name,
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
        context.caches().observe_secret(metadata);
        info!(
            secret = secret.name,
            "released a Secret that is no longer an output"
        );
    }
    Ok(())
}

fn write_failure(secret: &str, error: &ApiError) -> WriteFailure {
    tracing::warn!(secret, %error, "a Secret could not be written");
    let answer = match error.kind {
        ApiErrorKind::NotFound => "not found".to_string(),
        ApiErrorKind::Conflict => "it changed meanwhile".to_string(),
        ApiErrorKind::Refused(code) => format!("refused with status {code}"),
        ApiErrorKind::Unavailable => "no answer".to_string(),
    };
    let subject = format!("Secret {secret} ({answer})");
    WriteFailure {
        reason: Reason::SecretWriteFailed,
        subject,
    }
}
