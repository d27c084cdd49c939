//! The state of the model: all that exists outside of the operator, and what each of two processes
//! of it knows. Small values only, so that millions of states can be kept and compared.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use crate::api::{Reason, VerificationPolicy};
use crate::rotation::{EpochSeconds, IssueReason};

/// Time in steps of [`TICK_SECONDS`].
pub(super) type Tick = u8;

/// What happens within a tick happens at its beginning. Chosen so that retries, the life of half an
/// issue, and that of a shared one take one tick and no more, while renewal, expiry and the spread
/// between two accesses take several.
pub(super) const TICK_SECONDS: i64 = 50;

/// Tick 0.
const BEGINNING: EpochSeconds = 1_790_000_000;

/// `tick` by the clock.
pub(super) fn instant(tick: Tick) -> EpochSeconds {
    BEGINNING + i64::from(tick) * TICK_SECONDS
}

/// The first tick at or after `instant`: whatever compares the two at ticks cannot tell them apart.
pub(super) fn tick_of(instant: EpochSeconds) -> Tick {
    let ticks = (instant - BEGINNING).div_euclid(TICK_SECONDS);
    let rest = (instant - BEGINNING).rem_euclid(TICK_SECONDS);
    Tick::try_from(ticks + i64::from(rest > 0)).unwrap_or(Tick::MAX)
}

/// A plain enumeration that can be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word<T>(pub(super) T);

impl<T> Hash for Word<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        discriminant(&self.0).hash(state);
    }
}

/// The marks of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Marks {
    pub(super) issued: Tick,
    pub(super) expires: Tick,
    pub(super) kind: Kind,
    pub(super) rotate: u8,
}

/// The part of a spec that the issue hash covers. The second has the shorter lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    First,
    Second,
}

impl Kind {
    pub(super) fn expiry_seconds(self) -> i64 {
        match self {
            Self::First => 600,
            Self::Second => 450,
        }
    }

    pub(super) fn lifetime(self) -> Tick {
        tick_of(instant(0) + self.expiry_seconds())
    }
}

/// What stands where an output should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Secret {
    Absent,
    Foreign,
    /// Ours, with content that is not that of its marks.
    Damaged(Marks),
    /// Ours; `labelled` as the spec asks for.
    Ours {
        marks: Marks,
        labelled: bool,
    },
}

impl Secret {
    pub(super) fn marks(self) -> Option<Marks> {
        match self {
            Self::Ours { marks, .. } => Some(marks),
            _ => None,
        }
    }

    /// What its metadata tells: of damage, that somebody else has written.
    pub(super) fn in_cache(self) -> Self {
        match self {
            Self::Damaged(marks) => Self::Ours {
                marks,
                labelled: false,
            },
            other => other,
        }
    }
}

/// An access, as the API server or a cache has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spec {
    pub(super) generation: u8,
    pub(super) kind: Kind,
    pub(super) rotate: u8,
    pub(super) suspend: bool,
    pub(super) deleted: bool,
}

/// What status tells that decisions depend on, and `Ready`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Status {
    pub(super) ready: bool,
    pub(super) ever_issued: bool,
    /// The cluster has rejected what was published, when that was new.
    pub(super) unconfirmed: bool,
}

/// What the invariants count, and no operator knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Account {
    /// Issues that cost a mint since the last one was published.
    pub(super) spent: u8,
    /// Events since then that each excuse one more: crashes, lost answers, overlaps, edits.
    pub(super) excused: u8,
    /// The cluster has rejected what is published for good.
    pub(super) rejected: bool,
    /// Issues that cost a mint after the access was deleted.
    pub(super) after_deletion: u8,
}

/// One access and its output, as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Access {
    pub(super) spec: Spec,
    pub(super) secret: Secret,
    pub(super) status: Status,
    pub(super) account: Account,
}

/// What DigitalOcean answers to whoever calls with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Service {
    Works,
    Refuses,
    Limits,
    Fails,
}

/// What the cluster answers to whoever asks about a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Target {
    Accepts,
    Unreachable,
    /// It does not know new credentials yet; it accepts what is published.
    RejectsNew,
    RejectsAll,
}

/// The last attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Failed {
    pub(super) generation: u8,
    pub(super) rotate: u8,
    pub(super) since: Tick,
    pub(super) at: Tick,
    pub(super) retry_at: Tick,
    pub(super) reason: Word<Reason>,
    pub(super) may_have_minted: bool,
}

/// A credential in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Held {
    pub(super) marks: Marks,
    pub(super) reason: Word<IssueReason>,
    pub(super) not_before: Tick,
    pub(super) rejections: u8,
    pub(super) cleared: Cleared,
}

/// What the cluster said of a credential in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cleared {
    NotYet,
    Yes,
    /// It rejects it, and that makes nothing worse.
    Unconfirmed,
}

/// Half of an issue: `get_credentials` answered, `get_kubeconfig` did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Half {
    pub(super) kind: Kind,
    pub(super) requested: Tick,
    pub(super) expires: Tick,
}

/// When what is published is asked about, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Check {
    pub(super) marks: Marks,
    /// `None`: within the next half hour.
    pub(super) at: Option<Tick>,
    pub(super) rejections: u8,
    pub(super) may_be_replaced: bool,
}

/// When something happened that is limited by the hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Times {
    /// So often, a good while ago.
    pub(super) before: (u8, Tick),
    pub(super) lately: [Option<Tick>; 4],
}

impl Times {
    pub(super) fn note(&mut self, at: Tick) {
        if self.lately[3].is_some() {
            self.lately.rotate_left(1);
            self.lately[3] = None;
        }
        let free = self.lately.iter_mut().find(|slot| slot.is_none());
        if let Some(slot) = free {
            *slot = Some(at);
        }
    }

    pub(super) fn all(&self) -> Vec<EpochSeconds> {
        let (count, at) = self.before;
        let before = (0..count).map(|_| instant(at));
        let lately = self.lately.iter().flatten().map(|at| instant(*at));
        before.chain(lately).collect()
    }
}

/// What a process remembers of one access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Memory {
    pub(super) failure: Option<Failed>,
    pub(super) held: Option<Held>,
    pub(super) half: Option<Half>,
    pub(super) last_issue_at: Option<Tick>,
    pub(super) unscheduled: Times,
    pub(super) check: Option<Check>,
    pub(super) repairs: Times,
    pub(super) overtaken: u8,
}

/// The call that a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    Mint,
    Write,
    Repair,
}

/// A run that waits for the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct InProgress {
    pub(super) step: Step,
    /// When it began.
    pub(super) now: Tick,
    pub(super) spec: Spec,
    /// What it read.
    pub(super) found: Secret,
    /// Nobody has written since.
    pub(super) current: bool,
    pub(super) reason: Option<Word<IssueReason>>,
    pub(super) half: Option<Half>,
    /// It began when the access was gone.
    pub(super) after_deletion: bool,
}

/// What a process knows of one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Local {
    pub(super) spec: Spec,
    pub(super) secret: Secret,
    pub(super) memory: Memory,
    pub(super) run: Option<InProgress>,
}

/// A whole issue that others can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Offer {
    pub(super) kind: Kind,
    pub(super) requested: Tick,
    pub(super) expires: Tick,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Leader {
    pub(super) leads: bool,
    /// Its watches are behind, since then.
    pub(super) lags: Option<Tick>,
    pub(super) listed: bool,
    pub(super) list_wanted: bool,
    /// Number of its [`Gate`](super::super::gate::Gate).
    pub(super) gate: u16,
    pub(super) offer: Option<Offer>,
    pub(super) locals: [Local; 2],
}

/// What may still go wrong, or be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Allowance {
    pub(super) faults: u8,
    pub(super) edits: u8,
    pub(super) checks: u8,
    /// Half-hourly checks that fell due.
    pub(super) checked: u8,
    /// When time ends.
    pub(super) end: Tick,
    /// Something went wrong, or somebody interfered.
    pub(super) harmed: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State {
    pub(super) now: Tick,
    pub(super) policy: Policy,
    pub(super) left: Allowance,
    pub(super) service: Service,
    pub(super) target: Target,
    pub(super) accesses: [Access; 2],
    pub(super) leaders: [Leader; 2],
}

/// [`VerificationPolicy`], to be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Policy {
    WhenReachable,
    Required,
    Off,
}

impl Policy {
    pub(super) fn real(self) -> VerificationPolicy {
        match self {
            Self::WhenReachable => VerificationPolicy::WhenReachable,
            Self::Required => VerificationPolicy::Required,
            Self::Off => VerificationPolicy::Off,
        }
    }

    pub(super) fn is_off(self) -> bool {
        self == Self::Off
    }
}

impl State {
    /// The same, whichever of the two processes is called the first: they do not differ in anything.
    pub(super) fn canonical(mut self) -> Self {
        if self.leaders[1] < self.leaders[0] {
            self.leaders.swap(0, 1);
        }
        self
    }

    pub(super) fn both_lead(&self) -> bool {
        self.leaders.iter().all(|leader| leader.leads)
    }

    /// Somebody has written the Secret of this access: whoever has read it before and is about to write
    /// is too late.
    pub(super) fn write(&mut self, access: usize, secret: Secret) {
        self.accesses[access].secret = secret;
        for leader in &mut self.leaders {
            if let Some(run) = &mut leader.locals[access].run {
                run.current = false;
            }
        }
        self.tell(access);
    }

    /// The watches tell those who are not behind.
    pub(super) fn tell(&mut self, access: usize) {
        let Access { spec, secret, .. } = self.accesses[access];
        for leader in self
            .leaders
            .iter_mut()
            .filter(|leader| leader.lags.is_none())
        {
            let local = &mut leader.locals[access];
            (local.spec, local.secret) = (spec, secret);
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, service, target) = (self.now, self.service, self.target);
        writeln!(
            formatter,
            "    tick {now}, DigitalOcean {service:?}, cluster {target:?}"
        )?;
        for access in &self.accesses {
            writeln!(formatter, "      {access:?}")?;
        }
        for leader in self.leaders.iter().filter(|leader| leader.leads) {
            let (lags, gate, offer) = (leader.lags, leader.gate, leader.offer);
            writeln!(
                formatter,
                "      leads, behind since {lags:?}, gate {gate}, offer {offer:?}"
            )?;
            for local in &leader.locals {
                writeln!(formatter, "        {:?} {:?}", local.memory, local.run)?;
            }
        }
        Ok(())
    }
}
