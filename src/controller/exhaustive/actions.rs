//! What can happen.

use super::core::CallFailure;
use super::operator::{Beginning, Minting, Who, Writing};
use super::state::{Service, State, Target};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Begin(Who, Beginning),
    Mint(Who, Minting),
    Write(Who, Writing),
    /// A run takes too long; the call that it waited for took effect, or not.
    TimeOut(Who, bool),
    /// The list of clusters, which is also the probe of the token.
    List(usize),
    /// A process ends and starts again; what it waited for took effect, or not.
    Crash(usize, bool),
    /// A process begins to lead while the other one still does.
    TakeOver(usize),
    /// One of two that lead learns that it does not, and ends.
    Lose(usize),
    FallBehind(usize),
    CatchUp(usize),
    Service(Service),
    Target(Target),
    /// The half hour after which a published credential is asked about ends.
    CheckFallsDue(Who),
    Edit(usize, Edit),
    /// Garbage collection.
    Collect(usize),
    /// From here on nothing goes wrong.
    Fairly,
    /// Time passes; `true`: although there is something to do.
    Tick(bool),
}

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Edit {
    Spec,
    Rotate,
    Suspend,
    RemoveSecret,
    ReplaceSecret,
    DamageSecret,
    RelabelSecret,
    Delete,
}

pub(super) const EDITS: [Edit; 8] = [
    Edit::Spec,
    Edit::Rotate,
    Edit::Suspend,
    Edit::RemoveSecret,
    Edit::ReplaceSecret,
    Edit::DamageSecret,
    Edit::RelabelSecret,
    Edit::Delete,
];

/// Answers of an issue that are faults, while DigitalOcean works.
pub(super) const BAD_ISSUES: [Minting; 8] = [
    Minting::Short,
    Minting::Expired,
    Minting::Half(CallFailure::Lost),
    Minting::Half(CallFailure::Unavailable),
    Minting::Half(CallFailure::Malformed),
    Minting::Failed(CallFailure::Lost),
    Minting::Failed(CallFailure::Forbidden),
    Minting::Failed(CallFailure::Malformed),
];

pub(super) const BAD_WRITES: [Writing; 4] = [
    Writing::Untold,
    Writing::Unanswered,
    Writing::Refused,
    Writing::Overtaken,
];

pub(super) const OUTAGES: [Service; 3] = [Service::Refuses, Service::Limits, Service::Fails];

pub(super) const BAD_TARGETS: [Target; 3] =
    [Target::Unreachable, Target::RejectsNew, Target::RejectsAll];

impl Action {
    /// The same, whoever it concerns.
    pub(super) fn anonymous(self) -> Self {
        let who = Who {
            leader: 0,
            access: 0,
        };
        match self {
            Self::Begin(_, beginning) => Self::Begin(who, beginning),
            Self::Mint(_, answer) => Self::Mint(who, answer),
            Self::Write(_, answer) => Self::Write(who, answer),
            Self::TimeOut(_, done) => Self::TimeOut(who, done),
            Self::List(_) => Self::List(0),
            Self::Crash(_, done) => Self::Crash(0, done),
            Self::TakeOver(_) => Self::TakeOver(0),
            Self::Lose(_) => Self::Lose(0),
            Self::FallBehind(_) => Self::FallBehind(0),
            Self::CatchUp(_) => Self::CatchUp(0),
            Self::CheckFallsDue(_) => Self::CheckFallsDue(who),
            Self::Edit(_, edit) => Self::Edit(0, edit),
            Self::Collect(_) => Self::Collect(0),
            Self::Service(_) | Self::Target(_) | Self::Fairly | Self::Tick(_) => self,
        }
    }
}

/// Every action that there is, whoever it concerns; all of them happen.
pub(super) fn all() -> Vec<Action> {
    let who = Who {
        leader: 0,
        access: 0,
    };
    let outages = OUTAGES.into_iter().filter_map(CallFailure::of);
    let issues = BAD_ISSUES.into_iter().chain([Minting::Issued]);
    let issues = issues.chain(outages.map(Minting::Failed));
    let writes = BAD_WRITES.into_iter().chain([Writing::Written]);
    let mut all = vec![
        Action::Begin(who, Beginning::Smooth),
        Action::Begin(who, Beginning::ReadFails),
        Action::Begin(who, Beginning::NotGranted),
        Action::List(0),
        Action::TakeOver(0),
        Action::Lose(0),
        Action::FallBehind(0),
        Action::CatchUp(0),
        Action::CheckFallsDue(who),
        Action::Collect(0),
        Action::Service(Service::Works),
        Action::Target(Target::Accepts),
    ];
    all.extend(issues.map(|answer| Action::Mint(who, answer)));
    all.extend(writes.map(|answer| Action::Write(who, answer)));
    all.extend(OUTAGES.map(Action::Service));
    all.extend(BAD_TARGETS.map(Action::Target));
    all.extend(EDITS.map(|edit| Action::Edit(0, edit)));
    for either in [false, true] {
        all.push(Action::TimeOut(who, either));
        all.push(Action::Crash(0, either));
        all.push(Action::Tick(either));
    }
    all
}

impl Action {
    /// Whether it is one of those that are bounded.
    pub(super) fn is_fault(self, state: &State) -> bool {
        match self {
            Self::Begin(_, beginning) => beginning != Beginning::Smooth,
            Self::Mint(_, answer) => answer != Minting::Issued && state.service == Service::Works,
            Self::Write(who, answer) => {
                let run = state.leaders[who.leader].locals[who.access].run;
                answer != Writing::Written && run.is_some_and(|run| run.current)
            }
            Self::Service(service) => service != Service::Works,
            Self::Target(target) => target != Target::Accepts,
            Self::TimeOut(..)
            | Self::Crash(..)
            | Self::TakeOver(_)
            | Self::FallBehind(_)
            | Self::Tick(true) => true,
            Self::List(_)
            | Self::Lose(_)
            | Self::CatchUp(_)
            | Self::CheckFallsDue(_)
            | Self::Edit(..)
            | Self::Collect(_)
            | Self::Fairly
            | Self::Tick(false) => false,
        }
    }
}
