//! What happened beside the API server's and DigitalOcean's own records: everything that a checker needs to
//! know and that neither of them sees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::time::Time;
use crate::weather::Door;

/// Who is kept from being served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody.
    Everything,
    /// Who uses an API token of this DigitalOcean account.
    Account(String),
    /// Who wants this cluster, by id.
    Cluster(String),
    /// One access: `namespace/name`.
    Access(String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process of the operator began, as this replica.
    Started {
        /// Which replica.
        replica: usize,
        /// It leads without asking for the lease.
        alone: bool,
    },
    /// A process ended.
    Ended {
        /// Which replica.
        replica: usize,
        /// How.
        how: End,
    },
    /// The clock of a replica is so many seconds ahead from now on.
    Skew {
        /// Which replica.
        replica: usize,
        /// Seconds ahead.
        seconds: i64,
    },
    /// Time went on by so many seconds without any timer's notice.
    Jump {
        /// Seconds.
        seconds: i64,
    },
    /// A disturbance began.
    Begin {
        /// Its number.
        id: u64,
        /// Whom it keeps from being served.
        scope: Scope,
        /// What it is.
        what: String,
    },
    /// A disturbance ended.
    Finish {
        /// Its number.
        id: u64,
    },
    /// A fault struck one request.
    Struck {
        /// What it was.
        what: String,
    },
    /// Somebody changed something.
    Deed {
        /// Whom it concerns.
        scope: Scope,
        /// What was done.
        what: String,
    },
    /// A request to the API server other than a watch or one about the lease.
    Call {
        /// Which replica.
        replica: usize,
        /// GET, PATCH …
        method: &'static str,
        /// The path.
        path: String,
        /// What the operator was answered; `None` where no answer came.
        status: Option<u16>,
        /// Whether a fault decided on that.
        faulted: bool,
    },
    /// A request to DigitalOcean whose answer was kept from the operator, or whose answer was damaged.
    AnswerLost {
        /// Which replica.
        replica: usize,
        /// The path.
        path: String,
    },
    /// A cluster was asked about a credential.
    Probe {
        /// Which replica.
        replica: usize,
        /// The cluster that was asked.
        cluster: String,
        /// Fingerprint of the credential.
        credential: String,
        /// What it answered.
        answer: ProbeAnswer,
    },
    /// A replica was told by a watch that an access is gone.
    DeletionSeen {
        /// Which replica.
        replica: usize,
        /// UID of the access.
        uid: String,
    },
    /// From now on nothing is disturbed.
    Calm,
    /// Everything looks as it should, or has had the time to.
    Converged,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Killed.
    Crash,
    /// It was told to stop and did.
    Stop,
    /// It stopped because it leads no longer.
    LeadershipLost,
}

/// What a cluster answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// It knows the credential.
    Accepted,
    /// It does not, or its certificate did not fit.
    Rejected,
    /// Nothing that tells.
    Unreachable,
}

/// A request of the operator that came to a door, whatever became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// Which door.
    pub door: Door,
}

/// An event and when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The true time.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The record. Clones are the same one.
#[derive(Clone)]
pub struct Journal {
    time: Time,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    faults: BTreeMap<&'static str, u64>,
    /// Only where somebody wants to know.
    arrivals: Option<Vec<Arrival>>,
}

impl Journal {
    /// An empty one.
    #[must_use]
    pub fn new(time: &Time) -> Self {
        Self {
            time: time.clone(),
            state: Arc::default(),
        }
    }

    /// Notes that something happened now.
    pub fn note(&self, event: Event) {
        let at = self.time.now();
        tracing::trace!(target: "journal", ?event);
        self.state().entries.push(Entry { at, event });
    }

    /// Counts a fault that struck.
    pub fn count(&self, fault: &'static str) {
        *self.state().faults.entry(fault).or_default() += 1;
    }

    /// From now on every request is noted, watches and those about the lease included.
    pub fn note_arrivals(&self) {
        self.state().arrivals.get_or_insert_default();
    }

    /// Every request since then, in the order of time.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state().arrivals.clone().unwrap_or_default()
    }

    /// A request has come to a door.
    pub(crate) fn arrive(&self, door: Door) {
        let at = self.time.now();
        if let Some(arrivals) = &mut self.state().arrivals {
            arrivals.push(Arrival { at, door });
        }
    }

    /// Takes everything out.
    #[must_use]
    pub fn take(&self) -> (Vec<Entry>, BTreeMap<&'static str, u64>) {
        let mut state = self.state();
        let entries = std::mem::take(&mut state.entries);
        (entries, std::mem::take(&mut state.faults))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => formatter.write_str("everything"),
            Self::Account(label) => write!(formatter, "account {label}"),
            Self::Cluster(id) => write!(formatter, "cluster {id}"),
            Self::Access(key) => write!(formatter, "access {key}"),
        }
    }
}
