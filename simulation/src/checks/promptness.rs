//! I9, the second half: an access that nothing stands in the way of is renewed when it is due, whatever
//! becomes of others.

use jiff::SignedDuration;

use super::Violation;
use super::no_expired::{due, wanted_until};
use crate::chronicle::Chronicle;

/// What a renewal may take when all goes well, in seconds.
const SLOT: i64 = 40;

pub(super) fn check(chronicle: &Chronicle<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for access in &chronicle.accesses {
        for (life, version) in chronicle.published(access) {
            let Some(expiry) = version.expires_at(&chronicle.record.mints) else {
                continue;
            };
            let Some(due) = due(chronicle, access, version, expiry) else {
                continue;
            };
            let until = wanted_until(chronicle, access, life, version);
            let slot = SignedDuration::from_secs(SLOT);
            // What was wrong shortly before may have left a wait behind.
            let before =
                due - SignedDuration::from_secs((expiry.as_second() - due.as_second()).min(720));
            let troubled = !chronicle.troubles(access, before, due + slot).is_empty();
            if until > due + slot && due + slot < chronicle.end && !troubled {
                violations.push(Violation::new(
                    "I9 promptness",
                    due,
                    format!(
                        "{} (access {}) was due at {due}, nothing stood in the way, and it was not renewed \
                         within {SLOT} s",
                        life.key, access.key
                    ),
                ));
            }
        }
    }
    violations
}
