//! I13: credentials are in Secrets alone, and go to the cluster that they are for alone.

use std::collections::BTreeMap;

use do_cluster_access_testbed::api_server::Kind;
use do_cluster_access_testbed::simulator::fingerprint;

use super::Violation;
use crate::chronicle::Chronicle;
use crate::journal::Event;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mints = &chronicle.record.mints;
    let clusters: BTreeMap<&str, &str> = mints
        .iter()
        .map(|mint| (mint.fingerprint.as_str(), mint.cluster.as_str()))
        .collect();
    let mut violations = Vec::new();
    for write in chronicle
        .record
        .writes
        .iter()
        .filter(|write| write.kind != Kind::Secret)
    {
        let Some(object) = &write.after else {
            continue;
        };
        if has_credential(&object.value().to_string(), &clusters) {
            let what = format!("a {:?}, {}, holds a credential", write.kind, object.name());
            violations.push(Violation::new("I13 secrecy", write.at, what));
        }
    }
    let said = chronicle
        .record
        .words
        .iter()
        .chain(&chronicle.record.panics);
    for text in said.filter(|text| has_credential(text, &clusters)) {
        let what = format!("a credential was logged: {} …", &text[..12.min(text.len())]);
        violations.push(Violation::new("I13 secrecy", chronicle.end, what));
    }
    for entry in &chronicle.record.journal {
        if let Event::Probe {
            cluster,
            credential,
            ..
        } = &entry.event
            && clusters
                .get(credential.as_str())
                .is_some_and(|owner| owner != cluster)
        {
            let what = format!("cluster {cluster} was shown a credential of another");
            violations.push(Violation::new("I13 secrecy", entry.at, what));
        }
    }
    violations
}

/// Whether a text holds a token that was minted, or an API token.
fn has_credential(text: &str, minted: &BTreeMap<&str, &str>) -> bool {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    words
        .filter(|word| word.len() >= 64)
        .any(|word| minted.contains_key(fingerprint(word).as_str()) || word.contains("c0ffee"))
}
