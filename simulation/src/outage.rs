//! One side is out for ten minutes in the middle of many renewals.

use std::collections::BTreeMap;
use std::fmt;

use do_cluster_access::rotation::{Schedule, renew_at};
use do_cluster_access_testbed::simulator::{Fault, FaultKind, Mint, Moment, Operation};
use jiff::Timestamp;
use serde_json::json;

use crate::journal::Arrival;
use crate::stage::{Cast, Findings, Published, Stage, most_within, play, published};
use crate::time::Time;
use crate::weather::{ApiFault, Door};

const LIFETIME: i64 = 3600;
/// Renewals of equal age begin after 0.567 of the lifetime, and all have come by 0.667: this is a third
/// into them.
const BEGINS: i64 = 2160;
const LASTS: i64 = 600;
/// How long is watched after that.
const AFTER: i64 = 900;
/// By when after the return what was due must be renewed, the budget's pace aside.
const RECOVERY: i64 = 30;
/// Milliseconds in which the budget of a token gives one request: 90 % of 250 a minute.
const PACE_MILLIS: i64 = 267;
const FAULT: u64 = 1;

/// Which side is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// DigitalOcean.
    DigitalOcean,
    /// The API server; every watch is cut.
    ApiServer,
}

/// How a side is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// No connection can be made.
    Refused,
    /// 503 whatever is asked.
    Unavailable,
    /// No answer ever comes.
    Hanging,
}

/// One outage.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Which side.
    pub side: Side,
    /// How.
    pub manner: Manner,
    /// How many replicas; with two, they hold an election.
    pub replicas: usize,
}

impl Outage {
    /// Every outage that is played.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let manners = [Manner::Refused, Manner::Unavailable, Manner::Hanging];
        let of = |side, replicas| {
            manners.map(|manner| Self {
                side,
                manner,
                replicas,
            })
        };
        [
            of(Side::DigitalOcean, 1),
            of(Side::ApiServer, 1),
            of(Side::ApiServer, 2),
        ]
        .concat()
    }

    /// Plays it.
    #[must_use]
    pub fn play(self) -> Findings {
        play(self.scene())
    }

    async fn scene(self) -> Findings {
        let cast = Cast {
            accesses: 500,
            tokens: 5,
            tenants: 3,
            clusters: 100,
            replicas: self.replicas,
        };
        let source = |index: usize| ["DigitalOcean", "Rendered"][index % 2];
        let plan = cast.plan(|index| {
            // Distinct, so that no two share an issue.
            let spread = i64::try_from(index / 5 / cast.clusters).unwrap_or_default();
            (
                LIFETIME + spread,
                json!({"kubeconfigSource": source(index)}),
            )
        });
        let mut stage = Stage::set(plan).await;
        stage.start();
        stage.wait(BEGINS).await;
        stage.journal.note_arrivals();
        self.begin(&stage);
        stage.wait(LASTS).await;
        finish(&stage);
        stage.wait(AFTER).await;
        let arrivals = stage.journal.arrivals();
        stage.end().await;
        Story {
            outage: self,
            arrivals: of_the_outage(&arrivals, self.side),
            mints: stage.world.digitalocean.mints(),
            published: published(&stage.world.api_server.take_history()),
        }
        .findings()
    }

    fn begin(self, stage: &Stage) {
        let weather = &stage.weather;
        match (self.side, self.manner) {
            (Side::ApiServer, manner) => {
                let fault = match manner {
                    Manner::Refused => ApiFault::Down,
                    Manner::Unavailable => ApiFault::RefuseAll(503),
                    Manner::Hanging => ApiFault::HangBefore,
                };
                weather.begin_api(FAULT, fault, 100);
                weather.cut_watches();
            }
            (Side::DigitalOcean, Manner::Refused) => weather.begin_no_connection(FAULT, 100),
            (Side::DigitalOcean, manner) => {
                let kind = if manner == Manner::Hanging {
                    FaultKind::Hang(Moment::BeforeEffect)
                } else {
                    FaultKind::Status {
                        code: 503,
                        body: do_cluster_access_testbed::simulator::ErrorBody::default(),
                        retry_after: None,
                    }
                };
                // Every fault is possible on every call.
                drop(stage.world.digitalocean.inject(Fault::new(kind)));
            }
        }
    }
}

fn finish(stage: &Stage) {
    stage.weather.end(FAULT);
    stage.world.digitalocean.clear_faults();
}

/// Milliseconds from the beginning of the outage at which a request came to the side that was out.
fn of_the_outage(arrivals: &[Arrival], side: Side) -> Vec<i64> {
    let door = match side {
        Side::DigitalOcean => Door::DigitalOcean,
        Side::ApiServer => Door::ApiServer,
    };
    let began = Time::after(BEGINS).as_millisecond();
    let at_the_door = arrivals.iter().filter(|arrival| arrival.door == door);
    at_the_door
        .map(|arrival| arrival.at.as_millisecond() - began)
        .filter(|at| (0..LASTS * 1000).contains(at))
        .collect()
}

struct Story {
    outage: Outage,
    arrivals: Vec<i64>,
    mints: Vec<Mint>,
    published: BTreeMap<String, Vec<Published>>,
}

impl Story {
    fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        self.arrivals(&mut findings);
        self.recovery(&mut findings);
        self.expiry(&mut findings);
        self.mints(&mut findings);
        findings
    }

    fn arrivals(&self, findings: &mut Findings) {
        let count = self.arrivals.len();
        let limit = usize::try_from(LASTS).unwrap_or_default();
        let minute = most_within(&self.arrivals, 60_000);
        findings.tell(format!(
            "{count} requests to the side that was out in {LASTS} s, {minute} in the busiest minute"
        ));
        findings.demand(count <= limit, || {
            format!("{count} requests in {LASTS} s are more than one a second")
        });
    }

    /// What was due at the return is renewed in time. A credential waits for no more than the budget of its
    /// token needs for all that was due with it, at the budget's pace, as if nothing had been saved up.
    fn recovery(&self, findings: &mut Findings) {
        let returned = Time::after(BEGINS + LASTS);
        let mut due = 0;
        let mut last: Option<i64> = None;
        for (key, versions) in &self.published {
            let before = versions.iter().rfind(|version| version.at < returned);
            if !before.is_some_and(|before| is_due(before, returned)) {
                continue;
            }
            due += 1;
            let next = versions.iter().find(|version| version.at >= returned);
            let took = next.map(|next| next.at.as_second() - returned.as_second());
            findings.demand(took.is_some(), || {
                format!("{key} was due at the return and was never renewed")
            });
            last = last.max(took);
        }
        let took = last.unwrap_or_default();
        // A token serves a fifth of the accesses; each issue is one request or two, as often.
        let requests = (due + 4) / 5 * 2;
        let pace = requests * PACE_MILLIS / 1000;
        findings.tell(format!(
            "{due} renewals were due at the return; the last was published {took} s after it, of which the \
             budget's pace needs up to {pace} s"
        ));
        findings.demand(took <= RECOVERY + pace, || {
            format!("the last renewal came {took} s after the return, not within {RECOVERY} s + {pace} s")
        });
        findings.demand(due > 0, || "nothing was due at the return".to_owned());
    }

    fn expiry(&self, findings: &mut Findings) {
        let end = Time::after(BEGINS + LASTS + AFTER).as_second();
        let mut least = i64::MAX;
        for (key, versions) in &self.published {
            let nexts = versions.iter().skip(1).map(|next| next.at.as_second());
            for (version, next) in versions.iter().zip(nexts.chain([end])) {
                let left = version.expires_at - next;
                least = least.min(left);
                findings.demand(left > 0, || format!("{key} expired {} s too early", -left));
            }
        }
        findings.tell(format!(
            "0 expired; the one that came closest had {least} s left"
        ));
    }

    /// Every credential that was minted was published: none had to be minted again.
    fn mints(&self, findings: &mut Findings) {
        let credentials = |mint: &&Mint| mint.operation == Operation::GetCredentials;
        let minted = self.mints.iter().filter(credentials).count();
        let published: usize = self.published.values().map(Vec::len).sum();
        findings.tell(format!("{minted} issues, {published} of them published"));
        // A process that loses its leadership ends, and what it held is lost with it.
        let crashes = if self.outage.replicas > 1 { 16 } else { 0 };
        findings.demand(minted <= published + crashes, || {
            format!("{minted} issues for {published} that were published")
        });
    }
}

fn is_due(published: &Published, at: Timestamp) -> bool {
    let schedule = Schedule {
        uid: &published.uid,
        renew_before_seconds: None,
    };
    renew_at(schedule, published.issued_at, published.expires_at) <= at.as_second()
}

impl fmt::Display for Outage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::DigitalOcean => "DigitalOcean",
            Side::ApiServer => "the API server",
        };
        let manner = match self.manner {
            Manner::Refused => "no connection",
            Manner::Unavailable => "503",
            Manner::Hanging => "no answer",
        };
        let replicas = self.replicas;
        write!(formatter, "{side} out ({manner}), {replicas} replica(s)")
    }
}
