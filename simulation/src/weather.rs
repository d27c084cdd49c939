//! What is wrong at the doors right now, and what that means for the next request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use do_cluster_access::signal::{Listener, Signal};

/// What is wrong with the API server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFault {
    /// No connection can be made.
    Down,
    /// Writes are refused with this status.
    RefuseWrites(u16),
    /// Reads are refused with this status.
    RefuseReads(u16),
    /// Every request is refused with this status, watches and those about the lease included.
    RefuseAll(u16),
    /// The connection breaks before the request has an effect.
    LoseRequest,
    /// The connection breaks after the request had its effect.
    LoseResponse,
    /// 504 after the request had its effect.
    GatewayTimeout,
    /// No answer ever comes, and the request has no effect.
    HangBefore,
    /// No answer ever comes after the request had its effect.
    HangAfter,
    /// Answers take up to so many milliseconds.
    Slow(u64),
    /// Every write about the lease fails.
    NoLease,
}

/// What is wrong with the watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFault {
    /// What is told comes up to so many seconds late.
    Lag(u64),
    /// Events are told twice, and old ones again.
    Repeat,
    /// Events are left out; who watches must be made to list again in the end.
    Drop,
    /// The stream falls silent, and its connection is not closed.
    Silence,
}

/// What is wrong with a cluster, or, without one, with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// No connection can be made.
    Unreachable,
    /// No answer ever comes.
    Hang,
    /// This status, whatever is asked.
    Status(u16),
    /// Nobody is known.
    Reject,
    /// A credential is unknown for its first so many seconds.
    SlowToKnow(u64),
    /// Another certificate is shown.
    WrongCertificate,
}

/// A point of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It is about to be sent.
    BeforeEffect,
    /// It had its effect, and nothing came back yet.
    AfterEffect,
    /// The answer came back.
    Answered,
}

/// Which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The API server.
    ApiServer,
    /// DigitalOcean.
    DigitalOcean,
    /// The clusters.
    Target,
}

/// Kills a process of the operator when it comes to a certain point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPlan {
    /// Which replica; the lease and the watches do not count as requests.
    pub replica: usize,
    /// At which door.
    pub door: Door,
    /// How many requests through that door go well before.
    pub after: u32,
    /// Where on the way of the next.
    pub point: Point,
}

/// The weather. Clones are the same.
#[derive(Clone)]
pub struct Weather(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// All watches are to be cut.
    cuts: Signal,
}

struct State {
    random: fastrand::Rng,
    api: BTreeMap<u64, Chance<ApiFault>>,
    watches: BTreeMap<u64, Chance<WatchFault>>,
    targets: BTreeMap<u64, (Option<String>, TargetFault)>,
    no_connection: BTreeMap<u64, u8>,
    crash: Option<CrashPlan>,
}

struct Chance<T> {
    fault: T,
    percent: u8,
    /// How often it may strike still.
    left: Option<u32>,
}

impl Weather {
    /// Fine weather; `random` decides what happens to each request when it is not.
    #[must_use]
    pub fn new(random: fastrand::Rng) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                random,
                api: BTreeMap::new(),
                watches: BTreeMap::new(),
                targets: BTreeMap::new(),
                no_connection: BTreeMap::new(),
                crash: None,
            }),
            cuts: Signal::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a fault of the API server that strikes so many percent of the requests.
    pub fn begin_api(&self, id: u64, fault: ApiFault, percent: u8) {
        self.insert_api(id, fault, percent, None);
        if fault == ApiFault::Down {
            self.cut_watches();
        }
    }

    /// Lets a fault of the API server strike the next so many requests that it concerns.
    pub fn strike_api(&self, id: u64, fault: ApiFault, times: u32) {
        self.insert_api(id, fault, 100, Some(times));
    }

    fn insert_api(&self, id: u64, fault: ApiFault, percent: u8, left: Option<u32>) {
        let chance = Chance {
            fault,
            percent,
            left,
        };
        self.state().api.insert(id, chance);
    }

    /// Begins a fault of the watches.
    pub fn begin_watches(&self, id: u64, fault: WatchFault, percent: u8) {
        let chance = Chance {
            fault,
            percent,
            left: None,
        };
        self.state().watches.insert(id, chance);
    }

    /// Begins a fault of one cluster, or of all.
    pub fn begin_target(&self, id: u64, cluster: Option<String>, fault: TargetFault) {
        self.state().targets.insert(id, (cluster, fault));
    }

    /// From now on so many percent of the requests to DigitalOcean find no connection.
    pub fn begin_no_connection(&self, id: u64, percent: u8) {
        self.state().no_connection.insert(id, percent);
    }

    /// Ends a fault.
    pub fn end(&self, id: u64) {
        let mut state = self.state();
        state.api.remove(&id);
        state.targets.remove(&id);
        state.no_connection.remove(&id);
        state.watches.remove(&id);
    }

    /// Ends everything.
    pub fn clear(&self) {
        let mut state = self.state();
        state.api.clear();
        state.watches.clear();
        state.targets.clear();
        state.no_connection.clear();
        state.crash = None;
    }

    /// Breaks all watches off that are under way.
    pub fn cut_watches(&self) {
        self.0.cuts.tell();
    }

    /// Tells when watches are cut from now on.
    #[must_use]
    pub fn cuts(&self) -> Listener {
        self.0.cuts.listen()
    }

    /// Has a process killed at a point.
    pub fn plan_crash(&self, plan: CrashPlan) {
        self.state().crash = Some(plan);
    }

    /// Whether the process dies at this point of a request. Requests count at their first point.
    pub(crate) fn dies_at(&self, replica: usize, door: Door, point: Point) -> bool {
        let mut state = self.state();
        let Some(plan) = &mut state.crash else {
            return false;
        };
        if (plan.replica, plan.door) != (replica, door) {
            return false;
        }
        if plan.after > 0 {
            if point == Point::BeforeEffect {
                plan.after -= 1;
            }
            return false;
        }
        if plan.point != point {
            return false;
        }
        state.crash = None;
        true
    }

    /// What happens to a request to the API server, and how long it takes.
    pub(crate) fn api_fate(&self, write: bool, lease: bool) -> (Option<ApiFault>, Duration) {
        let mut state = self.state();
        let state = &mut *state;
        let mut latency = latency(&mut state.random);
        let mut fate = None;
        for chance in state.api.values_mut() {
            let concerned = match chance.fault {
                ApiFault::RefuseWrites(_) => write && !lease,
                ApiFault::RefuseReads(_) => !write && !lease,
                ApiFault::NoLease => lease,
                _ => true,
            };
            let spent = chance.left == Some(0);
            if !concerned || spent || state.random.u8(0..100) >= chance.percent {
                continue;
            }
            if let Some(left) = &mut chance.left {
                *left -= 1;
            }
            match chance.fault {
                ApiFault::Slow(milliseconds) => {
                    latency += Duration::from_millis(state.random.u64(0..=milliseconds));
                }
                fault => fate = fate.or(Some(fault)),
            }
        }
        (fate, latency)
    }

    /// Whether a request to DigitalOcean finds no connection, and how long it is on its way.
    pub(crate) fn digitalocean_fate(&self) -> (bool, Duration) {
        let mut state = self.state();
        let state = &mut *state;
        let latency = latency(&mut state.random);
        let mut none = false;
        for percent in state.no_connection.values() {
            none |= state.random.u8(0..100) < *percent;
        }
        (none, latency)
    }

    /// What happens to an event of a watch: how often it is told (0 is not at all), whether old ones follow
    /// again, and how much later.
    pub(crate) fn event_fate(&self) -> EventFate {
        let mut state = self.state();
        let state = &mut *state;
        let mut fate = EventFate::default();
        for chance in state.watches.values() {
            if state.random.u8(0..100) >= chance.percent {
                continue;
            }
            match chance.fault {
                WatchFault::Lag(seconds) => {
                    let most = seconds.saturating_mul(1000);
                    fate.lag += Duration::from_millis(state.random.u64(0..=most));
                }
                WatchFault::Repeat => fate.repeat = true,
                WatchFault::Drop => fate.drop = true,
                WatchFault::Silence => fate.silence = true,
            }
        }
        fate
    }

    /// What is wrong with a cluster.
    pub(crate) fn target_fault(&self, cluster: &str) -> Option<TargetFault> {
        let state = self.state();
        let mut faults = state.targets.values();
        faults
            .find(|(which, _)| which.as_deref().is_none_or(|which| which == cluster))
            .map(|(_, fault)| *fault)
    }
}

/// What happens to an event of a watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventFate {
    pub(crate) lag: Duration,
    pub(crate) repeat: bool,
    pub(crate) drop: bool,
    pub(crate) silence: bool,
}

/// Half of the requests are answered at once, so that runs of many take turns in many ways.
fn latency(random: &mut fastrand::Rng) -> Duration {
    if random.bool() {
        Duration::ZERO
    } else {
        Duration::from_millis(random.u64(1..20))
    }
}
