//! What a run must be for its result to mean anything.

use base64::Engine;
use do_cluster_access::controller::lease::Timing;

use crate::checks::check;
use crate::chronicle::Chronicle;
use crate::draw::{Shape, draw};
use crate::journal::Event;
use crate::run::{Record, run, run_and_listen};
use crate::stage::{Cast, Stage, play};
use crate::weather::ApiFault;

fn storm(seed: u64) -> Record {
    run(draw(seed, Shape::Storm))
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    let mut lengths = Vec::new();
    for seed in [2, 14, 16, 54, 57, 72] {
        let (first, again) = (storm(seed), storm(seed));
        assert!(first.journal.len() > 50, "seed {seed} does nothing");
        let mut lines = first.history().zip(again.history());
        assert_eq!(lines.find(|(one, other)| one != other), None, "seed {seed}");
        assert_eq!(first.digest(), again.digest(), "seed {seed}");
        lengths.push(first.history().count());
    }
    lengths.dedup();
    assert!(lengths.len() > 1, "different seeds are different runs");
}

#[test]
fn listening_to_the_log_changes_nothing() {
    let deaf = storm(16);
    let listened = run_and_listen(draw(16, Shape::Storm));
    assert_eq!(deaf.journal, listened.journal);
}

#[test]
fn a_token_is_heard_in_the_log_plain_and_in_base64() {
    let token = "0123456789abcdef".repeat(4);
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("token: {token}"));
    for text in [token.clone(), encoded] {
        let ((), words) = crate::log::watch(|| tracing::trace!("{text}"));
        assert!(words.contains(&token), "{text}");
    }
}

#[test]
fn nothing_is_wrong_with_the_first_seeds() {
    for seed in 1..=12 {
        let record = storm(seed);
        let violations = check(&Chronicle::new(&record));
        assert_eq!(violations, [], "{}", record.plan);
    }
}

/// Whether a process that leads still does when the next so many requests about its lease get no answer.
fn leads_on_after(lost: u32) -> bool {
    let cast = Cast {
        accesses: 1,
        tokens: 1,
        tenants: 1,
        clusters: 1,
        replicas: 1,
    };
    let mut plan = cast.plan(|_| (86_400, serde_json::json!({})));
    plan.election = Some(Timing::default());
    play(async {
        let mut stage = Stage::set(plan).await;
        stage.start();
        stage.wait(60).await;
        stage.weather.strike_api(1, ApiFault::HangAfter, lost);
        stage.wait(60).await;
        let (journal, faults) = stage.journal.take();
        assert_eq!(faults["API server: hung after effect"], u64::from(lost));
        let ended = |event: &Event| matches!(event, Event::Ended { .. });
        !journal.iter().any(|entry| ended(&entry.event))
    })
}

#[test]
fn a_leader_whose_renewal_is_never_answered_goes_on_leading_and_after_a_second_it_leaves() {
    assert!(leads_on_after(1));
    assert!(!leads_on_after(2));
}

#[test]
fn every_run_comes_to_rest_and_sees_ten_renewals() {
    for seed in [5, 7, 10] {
        let record = storm(seed);
        for event in [Event::Calm, Event::Converged] {
            assert!(record.journal.iter().any(|entry| entry.event == event));
        }
        assert!(record.issues() >= 10 + record.plan.accesses.len());
    }
}
