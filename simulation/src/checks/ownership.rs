//! What belongs to somebody else is not touched: a Secret that is not the access's own is overwritten only where
//! `adopt` says so.

use super::Violation;
use crate::chronicle::{Chronicle, SecretLife};

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let lives = chronicle.secrets.iter();
    lives
        .flat_map(|life| overwritten(chronicle, life))
        .collect()
}

fn overwritten(chronicle: &Chronicle<'_>, life: &SecretLife) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut owner: Option<String> = None;
    for (index, version) in life.versions.iter().enumerate() {
        let uid = version.access_uid().map(str::to_owned);
        let taken_over = index > 0 && uid != owner;
        if version.ours
            && taken_over
            && let Some(access) = uid.as_deref().and_then(|uid| chronicle.access(uid))
        {
            let adopts = access.specs_between(access.born, version.at).any(|spec| {
                let mut outputs = spec.outputs.iter().flatten();
                outputs.any(|output| {
                    *output.secret_name == *version.found.metadata.name && output.adopt
                })
            });
            // Somebody else may have changed the mark of what was ours all along.
            let before = &life.versions[..index];
            let was_ours = before
                .iter()
                .any(|version| version.access_uid() == uid.as_deref());
            if !adopts && !was_ours {
                let what = format!("{} was taken from its owner for {}", life.key, access.key);
                violations.push(Violation::new("ownership", version.at, what));
            }
        }
        owner = uid;
    }
    violations
}
