//! Storms: very many accesses due at once, through restarts, beside other users of the same API token,
//! against a model of DigitalOcean's two sliding limits.

use proptest::prelude::*;

use super::*;

/// When a storm begins, in milliseconds.
const START: EpochMillis = 1_795_338_000_000;

/// An access: a tenant's number and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    tenant: u32,
    number: u32,
}

impl Sharer for Access {
    type Tenant = u32;

    fn tenant(&self) -> u32 {
        self.tenant
    }
}

/// DigitalOcean: every request of the last hour that it accepted. A refused one does not count.
struct Server {
    limits: RequestLimits,
    accepted: VecDeque<EpochMillis>,
}

impl Server {
    /// What is left of the hour after one more request; `None` where it is refused.
    fn admit(&mut self, now: EpochMillis) -> Option<u32> {
        while self.accepted.front().is_some_and(|at| now - at >= HOUR) {
            self.accepted.pop_front();
        }
        let minute = self.accepted.partition_point(|at| now - at >= MINUTE);
        let in_minute = u32::try_from(self.accepted.len() - minute).unwrap();
        let in_hour = u32::try_from(self.accepted.len()).unwrap();
        let room = in_minute < self.limits.per_minute && in_hour < self.limits.per_hour;
        room.then(|| {
            self.accepted.push_back(now);
            self.limits.per_hour - in_hour - 1
        })
    }
}

/// What an access needs.
#[derive(Clone, Copy, Debug)]
struct Need {
    access: Access,
    /// When its credential expires (seconds); `None` where it has none.
    expires_at: Option<i64>,
    requests: u32,
}

impl Need {
    fn turn(&self, now: EpochMillis) -> Turn {
        match self.expires_at {
            Some(at) if at > now.div_euclid(SECOND) => Turn::Expiring(at),
            Some(at) => Turn::Waiting(at),
            None => Turn::Waiting(START / SECOND),
        }
    }
}

/// All that happens in a storm. Instants are milliseconds since its start.
#[derive(Clone, Debug)]
struct Storm {
    limits: RequestLimits,
    needs: Vec<Need>,
    /// When a process dies, and for how long there is none.
    restarts: Vec<(i64, i64)>,
    /// Requests of others with the same API token.
    others: Vec<i64>,
    /// When everybody is due, once the first process is there.
    due: i64,
    /// Until an answer arrives.
    latency: i64,
    /// How long it is watched.
    length: i64,
}

impl Storm {
    fn new(limits: RequestLimits, needs: Vec<Need>) -> Self {
        Self {
            limits,
            needs,
            restarts: Vec::new(),
            others: Vec::new(),
            due: 0,
            latency: 300,
            length: 24 * HOUR,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    /// When each grant was given, and to whom.
    granted: Vec<(EpochMillis, Access)>,
    /// When our requests were sent.
    sent: Vec<EpochMillis>,
    /// When requests of ours were refused.
    refused: Vec<EpochMillis>,
    /// When each access had its credential.
    served: BTreeMap<Access, EpochMillis>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Other,
    /// The process dies; another begins after so many milliseconds.
    Die(i64),
    Begin,
    /// What the list was answered.
    Listed(u32),
    Due,
    Ask(usize),
    Answered(usize, u32),
}

struct World<'a> {
    storm: &'a Storm,
    server: Server,
    budget: Budget<Access>,
    /// Which process it is: what was under way to another is lost.
    process: u32,
    /// By instant; at the same one asks come in the order of deadlines, as the queue has them.
    events: BTreeMap<(EpochMillis, i64, u64), (u32, Event)>,
    planned: u64,
    outcome: Outcome,
}

impl<'a> World<'a> {
    fn new(storm: &'a Storm) -> Self {
        let server = Server {
            limits: storm.limits,
            accepted: VecDeque::new(),
        };
        let mut world = Self {
            storm,
            server,
            budget: Budget::new(storm.limits),
            process: 0,
            events: BTreeMap::new(),
            planned: 0,
            outcome: Outcome::default(),
        };
        for at in &storm.others {
            world.plan(START + at, Event::Other);
        }
        for (at, pause) in &storm.restarts {
            world.plan(START + at, Event::Die(*pause));
        }
        world.plan(START, Event::Begin);
        world
    }

    fn plan(&mut self, at: EpochMillis, event: Event) {
        let rank = match event {
            Event::Ask(number) => self.storm.needs[number].expires_at.unwrap_or(i64::MAX),
            _ => 0,
        };
        self.planned += 1;
        let key = (at, rank, self.planned);
        self.events.insert(key, (self.process, event));
    }

    fn send(&mut self, now: EpochMillis) -> Option<u32> {
        self.outcome.sent.push(now);
        let left = self.server.admit(now);
        if left.is_none() {
            self.outcome.refused.push(now);
        }
        left
    }

    fn run(mut self) -> Outcome {
        while let Some(((now, _, _), (process, event))) = self.events.pop_first() {
            if now > START + self.storm.length {
                break;
            }
            let of_process = !matches!(event, Event::Other | Event::Die(_));
            if !of_process || process == self.process {
                self.happen(event, now);
            }
        }
        self.outcome
    }

    fn happen(&mut self, event: Event, now: EpochMillis) {
        match event {
            Event::Other => drop(self.server.admit(now)),
            Event::Die(pause) => {
                self.process += 1;
                self.budget = Budget::new(self.storm.limits);
                self.plan(now + pause, Event::Begin);
            }
            Event::Begin => {
                if let Some(left) = self.send(now) {
                    self.plan(now + self.storm.latency, Event::Listed(left));
                }
            }
            Event::Listed(left) => {
                self.budget.spend(1, now);
                self.correct(left, now);
                self.plan(now.max(START + self.storm.due), Event::Due);
            }
            Event::Due => {
                for (number, need) in self.storm.needs.iter().enumerate() {
                    if !self.outcome.served.contains_key(&need.access) {
                        self.plan(now, Event::Ask(number));
                    }
                }
            }
            Event::Ask(number) => self.ask(number, now),
            Event::Answered(number, left) => {
                self.correct(left, now);
                let access = self.storm.needs[number].access;
                self.outcome.served.insert(access, now);
            }
        }
    }

    fn ask(&mut self, number: usize, now: EpochMillis) {
        let need = self.storm.needs[number];
        match self
            .budget
            .grant(&need.access, need.turn(now), need.requests, now)
        {
            Ok(()) => {
                self.outcome.granted.push((now, need.access));
                let left: Option<Vec<_>> = (0..need.requests).map(|_| self.send(now)).collect();
                // Who is refused stays without: no test lets that pass.
                if let Some(left) = left.and_then(|left| left.last().copied()) {
                    self.plan(now + self.storm.latency, Event::Answered(number, left));
                }
            }
            Err(back) => {
                assert!(back > now, "told to come back at once");
                // Runs begin at whole seconds.
                let back = (back.div_euclid(SECOND) + 1) * SECOND;
                self.plan(back, Event::Ask(number));
            }
        }
    }

    fn correct(&mut self, left: u32, now: EpochMillis) {
        let said = RateLimit {
            limit: Some(self.storm.limits.per_hour),
            remaining: Some(left),
            reset: None,
        };
        self.budget.correct(&said, now);
    }
}

/// The most instants within any `window`.
fn most_within(instants: &[EpochMillis], window: i64) -> usize {
    let mut sorted = instants.to_vec();
    sorted.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in sorted.iter().enumerate() {
        while at - sorted[first] >= window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

fn limits() -> impl Strategy<Value = RequestLimits> {
    let all = [(250, 5_000), (100, 2_000), (50, 1_000)];
    let limits = |(per_minute, per_hour)| RequestLimits {
        per_minute,
        per_hour,
    };
    prop::sample::select(all.to_vec()).prop_map(limits)
}

/// Accesses of a few tenants: some with a credential, some without.
fn needs() -> impl Strategy<Value = Vec<Need>> {
    let need = (0..6_u32, prop::option::of(300..40_000_i64), 1..=2_u32);
    prop::collection::vec(need, 1..400).prop_map(|needs| {
        let numbered = needs.into_iter().zip(0..);
        let need = |((tenant, expires_in, requests), number): ((_, Option<i64>, _), _)| Need {
            access: Access { tenant, number },
            expires_at: expires_in.map(|seconds| START / SECOND + seconds),
            requests,
        };
        numbered.map(need).collect()
    })
}

/// Processes that live for a second or longer, and die while there is something to do.
fn restarts(shortest_life: i64) -> impl Strategy<Value = Vec<(i64, i64)>> {
    let life = (shortest_life..300_000, 0..3_000_i64);
    prop::collection::vec(life, 0..6).prop_map(|lives| {
        let mut at = 0;
        let mut restart = |(life, pause)| {
            at += life + pause;
            (at - pause, pause)
        };
        lives.into_iter().map(&mut restart).collect()
    })
}

/// Others who take no more than the reserve: a tenth of the hour, evenly.
fn others(limits: RequestLimits) -> impl Strategy<Value = Vec<i64>> {
    let most = i64::from(limits.per_hour / 10);
    (0..=most, 0..MINUTE).prop_map(|(hourly, first)| {
        let each = HOUR / hourly.max(1);
        (0..hourly * 10)
            .map(|number| first + number * each)
            .collect()
    })
}

fn storm(shortest_life: i64) -> impl Strategy<Value = Storm> {
    limits().prop_flat_map(move |limits| {
        let due = prop_oneof![Just(0), 10_000..90_000_i64];
        let of = (
            needs(),
            restarts(shortest_life),
            others(limits),
            due,
            0..3_000_i64,
        );
        of.prop_map(move |(needs, restarts, others, due, latency)| Storm {
            restarts,
            others,
            due,
            latency,
            ..Storm::new(limits, needs)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn through_restarts_and_beside_others_no_request_is_refused_and_everybody_is_served(
        storm in storm(1_000),
    ) {
        let outcome = World::new(&storm).run();
        prop_assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);
        prop_assert_eq!(outcome.served.len(), storm.needs.len());
        let per_minute = storm.limits.per_minute as usize;
        let per_hour = storm.limits.per_hour as usize;
        prop_assert!(most_within(&outcome.sent, MINUTE) <= per_minute);
        prop_assert!(most_within(&outcome.sent, HOUR) <= per_hour);
    }
}

/// When the `number`-th of accesses that take two requests each could be served at the earliest, in
/// milliseconds since the start: paced, and within what the hour allows.
fn ideally(number: usize) -> i64 {
    let before = 2 * i64::try_from(number).unwrap();
    (before / 4_500) * HOUR + (before % 4_500) * MINUTE / 225
}

#[test]
fn of_ten_thousand_accesses_due_at_once_every_one_that_can_be_saved_is_saved_even_through_restarts()
{
    // Deadlines as tight as can be: what an ideal order would take, and a twentieth more.
    let need = |number: u32| {
        let deadline = START + ideally(number as usize + 1) * 100 / 95 + MINUTE;
        Need {
            access: Access {
                tenant: number % 10,
                number,
            },
            expires_at: Some(deadline / SECOND),
            requests: 2,
        }
    };
    let storm = Storm {
        restarts: vec![(5 * MINUTE, 2_000), (130 * MINUTE, 0)],
        ..Storm::new(RequestLimits::default(), (0..10_000).map(need).collect())
    };
    let outcome = World::new(&storm).run();
    assert!(outcome.refused.is_empty());
    let late = storm.needs.iter().filter(|need| {
        let served = outcome.served.get(&need.access);
        served.is_none_or(|at| at.div_euclid(SECOND) >= need.expires_at.unwrap())
    });
    assert_eq!(late.count(), 0);
    let hours = 4;
    let sent = outcome.sent.iter().filter(|at| **at < START + hours * HOUR);
    let allowed = usize::try_from(hours).unwrap() * 4_500;
    assert!(
        sent.count() * 100 >= allowed * 95,
        "what is allowed is used"
    );
}

/// Grants of two requests that are given before the others have asked: the burst.
const AT_ONCE: usize = 10;

/// In what order accesses were granted what they need.
fn order(storm: &Storm) -> Vec<Need> {
    let needs: BTreeMap<_, _> = storm
        .needs
        .iter()
        .map(|need| (need.access, *need))
        .collect();
    let outcome = World::new(storm).run();
    let granted = outcome.granted.iter().map(|(_, access)| needs[access]);
    granted.collect()
}

proptest! {
    #[test]
    fn who_expires_earlier_is_served_earlier(
        expiries in prop::collection::vec(1_000..40_000_i64, 1..300), due in 0..90_000_i64,
    ) {
        let need = |(expires_in, number)| Need {
            access: Access { tenant: number % 7, number },
            expires_at: Some(START / SECOND + expires_in),
            requests: 2,
        };
        let needs = expiries.into_iter().zip(0..).map(need).collect();
        let storm = Storm { due, ..Storm::new(RequestLimits::default(), needs) };
        let order: Vec<_> = order(&storm).iter().map(|need| need.expires_at).collect();
        prop_assert!(order.is_sorted(), "{:?}", order);
    }

    #[test]
    fn those_without_a_credential_get_a_tenth_while_others_renew(
        renewing in 50..300_u32, without in 1..30_u32,
    ) {
        let need = |number: u32| Need {
            access: Access { tenant: 0, number },
            expires_at: (number >= without).then(|| START / SECOND + 40_000 + i64::from(number)),
            requests: 2,
        };
        let needs = (0..without + renewing).map(need).collect();
        let order = order(&Storm::new(RequestLimits::default(), needs));
        let has_none = |need: &Need| need.expires_at.is_none();
        for (number, place) in (1..).zip(order.iter().enumerate().filter(|(_, need)| has_none(need))) {
            prop_assert!(place.0 <= 10 * number + 2 * AT_ONCE, "the {number}th has place {}", place.0);
        }
        for (number, place) in (1..).zip(order.iter().enumerate().filter(|(_, need)| !has_none(need))) {
            prop_assert!(place.0 <= number + number / 9 + 2 * AT_ONCE, "the {number}th has place {}", place.0);
        }
    }

    #[test]
    fn tenants_take_turns_however_much_each_asks_for(
        sizes in prop::collection::vec(1..120_u32, 2..6), due in 0..90_000_i64,
    ) {
        let tenants = sizes.iter().zip(0..).flat_map(|(size, tenant)| {
            (0..*size).map(move |number| Access { tenant, number })
        });
        let need = |access| Need { access, expires_at: None, requests: 2 };
        let needs = tenants.map(need).collect();
        let order = order(&Storm { due, ..Storm::new(RequestLimits::default(), needs) });
        let mut had = vec![0; sizes.len()];
        for (place, need) in order.iter().enumerate() {
            had[need.access.tenant as usize] += 1;
            for (had, size) in had.iter().zip(&sizes) {
                let fair = place.saturating_sub(AT_ONCE) / sizes.len();
                let fair = u32::try_from(fair).unwrap().saturating_sub(4);
                prop_assert!(*had >= fair.min(*size), "place {place}: {had} of {size}");
            }
        }
    }
}
