//! From a seed to a plan.

use std::time::Duration;

use do_cluster_access::controller::lease::Timing;
use do_cluster_access_testbed::simulator::{
    BrokenAuthority, ErrorBody, ExpiresAt, FaultKind, KubeconfigDefect, LimitWindow, Moment,
    Operation,
};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::plan::{
    AccessPlan, AccountPlan, ClusterPlan, Deed, Disturbance, Edit, Plan, Step, What,
};
use crate::weather::{ApiFault, CrashPlan, Door, Point, TargetFault, WatchFault};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// What kind of plan to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As long as some dozen renewals take.
    Storm,
    /// A whole week, with two replicas.
    Week,
}

/// Draws the plan of a seed. The same seed always gives the same plan.
#[must_use]
pub fn draw(seed: u64, shape: Shape) -> Plan {
    let mut random = Rng::with_seed(seed);
    let accounts = accounts(&mut random);
    let lifetime = match shape {
        Shape::Week => DAY,
        Shape::Storm => lifetime(&mut random),
    };
    let (accesses, fastest) = accesses(&mut random, &accounts, lifetime, shape);
    let storm_seconds = match shape {
        Shape::Week => 6 * DAY + 12 * HOUR,
        // A renewal comes after about 0.62 of a lifetime.
        Shape::Storm => (fastest + lifetime).max(3 * MINUTE),
    };
    let two = shape == Shape::Week || random.u8(0..100) < 30;
    let replicas = if two { 2 } else { 1 };
    let timing = timing(storm_seconds);
    let mut drawing = Drawing {
        random: &mut random,
        accounts: &accounts,
        accesses: &accesses,
        storm_seconds,
        lifetime,
        replicas,
        steps: Vec::new(),
        next_id: 1,
    };
    drawing.draw(shape);
    let mut steps = std::mem::take(&mut drawing.steps);
    steps.sort_by_key(|step| step.at);
    let restart_delays = (0..5).map(|_| random.u64(0..25)).collect();
    Plan {
        seed,
        storm_seconds,
        replicas,
        election: two.then_some(timing),
        accounts,
        accesses,
        steps,
        restart_delays,
    }
}

/// Some thousand renewals of the lease in a run, however long it is.
fn timing(storm_seconds: i64) -> Timing {
    let period = Duration::from_secs((storm_seconds / 500).clamp(3, 300).unsigned_abs());
    Timing {
        duration: period * 5,
        renew_deadline: period * 10 / 3,
        period,
    }
}

fn pick<T: Clone>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(0..choices.len())].clone()
}

/// Shorter ones more often: they cost less time.
fn lifetime(random: &mut Rng) -> i64 {
    match random.u8(0..100) {
        0..30 => random.i64(60..180),
        30..62 => random.i64(180..900),
        62..87 => random.i64(900..HOUR),
        87..98 => random.i64(HOUR..6 * HOUR),
        98 => random.i64(6 * HOUR..DAY),
        // Whole weeks have plans of their own.
        _ if random.u8(0..8) == 0 => 7 * DAY,
        _ if random.u8(0..3) == 0 => DAY,
        _ => random.i64(HOUR..6 * HOUR),
    }
}

fn accounts(random: &mut Rng) -> Vec<AccountPlan> {
    let mut clusters = 0;
    (0..random.usize(1..=3))
        .map(|index| AccountPlan {
            label: format!("account-{index}"),
            shared: random.bool(),
            clusters: (0..random.usize(1..=3))
                .map(|_| {
                    clusters += 1;
                    ClusterPlan {
                        id: format!("00000000-0000-4000-8000-{clusters:012}"),
                        name: format!("cluster-{clusters}"),
                    }
                })
                .collect(),
        })
        .collect()
}

/// The accesses, and how many seconds some dozen renewals take them in all.
fn accesses(
    random: &mut Rng,
    accounts: &[AccountPlan],
    base: i64,
    shape: Shape,
) -> (Vec<AccessPlan>, i64) {
    let count = random.usize(2..=5);
    let mut renewals_per_megasecond = 0;
    let accesses: Vec<AccessPlan> = (0..count)
        .map(|index| {
            let account = random.usize(0..accounts.len());
            let cluster = random.usize(0..accounts[account].clusters.len());
            let lifetime = match shape {
                // One that is renewed every day, so that a week is enough.
                Shape::Week if index == 0 => DAY,
                Shape::Week => pick(random, &[DAY, 2 * DAY, 7 * DAY]),
                Shape::Storm if base == 7 * DAY => base,
                Shape::Storm => pick(random, &[base, base, base * 2]),
            };
            renewals_per_megasecond += 1_000_000 * 100 / (62 * lifetime);
            AccessPlan {
                namespace: format!("tenant-{}", random.usize(0..3)),
                name: format!("access-{index}"),
                created_at: if random.bool() { 0 } else { random.i64(0..30) },
                spec: spec(random, &accounts[account], cluster, lifetime, index),
                lifetime,
                account,
                cluster,
            }
        })
        .collect();
    let seconds = 13 * 1_000_000 / renewals_per_megasecond.max(1);
    (accesses, seconds)
}

fn spec(
    random: &mut Rng,
    account: &AccountPlan,
    cluster: usize,
    lifetime: i64,
    index: usize,
) -> Value {
    let cluster = &account.clusters[cluster];
    let mut spec = json!({
        "expirySeconds": lifetime,
        "outputs": outputs(random, index),
        "deletionPolicy": pick(random, &["Delete", "Delete", "Retain"]),
        "kubeconfigSource": pick(random, &["DigitalOcean", "DigitalOcean", "Rendered"]),
        "verification": pick(random, &["WhenReachable", "WhenReachable", "Required", "Off"]),
        "cluster": if random.bool() { json!({"name": cluster.name}) } else { json!({"id": cluster.id}) },
    });
    if random.u8(0..100) < 25 {
        spec["renewBeforeSeconds"] = random.i64(lifetime / 8..lifetime / 2).max(1).into();
    }
    if account.shared {
        spec["accountRef"] = json!({"name": account.label});
    } else {
        spec["tokenSecretRef"] = json!({"name": account.label});
    }
    spec
}

fn outputs(random: &mut Rng, index: usize) -> Value {
    let formats = ["Kubeconfig", "Flux", "ArgoCD", "ClusterAPI", "Karmada"];
    let count = pick(random, &[1, 1, 1, 2, 3]);
    (0..count)
        .map(|output| {
            let format = if output == 0 && random.bool() {
                "Kubeconfig"
            } else {
                pick(random, &formats)
            };
            json!({"secretName": format!("access-{index}-{output}-kubeconfig"), "format": format})
        })
        .collect()
}

struct Drawing<'a> {
    random: &'a mut Rng,
    accounts: &'a [AccountPlan],
    accesses: &'a [AccessPlan],
    storm_seconds: i64,
    lifetime: i64,
    replicas: usize,
    steps: Vec<Step>,
    next_id: u64,
}

impl Drawing<'_> {
    fn draw(&mut self, shape: Shape) {
        // Some worlds are calm, so that what must not happen there is seen there.
        let most = match (shape, self.random.u8(0..10)) {
            (_, 0) => 0,
            (Shape::Storm, 1..3) => 3,
            _ => 24,
        };
        for _ in 0..self.random.usize(0..=most) {
            match self.random.u8(0..100) {
                0..45 => self.disturb(),
                45..75 => self.deed(),
                75..93 => self.process(),
                _ => self.clock(),
            }
        }
    }

    fn when(&mut self) -> i64 {
        self.random.i64(0..self.storm_seconds)
    }

    fn push(&mut self, at: i64, what: What) {
        self.steps.push(Step { at, what });
    }

    fn disturb(&mut self) {
        let id = self.next_id;
        self.next_id += 1;
        let at = self.when();
        let longest = (self.lifetime / 2).clamp(20, 3 * HOUR);
        // As often some seconds as some minutes.
        let exponent = self.random.f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "whole seconds are enough"
        )]
        let seconds = (longest as f64).powf(exponent).round() as i64;
        let until = (at + seconds.max(1)).min(self.storm_seconds);
        let disturbance = self.disturbance();
        let strikes = matches!(
            disturbance,
            Disturbance::NextApi(..) | Disturbance::NextDigitalOcean { .. }
        );
        self.push(at, What::Begin(id, disturbance));
        if !strikes {
            self.push(until, What::Finish(id));
        }
    }

    fn disturbance(&mut self) -> Disturbance {
        let percent = pick(self.random, &[5, 20, 50, 100]);
        let access = self.random.usize(0..self.accesses.len());
        let account = self.random.usize(0..self.accounts.len());
        let cluster = self.random.usize(0..self.accounts[account].clusters.len());
        match self.random.u8(0..100) {
            0..14 => Disturbance::Api(self.api_fault(), percent),
            14..28 => Disturbance::NextApi(self.api_fault(), self.random.u32(1..5)),
            28..36 => {
                let lag = self.random.u64(1..90);
                let faults = [
                    WatchFault::Lag(lag),
                    WatchFault::Repeat,
                    WatchFault::Drop,
                    WatchFault::Silence,
                ];
                Disturbance::Watches(pick(self.random, &faults), percent)
            }
            36..50 => Disturbance::NextDigitalOcean {
                operation: self.operation(),
                fault: self.digitalocean_fault(),
                times: self.random.u32(1..4),
            },
            50..62 => Disturbance::DigitalOcean {
                account: self.random.bool().then_some(account),
                operation: self.operation(),
                fault: self.digitalocean_fault(),
                percent,
            },
            62..66 => Disturbance::NoConnection(percent),
            66..77 => {
                let which = self.random.bool().then_some((account, cluster));
                Disturbance::Target(which, self.target_fault())
            }
            77..80 => Disturbance::Suspended(access),
            80..82 => Disturbance::NoTokenSecret(account),
            82..84 => Disturbance::TokenGarbled(account),
            84..86 => Disturbance::TokenRevoked(account),
            86..88 => Disturbance::TokenReadOnly(account),
            88..90 => Disturbance::NotAllowed(account),
            90..93 => {
                let states = ["provisioning", "error", "degraded", "upgrading", "invalid"];
                Disturbance::ClusterState(account, cluster, pick(self.random, &states))
            }
            93..96 => Disturbance::Occupied(access),
            96..98 => Disturbance::Overlap,
            _ => Disturbance::OtherUser(account, self.random.u32(50..6000)),
        }
    }

    fn api_fault(&mut self) -> ApiFault {
        let refusal = pick(self.random, &[403, 409, 422, 429, 500, 503]);
        let slow = self.random.u64(100..12_000);
        let faults = [
            ApiFault::Down,
            ApiFault::RefuseWrites(refusal),
            ApiFault::RefuseWrites(refusal),
            ApiFault::RefuseReads(pick(self.random, &[429, 500, 503])),
            ApiFault::LoseRequest,
            ApiFault::LoseResponse,
            ApiFault::LoseResponse,
            ApiFault::GatewayTimeout,
            ApiFault::HangBefore,
            ApiFault::HangAfter,
            ApiFault::Slow(slow),
            ApiFault::NoLease,
        ];
        pick(self.random, &faults)
    }

    fn operation(&mut self) -> Option<Operation> {
        let operations = [
            None,
            Some(Operation::ListClusters),
            Some(Operation::GetCluster),
            Some(Operation::GetKubeconfig),
            Some(Operation::GetCredentials),
        ];
        pick(self.random, &operations)
    }

    fn digitalocean_fault(&mut self) -> FaultKind {
        let furthest = self.furthest_skew().min(2 * HOUR);
        let random = &mut *self.random;
        let code = pick(
            random,
            &[400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504],
        );
        let body = pick(
            random,
            &[ErrorBody::Json, ErrorBody::Html, ErrorBody::Empty],
        );
        let retry_after = pick(random, &[None, None, Some("7"), Some("soon"), Some("-3")]);
        let moment = pick(random, &[Moment::BeforeEffect, Moment::AfterEffect]);
        let expires = [
            ExpiresAt::Null,
            ExpiresAt::Absent,
            ExpiresAt::YearOne,
            ExpiresAt::Past,
            ExpiresAt::Unparsable,
            ExpiresAt::Empty,
        ];
        let defects = [
            KubeconfigDefect::Exec,
            KubeconfigDefect::TwoContexts,
            KubeconfigDefect::NotYaml,
            KubeconfigDefect::InsecureSkipTlsVerify,
            KubeconfigDefect::NoCredential,
        ];
        let authorities = [
            BrokenAuthority::NotBase64,
            BrokenAuthority::NotPem,
            BrokenAuthority::Absent,
        ];
        match random.u8(0..100) {
            0..24 => FaultKind::Status {
                code,
                body,
                retry_after: retry_after.map(str::to_owned),
            },
            24..36 => FaultKind::ConnectionReset(moment),
            36..44 => FaultKind::Hang(moment),
            44..52 => FaultKind::RateLimit {
                window: pick(random, &[LimitWindow::Minute, LimitWindow::Hour]),
                retry_after: retry_after.map(str::to_owned),
                reset_seconds: random.i64(-60..600),
            },
            52..58 => FaultKind::ExpiresAt(pick(random, &expires)),
            58..61 => FaultKind::Server("https://elsewhere.example.com".to_owned()),
            61..63 => FaultKind::PlainHttpServer,
            63..66 => FaultKind::CertificateAuthority(pick(random, &authorities)),
            66..69 => FaultKind::NoCredential,
            69..74 => FaultKind::Kubeconfig(pick(random, &defects)),
            74..76 => FaultKind::ForeignNextLink("https://elsewhere.example.com".to_owned()),
            76..79 => FaultKind::ShortPage(random.usize(1..3)),
            79..83 => FaultKind::TruncatedDocument,
            83..87 => FaultKind::TruncatedBody,
            87..89 => FaultKind::ContentType("text/html".to_owned()),
            89..91 => FaultKind::Oversize {
                bytes: 400_000,
                chunked: random.bool(),
            },
            91..95 => FaultKind::Delay(random.u64(100..12_000)),
            95..97 => FaultKind::DateSkew(random.i64(-furthest..=furthest)),
            _ => FaultKind::Redirect {
                code: pick(random, &[301, 302, 307]),
                location: "https://elsewhere.example.com/".to_owned(),
            },
        }
    }

    fn target_fault(&mut self) -> TargetFault {
        let seconds = self.random.u64(1..60);
        let faults = [
            TargetFault::Unreachable,
            TargetFault::Hang,
            TargetFault::Status(pick(self.random, &[403, 500, 503])),
            TargetFault::Reject,
            TargetFault::SlowToKnow(seconds),
            TargetFault::WrongCertificate,
        ];
        pick(self.random, &faults)
    }

    fn deed(&mut self) {
        let at = self.when();
        let deed = self.any_deed();
        self.push(at, What::Do(deed));
    }

    fn any_deed(&mut self) -> Deed {
        let access = self.random.usize(0..self.accesses.len());
        let account = self.random.usize(0..self.accounts.len());
        let clusters = self.accounts[account].clusters.len();
        let cluster = self.random.usize(0..clusters);
        let number = self.random.u64(0..1_000_000);
        let lifetime = self.lifetime;
        match self.random.u8(0..100) {
            0..12 => Deed::Rotate(access, number),
            12..19 => {
                let most = if lifetime == 7 * DAY { 1 } else { 2 };
                Deed::Lifetime(access, lifetime * self.random.i64(1..=most))
            }
            19..23 => Deed::Margin(access, self.random.i64(lifetime / 8..lifetime / 2).max(1)),
            23..30 => Deed::Label(access, number),
            30..34 => Deed::Source(access),
            34..38 => {
                let policies = ["WhenReachable", "Required", "Off"];
                Deed::Verification(access, pick(self.random, &policies))
            }
            38..45 => {
                let formats = ["Kubeconfig", "Flux", "Karmada", "ArgoCD"];
                Deed::AddOutput(access, pick(self.random, &formats))
            }
            45..50 => Deed::RemoveOutput(access),
            50..55 => Deed::RenameOutput(access, number),
            55..59 => {
                let clusters = self.accounts[self.accesses[access].account].clusters.len();
                Deed::OtherCluster(access, self.random.usize(0..clusters))
            }
            59..67 => {
                let delays = [0, 0, 1, 5, 60];
                Deed::Recreate(access, pick(self.random, &delays))
            }
            67..74 => Deed::DeleteSecret(access),
            74..84 => {
                let edits = [
                    Edit::Data,
                    Edit::Key,
                    Edit::Mark,
                    Edit::Label,
                    Edit::Annotation,
                    Edit::Owner,
                ];
                Deed::EditSecret(access, pick(self.random, &edits))
            }
            84..87 => Deed::ReplaceToken(account),
            87..89 => Deed::RevokeMinted(account, cluster),
            89..91 => Deed::RenameCluster(account, cluster, number),
            91..96 => Deed::CutWatches,
            _ => Deed::Compact,
        }
    }

    fn process(&mut self) {
        let at = self.when();
        let replica = self.random.usize(0..self.replicas);
        let what = match self.random.u8(0..100) {
            0..60 => What::CrashAt(CrashPlan {
                replica,
                door: pick(
                    self.random,
                    &[
                        Door::ApiServer,
                        Door::ApiServer,
                        Door::DigitalOcean,
                        Door::DigitalOcean,
                        Door::Target,
                    ],
                ),
                after: self.random.u32(0..12),
                point: pick(
                    self.random,
                    &[Point::BeforeEffect, Point::AfterEffect, Point::Answered],
                ),
            }),
            60..85 => What::Kill(replica),
            _ => What::Restart(replica),
        };
        self.push(at, what);
    }

    /// How far a clock may be off without harm, in seconds.
    fn furthest_skew(&self) -> i64 {
        match self.lifetime {
            ..HOUR => 0,
            HOUR..604_800 => 10 * MINUTE,
            _ => 26 * HOUR,
        }
    }

    fn clock(&mut self) {
        let at = self.when();
        let furthest = self.furthest_skew();
        let what = if furthest > 0 && self.random.bool() {
            let replica = self.random.usize(0..self.replicas);
            What::Skew(replica, self.random.i64(-furthest..=furthest))
        } else {
            What::Jump(self.random.i64(1..=(self.lifetime / 4).clamp(2, 6 * HOUR)))
        };
        self.push(at, what);
    }
}
