//! What a run must be for its result to mean anything.

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
    let mut digests = Vec::new();
    for seed in [2, 14, 16, 54, 57, 72] {
        let (first, again) = (storm(seed), storm(seed));
        assert!(first.journal.len() > 50, "seed {seed} does nothing");
        assert_eq!(first.digest(), again.digest(), "seed {seed}");
        assert_eq!(first.journal, again.journal, "seed {seed}");
        digests.push(first.digest());
    }
    digests.dedup();
    assert_eq!(digests.len(), 6, "different seeds are different runs");
}

#[test]
fn listening_to_the_log_changes_nothing_and_hears_what_is_long_enough_for_a_token() {
    let deaf = storm(16);
    let listened = run_and_listen(draw(16, Shape::Storm));
    assert_eq!(deaf.digest(), listened.digest());
    assert!(deaf.words.is_empty());
    assert!(
        !listened.words.is_empty(),
        "hashes of contents are as long as a token"
    );
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
