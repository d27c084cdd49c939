//! What to do now.

use super::Issue;
use super::schedule::{
    EpochSeconds, MAX_SLEEP_SECONDS, Schedule, earliest_renewal, renew_at, repair_spacing_seconds,
    spacing_seconds,
};
use crate::api::Reason;

/// Unscheduled issues that an access may have within an hour.
const UNSCHEDULED_ISSUES_PER_HOUR: usize = 6;
const HOUR_SECONDS: i64 = 3600;
/// Issues whose answers may be lost before the next has to wait longer than the retry rule asks for.
const PROMPT_AFTER_LOSS: usize = 2;
/// Time between such issues then, in seconds: no more than six an hour, and none waits for the end of it.
const AFTER_LOSS_SECONDS: i64 = 720;

/// What the spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// UID of the access.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.suspend`.
    pub suspend: bool,
    /// `spec.renewBeforeSeconds`.
    pub renew_before_seconds: Option<i64>,
    /// Hash of everything that calls for a new credential when it changes.
    pub issue_hash: String,
    /// The cluster that the spec names, where that is known already.
    pub cluster_id: Option<String>,
    /// Value of the rotate annotation.
    pub rotate: Option<String>,
}

impl Wanted {
    fn schedule(&self) -> Schedule<'_> {
        Schedule {
            uid: &self.uid,
            renew_before_seconds: self.renew_before_seconds,
        }
    }

    /// When `issue` is renewed.
    #[must_use]
    pub fn renew_at(&self, issue: &Issue) -> EpochSeconds {
        renew_at(self.schedule(), issue.issued_at, issue.expires_at)
    }

    /// From when on a renewal of `issue` that costs nothing is in time.
    fn earliest_renewal(&self, issue: &Issue) -> EpochSeconds {
        earliest_renewal(self.schedule(), issue.issued_at, issue.expires_at)
    }

    /// What an attempt that starts now is for.
    #[must_use]
    pub fn attempt(&self) -> AttemptKey {
        AttemptKey {
            generation: self.generation,
            rotate: self.rotate.clone(),
        }
    }

    /// Whether `issue` is for the cluster, with the token and lifetime, that the spec asks for.
    #[must_use]
    pub fn is_for(&self, issue: &Issue) -> bool {
        issue.issue_hash == self.issue_hash
            && self
                .cluster_id
                .as_ref()
                .is_none_or(|id| *id == issue.cluster_id)
    }

    /// Why `issue` is not what the spec asks for, whatever its age.
    fn mismatch(&self, issue: &Issue) -> Option<IssueReason> {
        if !self.is_for(issue) {
            return Some(IssueReason::SpecChanged);
        }
        (self.rotate.is_some() && self.rotate != issue.rotate).then_some(IssueReason::Forced)
    }
}

/// A failure concerns the attempt that it happened to: a changed spec or a new rotate request starts
/// afresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptKey {
    /// `metadata.generation` at the attempt.
    pub generation: i64,
    /// Value of the rotate annotation at the attempt.
    pub rotate: Option<String>,
}

/// The last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it was for.
    pub attempt: AttemptKey,
    /// When attempts began to fail.
    pub since: EpochSeconds,
    /// When this one failed.
    pub at: EpochSeconds,
    /// When the next may start.
    pub retry_at: EpochSeconds,
    /// Why.
    pub reason: Reason,
    /// What the sentence is about, stable text: a Secret's name, say.
    pub subject: Option<String>,
    /// A credential may have been minted and lost with the answer.
    pub may_have_minted: bool,
}

/// One output of the spec, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// There is no such Secret.
    Missing,
    /// It exists and is not ours.
    Conflict {
        /// It belongs to an access that no longer exists: garbage collection will take it.
        passing: bool,
    },
    /// Its format is not available.
    Unsupported,
    /// It is ours, and its content cannot be trusted.
    Damaged,
    /// It is ours, and its content is that of an issue.
    Intact {
        /// The issue that it holds.
        issue: Issue,
        /// Keys, labels, annotations and owner are those that the spec asks for.
        as_wanted: bool,
    },
}

impl OutputState {
    /// Whether it cannot be written until a user changes something.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Unsupported)
    }
}

/// A credential that is in memory and not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldIssue {
    /// Its marks.
    pub issue: Issue,
    /// When to go on with it: ask the cluster again, or write again.
    pub not_before: EpochSeconds,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an observation of its own"
)]
pub struct Observed {
    /// The outputs, in the order of the spec.
    pub outputs: Vec<OutputState>,
    /// Secrets of ours that the spec no longer names.
    pub obsolete: bool,
    /// The issue that one of those holds, where no output holds one: an output was renamed.
    pub former: Option<Issue>,
    /// What is published does not hold all that the outputs which are to be written need.
    pub incomplete: bool,
    /// A credential has been published at some time.
    pub ever_issued: bool,
    /// A credential in memory.
    pub held: Option<HeldIssue>,
    /// The last attempt failed.
    pub failure: Option<Failure>,
    /// When the last issue began, as far as remembered.
    pub last_issue_at: Option<EpochSeconds>,
    /// When unscheduled issues began, the latest last.
    pub unscheduled: Vec<EpochSeconds>,
    /// The cluster has rejected what is published for good, and another credential may fare better.
    pub rejected: bool,
    /// When what is published is to be checked against the cluster again; `None` for never.
    pub verify_at: Option<EpochSeconds>,
    /// When the outputs were repaired, as far as remembered, the latest last.
    pub repairs: Vec<EpochSeconds>,
    /// When a credential was issued that can be had without a mint: another access with the same
    /// token, cluster and lifetime asked for it.
    pub shared_at: Option<EpochSeconds>,
}

impl Observed {
    /// The issue that is published: of several, the one that lasts longest.
    #[must_use]
    pub fn published(&self) -> Option<&Issue> {
        self.outputs
            .iter()
            .filter_map(|output| match output {
                OutputState::Intact { issue, .. } => Some(issue),
                _ => None,
            })
            .max_by_key(|issue| (issue.expires_at, issue.issued_at))
            .or(self.former.as_ref())
    }
}

/// Why a credential is issued. The words appear in events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssueReason {
    /// There was none.
    First,
    /// It was due.
    Renewal,
    /// The spec asks for another one.
    SpecChanged,
    /// The rotate annotation changed.
    Forced,
    /// The published one is gone or damaged, and no output holds it any more.
    Lost,
    /// The cluster accepts the published one no longer.
    Rejected,
}

impl IssueReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::First,
        Self::Renewal,
        Self::SpecChanged,
        Self::Forced,
        Self::Lost,
        Self::Rejected,
    ];

    /// As spelled in metrics and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Renewal => "renewal",
            Self::SpecChanged => "spec-changed",
            Self::Forced => "forced",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing until then.
    Wait {
        /// When to decide again, later than now and by at most [`MAX_SLEEP_SECONDS`].
        until: EpochSeconds,
    },
    /// Nothing while `spec.suspend` is set.
    Suspended {
        /// When to decide again.
        until: EpochSeconds,
    },
    /// Go on with the credential in memory: verify and write it.
    Publish,
    /// Write the outputs from one that is intact, and remove those that are no longer wanted.
    Repair,
    /// Ask the cluster about the published credential.
    Verify,
    /// Issue a credential.
    Issue(IssueReason),
    /// Something is to be done and cannot be.
    Refuse {
        /// Why.
        reason: Reason,
        /// What the sentence is about.
        subject: Option<String>,
        /// When to decide again.
        until: EpochSeconds,
    },
}

/// Decides. A function of its arguments alone: the same on every run.
#[must_use]
pub fn decide(wanted: &Wanted, observed: &Observed, now: EpochSeconds) -> Decision {
    let published = observed.published();
    if wanted.suspend {
        let expiry = published
            .map(|issue| issue.expires_at)
            .filter(|instant| *instant > now);
        return Decision::Suspended {
            until: wake(now, expiry),
        };
    }
    if let Some(refusal) = refuse_all_outputs(observed, now) {
        return refusal;
    }
    if let Some(held) = observed
        .held
        .as_ref()
        .filter(|held| usable(wanted, held, published, now))
    {
        return if held.not_before > now {
            // Once it would be renewed, another one is issued in its place.
            let until = held.not_before.min(wanted.renew_at(&held.issue));
            Decision::Wait {
                until: wake(now, Some(until)),
            }
        } else {
            Decision::Publish
        };
    }
    match due(wanted, observed, published, now) {
        None => rest(wanted, observed, published, now),
        Some(reason) => {
            limit(wanted, observed, published, reason, now).unwrap_or(Decision::Issue(reason))
        }
    }
}

/// Whether nothing is left to do, so that what went wrong before is over and a credential in memory, or
/// half of one, is of no use any more.
#[must_use]
pub fn is_settled(wanted: &Wanted, observed: &Observed, now: EpochSeconds) -> bool {
    // What another access asked for is at hand a little before it is due, and not any more once it could
    // not be written; a new one would come later than that, and cost a token.
    let at_hand = observed.held.as_ref().is_some_and(|held| {
        observed.published().is_some_and(|published| {
            usable(wanted, held, Some(published), now) && now >= wanted.earliest_renewal(published)
        })
    });
    if at_hand {
        return false;
    }
    let afresh = Observed {
        failure: None,
        held: None,
        // The last issue may be the very one that is in memory: that another one would come too soon
        // after it does not mean that none is due.
        last_issue_at: None,
        verify_at: None,
        repairs: Vec::new(),
        shared_at: None,
        ..observed.clone()
    };
    matches!(decide(wanted, &afresh, now), Decision::Wait { .. }) && !any_refused(observed)
}

/// Whether publishing `issue` would shorten what is published, although that is what the spec asks for
/// and the cluster does not reject it: what was asked for may be shorter, but once.
#[must_use]
pub fn is_worse(wanted: &Wanted, observed: &Observed, issue: &Issue, now: EpochSeconds) -> bool {
    !observed.rejected
        && observed.published().is_some_and(|published| {
            wanted.mismatch(published).is_none() && published.expires_at > issue.expires_at.max(now)
        })
}

/// With every output refused, an issue would serve nobody.
fn refuse_all_outputs(observed: &Observed, now: EpochSeconds) -> Option<Decision> {
    let mut refused = None;
    for output in &observed.outputs {
        let reason = match output {
            OutputState::Conflict { .. } => Reason::SecretConflict,
            OutputState::Unsupported => Reason::FormatNotSupported,
            _ => return None,
        };
        refused.get_or_insert(reason);
    }
    let until = observed
        .failure
        .as_ref()
        .filter(|failure| failure.retry_at > now)
        .map(|failure| failure.retry_at);
    refused.map(|reason| Decision::Refuse {
        reason,
        subject: None,
        until: wake(now, until),
    })
}

/// A credential in memory is used while it is what the spec asks for, is younger than what is
/// published, and would not be renewed at once.
fn usable(wanted: &Wanted, held: &HeldIssue, published: Option<&Issue>, now: EpochSeconds) -> bool {
    let newer = published
        .is_none_or(|issue| held.issue.issued_at >= issue.issued_at && held.issue != *issue);
    newer && wanted.mismatch(&held.issue).is_none() && now < wanted.renew_at(&held.issue)
}

/// Why an issue is due, if one is.
fn due(
    wanted: &Wanted,
    observed: &Observed,
    published: Option<&Issue>,
    now: EpochSeconds,
) -> Option<IssueReason> {
    let Some(published) = published else {
        return Some(if observed.ever_issued {
            IssueReason::Lost
        } else {
            IssueReason::First
        });
    };
    let at_hand =
        |at: EpochSeconds| at > published.issued_at && now >= wanted.earliest_renewal(published);
    let due = now >= wanted.renew_at(published) || observed.shared_at.is_some_and(at_hand);
    wanted
        .mismatch(published)
        .or_else(|| observed.rejected.then_some(IssueReason::Rejected))
        .or_else(|| due.then_some(IssueReason::Renewal))
}

/// No issue is due: repair what is not as wanted, or sleep.
fn rest(
    wanted: &Wanted,
    observed: &Observed,
    published: Option<&Issue>,
    now: EpochSeconds,
) -> Decision {
    let refused = in_conflict(observed);
    let broken = observed.obsolete && !any_refused(observed)
        || observed.outputs.iter().any(|output| match output {
            OutputState::Missing | OutputState::Damaged => true,
            OutputState::Intact { issue, as_wanted } => !as_wanted || Some(issue) != published,
            OutputState::Conflict { .. } | OutputState::Unsupported => false,
        });
    let renewal = published.map(|issue| wanted.renew_at(issue));
    match backoff(wanted, observed, now) {
        Some(until) if broken || refused => Decision::Wait {
            until: wake(now, Some(until)),
        },
        _ if broken && observed.incomplete => {
            let reason = IssueReason::Lost;
            let limited = limit(wanted, observed, published, reason, now);
            by(renewal, limited.unwrap_or(Decision::Issue(reason)))
        }
        _ if broken => by(renewal, repair(observed, now)),
        _ if observed.verify_at.is_some_and(|at| at <= now) => Decision::Verify,
        _ => {
            let next = renewal.into_iter().chain(observed.verify_at).min();
            Decision::Wait {
                until: wake(now, next),
            }
        }
    }
}

/// The same, decided again at the renewal at the latest: what is in the way of a repair is not in
/// the way of that.
fn by(renewal: Option<EpochSeconds>, decision: Decision) -> Decision {
    match decision {
        Decision::Refuse {
            reason,
            subject,
            until,
        } => Decision::Refuse {
            reason,
            subject,
            until: renewal.map_or(until, |renewal| until.min(renewal)),
        },
        decision => decision,
    }
}

/// Repairs what is broken, ever more rarely when that is in vain: somebody else writes the same
/// fields, and two writers must not take turns for ever.
fn repair(observed: &Observed, now: EpochSeconds) -> Decision {
    let recent = |at: &&EpochSeconds| **at <= now && now - **at < HOUR_SECONDS;
    let count = observed.repairs.iter().filter(recent).count();
    let last = observed.repairs.iter().rfind(recent);
    match last.map(|last| last + repair_spacing_seconds(count)) {
        Some(until) if until > now => Decision::Refuse {
            reason: Reason::SecretConflict,
            subject: Some("Another writer changes the Secrets again and again".to_string()),
            until: wake(now, Some(until)),
        },
        _ => Decision::Repair,
    }
}

/// What keeps a due issue from starting now: the retry rule, the spacing, or the hourly limit.
fn limit(
    wanted: &Wanted,
    observed: &Observed,
    published: Option<&Issue>,
    reason: IssueReason,
    now: EpochSeconds,
) -> Option<Decision> {
    if let Some(until) = backoff(wanted, observed, now) {
        return Some(Decision::Wait {
            until: wake(now, Some(until)),
        });
    }
    let asked_for = matches!(reason, IssueReason::SpecChanged | IssueReason::Forced);
    if !asked_for && let Some(until) = unscheduled_limit(wanted, observed, published, reason, now) {
        return Some(Decision::Refuse {
            reason: Reason::IssueLimitReached,
            subject: None,
            until: wake(now, Some(until)),
        });
    }
    if reason == IssueReason::Renewal
        && let Some(until) = spacing(observed, published, now)
    {
        return Some(Decision::Wait {
            until: wake(now, Some(until)),
        });
    }
    None
}

fn backoff(wanted: &Wanted, observed: &Observed, now: EpochSeconds) -> Option<EpochSeconds> {
    observed
        .failure
        .as_ref()
        .filter(|failure| failure.attempt == wanted.attempt())
        // A conflict that is over is nothing to wait for.
        .filter(|failure| failure.reason != Reason::SecretConflict || in_conflict(observed))
        .map(|failure| failure.retry_at)
        .filter(|retry_at| *retry_at > now)
}

/// Whether an output cannot be written, so that what it is to replace must stay.
fn any_refused(observed: &Observed) -> bool {
    observed.outputs.iter().any(OutputState::is_refused)
}

fn in_conflict(observed: &Observed) -> bool {
    let conflict = |output: &OutputState| matches!(output, OutputState::Conflict { .. });
    observed.outputs.iter().any(conflict)
}

fn spacing(
    observed: &Observed,
    published: Option<&Issue>,
    now: EpochSeconds,
) -> Option<EpochSeconds> {
    let published = published?;
    // An issue that seems to lie in the future was marked by a clock that has been set back since.
    let last = observed
        .last_issue_at
        .unwrap_or(published.issued_at)
        .max(published.issued_at);
    let until = last.saturating_add(spacing_seconds(published.expires_at - published.issued_at));
    (last <= now && until > now).then_some(until)
}

fn unscheduled_limit(
    wanted: &Wanted,
    observed: &Observed,
    published: Option<&Issue>,
    reason: IssueReason,
    now: EpochSeconds,
) -> Option<EpochSeconds> {
    let recent = |at: &&EpochSeconds| **at <= now && now - **at < HOUR_SECONDS;
    let recent: Vec<EpochSeconds> = observed
        .unscheduled
        .iter()
        .filter(recent)
        .copied()
        .collect();
    let until = if after_loss(wanted, observed) {
        let last = recent
            .last()
            .filter(|_| recent.len() >= PROMPT_AFTER_LOSS)?;
        // What is due anyway, and short-lived, cannot wait that long.
        let spacing = published
            .filter(|_| reason == IssueReason::Renewal)
            .map(|issue| spacing_seconds(issue.expires_at - issue.issued_at));
        last + spacing.map_or(AFTER_LOSS_SECONDS, |seconds| {
            seconds.min(AFTER_LOSS_SECONDS)
        })
    } else if matches!(reason, IssueReason::Lost | IssueReason::Rejected) {
        let oldest = recent.len().checked_sub(UNSCHEDULED_ISSUES_PER_HOUR)?;
        recent.get(oldest)? + HOUR_SECONDS
    } else {
        return None;
    };
    (until > now).then_some(until)
}

/// Whether the answer to the last attempt was lost, so that a credential may have been minted for
/// nobody.
fn after_loss(wanted: &Wanted, observed: &Observed) -> bool {
    let failure = observed.failure.as_ref();
    failure.is_some_and(|failure| failure.may_have_minted && failure.attempt == wanted.attempt())
}

/// At `until` where that lies within the next ten minutes, else in ten minutes; never now or before.
fn wake(now: EpochSeconds, until: Option<EpochSeconds>) -> EpochSeconds {
    let latest = now.saturating_add(MAX_SLEEP_SECONDS);
    until.map_or(latest, |instant| {
        instant.clamp(now.saturating_add(1), latest)
    })
}
