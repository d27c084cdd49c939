//! Ten thousand accesses of one API token become due at once, and two thousand accesses of the same age
//! become due when each has its turn.

use std::collections::BTreeMap;

use do_cluster_access::rotation::MAX_SLEEP_SECONDS;
use do_cluster_access_testbed::simulator::{Entry, Operation};
use serde_json::json;

use crate::deeds::Hands;
use crate::stage::{Cast, Findings, Published, Stage, most_within, play, published};
use crate::time::Time;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// Accesses that have a credential when the rush begins, and those that come with it.
const ACCESSES: usize = 10_000;
const NEWCOMERS: usize = 100;
/// By then everything is published, and an hour has passed since.
const PUBLISHED_BY: i64 = 9 * HOUR / 2;
/// What is left when the machine wakes.
const LEFT: i64 = 12 * HOUR;
/// How long is watched after the last restart.
const AFTER_RESTARTS: i64 = 3 * HOUR;
/// Requests that an hour gives: 5,000, less the reserve.
const HOURLY: i64 = 4500;
/// Timers do not notice that the machine was suspended: by then every access has looked at the clock.
const ALL_AWAKE: i64 = MAX_SLEEP_SECONDS + MINUTE;
/// How far beyond the earliest expiry that still waits one may be that is served, in seconds: those asked
/// for within one turn of the queue.
const OUT_OF_ORDER: i64 = 120;
/// Who asks while those before him are on their way to ask gets what would be theirs: so many may in all.
const OUT_OF_TURN: usize = ACCESSES / 1000;

/// The rush.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    /// Requests an hour that somebody else makes with the same token.
    pub others: u32,
}

impl Rush {
    /// Plays it.
    #[must_use]
    pub fn play(self) -> Findings {
        play(self.scene())
    }

    async fn scene(self) -> Findings {
        let cast = Cast {
            accesses: ACCESSES + NEWCOMERS,
            tokens: 1,
            tenants: 4,
            clusters: 200,
            replicas: 1,
        };
        let mut plan = cast.plan(|index| {
            // Distinct for each cluster, so that no two share an issue.
            let seconds = i64::try_from(index / cast.clusters).unwrap_or_default();
            let source = ["DigitalOcean", "Rendered"][index % 2];
            let spec = json!({"kubeconfigSource": source, "verification": "Off"});
            (WEEK + seconds, spec)
        });
        for (index, newcomer) in plan.accesses[ACCESSES..].iter_mut().enumerate() {
            // One tenant asks for much, the others for little.
            let tenant = if index < NEWCOMERS * 7 / 10 {
                0
            } else {
                1 + index % 3
            };
            newcomer.namespace = format!("tenant-{tenant}");
            newcomer.created_at = PUBLISHED_BY;
        }
        let mut stage = Stage::set(plan).await;
        stage.start();
        self.pass(&stage, PUBLISHED_BY).await;
        let first = published(&stage.world.api_server.history_after(0));
        stage.world.time.jump(WEEK - PUBLISHED_BY - LEFT);
        let woke_at = stage.now();
        stage.create(ACCESSES..).await;
        for pause in [20, 30, 30] {
            self.pass(&stage, pause * MINUTE).await;
            stage.replicas[0].kill();
        }
        self.pass(&stage, AFTER_RESTARTS).await;
        stage.end().await;
        let all = published(&stage.world.api_server.take_history());
        Story {
            woke_at,
            first,
            all,
            exchanges: stage.world.digitalocean.take_history(),
        }
        .findings()
    }

    /// Lets time pass, while somebody else uses the token, too.
    async fn pass(self, stage: &Stage, seconds: i64) {
        const EVERY: i64 = 3 * MINUTE;
        let token = Hands::token_name(0, 0);
        let mut left = seconds;
        while left > 0 {
            stage.wait(left.min(EVERY)).await;
            left -= EVERY;
            stage.hands.use_up(&token, self.others / 20);
        }
    }
}

struct Story {
    woke_at: i64,
    /// What was published before the machine was suspended.
    first: BTreeMap<String, Vec<Published>>,
    all: BTreeMap<String, Vec<Published>>,
    exchanges: Vec<Entry>,
}

/// An issue after the machine woke.
struct Served<'a> {
    /// Milliseconds after it.
    at: i64,
    /// When what it replaced expires; `None` for a newcomer.
    expires_at: Option<i64>,
    tenant: &'a str,
}

impl Story {
    fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        self.limits(&mut findings);
        let served = self.served(&mut findings);
        order(&served, &mut findings);
        newcomers(&served, &mut findings);
        self.use_of_the_budget(&served, &mut findings);
        findings
    }

    fn limits(&self, findings: &mut Findings) {
        let times: Vec<i64> = self
            .exchanges
            .iter()
            .map(|entry| entry.time.as_millisecond())
            .collect();
        let refused = self
            .exchanges
            .iter()
            .filter(|entry| entry.status == Some(429));
        let refused = refused.count();
        let minute = most_within(&times, 60_000);
        let hour = most_within(&times, 3_600_000);
        findings.tell(format!(
            "{} requests with the token: at most {minute} in any 60 s and {hour} in any hour, {refused} \
             answered with 429",
            times.len()
        ));
        findings.measure("requests_refused", refused);
        findings.measure("requests_in_any_60_s_at_most", minute);
        findings.measure("requests_in_any_hour_at_most", hour);
        findings.demand(refused == 0, || format!("{refused} requests were refused"));
        findings.demand(minute <= 250, || format!("{minute} requests in 60 s"));
        findings.demand(hour <= 5000, || format!("{hour} requests in an hour"));
    }

    /// Every access was published before, is renewed once and never expires.
    fn served(&self, findings: &mut Findings) -> Vec<Served<'_>> {
        let woke_at = Time::after(self.woke_at);
        findings.demand(self.first.len() == ACCESSES, || {
            format!("{} of {ACCESSES} were published at first", self.first.len())
        });
        let mut served = Vec::new();
        let mut expired = 0;
        let mut least = i64::MAX;
        for (key, versions) in &self.all {
            let before = versions.iter().rfind(|version| version.at < woke_at);
            let after: Vec<_> = versions
                .iter()
                .filter(|version| version.at >= woke_at)
                .collect();
            findings.demand(after.len() == 1, || {
                format!("{key} was issued {} times in the rush", after.len())
            });
            for issue in after.iter().take(1) {
                if let Some(before) = before {
                    let left = before.expires_at - issue.at.as_second();
                    least = least.min(left);
                    expired += u32::from(left <= 0);
                    findings.demand(left > 0, || format!("{key} expired"));
                }
                served.push(Served {
                    at: issue.at.as_millisecond() - woke_at.as_millisecond(),
                    expires_at: before.map(|before| before.expires_at),
                    tenant: key.split('/').next().unwrap_or_default(),
                });
            }
        }
        findings.demand(served.len() == ACCESSES + NEWCOMERS, || {
            format!("{} accesses were served", served.len())
        });
        served.sort_by_key(|served| served.at);
        findings.measure("rotated", served.len());
        findings.measure("expired", expired);
        findings.tell(format!(
            "{} issues after the machine woke, 0 expired; the one that came closest had {} min left",
            served.len(),
            least / MINUTE
        ));
        served
    }

    /// While there is work the hours are used up but for the reserve, and what others use of the rest.
    fn use_of_the_budget(&self, served: &[Served<'_>], findings: &mut Findings) {
        let lasted = served.last().map_or(0, |last| last.at / 1000);
        let woke_at = Time::after(self.woke_at).as_second();
        let spent = |from: i64| {
            let window = woke_at + from..woke_at + from + HOUR;
            let entries = self.exchanges.iter();
            let within = entries.filter(|entry| window.contains(&entry.time.as_second()));
            i64::try_from(within.count()).unwrap_or(i64::MAX)
        };
        let hours: Vec<i64> = (0..lasted / HOUR).map(|hour| spent(hour * HOUR)).collect();
        findings.tell(format!(
            "the rush took {} min; requests in its full hours: {hours:?}",
            lasted / MINUTE
        ));
        let least = hours.iter().min().copied().unwrap_or_default();
        findings.measure(
            "percent_of_budget_less_reserve_used_at_least",
            least * 100 / HOURLY,
        );
        findings.measure("minutes", lasted / MINUTE);
        findings.demand(least * 100 >= HOURLY * 95, || {
            format!("in an hour with work to do, {least} of {HOURLY} requests were made")
        });
    }
}

fn order(served: &[Served<'_>], findings: &mut Findings) {
    let mut earliest = i64::MAX;
    let mut out_of_turn = Vec::new();
    let after = served.iter().filter(|served| served.at >= ALL_AWAKE * 1000);
    for expires_at in after.rev().filter_map(|served| served.expires_at) {
        earliest = earliest.min(expires_at);
        if expires_at - earliest > OUT_OF_ORDER {
            out_of_turn.push(expires_at - earliest);
        }
    }
    let count = out_of_turn.len();
    let most = out_of_turn.iter().max().copied().unwrap_or_default();
    findings.tell(format!(
        "once all were awake, {count} renewals went before another that expired more than {OUT_OF_ORDER} s earlier, \
         by {most} s at the most"
    ));
    findings.demand(count <= OUT_OF_TURN, || {
        format!("{count} went before others that expired up to {most} s earlier")
    });
}

fn newcomers(served: &[Served<'_>], findings: &mut Findings) {
    let mut last_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, served) in served.iter().enumerate() {
        if served.expires_at.is_none() {
            last_of.insert(served.tenant, place);
        }
    }
    findings.tell(format!(
        "of {NEWCOMERS} accesses without a credential, the last of each tenant came at place {last_of:?}"
    ));
    // One grant of ten is theirs.
    let last = last_of.values().max().copied().unwrap_or_default();
    findings.demand(last <= NEWCOMERS * 12, || {
        format!("a newcomer came at place {last}")
    });
    // Four tenants take turns: one with ten accesses is done when forty have been served.
    let others = last_of.iter().filter(|(tenant, _)| **tenant != "tenant-0");
    let last = others.map(|(_, place)| *place).max().unwrap_or_default();
    findings.demand(last <= 40 * 12, || {
        format!("a tenant with ten newcomers waited until place {last}")
    });
}

/// Two thousand accesses made in the same minute: their renewals are spread.
#[must_use]
pub fn spread() -> Findings {
    play(spread_scene())
}

async fn spread_scene() -> Findings {
    let cast = Cast {
        accesses: 2000,
        tokens: 10,
        tenants: 4,
        clusters: 200,
        replicas: 1,
    };
    let spec = json!({"kubeconfigSource": "Rendered", "verification": "Off"});
    let mut stage = Stage::set(cast.plan(|_| (WEEK, spec.clone()))).await;
    stage.start();
    stage.wait(HOUR).await;
    // Nothing is due before 0.567 of the lifetime; all are by 0.667.
    stage.world.time.jump(WEEK / 2);
    stage.wait(WEEK / 5).await;
    stage.end().await;
    let mints = stage.world.digitalocean.mints();
    let credentials = mints
        .iter()
        .filter(|mint| mint.operation == Operation::GetCredentials);
    let (first, renewals): (Vec<_>, Vec<_>) = credentials
        .map(|mint| mint.time.as_second())
        .partition(|at| *at < Time::after(HOUR).as_second());
    let mut buckets: BTreeMap<i64, usize> = BTreeMap::new();
    let began = renewals.iter().min().copied().unwrap_or_default();
    for at in &renewals {
        *buckets.entry((at - began) * 1000 / WEEK).or_default() += 1;
    }
    let most = buckets.values().max().copied().unwrap_or_default();
    let took = first
        .iter()
        .max()
        .zip(first.iter().min())
        .map_or(0, |(last, first)| last - first);
    let mut findings = Findings::default();
    findings.tell(format!(
        "{} accesses issued within {took} s, {} renewals; the fullest of 100 buckets of 0.001 of the lifetime \
         holds {most}, the mean is {}",
        first.len(),
        renewals.len(),
        renewals.len() / 100
    ));
    findings.demand(first.len() == 2000 && renewals.len() == 2000, || {
        format!("{} issues and {} renewals", first.len(), renewals.len())
    });
    findings.demand(took <= 60, || format!("the first issues took {took} s"));
    findings.demand(most * 100 <= 3 * renewals.len(), || {
        format!("a bucket holds {most} of {}", renewals.len())
    });
    findings
}
