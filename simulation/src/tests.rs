//! What a run must be for its result to mean anything.

use base64::Engine;

use crate::checks::check;
use crate::chronicle::Chronicle;
use crate::draw::{Shape, draw};
use crate::journal::Event;
use crate::run::{Record, run, run_and_listen};

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
