//! When nothing is left to do, and what is better not published.

use super::*;

/// A week's credential that is due for renewal now.
fn due() -> Issue {
    issue_of(&wanted(), NOW - 5 * WEEK / 6, WEEK)
}

#[test]
fn a_renewal_that_waits_in_memory_is_left_to_do_however_short_a_time_ago_it_was_issued() {
    let new = issue_of(&wanted(), NOW, WEEK);
    let waiting = Observed {
        held: Some(HeldIssue {
            issue: new,
            not_before: NOW + 60,
        }),
        last_issue_at: Some(NOW),
        failure: Some(failure(&wanted(), NOW, NOW + 60)),
        ..published(&due())
    };
    assert!(!is_settled(&wanted(), &waiting, NOW));
}

#[test]
fn a_credential_that_the_cluster_rejects_leaves_something_to_do() {
    let young = issue_of(&wanted(), NOW, WEEK);
    let rejected = Observed {
        rejected: true,
        ..published(&young)
    };
    assert!(!is_settled(&wanted(), &rejected, NOW));
}

#[test]
fn what_somebody_else_has_put_right_is_settled() {
    let young = issue_of(&wanted(), NOW, WEEK);
    let old = HeldIssue {
        issue: due(),
        not_before: NOW + 60,
    };
    let over = Observed {
        held: Some(old),
        failure: Some(failure(&wanted(), NOW, NOW + 60)),
        verify_at: Some(NOW),
        shared_at: Some(NOW),
        ..published(&young)
    };
    assert!(is_settled(&wanted(), &over, NOW));
}

#[test]
fn an_output_that_cannot_be_written_is_left_to_do() {
    let young = issue_of(&wanted(), NOW, WEEK);
    let mut refused = published(&young);
    refused.outputs.push(OutputState::Unsupported);
    assert!(!is_settled(&wanted(), &refused, NOW));
}

#[test]
fn what_answers_the_spec_is_never_replaced_by_what_expires_earlier() {
    let published = published(&issue_of(&wanted(), NOW, WEEK));
    let shorter = issue_of(&wanted(), NOW, WEEK - 1);
    let equal = issue_of(&wanted(), NOW, WEEK);
    assert!(is_worse(&wanted(), &published, &shorter, NOW));
    assert!(!is_worse(&wanted(), &published, &equal, NOW));
    assert!(!is_worse(&wanted(), &published, &shorter, NOW + WEEK));
    assert!(!is_worse(&wanted(), &nothing(), &shorter, NOW));
}

#[test]
fn what_was_asked_for_may_be_shorter_but_once() {
    let before = published(&issue_of(&wanted(), NOW, WEEK));
    let asks_for_another = [
        Wanted {
            rotate: Some("1".to_string()),
            ..wanted()
        },
        Wanted {
            issue_hash: "cluster.changed".to_string(),
            ..wanted()
        },
    ];
    for wanted in asks_for_another {
        let shorter = issue_of(&wanted, NOW, HOUR);
        assert!(!is_worse(&wanted, &before, &shorter, NOW));
        // Two leaders, each with an answer to the same request.
        let answered = published(&issue_of(&wanted, NOW, WEEK));
        assert!(is_worse(&wanted, &answered, &shorter, NOW));
    }
}

#[test]
fn what_the_cluster_rejects_may_be_replaced_by_what_expires_earlier() {
    let rejected = Observed {
        rejected: true,
        ..published(&issue_of(&wanted(), NOW, WEEK))
    };
    let shorter = issue_of(&wanted(), NOW, HOUR);
    assert!(!is_worse(&wanted(), &rejected, &shorter, NOW));
}

#[test]
fn what_another_access_asked_for_stays_in_memory_until_it_is_written() {
    let wanted = wanted();
    let published_issue = issue_of(&wanted, NOW - WEEK, WEEK);
    let schedule = Schedule {
        uid: &wanted.uid,
        renew_before_seconds: None,
    };
    let (issued_at, expires_at) = (published_issue.issued_at, published_issue.expires_at);
    let earliest = earliest_renewal(schedule, issued_at, expires_at);
    let due_at = wanted.renew_at(&published_issue);
    assert!(earliest + 60 < due_at, "it is not due yet by itself");
    let held_since = |at: EpochSeconds| Observed {
        held: Some(HeldIssue {
            issue: issue_of(&wanted, at, WEEK),
            not_before: at + 60,
        }),
        last_issue_at: Some(at),
        ..published(&published_issue)
    };
    assert!(!is_settled(&wanted, &held_since(earliest), earliest + 30));
    // Before it is at hand, nothing calls for it.
    let early = earliest - HOUR;
    assert!(is_settled(&wanted, &held_since(early), early + 30));
}
