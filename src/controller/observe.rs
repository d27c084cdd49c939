//! What is there: from the caches, or read fresh.

use std::sync::Arc;

use super::context::{Caches, Context};
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
    /// What one of those holds, where no output holds anything.
    pub former: Option<Former>,
}

/// The credential in a Secret that the spec no longer names: an output was renamed.
#[derive(Debug, Clone)]
pub(super) struct Former {
    /// Its issue.
    pub issue: Issue,
    /// The credential; only where it was read fresh.
    pub material: Option<Material>,
}

impl Observation {
    /// Whether an output holds this issue.
    pub(super) fn holds(&self, wanted: &Issue) -> bool {
        let states = self.outputs.iter().map(|output| &output.state);
        states
            .into_iter()
            .any(|state| matches!(state, OutputState::Intact { issue, .. } if issue == wanted))
    }

    /// The credential that is published: of several, the one that lasts longest.
    pub(super) fn material(&self) -> Option<&Material> {
        let materials = self
            .outputs
            .iter()
            .filter_map(|place| place.material.as_ref());
        materials
            .max_by_key(|material| (material.issue.expires_at, material.issue.issued_at))
            .or_else(|| self.former.as_ref()?.material.as_ref())
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
            former: self.former.as_ref().map(|former| former.issue.clone()),
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
    let outputs: Vec<_> = subject
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
    let obsolete = obsolete(&caches, subject);
    let marked = obsolete.iter().filter_map(|secret| secret.marks.as_ref());
    let former = marked
        .map(|marks| marks.issue.clone())
        .max_by_key(|issue| (issue.expires_at, issue.issued_at))
        .filter(|_| !any_intact(&outputs))
        .map(|issue| Former {
            issue,
            material: None,
        });
    Observation {
        outputs,
        obsolete,
        former,
    }
}

/// Secrets of ours that the spec no longer names. One that bears our marks in another namespace is
/// somebody's copy, or a trap.
fn obsolete(caches: &Caches, subject: &Subject) -> Vec<Arc<FoundMetadata>> {
    let ours = caches.secrets_of(&subject.wanted.uid);
    ours.filter(|secret| *secret.namespace == *subject.key.namespace)
        .filter(|secret| !named(subject, secret))
        .collect()
}

fn any_intact(outputs: &[FoundOutput]) -> bool {
    let mut states = outputs.iter().map(|output| &output.state);
    states.any(|state| matches!(state, OutputState::Intact { .. }))
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
    let (outputs, obsolete) = compare_all_fresh(context, subject, found);
    let former = if any_intact(&outputs) {
        None
    } else {
        read_former(context, subject, &obsolete).await?
    };
    Ok(Observation {
        outputs,
        obsolete,
        former,
    })
}

fn compare_all_fresh(
    context: &Context,
    subject: &Subject,
    found: Vec<Option<FoundSecret>>,
) -> (Vec<FoundOutput>, Vec<Arc<FoundMetadata>>) {
    let mut caches = context.caches();
    let mut outputs = Vec::with_capacity(found.len());
    for (output, secret) in subject.outputs.iter().zip(found) {
        let owner_exists = |uid: &str| caches.access_exists(&subject.key.namespace, uid);
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
    let obsolete = obsolete(&caches, subject);
    (outputs, obsolete)
}

/// Looks for a credential in the Secrets that the spec no longer names, as a present output would hold it.
async fn read_former(
    context: &Context,
    subject: &Subject,
    obsolete: &[Arc<FoundMetadata>],
) -> Result<Option<Former>, ApiError> {
    let mut former: Option<Former> = None;
    for metadata in obsolete {
        let secret = context
            .kubernetes
            .read_secret(&metadata.namespace, &metadata.name)
            .await?;
        let ours = secret.filter(|secret| secret.metadata.belongs_to(&subject.wanted.uid));
        let material = ours.and_then(|secret| {
            let mut outputs = subject.outputs.iter();
            outputs.find_map(|output| secret.material(output))
        });
        let Some(material) = material else {
            continue;
        };
        let lasts_longer = former
            .as_ref()
            .is_none_or(|former| former.issue.expires_at < material.issue.expires_at);
        if lasts_longer {
            former = Some(Former {
                issue: material.issue.clone(),
                material: Some(material),
            });
        }
    }
    Ok(former)
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
