//! An entry for every reason.

use std::collections::BTreeSet;

use do_cluster_access::api::Reason;

use super::markdown::Page;
use crate::harness::repository;

const PATH: &str = "docs/troubleshooting.md";
/// What each entry says. `Nothing` is an answer, too.
const PARTS: [&str; 2] = ["**Means:** ", "**Do:** "];

/// What is missing in troubleshooting, and what has no place in it, a line for each.
pub(super) fn faults(pages: &[Page]) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(PATH)).unwrap();
    let entries: Vec<(&str, &str)> = text
        .split("\n### ")
        .skip(1)
        .map(|entry| entry.split_once('\n').unwrap())
        .collect();
    let wanted: BTreeSet<String> = Reason::ALL.iter().map(|reason| heading(*reason)).collect();
    let found: BTreeSet<String> = entries
        .iter()
        .map(|(heading, _)| (*heading).to_owned())
        .collect();
    let missing = wanted.difference(&found).map(|it| format!("no entry {it}"));
    let stray = found
        .difference(&wanted)
        .map(|it| format!("{it} is no reason"));
    let mut faults: Vec<String> = missing.chain(stray).collect();
    if found.len() != entries.len() {
        faults.push("there are two entries of one heading".to_owned());
    }
    for (heading, entry) in entries {
        for part in PARTS {
            if entry.matches(part).count() != 1 {
                faults.push(format!("{heading} says {part}not once"));
            }
        }
    }
    // Who looks for a reason begins at the top of the page.
    let page = pages.iter().find(|page| page.path == PATH).unwrap();
    let linked: BTreeSet<&str> = page
        .links
        .iter()
        .filter_map(|(_, link)| link.strip_prefix('#'))
        .collect();
    for heading in wanted {
        let anchor = anchor(&heading);
        if !linked.contains(anchor.as_str()) {
            faults.push(format!("nothing on the page leads to #{anchor}"));
        }
    }
    faults
}

/// The word of the reason and of its condition: some words are reasons of two.
fn heading(reason: Reason) -> String {
    let condition = reason.condition().as_str();
    format!("`{}` ({condition})", reason.as_str())
}

fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || *letter == ' ';
    let letters: String = heading.chars().filter(kept).collect();
    letters.to_lowercase().replace(' ', "-")
}
