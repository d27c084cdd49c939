//! What must hold of every state and every step, whatever came before.

use super::core::{Core, Question};
use super::operator::{Minting, Who};
use super::state::{
    Account, InProgress, Kind, Marks, Policy, Secret, Spec, State, Step, Target, Tick, Times,
    instant,
};
use crate::rotation::{
    Decision, EpochSeconds, IssueReason, MAX_SLEEP_SECONDS, Observed, Wanted, spacing_seconds,
};

/// Which invariant is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) invariant: &'static str,
    pub(super) how: String,
}

fn violation(invariant: &'static str, how: impl Into<String>) -> Violation {
    Violation {
        invariant,
        how: how.into(),
    }
}

fn check(
    holds: bool,
    invariant: &'static str,
    how: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(violation(invariant, how()))
    }
}

/// No decision says to come back now, in the past, or after more than ten minutes; and while nothing is
/// in the way none sleeps through the renewal.
pub(super) fn decision(
    wanted: &Wanted,
    observed: &Observed,
    now: EpochSeconds,
    decision: &Decision,
) -> Result<(), Violation> {
    let (Decision::Wait { until } | Decision::Suspended { until } | Decision::Refuse { until, .. }) =
        decision
    else {
        return Ok(());
    };
    check(
        (now + 1..=now + MAX_SLEEP_SECONDS).contains(until),
        "wait",
        || format!("{decision:?} at {now}"),
    )?;
    let Some(published) = observed.published() else {
        return Ok(());
    };
    let free = observed.failure.is_none() && observed.held.is_none() && !wanted.suspend;
    let spaced = observed
        .last_issue_at
        .map(|at| at + spacing_seconds(published.expires_at - published.issued_at));
    let renew_at = wanted.renew_at(published).max(spaced.unwrap_or(0));
    check(
        !free || now >= renew_at || *until <= renew_at,
        "wake",
        || format!("{decision:?} sleeps through the renewal at {renew_at}"),
    )
}

/// I5: a credential is issued where there is none, where the spec or the user asks for another one,
/// where it is due, or where the cluster has rejected it. A process that begins to lead while its watch is
/// behind may find that an older spec asks for another one.
pub(super) fn is_due(
    state: &State,
    who: Who,
    seen: Spec,
    reason: IssueReason,
) -> Result<(), Violation> {
    let access = &state.accesses[who.access];
    check(!seen.suspend && !seen.deleted, "I12", || {
        format!("issued for {seen:?}")
    })?;
    let Some(marks) = access.secret.marks() else {
        return Ok(());
    };
    let differs = |spec: Spec| marks.kind != spec.kind || marks.rotate != spec.rotate;
    let asked_for = differs(access.spec) || differs(seen);
    let due = instant(state.now) >= earliest_renewal(marks);
    check(
        asked_for || due || access.account.rejected,
        "I5 due",
        || {
            format!(
                "{reason:?}, published {marks:?}, spec {:?}, seen {seen:?}",
                access.spec
            )
        },
    )
}

/// A new credential that the cluster does not accept is not published where that is required, where
/// nothing is published, or where it accepts what is.
pub(super) fn swap(state: &State, found: Secret) -> Result<(), Violation> {
    let may_be = match (state.target, state.policy) {
        (Target::Accepts, _) => true,
        (_, Policy::Required) | (Target::RejectsNew, _) => false,
        (Target::Unreachable, _) => true,
        (Target::RejectsAll, _) => found.marks().is_some(),
    };
    check(may_be, "verification", || {
        format!("published although the cluster {:?}", state.target)
    })
}

/// The hourly limit on issues beside the schedule.
pub(super) fn limit(times: &Times, reason: IssueReason, now: Tick) -> Result<(), Violation> {
    let limited = matches!(reason, IssueReason::Lost | IssueReason::Rejected);
    let recent = |at: &EpochSeconds| instant(now) - at < 3600;
    let count = times.all().into_iter().filter(recent).count();
    check(!limited || count <= 6, "hourly limit", || {
        format!("{count} unscheduled issues within an hour")
    })
}

/// Two thirds of the lifetime, less the whole spread.
fn earliest_renewal(marks: Marks) -> EpochSeconds {
    let lifetime = instant(marks.expires) - instant(marks.issued);
    instant(marks.expires) - lifetime / 3 - lifetime / 10
}

/// Something happened that may cost one more issue.
pub(super) fn excuse(state: &mut State, access: usize) {
    state.accesses[access].account.excused += 1;
}

/// I5: no more issues than were due and excused. I12: of those that were begun after a deletion which has
/// not been seen, one; another one where a published credential falls due to be checked, garbage
/// collection has taken it, and still nobody told.
pub(super) fn mint(
    state: &mut State,
    who: Who,
    at: &InProgress,
    answer: Minting,
) -> Result<(), Violation> {
    let costs = match answer {
        Minting::Failed(failure) => failure.minted(),
        _ => true,
    };
    let lost = match answer {
        Minting::Issued | Minting::Short => false,
        Minting::Expired => true,
        Minting::Half(failure) | Minting::Failed(failure) => failure.minted(),
    };
    let replaced = state.leaders[who.leader].locals[who.access].memory.held;
    let outlived =
        replaced.is_some_and(|held| Core::renew_at(who.access, at.spec, held.marks) <= at.now);
    let (both_lead, checked) = (state.both_lead(), state.left.checked);
    let account = &mut state.accesses[who.access].account;
    account.excused += u8::from(outlived);
    if costs && at.half.is_none() {
        account.spent += 1;
        account.after_deletion += u8::from(at.after_deletion);
    }
    let Account {
        spent,
        excused,
        after_deletion,
        ..
    } = *account;
    account.excused += u8::from(lost);
    let unseen = 1 + u8::from(both_lead) + checked + excused;
    check(after_deletion <= unseen, "I12", || {
        format!("{after_deletion} issues after the deletion")
    })?;
    check(spent <= 1 + excused, "I5 mints", || {
        format!("{spent} issues for one that was due and {excused} that were excused")
    })
}

/// I4, I5, I10: what is published is replaced by what lasts at least as long, unless somebody asked for
/// another one or the cluster rejects it.
pub(super) fn write(
    state: &mut State,
    who: Who,
    at: &InProgress,
    new: Marks,
) -> Result<(), Violation> {
    let both_lead = state.both_lead();
    let minting = state.leaders.iter().filter(|leader| {
        let run = leader.locals[who.access].run;
        run.is_some_and(|run| run.step == Step::Mint)
    });
    let minting = u8::try_from(minting.count()).unwrap_or(u8::MAX);
    let access = &mut state.accesses[who.access];
    let answers = new.kind == at.spec.kind && new.rotate == at.spec.rotate;
    check(answers || at.step == Step::Repair, "I2 spec", || {
        format!("{new:?} is published for {:?}", at.spec)
    })?;
    check(access.secret != Secret::Foreign, "ownership", || {
        "somebody else's Secret is written".to_string()
    })?;
    if let Some(old) = access.secret.marks() {
        let asked_for = old.kind != new.kind || old.rotate != new.rotate;
        let monotone = new.expires >= old.expires || asked_for || access.account.rejected;
        check(monotone, "I4", || format!("{old:?} is replaced by {new:?}"))?;
        if old == new {
            let labelled = matches!(access.secret, Secret::Ours { labelled: true, .. });
            return check(!labelled, "I10", || format!("{old:?} is written again"));
        }
    }
    check(at.step != Step::Repair, "I5 repair", || {
        "a repair brings another credential".to_string()
    })?;
    access.account.spent = 0;
    access.account.excused = minting + u8::from(both_lead);
    access.account.rejected = false;
    Ok(())
}

/// The cluster has rejected a published credential for good.
pub(super) fn note_rejected(state: &mut State, access: usize, marks: Marks) {
    let access = &mut state.accesses[access];
    access.account.rejected |= access.secret.marks() == Some(marks);
}

/// I2: `Ready=True` is true where nothing has changed since what it goes by was read.
pub(super) fn is_ready(
    state: &State,
    who: Who,
    question: &Question,
    current: bool,
) -> Result<(), Violation> {
    let access = &state.accesses[who.access];
    let knows = current || state.leaders[who.leader].lags.is_none();
    if !knows || question.secret.in_cache() != access.secret.in_cache() {
        return Ok(());
    }
    let kind: Kind = question.spec.kind;
    let holds = match access.secret {
        Secret::Ours { marks, labelled } => {
            labelled && marks.kind == kind && marks.expires > question.now
        }
        _ => false,
    };
    check(holds, "I2", || format!("Ready with {:?}", access.secret))
}

/// I1: as long as nothing goes wrong and nobody is late, nothing expires.
pub(super) fn nothing_expired(state: &State) -> Result<(), Violation> {
    for access in state.accesses.iter().filter(|access| !access.spec.deleted) {
        if let Some(marks) = access.secret.marks() {
            check(marks.expires > state.now, "I1", || {
                format!(
                    "{marks:?} has expired at {} and nothing went wrong",
                    state.now
                )
            })?;
        }
    }
    Ok(())
}
