//! Both sliding rate limits, by the clock of the world.

use do_cluster_access_testbed::simulator::{
    Account, Answer, Entry, LimitWindow, Limits, Request, Scope, Settings,
};
use http::StatusCode;
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::world::{LIST, TOKEN, World, named};

fn world_with(requests_per_minute: usize, requests_per_hour: usize) -> World {
    World::with(Settings {
        limits: Limits {
            requests_per_minute,
            requests_per_hour,
        },
        ..Settings::default()
    })
}

#[tokio::test]
async fn by_default_the_251st_request_of_a_minute_is_refused() {
    let world = World::new();
    for _ in 0..250 {
        assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    }
    let refused = world.get(LIST).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["id"], "too_many_requests");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let last = world.simulator.history().pop().expect("an entry");
    assert_eq!(last.rate_limited, Some(LimitWindow::Minute));
}

#[tokio::test]
async fn by_default_the_5001st_request_of_an_hour_is_refused_without_retry_after() {
    let world = World::new();
    let start = world.now();
    for _ in 0..20 {
        for _ in 0..250 {
            assert_eq!(world.get(LIST).await.status, StatusCode::OK);
        }
        world.pass(SignedDuration::from_mins(1));
    }
    let refused = world.get(LIST).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let reset = (start.as_second() + 3_600).to_string();
    assert_eq!(refused.header("ratelimit-reset"), Some(reset.as_str()));
    let last = world.simulator.history().pop().expect("an entry");
    assert_eq!(last.rate_limited, Some(LimitWindow::Hour));
}

#[tokio::test]
async fn the_minute_slides() {
    let world = world_with(2, 100);
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    world.pass(SignedDuration::from_millis(20_500));
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    let refused = world.get(LIST).await;
    assert_eq!(refused.header("retry-after"), Some("40"), "rounded up");
    world.pass(SignedDuration::from_millis(39_499));
    assert_eq!(world.get(LIST).await.header("retry-after"), Some("1"));
    world.pass(SignedDuration::from_millis(1));
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    assert_eq!(world.get(LIST).await.header("retry-after"), Some("21"));
}

#[tokio::test]
async fn a_refused_request_does_not_count_and_has_no_effect() {
    let world = world_with(100, 2);
    let id = world.add(named("prod"));
    let path = format!("{LIST}/{id}/credentials");
    for _ in 0..2 {
        assert_eq!(world.get(&path).await.status, StatusCode::OK);
    }
    for _ in 0..20 {
        world.pass(SignedDuration::from_mins(2));
        assert_eq!(world.get(&path).await.status, StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(world.simulator.mints().len(), 2);
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(world.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_api_token_has_limits_of_its_own() {
    let world = world_with(1, 100);
    world
        .simulator
        .add_token("default", "second", Scope::ReadOnly)
        .expect("a known account");
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    assert_eq!(world.get(LIST).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.get_as("second", LIST).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_account_may_have_other_limits() {
    let world = World::new();
    let account = Account {
        limits: Some(Limits {
            requests_per_minute: 1,
            requests_per_hour: 7,
        }),
        ..Account::new("small")
    };
    world.simulator.add_account(account).expect("a new account");
    world
        .simulator
        .add_token("small", "small", Scope::Full)
        .expect("a known account");
    let first = world.get_as("small", LIST).await;
    assert_eq!(first.header("ratelimit-limit"), Some("7"));
    assert_eq!(first.header("ratelimit-remaining"), Some("6"));
    let second = world.get_as("small", LIST).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn errors_count_too_but_not_those_of_unknown_tokens() {
    let world = world_with(2, 100);
    assert_eq!(world.get("/v2/account").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.get(&format!("{LIST}/gone")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(world.get(LIST).await.status, StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..5 {
        assert_eq!(
            world.get_as("unknown", LIST).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn a_revoked_token_is_answered_with_401_however_often_it_is_sent() {
    let world = world_with(1, 100);
    world.simulator.revoke_token(TOKEN).expect("a known token");
    for _ in 0..3 {
        assert_eq!(world.get(LIST).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_clock_that_went_backwards_is_taken_to_have_stood_still() {
    let world = world_with(1, 100);
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
    world.pass(SignedDuration::from_secs(-50));
    assert_eq!(world.get(LIST).await.header("retry-after"), Some("60"));
    world.pass(SignedDuration::from_secs(110));
    assert_eq!(world.get(LIST).await.status, StatusCode::OK);
}

/// The most requests that were let through in any window of that length, whichever instant it starts at.
fn most_in_any(window: SignedDuration, history: &[Entry]) -> usize {
    let accepted: Vec<_> = history
        .iter()
        .filter(|entry| entry.status != Some(429))
        .map(|entry| entry.time)
        .collect();
    let from = |start: usize| {
        let inside = |&time: &_| accepted[start].duration_until(time) < window;
        accepted[start..]
            .iter()
            .take_while(|time| inside(time))
            .count()
    };
    (0..accepted.len()).map(from).max().unwrap_or(0)
}

/// One GET of the list without the layers of HTTP in between, and what became of it.
fn list_at_once(world: &World) -> (Answer, Entry) {
    let answer = world.simulator.handle(&Request {
        path: LIST.to_owned(),
        authorization: Some(format!("Bearer {TOKEN}")),
        ..Request::default()
    });
    let entry = world.simulator.take_history().pop();
    (answer, entry.expect("an entry"))
}

proptest! {
    #[test]
    fn no_sequence_of_requests_gets_more_than_either_limit(
        requests_per_minute in 1_usize..8,
        requests_per_hour in 1_usize..30,
        pauses in prop::collection::vec(
            prop_oneof![
                5 => Just(0_i64),
                5 => 1_i64..2_000,
                3 => 2_000_i64..61_000,
                1 => Just(59_999),
                1 => Just(60_000),
                1 => 600_000_i64..3_700_000,
            ],
            0..120,
        ),
    ) {
        let world = world_with(requests_per_minute, requests_per_hour);
        let mut history = Vec::new();
        for pause in pauses {
            world.pass(SignedDuration::from_millis(pause));
            let (answer, entry) = list_at_once(&world);
            let says_when = answer.headers.contains_key("retry-after");
            prop_assert_eq!(says_when, entry.rate_limited == Some(LimitWindow::Minute));
            history.push(entry);
        }
        prop_assert!(most_in_any(SignedDuration::from_mins(1), &history) <= requests_per_minute);
        prop_assert!(most_in_any(SignedDuration::from_hours(1), &history) <= requests_per_hour);
    }

    #[test]
    fn waiting_as_long_as_retry_after_says_is_enough(
        requests_per_minute in 1_usize..8,
        pauses in prop::collection::vec(0_i64..30_000, 1..40),
    ) {
        let world = world_with(requests_per_minute, 10_000);
        for pause in pauses {
            world.pass(SignedDuration::from_millis(pause));
            let (answer, _) = list_at_once(&world);
            if let Some(seconds) = answer.headers.get("retry-after") {
                let seconds = seconds.to_str().expect("text").parse().expect("seconds");
                world.pass(SignedDuration::from_secs(seconds));
                prop_assert_eq!(list_at_once(&world).0.status, StatusCode::OK);
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_and_forth_gets_no_more_than_the_hourly_limit_at_once(
        steps in prop::collection::vec(-600_000_i64..600_000, 1..100),
    ) {
        let world = world_with(1_000, 5);
        let mut accepted = 0;
        let (mut earliest, mut latest) = (world.now(), world.now());
        for step in steps {
            world.pass(SignedDuration::from_millis(step));
            earliest = earliest.min(world.now());
            latest = latest.max(world.now());
            accepted += usize::from(list_at_once(&world).0.status == StatusCode::OK);
        }
        let hours = earliest.duration_until(latest).as_hours();
        let hours = usize::try_from(hours).expect("forwards");
        prop_assert!(accepted <= 5 * (hours + 1));
    }
}
