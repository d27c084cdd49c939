//! From what happened to what status says. Pure: the same outcome gives the same status, so that
//! writing it twice changes nothing.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{
    ClusterStatus, ConditionStatus, ConditionType, CredentialStatus, DOClusterAccessStatus,
    OutputStatus, Reason,
};
use crate::rotation::{EpochSeconds, Issue, Observed, OutputState, Wanted};

/// Why a condition has its status, and what its sentence is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason; it determines condition and status.
    pub reason: Reason,
    /// Stable text in front of the sentence: the name of a Secret, say.
    pub subject: Option<String>,
    /// Whether nothing but a user's action will help.
    pub stalls: bool,
}

impl Finding {
    /// A finding about nothing in particular, which stalls if its reason usually does.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        Self {
            reason,
            subject: None,
            stalls: reason.stalls(),
        }
    }

    /// The message of the condition.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{subject}: {}", self.reason.sentence()),
            None => self.reason.sentence().to_string(),
        }
    }
}

/// What the cluster said of the published credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// `Accepted`, `Rejected`, `Unreachable` or `Off`.
    pub reason: Reason,
    /// When it was asked, where it accepted.
    pub at: Option<EpochSeconds>,
    /// User that the credential authenticates as.
    pub username: Option<String>,
    /// Groups of that user.
    pub groups: Vec<String>,
}

impl Verification {
    /// What `status` tells of the credential of `issue`; `None` where it tells of another, or of none
    /// that the cluster was asked about.
    #[must_use]
    pub fn told(status: &DOClusterAccessStatus, issue: &Issue) -> Option<Self> {
        let credential = status.credential.as_ref()?;
        let same = seconds(credential.issued_at.as_ref()) == Some(issue.issued_at)
            && seconds(credential.expires_at.as_ref()) == Some(issue.expires_at);
        let condition = ConditionType::Verified
            .of(&status.conditions)
            .filter(|_| same)?;
        let reason = [Reason::Accepted, Reason::Rejected, Reason::Unreachable]
            .into_iter()
            .find(|reason| reason.as_str() == condition.reason)?;
        Some(Self {
            reason,
            at: seconds(credential.verified_at.as_ref()),
            username: credential.username.clone(),
            groups: credential.groups.clone(),
        })
    }

    /// The cluster accepted the credential at this time.
    #[must_use]
    pub fn accepted(at: EpochSeconds, username: String, groups: Vec<String>) -> Self {
        Self {
            reason: Reason::Accepted,
            at: Some(at),
            username: Some(username),
            groups,
        }
    }

    /// The cluster has not been asked.
    #[must_use]
    pub fn off() -> Self {
        Self {
            reason: Reason::Off,
            at: None,
            username: None,
            groups: Vec::new(),
        }
    }
}

/// All that status is made from.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// What the spec asks for.
    pub wanted: &'a Wanted,
    /// What is there, after the attempt.
    pub observed: &'a Observed,
    /// The outputs of ours, by name, with the hashes of their content.
    pub outputs: Vec<OutputStatus>,
    /// How the attempt ended.
    pub synced: Finding,
    /// What the cluster said; `None` where it was not asked in this attempt.
    pub verification: Option<Verification>,
    /// What DigitalOcean says of the cluster; `None` where that is not known now.
    pub cluster: Option<ClusterStatus>,
    /// The time.
    pub now: EpochSeconds,
}

impl Outcome<'_> {
    /// The status to report, given the one that was reported last.
    #[must_use]
    pub fn status(&self, previous: &DOClusterAccessStatus) -> DOClusterAccessStatus {
        let ready = Finding::of(self.readiness());
        let verification = self.verification_after(previous);
        let mut findings = vec![
            (ConditionType::Ready, ready.reason.status(), ready.clone()),
            (
                ConditionType::Synced,
                self.synced.reason.status(),
                self.synced.clone(),
            ),
            (
                ConditionType::Verified,
                verification.reason.status(),
                Finding::of(verification.reason),
            ),
        ];
        // kstatus calls a stalled object failed: never say that of an access that works.
        if self.synced.stalls && ready.reason.status() != ConditionStatus::True {
            findings.push((
                ConditionType::Stalled,
                ConditionStatus::True,
                self.synced.clone(),
            ));
        }
        DOClusterAccessStatus {
            observed_generation: Some(self.wanted.generation),
            conditions: findings
                .into_iter()
                .map(|(kind, status, finding)| {
                    let generation = Some(self.wanted.generation);
                    let previous = &previous.conditions;
                    condition(previous, kind, status, &finding, generation, self.now)
                })
                .collect(),
            cluster: self.cluster.clone().or_else(|| previous.cluster.clone()),
            credential: self.credential(&verification),
            outputs: self.outputs.clone(),
            last_rotate_request: self
                .observed
                .published()
                .and_then(|issue| issue.rotate.clone())
                .or_else(|| previous.last_rotate_request.clone()),
        }
    }

    fn readiness(&self) -> Reason {
        let Some(published) = self.observed.published() else {
            return if self.observed.ever_issued {
                Reason::OutputMissing
            } else {
                Reason::NotIssued
            };
        };
        if published.expires_at <= self.now {
            return Reason::Expired;
        }
        let missing = |output: &OutputState| {
            matches!(
                output,
                OutputState::Missing | OutputState::Conflict { .. } | OutputState::Unsupported
            )
        };
        if self.observed.outputs.iter().any(missing) {
            return Reason::OutputMissing;
        }
        let as_wanted = |output: &OutputState| match output {
            OutputState::Intact { issue, as_wanted } => {
                *as_wanted && self.wanted.is_for(issue) && issue.expires_at > self.now
            }
            _ => false,
        };
        if self.observed.outputs.iter().all(as_wanted) {
            Reason::Published
        } else {
            Reason::OutOfDate
        }
    }

    /// A verdict stays true of the credential that it was given on, and of no other.
    fn verification_after(&self, previous: &DOClusterAccessStatus) -> Verification {
        let told = || Verification::told(previous, self.observed.published()?);
        let verification = self.verification.clone().or_else(told);
        verification.unwrap_or_else(Verification::off)
    }

    fn credential(&self, verification: &Verification) -> Option<CredentialStatus> {
        let issue = self.observed.published()?;
        Some(CredentialStatus {
            issued_at: Some(time(issue.issued_at)),
            expires_at: Some(time(issue.expires_at)),
            renew_at: Some(time(self.wanted.renew_at(issue))),
            verified_at: verification.at.map(time),
            username: verification.username.clone(),
            groups: verification.groups.clone(),
        })
    }
}

/// A condition that says `finding`, since `now`, unless one of `previous` has had the status for longer.
#[must_use]
pub fn condition(
    previous: &[Condition],
    kind: ConditionType,
    status: ConditionStatus,
    finding: &Finding,
    generation: Option<i64>,
    now: EpochSeconds,
) -> Condition {
    let unchanged = kind
        .of(previous)
        .filter(|condition| condition.status == status.as_str());
    Condition {
        type_: kind.as_str().to_string(),
        status: status.as_str().to_string(),
        reason: finding.reason.as_str().to_string(),
        message: finding.message(),
        observed_generation: generation,
        last_transition_time: unchanged.map_or_else(
            || time(now),
            |condition| condition.last_transition_time.clone(),
        ),
    }
}

/// Whole seconds as the API writes them.
#[must_use]
pub fn time(instant: EpochSeconds) -> Time {
    Time(Timestamp::from_second(instant).unwrap_or(Timestamp::MAX))
}

fn seconds(time: Option<&Time>) -> Option<EpochSeconds> {
    time.map(|time| time.0.as_second())
}

#[cfg(test)]
mod tests;
