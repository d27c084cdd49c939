//! I9: nothing in one namespace makes the operator read or write in another.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::chronicle::Chronicle;
use crate::journal::Event;
use crate::world::OPERATOR_NAMESPACE;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for life in &chronicle.secrets {
        for version in life.versions.iter().filter(|version| version.ours) {
            let owner = version.access_uid().and_then(|uid| chronicle.access(uid));
            if owner.is_some_and(|owner| *owner.namespace != *version.found.metadata.namespace) {
                violations.push(Violation::new(
                    "I9 isolation",
                    version.at,
                    format!("{} belongs to an access of another namespace", life.key),
                ));
            }
        }
    }
    let known = known_secrets(chronicle);
    for entry in &chronicle.record.journal {
        let Event::Call { path, method, .. } = &entry.event else {
            continue;
        };
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let ["api", "v1", "namespaces", namespace, "secrets", name] = segments.as_slice() else {
            continue;
        };
        if !known
            .get(*namespace)
            .is_some_and(|names| names.contains(*name))
        {
            violations.push(Violation::new(
                "I9 isolation",
                entry.at,
                format!("{method} of the Secret {namespace}/{name}, which no access of that namespace names"),
            ));
        }
    }
    violations
}

/// The Secrets that accesses and accounts name, by namespace.
fn known_secrets<'a>(chronicle: &'a Chronicle<'_>) -> BTreeMap<&'a str, BTreeSet<String>> {
    let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for access in &chronicle.accesses {
        let names = known.entry(access.namespace.as_str()).or_default();
        for version in &access.versions {
            let outputs = version.object.effective_outputs();
            names.extend(outputs.into_iter().map(|output| output.secret_name));
            let token = version.object.spec.token_secret_ref.as_ref();
            names.extend(token.map(|reference| reference.name.clone()));
        }
    }
    let accounts = &chronicle.record.plan.accounts;
    let shared = accounts.iter().filter(|account| account.shared);
    let names = known.entry(OPERATOR_NAMESPACE).or_default();
    names.extend(shared.map(|account| account.label.clone()));
    // Whether the API server answers is asked with a Secret that nobody has.
    names.insert("do-cluster-access-probe".to_owned());
    known
}
