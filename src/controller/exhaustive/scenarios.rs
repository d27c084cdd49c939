//! Where the search begins, and how much may go wrong.

use super::events::fresh_process;
use super::state::{
    Access, Account, Allowance, Check, Kind, Local, Marks, Memory, Policy, Secret, Service, Spec,
    State, Status, Target, Tick, Times,
};

/// The first tick.
const START: Tick = 80;

/// A beginning, and what may come of it.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Ticks since what is published of the two was issued; `None` where nothing is.
    ages: [Option<Tick>; 2],
    policy: Policy,
    faults: u8,
    edits: u8,
    checks: u8,
    ticks: Tick,
    /// Unscheduled issues of the first, most of an hour ago.
    unscheduled: u8,
    /// Both processes lead, and have so often found that the cluster rejects the first.
    rejections: u8,
}

const PLAIN: Scenario = Scenario {
    name: "",
    ages: [None, None],
    policy: Policy::WhenReachable,
    faults: 1,
    edits: 0,
    checks: 0,
    ticks: 3,
    unscheduled: 0,
    rejections: 0,
};

pub(super) const SCENARIOS: [Scenario; 10] = [
    Scenario {
        name: "nothing is issued yet",
        faults: 2,
        ..PLAIN
    },
    Scenario {
        name: "both are due",
        ages: [Some(7), Some(7)],
        faults: 2,
        ticks: 5,
        ..PLAIN
    },
    Scenario {
        name: "one is due, the other is new, a user interferes",
        ages: [Some(7), None],
        edits: 1,
        ..PLAIN
    },
    Scenario {
        name: "a user interferes before one is due",
        ages: [Some(6), Some(1)],
        edits: 1,
        ticks: 4,
        ..PLAIN
    },
    Scenario {
        name: "users interfere again and again, one has expired",
        ages: [Some(13), Some(3)],
        policy: Policy::Off,
        faults: 0,
        edits: 3,
        ticks: 4,
        ..PLAIN
    },
    Scenario {
        name: "the cluster is asked about what is published",
        ages: [Some(4), Some(1)],
        checks: 1,
        ticks: 11,
        ..PLAIN
    },
    Scenario {
        name: "the cluster has to accept what is published",
        ages: [Some(7), Some(5)],
        policy: Policy::Required,
        checks: 1,
        ticks: 7,
        ..PLAIN
    },
    Scenario {
        name: "two processes find that what is published is rejected",
        ages: [Some(4), Some(1)],
        ticks: 4,
        rejections: 2,
        ..PLAIN
    },
    Scenario {
        name: "the limit on unscheduled issues is near",
        ages: [None, Some(3)],
        policy: Policy::Off,
        faults: 2,
        ticks: 8,
        unscheduled: 5,
        ..PLAIN
    },
    Scenario {
        name: "the limit on unscheduled issues is near, a user interferes",
        ages: [None, Some(3)],
        policy: Policy::Off,
        edits: 2,
        faults: 0,
        ticks: 8,
        unscheduled: 5,
        ..PLAIN
    },
];

impl Scenario {
    /// The state to begin with.
    pub(super) fn state(&self) -> State {
        let accesses = [0, 1].map(|access| self.access(access));
        let overlap = self.rejections > 0;
        let local = |access: usize| Local {
            spec: accesses[access].spec,
            secret: accesses[access].secret,
            memory: self.memory(access, accesses[access].secret),
            run: None,
        };
        let follower = |access: usize| Local {
            memory: Memory::default(),
            ..local(access)
        };
        let second = if overlap {
            fresh_process(true, local)
        } else {
            fresh_process(false, follower)
        };
        let target = if overlap {
            Target::RejectsAll
        } else {
            Target::Accepts
        };
        let expired = |age: &Tick| *age >= Kind::First.lifetime();
        State {
            now: START,
            policy: self.policy,
            left: Allowance {
                faults: self.faults + more("EXHAUSTIVE_FAULTS"),
                edits: self.edits,
                checks: self.checks,
                checked: 0,
                end: START + self.ticks + more("EXHAUSTIVE_TICKS"),
                harmed: self.ages.iter().flatten().any(expired),
            },
            service: Service::Works,
            target,
            accesses,
            leaders: [fresh_process(true, local), second],
        }
        .canonical()
    }

    fn access(&self, access: usize) -> Access {
        let secret = self.ages[access].map_or(Secret::Absent, |age| published(START - age));
        let ever_issued = secret != Secret::Absent || self.unscheduled > 0;
        Access {
            spec: Spec {
                generation: 1,
                kind: Kind::First,
                rotate: 0,
                suspend: false,
                deleted: false,
            },
            secret,
            status: Status {
                ready: secret != Secret::Absent,
                ever_issued,
                unconfirmed: false,
            },
            account: Account {
                excused: u8::from(self.rejections > 0),
                ..Account::default()
            },
        }
    }

    fn memory(&self, access: usize, secret: Secret) -> Memory {
        if access != 0 {
            return Memory::default();
        }
        let asked = secret.marks().filter(|_| self.rejections > 0);
        Memory {
            unscheduled: Times {
                before: (self.unscheduled, START - 68),
                ..Times::default()
            },
            check: asked.map(|marks| Check {
                marks,
                at: Some(START),
                rejections: self.rejections,
                may_be_replaced: true,
            }),
            ..Memory::default()
        }
    }
}

fn published(issued: Tick) -> Secret {
    Secret::Ours {
        marks: Marks {
            issued,
            expires: issued + Kind::First.lifetime(),
            kind: Kind::First,
            rotate: 0,
        },
        labelled: true,
    }
}

/// What the environment asks for beyond what every run does.
fn more(variable: &str) -> u8 {
    match std::env::var(variable) {
        Ok(count) => count.parse().expect("a small number"),
        Err(_) => 0,
    }
}
