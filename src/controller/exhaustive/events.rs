//! What crashes and users do to a state.

use super::actions::Edit;
use super::core::CallFailure;
use super::invariants::{self, Violation};
use super::operator::{Minting, Who, commit};
use super::state::{Kind, Leader, Local, Memory, Secret, State, Step};

/// A run ends without an answer to its call.
pub(super) fn cut_short(state: &mut State, who: Who, done: bool) -> Result<(), Violation> {
    let local = &mut state.leaders[who.leader].locals[who.access];
    let Some(run) = local.run.take() else {
        return Ok(());
    };
    let held = local.memory.held;
    match run.step {
        Step::Mint if done => {
            let answer = Minting::Failed(CallFailure::Lost);
            invariants::mint(state, who, &run, answer)?;
        }
        Step::Mint if run.half.is_some() => invariants::excuse(state, who.access),
        Step::Write | Step::Repair if done && run.current => commit(state, who, &run, held)?,
        _ => {}
    }
    Ok(())
}

/// A process ends, and starts again with nothing but what the API server tells.
pub(super) fn restart(state: &mut State, leader: usize, done: bool) -> Result<(), Violation> {
    for access in 0..2 {
        let memory = state.leaders[leader].locals[access].memory;
        if memory.held.is_some() || memory.half.is_some() {
            invariants::excuse(state, access);
        }
        cut_short(state, Who { leader, access }, done)?;
    }
    let accesses = state.accesses;
    let leads = state.leaders[leader].leads;
    state.leaders[leader] = fresh_process(leads, |access| Local {
        spec: accesses[access].spec,
        secret: accesses[access].secret,
        memory: Memory::default(),
        run: None,
    });
    Ok(())
}

/// A process that has just been started.
pub(super) fn fresh_process(leads: bool, local: impl Fn(usize) -> Local) -> Leader {
    Leader {
        leads,
        lags: None,
        listed: false,
        list_wanted: false,
        gate: 0,
        offer: None,
        locals: [local(0), local(1)],
    }
}

pub(super) fn is_possible(state: &State, access: usize, edit: Edit) -> bool {
    let access = &state.accesses[access];
    if access.spec.deleted {
        return false;
    }
    match edit {
        Edit::Spec | Edit::Rotate | Edit::Suspend | Edit::Delete => true,
        Edit::RemoveSecret => access.secret != Secret::Absent,
        Edit::ReplaceSecret => access.secret != Secret::Foreign,
        Edit::DamageSecret => matches!(access.secret, Secret::Ours { .. }),
        Edit::RelabelSecret => matches!(access.secret, Secret::Ours { labelled: true, .. }),
    }
}

pub(super) fn apply(state: &mut State, access: usize, edit: Edit) {
    let spec = &mut state.accesses[access].spec;
    match edit {
        Edit::Spec => {
            spec.generation += 1;
            spec.kind = match spec.kind {
                Kind::First => Kind::Second,
                Kind::Second => Kind::First,
            };
        }
        Edit::Rotate => spec.rotate += 1,
        Edit::Suspend => {
            spec.generation += 1;
            spec.suspend = !spec.suspend;
        }
        Edit::Delete => spec.deleted = true,
        Edit::RemoveSecret => state.write(access, Secret::Absent),
        Edit::ReplaceSecret => state.write(access, Secret::Foreign),
        Edit::DamageSecret | Edit::RelabelSecret => {
            if let Secret::Ours { marks, .. } = state.accesses[access].secret {
                let damaged = match edit {
                    Edit::DamageSecret => Secret::Damaged(marks),
                    _ => Secret::Ours {
                        marks,
                        labelled: false,
                    },
                };
                state.write(access, damaged);
            }
        }
    }
    if !matches!(edit, Edit::Suspend | Edit::Delete | Edit::RelabelSecret) {
        let leading = state.leaders.iter().filter(|leader| leader.leads).count();
        (0..leading).for_each(|_| invariants::excuse(state, access));
    }
    state.tell(access);
}
