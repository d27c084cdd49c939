//! What is there: from the caches, or read fresh.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::caches::Caches;
use super::context::Context;
use super::key::ObjectKey;
use super::kubernetes::ApiError;
use super::memory::Memory;
use super::subject::Subject;
use crate::api::{DOClusterAccessStatus, Output, Reason};
use crate::outputs::{
    FoundMetadata, FoundSecret, MANAGED_BY, MANAGED_BY_LABEL, Material, Parts, format_of,
};
use crate::rotation::{Issue, Observed, OutputState};

/// What was found in place of one output.
#[derive(Debug, Clone)]
pub(super) struct FoundOutput {
    /// How it compares with what is wanted.
    pub state: OutputState,
    /// What is in the way, where that is known: stable text.
    pub conflict: Option<String>,
    /// The Secret's metadata, where there is one.
    pub metadata: Option<Arc<FoundMetadata>>,
    /// The Secret; only where it was read fresh.
    pub secret: Option<Arc<FoundSecret>>,
    /// What of the credential is in it; only where it was read fresh.
    pub parts: Option<Parts>,
}

/// What was found of one access.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    /// Its outputs, in the order of the spec.
    pub outputs: Vec<FoundOutput>,
    /// Secrets of ours that the spec no longer names.
    pub obsolete: Vec<Arc<FoundMetadata>>,
    /// What those hold, where the outputs do not hold enough.
    pub former: Option<Former>,
    /// What is published does not hold enough to write the other outputs from.
    pub incomplete: bool,
    /// Where the cluster of what is published is, as DigitalOcean listed it last: not every format says
    /// it. Only where the outputs were read fresh.
    pub endpoint: Option<String>,
}

/// What is in the Secrets that the spec no longer names: outputs were renamed.
#[derive(Debug, Clone)]
pub(super) struct Former {
    /// Its issue.
    pub issue: Issue,
    /// What of the credential is in them; only where they were read fresh.
    pub parts: Option<Parts>,
}

impl Observation {
    /// Whether an output holds this issue.
    pub(super) fn holds(&self, wanted: &Issue) -> bool {
        self.outputs
            .iter()
            .any(|output| issue_in(output) == Some(wanted))
    }

    /// The issue that is published: of several, the one that lasts longest.
    pub(super) fn published(&self) -> Option<&Issue> {
        longest(self.outputs.iter().filter_map(issue_in))
            .or(self.former.as_ref().map(|former| &former.issue))
    }

    /// The credential that is published. No Secret needs to hold all of it.
    pub(super) fn material(&self) -> Option<Material> {
        let published = self.published()?;
        let outputs = self
            .outputs
            .iter()
            .filter(|output| issue_in(output) == Some(published))
            .filter_map(|output| output.parts.clone());
        let former = self
            .former
            .iter()
            .filter(|former| former.issue == *published)
            .filter_map(|former| former.parts.clone());
        let parts = outputs.chain(former).reduce(Parts::or)?;
        // A kubeconfig says it itself, in its own spelling.
        let endpoint = self.endpoint.clone().filter(|_| parts.kubeconfig.is_none());
        let listed = Parts {
            server: endpoint,
            ..Parts::default()
        };
        parts.or(listed).into_material(published.clone())
    }

    /// What decisions need of it.
    #[must_use]
    pub(super) fn summary(&self, subject: &Subject, memory: &Memory) -> Observed {
        let status = subject.access.status.as_ref();
        let reverification = memory.reverification.as_ref();
        // A verdict says nothing of what somebody else has published since.
        let rejected = reverification.is_some_and(|reverification| {
            Some(&reverification.issue) == self.published() && reverification.calls_for_another()
        });
        Observed {
            outputs: self
                .outputs
                .iter()
                .map(|output| output.state.clone())
                .collect(),
            obsolete: !self.obsolete.is_empty(),
            former: self.former.as_ref().map(|former| former.issue.clone()),
            incomplete: self.incomplete,
            ever_issued: memory.last_issue_at.is_some() || status.is_some_and(was_ever_issued),
            held: memory.held.as_ref().map(|held| held.summary()),
            failure: memory.failure.as_deref().cloned(),
            last_issue_at: memory.last_issue_at,
            unscheduled: memory.unscheduled.clone(),
            rejected,
            verify_at: reverification.map(|reverification| reverification.at),
            repairs: memory.repairs.times(&subject.wanted.attempt()),
            shared_at: subject.shared_at,
        }
    }

    /// Whether something has to be written that neither what is published nor memory tells.
    fn lacks_material(&self, subject: &Subject, memory: &Memory) -> bool {
        let published = self.published();
        let held = memory.held.as_ref().map(|held| &held.material.issue);
        let needed = subject
            .outputs
            .iter()
            .zip(&self.outputs)
            .any(|(output, place)| match &place.state {
                OutputState::Missing => !memory.may_be_unsupported(subject, output),
                OutputState::Damaged => true,
                OutputState::Intact { issue, as_wanted } => {
                    let outdated = Some(issue) != published;
                    outdated || (!as_wanted && !place.can_be_relabelled(subject, output))
                }
                OutputState::Conflict { .. } | OutputState::Unsupported => false,
            });
        needed
            && any_intact(&self.outputs)
            && held.is_none_or(|held| Some(held) != published)
            && self.material().is_none()
    }
}

impl FoundOutput {
    /// Whether its content is right, whatever is wrong with the rest of it.
    fn can_be_relabelled(&self, subject: &Subject, output: &Output) -> bool {
        self.secret.as_ref().is_some_and(|secret| {
            let facts = subject.facts.as_ref();
            let relabelled = subject.placement.relabelled(output, facts, secret);
            relabelled.is_some()
        })
    }
}

fn longest<'a>(issues: impl Iterator<Item = &'a Issue>) -> Option<&'a Issue> {
    issues.max_by_key(|issue| (issue.expires_at, issue.issued_at))
}

fn issue_in(output: &FoundOutput) -> Option<&Issue> {
    match &output.state {
        OutputState::Intact { issue, .. } => Some(issue),
        _ => None,
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

/// What outputs are compared with.
struct View<'a> {
    subject: &'a Subject,
    memory: &'a Memory,
    caches: &'a Caches,
}

/// What the caches tell. It may lag, and knows only Secrets that bear our label: enough to see that
/// nothing is due, never enough to mint.
#[must_use]
pub(super) fn cached(context: &Context, subject: &Subject, memory: &Memory) -> Observation {
    look_into_caches(context, subject, memory, |view, output| {
        view.cached_output(output)
    })
}

/// The issue that is published, as far as the caches tell. It depends on nothing that is known of the
/// cluster.
#[must_use]
pub(super) fn published(context: &Context, subject: &Subject, memory: &Memory) -> Option<Issue> {
    let look = |view: &View<'_>, output: &Output| view.cached_output_by(output, |_| false);
    look_into_caches(context, subject, memory, look)
        .published()
        .cloned()
}

fn look_into_caches(
    context: &Context,
    subject: &Subject,
    memory: &Memory,
    look: impl Fn(&View<'_>, &Output) -> FoundOutput,
) -> Observation {
    let caches = context.caches();
    let view = View {
        subject,
        memory,
        caches: &caches,
    };
    let outputs: Vec<_> = subject
        .outputs
        .iter()
        .map(|output| look(&view, output))
        .collect();
    let obsolete = obsolete(&caches, subject);
    let marked = obsolete.iter().filter_map(|secret| secret.marks.as_ref());
    let former = longest(marked.map(|marks| &marks.issue))
        .filter(|_| !any_intact(&outputs))
        .map(|issue| Former {
            issue: issue.clone(),
            parts: None,
        });
    Observation {
        outputs,
        obsolete,
        former,
        incomplete: false,
        endpoint: None,
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
    outputs.iter().any(|output| issue_in(output).is_some())
}

/// What the API server tells, read now.
///
/// # Errors
/// When a Secret cannot be read.
pub(super) async fn fresh(
    context: &Context,
    subject: &Subject,
    memory: &Memory,
) -> Result<Observation, ApiError> {
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
    let (outputs, obsolete) = compare_all_fresh(context, subject, memory, found);
    let mut observation = Observation {
        outputs,
        obsolete,
        former: None,
        incomplete: false,
        endpoint: None,
    };
    observation.endpoint = listed_endpoint(context, subject, &observation);
    if !any_intact(&observation.outputs) || observation.lacks_material(subject, memory) {
        observation.former = read_former(context, subject, &observation).await?;
    }
    observation.incomplete = observation.lacks_material(subject, memory);
    Ok(observation)
}

/// The endpoint of the cluster of what is published. Status is no source for it: a credential would go where
/// whoever may write a status wants it to.
fn listed_endpoint(
    context: &Context,
    subject: &Subject,
    observation: &Observation,
) -> Option<String> {
    let published = observation.published()?;
    let clusters = context.tokens().last_list(&subject.source)?;
    let mut listed = clusters.iter();
    let cluster = listed.find(|cluster| cluster.id.eq_ignore_ascii_case(&published.cluster_id))?;
    cluster.endpoint.clone()
}

fn compare_all_fresh(
    context: &Context,
    subject: &Subject,
    memory: &Memory,
    found: Vec<Option<FoundSecret>>,
) -> (Vec<FoundOutput>, Vec<Arc<FoundMetadata>>) {
    let mut caches = context.caches();
    for secret in found.iter().flatten() {
        let managed_by = secret.metadata.labels.get(MANAGED_BY_LABEL);
        if managed_by == Some(MANAGED_BY) {
            caches.observe_secret(secret.metadata.clone());
        }
    }
    let view = View {
        subject,
        memory,
        caches: &caches,
    };
    let outputs = subject
        .outputs
        .iter()
        .zip(found)
        .map(|(output, secret)| view.fresh_output(output, secret))
        .collect();
    let obsolete = obsolete(&caches, subject);
    (outputs, obsolete)
}

/// Looks into the Secrets that the spec no longer names for what the outputs lack; where no output
/// holds anything, for a credential that is whole.
async fn read_former(
    context: &Context,
    subject: &Subject,
    observation: &Observation,
) -> Result<Option<Former>, ApiError> {
    let mut found: Vec<(Issue, Parts)> = Vec::new();
    for metadata in &observation.obsolete {
        let secret = context
            .kubernetes
            .read_secret(&metadata.namespace, &metadata.name)
            .await?;
        let ours = secret.filter(|secret| secret.metadata.belongs_to(&subject.wanted.uid));
        found.extend(ours.and_then(|secret| {
            let issue = secret.metadata.marks.as_ref()?.issue.clone();
            Some((issue, secret.parts()?))
        }));
    }
    let published = observation.published();
    let Some(issue) = published.or_else(|| longest(found.iter().map(|(issue, _)| issue))) else {
        return Ok(None);
    };
    let same_issue = found.iter().filter(|(other, _)| other == issue);
    let parts = same_issue.map(|(_, parts)| parts.clone()).reduce(Parts::or);
    let enough =
        |parts: &Parts| published.is_some() || parts.clone().into_material(issue.clone()).is_some();
    Ok(parts.filter(enough).map(|parts| Former {
        issue: issue.clone(),
        parts: Some(parts),
    }))
}

impl View<'_> {
    fn key_of(&self, output: &Output) -> ObjectKey {
        ObjectKey::new(&self.subject.key.namespace, &output.secret_name)
    }

    fn cached_output(&self, output: &Output) -> FoundOutput {
        let facts = self.subject.facts.as_ref();
        self.cached_output_by(output, |metadata| {
            let known = self.memory.accepted(metadata);
            let placement = &self.subject.placement;
            placement.is_as_wanted(output, facts, metadata, known)
        })
    }

    fn cached_output_by(
        &self,
        output: &Output,
        as_wanted: impl Fn(&FoundMetadata) -> bool,
    ) -> FoundOutput {
        let metadata = self.caches.secrets.get(&self.key_of(output));
        let (state, conflict) = self.compare(output, metadata.as_deref(), as_wanted);
        FoundOutput {
            state,
            conflict,
            metadata,
            secret: None,
            parts: None,
        }
    }

    fn fresh_output(&self, output: &Output, secret: Option<FoundSecret>) -> FoundOutput {
        let metadata = secret.as_ref().map(|secret| &secret.metadata);
        let facts = self.subject.facts.as_ref();
        let is_right = |_: &FoundMetadata| {
            let right = |secret| self.subject.placement.is_right(output, facts, secret);
            secret.as_ref().is_some_and(right)
        };
        let (mut state, mut conflict) = self.compare(output, metadata, is_right);
        let parts = match (&state, &secret) {
            (OutputState::Intact { .. }, Some(secret)) => secret.parts(),
            _ => None,
        };
        if let Some(secret) = &secret
            && secret.secret_type != format_of(output.format).secret_type()
        {
            state = OutputState::Conflict { passing: false };
            let kind = &secret.secret_type;
            conflict = Some(format!("of type {kind}, and no Secret can change its type"));
        } else if matches!(state, OutputState::Intact { .. }) && parts.is_none() {
            state = OutputState::Damaged;
        }
        FoundOutput {
            state,
            conflict,
            metadata: metadata.cloned().map(Arc::new),
            secret: secret.map(Arc::new),
            parts,
        }
    }

    /// How a Secret compares with `output`, and what is in the way.
    fn compare(
        &self,
        output: &Output,
        metadata: Option<&FoundMetadata>,
        as_wanted: impl Fn(&FoundMetadata) -> bool,
    ) -> (OutputState, Option<String>) {
        if self.memory.is_unsupported(self.subject, output) {
            return (OutputState::Unsupported, None);
        }
        let Some(metadata) = metadata else {
            return self.claim(output, |_| true);
        };
        if metadata.terminating {
            let going = Some("being deleted".to_string());
            return (OutputState::Conflict { passing: true }, going);
        }
        let uid = &self.subject.wanted.uid;
        if !metadata.belongs_to(uid) {
            return match self.living_owner(metadata) {
                // Our owner reference says whose it is when somebody edited the annotation that does.
                None if metadata.owner_uid.as_ref() == Some(uid) => (OutputState::Damaged, None),
                _ => self.foreign(output, metadata),
            };
        }
        let state = match &metadata.marks {
            None => OutputState::Damaged,
            Some(marks) => OutputState::Intact {
                issue: marks.issue.clone(),
                as_wanted: as_wanted(metadata),
            },
        };
        (state, None)
    }

    /// A Secret that is not ours. What belongs to an access that exists is never taken over.
    fn foreign(&self, output: &Output, metadata: &FoundMetadata) -> (OutputState, Option<String>) {
        if let Some(owner) = self.living_owner(metadata) {
            let owned = format!("that of DOClusterAccess {owner}");
            return (OutputState::Conflict { passing: false }, Some(owned));
        }
        let orphan = metadata
            .owner_uid
            .as_ref()
            .is_some_and(|uid| !self.exists(uid));
        if output.adopt && !orphan {
            return self.claim(output, |other| other.adopt);
        }
        (OutputState::Conflict { passing: orphan }, None)
    }

    /// Name of the access that a Secret belongs to, where that exists.
    fn living_owner<'a>(&self, metadata: &'a FoundMetadata) -> Option<&'a str> {
        let uid = metadata.access_uid()?;
        self.exists(uid)
            .then(|| metadata.access_name().unwrap_or_default())
    }

    fn exists(&self, access_uid: &str) -> bool {
        let namespace = &self.subject.key.namespace;
        self.caches.access_exists(namespace, access_uid)
    }

    /// A Secret that this access may have, unless an older one names it in an output that `could` have
    /// it, too.
    fn claim(
        &self,
        output: &Output,
        could: impl Fn(&Output) -> bool,
    ) -> (OutputState, Option<String>) {
        let key = self.key_of(output);
        let access = &self.subject.access;
        match self.caches.older_claimant(access, &key, could) {
            Some(older) => {
                let claimed = format!("claimed by the older DOClusterAccess {older}");
                (OutputState::Conflict { passing: false }, Some(claimed))
            }
            None => (OutputState::Missing, None),
        }
    }
}

fn named(subject: &Subject, secret: &FoundMetadata) -> bool {
    subject
        .outputs
        .iter()
        .any(|output| *output.secret_name == *secret.name)
}

/// The versions (UID, resource version) of Secrets that are right although their metadata does not
/// look it: somebody else wrote what we would have written. With the fields that were asked for: what
/// is right now is not when fewer are.
#[must_use]
pub(super) fn accepted(
    subject: &Subject,
    found: &Observation,
) -> BTreeMap<(String, String), String> {
    let places = subject.outputs.iter().zip(&found.outputs);
    places
        .filter_map(|(output, place)| {
            let OutputState::Intact {
                as_wanted: true, ..
            } = place.state
            else {
                return None;
            };
            let metadata = place.metadata.as_ref()?;
            let facts = subject.facts.as_ref();
            let fields = subject.placement.fields(output, facts, metadata)?;
            let version = (metadata.uid.clone(), metadata.resource_version.clone());
            Some((version, fields))
        })
        .collect()
}

#[cfg(test)]
mod tests;
