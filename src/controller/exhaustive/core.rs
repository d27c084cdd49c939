//! The operator's own pure functions, asked with the values of the model. Nothing is decided here.
//! An answer depends on the question alone, so it is asked for once and remembered.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::super::gate::Gate;
use super::super::memory::{Draft, Expiry, Minted, Reverification};
use super::super::shared::{SharedIssues, SharedKey};
use super::invariants::{self, Violation};
use super::state::{
    Failed, Held, Kind, Marks, Memory, Offer, Secret, Service, Spec, Tick, instant, tick_of,
};
use crate::api::{ConditionType, DOClusterAccessStatus, Reason};
use crate::credential::fixtures::token_credential;
use crate::digitalocean::{Error, ErrorKind, IssuedCredential, Malformed, Meta, Operation};
use crate::redaction::Redaction;
use crate::rotation::{
    self, AttemptKey, Decision, Failure, HeldIssue, Issue, Observed, OutputState, Wanted, decide,
    is_settled,
};
use crate::status::{Finding, Outcome};

const CLUSTER: &str = "bd5f5959-5e1e-4205-a714-a914373942af";
/// Two accesses that are renewed at different instants.
const UIDS: [&str; 2] = [
    "5b1f6c0e-8f0e-4c3c-9f43-0d5f5f3f7c11",
    "9e3779b9-7f4a-4c3c-9f43-000000000001",
];
/// What DigitalOcean says to wait after 429.
const RETRY_AFTER: Duration = Duration::from_secs(120);

/// All that a decision about one access depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) access: usize,
    pub(super) spec: Spec,
    pub(super) secret: Secret,
    pub(super) memory: Memory,
    pub(super) ever_issued: bool,
    pub(super) shared_at: Option<Tick>,
    pub(super) now: Tick,
}

/// What happens to a [`Gate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GateEvent {
    Suspect(Reason, Option<i64>),
    Fail(Reason, Option<i64>, Option<Tick>),
    Open,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CallFailure {
    /// 401.
    Refused,
    /// 403.
    Forbidden,
    /// 429.
    Limited,
    /// 503.
    Unavailable,
    /// It minted, and the answer was lost.
    Lost,
    /// It minted, and the answer makes no sense.
    Malformed,
}

impl CallFailure {
    /// How every call fails while the service is like that.
    pub(super) fn of(service: Service) -> Option<Self> {
        match service {
            Service::Works => None,
            Service::Refuses => Some(Self::Refused),
            Service::Limits => Some(Self::Limited),
            Service::Fails => Some(Self::Unavailable),
        }
    }

    pub(super) fn minted(self) -> bool {
        matches!(self, Self::Lost | Self::Malformed)
    }

    /// As the client reports it.
    pub(super) fn error(self, operation: Operation) -> Error {
        let retry_after = (self == Self::Limited).then_some(RETRY_AFTER);
        let kind = match self {
            Self::Refused => ErrorKind::Unauthorized,
            Self::Forbidden => ErrorKind::Forbidden,
            Self::Limited => ErrorKind::RateLimited { retry_after },
            Self::Unavailable => ErrorKind::ServerError(StatusCode::SERVICE_UNAVAILABLE),
            Self::Lost => ErrorKind::Transport,
            Self::Malformed => ErrorKind::Malformed(Malformed::NotTheDocumentedJson),
        };
        let meta = Box::new(Meta {
            retry_after,
            ..Meta::default()
        });
        Error {
            kind,
            operation,
            meta,
        }
    }
}

/// The answers so far.
pub(super) struct Core {
    decisions: RefCell<HashMap<Question, Result<Decision, Violation>>>,
    settled: RefCell<HashMap<Question, bool>>,
    readiness: RefCell<HashMap<Question, (bool, bool)>>,
    offers: RefCell<HashMap<(Offer, Tick), bool>>,
    gates: RefCell<Vec<Gate>>,
    moves: RefCell<BTreeMap<(u16, GateEvent, Tick), u16>>,
    answer: Draft,
}

impl Core {
    pub(super) fn new() -> Self {
        let credential = IssuedCredential {
            credential: token_credential(),
            expires_at: None,
        };
        let answer = Draft {
            issue_hash: issue_hash(Kind::First),
            cluster_id: CLUSTER.to_string(),
            credentials: Some(Minted {
                value: credential,
                expiry: Expiry {
                    requested_at: 0,
                    expires_at: 0,
                },
                registration: Arc::new(Redaction::default().register("a secret of the tests")),
            }),
            kubeconfig: None,
        };
        Self {
            decisions: RefCell::default(),
            settled: RefCell::default(),
            readiness: RefCell::default(),
            offers: RefCell::default(),
            gates: RefCell::new(vec![Gate::default()]),
            moves: RefCell::default(),
            answer,
        }
    }

    pub(super) fn uid(access: usize) -> &'static str {
        UIDS[access]
    }

    /// [`decide`].
    ///
    /// # Errors
    /// When it says to come back at a time that cannot be right.
    pub(super) fn decide(&self, question: &Question) -> Result<Decision, Violation> {
        let mut decisions = self.decisions.borrow_mut();
        let answer = decisions.entry(*question).or_insert_with(|| {
            let (wanted, observed) = (wanted(question.access, question.spec), observed(question));
            let now = instant(question.now);
            let decision = decide(&wanted, &observed, now);
            invariants::decision(&wanted, &observed, now, &decision)?;
            Ok(decision)
        });
        answer.clone()
    }

    /// [`is_settled`].
    pub(super) fn is_settled(&self, question: &Question) -> bool {
        let mut settled = self.settled.borrow_mut();
        *settled.entry(*question).or_insert_with(|| {
            let (wanted, observed) = (wanted(question.access, question.spec), observed(question));
            is_settled(&wanted, &observed, instant(question.now))
        })
    }

    /// How many different questions were asked.
    pub(super) fn questions(&self) -> usize {
        self.decisions.borrow().len()
    }

    /// Whether [`Outcome::status`] says Ready, and that something was issued once.
    pub(super) fn readiness(&self, question: &Question) -> (bool, bool) {
        let mut readiness = self.readiness.borrow_mut();
        *readiness.entry(*question).or_insert_with(|| {
            let (wanted, observed) = (wanted(question.access, question.spec), observed(question));
            let outcome = Outcome {
                wanted: &wanted,
                observed: &observed,
                outputs: Vec::new(),
                synced: Finding::of(Reason::UpToDate),
                verification: None,
                cluster: None,
                now: instant(question.now),
            };
            let status = outcome.status(&DOClusterAccessStatus::default());
            let ready = ConditionType::Ready.of(&status.conditions);
            let missing = Reason::OutputMissing.as_str();
            (
                ready.is_some_and(|condition| condition.reason == Reason::Published.as_str()),
                status.credential.is_some()
                    || ready.is_some_and(|condition| condition.reason == missing),
            )
        })
    }

    /// [`Wanted::renew_at`].
    pub(super) fn renew_at(access: usize, spec: Spec, marks: Marks) -> Tick {
        tick_of(wanted(access, spec).renew_at(&issue(marks)))
    }

    /// Whether [`SharedIssues`] hands `offer` out at `now`.
    pub(super) fn can_be_had(&self, offer: Offer, now: Tick) -> bool {
        let mut offers = self.offers.borrow_mut();
        *offers.entry((offer, now)).or_insert_with(|| {
            let key = SharedKey {
                cluster_id: CLUSTER.to_string(),
                expiry_seconds: offer.kind.expiry_seconds(),
            };
            let mut answer = self.answer.clone();
            if let Some(minted) = &mut answer.credentials {
                minted.expiry = Expiry {
                    requested_at: instant(offer.requested),
                    expires_at: instant(offer.expires),
                };
            }
            let mut shared = SharedIssues::default();
            shared.offer(&key, &answer);
            let at = shared.issued_at(&key, instant(now));
            let mut draft = Draft {
                credentials: None,
                ..answer
            };
            shared.complete(&key, &mut draft, instant(now));
            assert_eq!(
                at.is_some(),
                draft.credentials.is_some(),
                "offered, and not given"
            );
            at.is_some()
        })
    }

    /// The gate with this number.
    pub(super) fn gate(&self, number: u16) -> Gate {
        self.gates.borrow()[usize::from(number)].clone()
    }

    /// The number of what the gate with this number becomes.
    pub(super) fn after(&self, number: u16, event: GateEvent, now: Tick) -> u16 {
        if let Some(known) = self.moves.borrow().get(&(number, event, now)) {
            return *known;
        }
        let mut gate = self.gate(number);
        match event {
            GateEvent::Suspect(reason, not_before) => {
                gate.suspect(reason, instant(now), not_before);
            }
            GateEvent::Fail(reason, not_before, most_urgent) => {
                gate.fail(reason, instant(now), not_before, most_urgent.map(instant));
            }
            GateEvent::Open => gate.open(instant(now)),
        }
        let mut gates = self.gates.borrow_mut();
        let place = gates.iter().position(|known| *known == gate);
        let place = place.unwrap_or_else(|| {
            gates.push(gate);
            gates.len() - 1
        });
        let next = u16::try_from(place).unwrap();
        self.moves.borrow_mut().insert((number, event, now), next);
        next
    }
}

/// [`rotation::is_worse`].
pub(super) fn is_worse(question: &Question, new: Marks) -> bool {
    let (wanted, observed) = (wanted(question.access, question.spec), observed(question));
    rotation::is_worse(&wanted, &observed, &issue(new), instant(question.now))
}

fn issue_hash(kind: Kind) -> String {
    format!("cluster.{kind:?}")
}

fn rotate(value: u8) -> Option<String> {
    (value > 0).then(|| value.to_string())
}

pub(super) fn issue(marks: Marks) -> Issue {
    Issue {
        issued_at: instant(marks.issued),
        expires_at: instant(marks.expires),
        cluster_id: CLUSTER.to_string(),
        issue_hash: issue_hash(marks.kind),
        rotate: rotate(marks.rotate),
    }
}

pub(super) fn wanted(access: usize, spec: Spec) -> Wanted {
    Wanted {
        uid: UIDS[access].to_string(),
        generation: spec.generation.into(),
        suspend: spec.suspend,
        renew_before_seconds: None,
        issue_hash: issue_hash(spec.kind),
        cluster_id: Some(CLUSTER.to_string()),
        rotate: rotate(spec.rotate),
    }
}

/// As [`Observation::summary`](super::super::observe::Observation::summary) puts it together.
fn observed(question: &Question) -> Observed {
    let memory = &question.memory;
    let output = match question.secret {
        Secret::Absent => OutputState::Missing,
        Secret::Foreign => OutputState::Conflict { passing: false },
        Secret::Damaged(_) => OutputState::Damaged,
        Secret::Ours { marks, labelled } => OutputState::Intact {
            issue: issue(marks),
            as_wanted: labelled,
        },
    };
    let published = question.secret.marks().map(issue);
    let check = memory.check.map(|check| Reverification {
        issue: issue(check.marks),
        at: check.at.map_or(i64::MAX, instant),
        rejections: check.rejections.into(),
        may_be_replaced: check.may_be_replaced,
    });
    Observed {
        outputs: vec![output],
        obsolete: false,
        former: None,
        incomplete: false,
        ever_issued: memory.last_issue_at.is_some() || question.ever_issued,
        held: memory.held.map(held),
        failure: memory.failure.map(failure),
        last_issue_at: memory.last_issue_at.map(instant),
        unscheduled: memory.unscheduled.all(),
        rejected: check.as_ref().is_some_and(|check| {
            Some(&check.issue) == published.as_ref() && check.calls_for_another()
        }),
        verify_at: check.map(|check| check.at),
        repairs: memory.repairs.all(),
        shared_at: question.shared_at.map(instant),
    }
}

fn held(held: Held) -> HeldIssue {
    HeldIssue {
        issue: issue(held.marks),
        not_before: instant(held.not_before),
    }
}

fn failure(failed: Failed) -> Failure {
    Failure {
        attempt: AttemptKey {
            generation: failed.generation.into(),
            rotate: rotate(failed.rotate),
        },
        since: instant(failed.since),
        at: instant(failed.at),
        retry_at: instant(failed.retry_at),
        reason: failed.reason.0,
        subject: None,
        may_have_minted: failed.may_have_minted,
    }
}
