//! I14: no Secret is removed or emptied but one that the spec no longer names.

use jiff::SignedDuration;

use super::Violation;
use crate::chronicle::{Chronicle, SecretLife};
use do_cluster_access::outputs::FIELD_MANAGER;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let removed = chronicle.secrets.iter().filter(|life| {
        let by_us = life
            .gone
            .as_ref()
            .is_some_and(|(_, _, by)| by == FIELD_MANAGER);
        by_us && !may_be_removed(chronicle, life)
    });
    let mut violations: Vec<_> = removed
        .filter_map(|life| {
            let (at, _, _) = life.gone.as_ref()?;
            let what = format!("{} was removed, which its access still names", life.key);
            Some(Violation::new("I14 no mass removal", *at, what))
        })
        .collect();
    for life in &chronicle.secrets {
        for pair in life.versions.windows(2) {
            if pair[1].ours
                && pair[0].found.contents.iter().count() > pair[1].found.contents.iter().count()
                && pair[1].credentials.is_empty()
            {
                let what = format!("{} was emptied", life.key);
                violations.push(Violation::new("I14 no mass removal", pair[1].at, what));
            }
        }
    }
    violations
}

/// Whether the access that it belonged to did not name it, at the time or shortly before.
fn may_be_removed(chronicle: &Chronicle<'_>, life: &SecretLife) -> bool {
    let (Some((at, _, _)), Some(last)) = (&life.gone, life.versions.last()) else {
        return false;
    };
    let Some(access) = last.access_uid().and_then(|uid| chronicle.access(uid)) else {
        return false;
    };
    let name = &last.found.metadata.name;
    let shortly_before = *at - SignedDuration::from_secs(200);
    access.specs_between(shortly_before, *at).any(|spec| {
        let mut outputs = spec.outputs.iter().flatten();
        !outputs.any(|output| *output.secret_name == **name)
    })
}
