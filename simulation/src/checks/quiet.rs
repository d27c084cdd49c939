//! I10: when nothing is due and nothing changes, nothing is written and DigitalOcean is not asked.

use std::collections::BTreeMap;

use do_cluster_access::api::ConditionType;
use do_cluster_access::outputs::FIELD_MANAGER;
use do_cluster_access_testbed::api_server::Kind;
use do_cluster_access_testbed::simulator::Operation;
use jiff::{SignedDuration, Timestamp};

use super::Violation;
use crate::chronicle::{AccessVersion, Chronicle};
use crate::journal::Event;

/// An issue's writes come within so many seconds of one another.
const TOGETHER: i64 = 60;
/// What ended shortly before everything looked right may still be told, in seconds.
const SETTLED: i64 = 120;
/// The list of clusters is asked for every half hour at the most.
const LIST_SECONDS: i64 = 1795;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    // That a cluster has another name or state shows when the list is read the next time, and so does that
    // a token was replaced.
    let names = chronicle.impairments.iter().any(|impairment| {
        impairment.what.starts_with("RenameCluster") || impairment.what.starts_with("ClusterState")
    });
    let replaced = chronicle.record.journal.iter().any(|entry| {
        matches!(&entry.event, Event::Deed { what, .. } if what.starts_with("ReplaceToken"))
    });
    let settled = if names || replaced {
        1800 + SETTLED
    } else {
        SETTLED
    };
    let from = chronicle.converged_at + SignedDuration::from_secs(settled);
    let issues: Vec<Timestamp> = chronicle
        .record
        .mints
        .iter()
        .map(|mint| mint.time)
        .chain(flips(chronicle))
        .filter(|at| *at >= from - SignedDuration::from_secs(TOGETHER))
        .collect();
    let explained = |at: Timestamp| {
        // An event may be a moment earlier than the status that tells the same.
        let near =
            |issue: &Timestamp| (-2..=TOGETHER).contains(&(at.as_second() - issue.as_second()));
        issues.iter().any(near)
    };
    let mut violations = Vec::new();
    for write in &chronicle.record.writes {
        let ours = &*write.manager == FIELD_MANAGER && write.kind != Kind::Lease;
        if ours && write.at >= from && !explained(write.at) {
            let what = format!(
                "a {:?} was written, although nothing had changed",
                write.kind
            );
            violations.push(Violation::new("I10 quiet", write.at, what));
        }
    }
    for entry in chronicle
        .record
        .journal
        .iter()
        .filter(|entry| entry.at >= from)
    {
        if let Event::Call { method, path, .. } = &entry.event
            && *method != "GET"
            && !explained(entry.at)
        {
            let what = format!("{method} {path}, although nothing had changed");
            violations.push(Violation::new("I10 quiet", entry.at, what));
        }
    }
    violations.extend(lists(chronicle, from));
    violations
}

/// When the answer of a cluster to the regular question flipped.
fn flips<'a>(chronicle: &'a Chronicle<'_>) -> impl Iterator<Item = Timestamp> + 'a {
    let verdict = |version: &AccessVersion| {
        let status = version.object.status.as_ref()?;
        let verified = ConditionType::Verified.of(&status.conditions)?;
        Some(verified.reason.clone())
    };
    chronicle.accesses.iter().flat_map(move |access| {
        let pairs = access.versions.windows(2);
        let flipped = pairs.filter(move |pair| verdict(&pair[0]) != verdict(&pair[1]));
        flipped.map(|pair| pair[1].at)
    })
}

fn lists(chronicle: &Chronicle<'_>, from: Timestamp) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let started = chronicle
        .record
        .journal
        .iter()
        .filter_map(|entry| match entry.event {
            Event::Started { .. } => Some(entry.at),
            _ => None,
        });
    let started: Vec<_> = started.collect();
    for exchange in chronicle
        .record
        .exchanges
        .iter()
        .filter(|exchange| exchange.time >= from)
    {
        let token = exchange.token.as_deref().unwrap_or_default();
        match exchange.operation {
            Some(Operation::ListClusters) => {
                let before = last.insert(token, exchange.time);
                let soon = before.is_some_and(|before| {
                    exchange.time.as_second() - before.as_second() < LIST_SECONDS
                        && !started
                            .iter()
                            .any(|at| *at > before && *at <= exchange.time)
                });
                // An issue may want a newer list than there is.
                let wanted = chronicle.record.mints.iter().any(|mint| {
                    (mint.time.as_second() - exchange.time.as_second()).abs() <= TOGETHER
                });
                if soon && !wanted {
                    let what = format!("the list was asked for again with the token {token}");
                    violations.push(Violation::new("I10 quiet", exchange.time, what));
                }
            }
            Some(Operation::GetCluster) | None => {
                let what = format!("DigitalOcean was asked for {}", exchange.path);
                violations.push(Violation::new("I10 quiet", exchange.time, what));
            }
            Some(_) => {}
        }
    }
    violations
}
