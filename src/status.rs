//! From what happened to what status says. Pure: the same outcome gives the same status, so that
//! writing it twice changes nothing.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{
    ClusterStatus, ConditionStatus, ConditionType, CredentialStatus, DOClusterAccessStatus,
    OutputStatus, Reason,
};
use crate::rotation::{EpochSeconds, Observed, OutputState, Wanted};

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
                .map(|(kind, status, finding)| self.condition(previous, kind, status, &finding))
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
        if let Some(verification) = &self.verification {
            return verification.clone();
        }
        let credential = previous.credential.clone().unwrap_or_default();
        let same = self.observed.published().is_some_and(|issue| {
            seconds(credential.issued_at.as_ref()) == Some(issue.issued_at)
                && seconds(credential.expires_at.as_ref()) == Some(issue.expires_at)
        });
        let reason = previous
            .conditions
            .iter()
            .find(|condition| condition.type_ == ConditionType::Verified.as_str())
            .and_then(|condition| {
                [Reason::Accepted, Reason::Rejected, Reason::Unreachable]
                    .into_iter()
                    .find(|reason| reason.as_str() == condition.reason)
            });
        match reason {
            Some(reason) if same => Verification {
                reason,
                at: seconds(credential.verified_at.as_ref()),
                username: credential.username,
                groups: credential.groups,
            },
            _ => Verification::off(),
        }
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

    fn condition(
        &self,
        previous: &DOClusterAccessStatus,
        kind: ConditionType,
        status: ConditionStatus,
        finding: &Finding,
    ) -> Condition {
        let unchanged = previous.conditions.iter().find(|condition| {
            condition.type_ == kind.as_str() && condition.status == status.as_str()
        });
        Condition {
            type_: kind.as_str().to_string(),
            status: status.as_str().to_string(),
            reason: finding.reason.as_str().to_string(),
            message: finding.message(),
            observed_generation: Some(self.wanted.generation),
            last_transition_time: unchanged.map_or_else(
                || time(self.now),
                |condition| condition.last_transition_time.clone(),
            ),
        }
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
