//! What is there: from the caches, or read fresh.

use std::sync::Arc;

use super::context::Context;
use super::key::ObjectKey;
use super::kubernetes::ApiError;
use super::memory::{HeldCredential, Memory};
use super::subject::Subject;
use crate::api::{DOClusterAccessStatus, Output, Reason};
use crate::outputs::{
    FoundMetadata, FoundSecret, MANAGED_BY, MANAGED_BY_LABEL, Material, format_of,
};
use crate::rotation::{Issue, Observed, OutputState};

/// What was found in place of one output.
#[derive(Debug, Clone)]
pub(super) struct FoundOutput {
    /// How it compares with what is wanted.
    pub state: OutputState,
    /// The Secret's metadata, where there is one.
    pub metadata: Option<Arc<FoundMetadata>>,
    /// The credential in it; only where it was read fresh.
    pub material: Option<Material>,
}

/// What was found of one access.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    /// Its outputs, in the order of the spec.
    pub outputs: Vec<FoundOutput>,
    /// Secrets of ours that the spec no longer names.
    pub obsolete: Vec<Arc<FoundMetadata>>,
}

impl Observation {
    /// Whether an output holds this issue.
    pub(super) fn holds(&self, wanted: &Issue) -> bool {
        let states = self.outputs.iter().map(|output| &output.state);
        states
            .into_iter()
            .any(|state| matches!(state, OutputState::Intact { issue, .. } if issue == wanted))
    }

    /// What decisions need of it.
    #[must_use]
    pub(super) fn summary(&self, subject: &Subject, memory: &Memory) -> Observed {
        let status = subject.access.status.as_ref();
        Observed {
            outputs: self
                .outputs
                .iter()
                .map(|output| output.state.clone())
                .collect(),
            obsolete: !self.obsolete.is_empty(),
            ever_issued: memory.last_issue_at.is_some() || status.is_some_and(was_ever_issued),
            held: memory.held.as_ref().map(HeldCredential::summary),
            failure: memory.failure.clone(),
            last_issue_at: memory.last_issue_at,
            unscheduled: memory.unscheduled.clone(),
            obstacle: None,
        }
    }
}

/// Whether a credential has been published at some time. When it is gone, status has no credential
/// any more, but says so.
fn was_ever_issued(status: &DOClusterAccessStatus) -> bool {
    let missing = Reason::OutputMissing.as_str();
    status.credential.is_some()
        || status
            .conditions
            .iter()
            .any(|condition| condition.reason == missing)
}

/// What the caches tell. It may lag, and knows only Secrets that bear our label: enough to see that
/// nothing is due, never enough to mint.
#[must_use]
pub(super) fn cached(context: &Context, subject: &Subject) -> Observation {
    let caches = context.caches();
    let outputs = subject
        .outputs
        .iter()
        .map(|output| {
            let key = ObjectKey {
                name: output.secret_name.as_str().into(),
                ..subject.key.clone()
            };
            let metadata = caches.secrets.get(&key);
            let state = compare(subject, output, metadata.as_deref(), false, |_| true);
            FoundOutput {
                state,
                metadata,
                material: None,
            }
        })
        .collect();
    let obsolete = caches
        .secrets_of(&subject.wanted.uid)
        .filter(|secret| !named(subject, secret));
    let obsolete = obsolete.collect();
    Observation { outputs, obsolete }
}

/// What the API server tells, read now.
///
/// # Errors
/// When a Secret cannot be read.
pub(super) async fn fresh(context: &Context, subject: &Subject) -> Result<Observation, ApiError> {
    let namespace = &subject.key.namespace;
    let mut found = Vec::with_capacity(subject.outputs.len());
    for output in &subject.outputs {
        found.push(
            context
                .kubernetes
                .read_secret(namespace, &output.secret_name)
                .await?,
        );
    }
    let mut caches = context.caches();
    let mut outputs = Vec::with_capacity(found.len());
    for (output, secret) in subject.outputs.iter().zip(found) {
        let owner_exists = |uid: &str| caches.access_exists(namespace, uid);
        outputs.push(compare_fresh(subject, output, secret, owner_exists));
    }
    for metadata in outputs.iter().filter_map(|output| output.metadata.as_ref()) {
        if metadata
            .labels
            .get(MANAGED_BY_LABEL)
            .is_some_and(|value| value == MANAGED_BY)
        {
            caches.observe_secret(FoundMetadata::clone(metadata));
        }
    }
    let obsolete = caches
        .secrets_of(&subject.wanted.uid)
        .filter(|secret| !named(subject, secret));
    let obsolete = obsolete.collect();
    Ok(Observation { outputs, obsolete })
}

fn compare_fresh(
    subject: &Subject,
    output: &Output,
    secret: Option<FoundSecret>,
    owner_exists: impl Fn(&str) -> bool,
) -> FoundOutput {
    let Some(secret) = secret else {
        let state = compare(subject, output, None, true, owner_exists);
        return FoundOutput {
            state,
            metadata: None,
            material: None,
        };
    };
    let ours = secret.metadata.belongs_to(&subject.wanted.uid);
    let material = if ours { secret.material(output) } else { None };
    let mut state = compare(subject, output, Some(&secret.metadata), true, owner_exists);
    let right_type =
        format_of(output.format).is_none_or(|format| format.secret_type() == secret.secret_type);
    if !right_type {
        state = OutputState::Conflict { passing: false };
    } else if material.is_none() && matches!(state, OutputState::Intact { .. }) {
        state = OutputState::Damaged;
    }
    FoundOutput {
        state,
        metadata: Some(Arc::new(secret.metadata)),
        material,
    }
}

fn compare(
    subject: &Subject,
    output: &Output,
    metadata: Option<&FoundMetadata>,
    is_fresh: bool,
    owner_exists: impl Fn(&str) -> bool,
) -> OutputState {
    if format_of(output.format).is_none() {
        return OutputState::Unsupported;
    }
    let Some(metadata) = metadata else {
        return OutputState::Missing;
    };
    if metadata.terminating {
        return OutputState::Conflict { passing: true };
    }
    if !metadata.belongs_to(&subject.wanted.uid) {
        let orphan = metadata
            .owner_uid
            .as_deref()
            .is_some_and(|uid| !owner_exists(uid));
        return if output.adopt && is_fresh && !orphan {
            OutputState::Missing
        } else {
            OutputState::Conflict { passing: orphan }
        };
    }
    match &metadata.marks {
        None => OutputState::Damaged,
        Some(marks) => OutputState::Intact {
            issue: marks.issue.clone(),
            as_wanted: subject.placement.is_as_wanted(output, metadata),
        },
    }
}

fn named(subject: &Subject, secret: &FoundMetadata) -> bool {
    subject
        .outputs
        .iter()
        .any(|output| output.secret_name == secret.name)
}
