//! The page about the reasons of conditions.

use do_cluster_access::api::{ConditionType, EventType, Reason, RetryClass};

use crate::markdown::{code, page as markdown_page, points, sentence, table};

/// Stalled has the reason of Synced.
const CONDITIONS: [ConditionType; 3] = [
    ConditionType::Ready,
    ConditionType::Synced,
    ConditionType::Verified,
];

/// A table for each condition of an access, and what a DOAccount takes from them.
pub(crate) fn page() -> String {
    let mut parts = vec![
        "Each condition in `status.conditions` has one of the reasons below. The words are stable: automation may rely on them. The sentence is what the condition's message says, behind what it is about in that case (a Secret, a DOAccount).".to_owned(),
        points([
            "*Stalls*: nothing but a user's action will help, so the condition `Stalled` is `True` with the same reason, and tools that know kstatus report a failure instead of waiting.".to_owned(),
            "*Tried again*: who decides when the next attempt comes. Whatever was wrong, a change of the spec leads to an attempt at once.".to_owned(),
        ]),
        "[How it works](../how-it-works.md#what-each-reason-means-and-what-to-do) says more about what to do.".to_owned(),
    ];
    let (of_account, of_access): (Vec<_>, Vec<_>) = Reason::ALL
        .into_iter()
        .partition(|reason| *reason == Reason::Usable);
    let mut listed = 0;
    for condition in CONDITIONS {
        let reasons = of_access
            .iter()
            .filter(|reason| reason.condition() == condition);
        let reasons: Vec<_> = reasons.copied().collect();
        listed += reasons.len();
        parts.push(format!("## {} of a DOClusterAccess", condition.as_str()));
        parts.push(of_condition(&reasons));
    }
    assert_eq!(
        listed,
        of_access.len(),
        "a reason of a condition that has no table"
    );
    parts.push("## Ready of a DOAccount".to_owned());
    parts.push(of_condition(&of_account));
    parts.push(format!(
        "`Ready` is `False` with the reason that the accesses of the account have in `Synced`: {}.",
        troubles()
    ));
    markdown_page("Reasons", "`src/api/reason.rs`", &parts)
}

/// What can be wrong with the account itself.
fn troubles() -> String {
    let of_access = [Reason::AccountNotFound, Reason::NotAllowed];
    let reasons = Reason::ALL
        .into_iter()
        .filter(|reason| reason.retry() == RetryClass::Token && !of_access.contains(reason));
    reasons
        .map(|reason| code(reason.as_str()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn of_condition(reasons: &[Reason]) -> String {
    let fails = reasons
        .iter()
        .any(|reason| reason.event_type() == EventType::Warning);
    let row = |reason: &Reason| {
        let mut row = vec![
            code(reason.as_str()),
            reason.status().as_str().to_owned(),
            sentence(reason.sentence()),
        ];
        if fails {
            row.push(if reason.stalls() { "yes" } else { "" }.to_owned());
            row.push(retried_by(reason.retry()).to_owned());
        }
        row
    };
    let head = ["reason", "status", "sentence", "stalls", "tried again"];
    let head = if fails { &head[..] } else { &head[..3] };
    table(head, reasons.iter().map(row))
}

fn retried_by(retry: RetryClass) -> &'static str {
    match retry {
        RetryClass::Never => "",
        RetryClass::Access => "for this access, at growing intervals from 5 seconds to 10 minutes",
        RetryClass::Token => "for the API token, once for all accesses that use it",
        RetryClass::SpecChange => "when the spec changes",
    }
}
