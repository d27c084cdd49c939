//! The instants: when to renew, when to try again.

use sha2::{Digest, Sha256};

/// Whole seconds since 1970-01-01T00:00:00Z, by the operator's clock.
pub type EpochSeconds = i64;

/// Longest time to sleep before the wall clock is read again, in seconds: the monotonic clock that
/// timers use stops while a virtual machine is suspended.
pub const MAX_SLEEP_SECONDS: i64 = 600;

const SHORTEST_RETRY_SECONDS: i64 = 5;
const LONGEST_RETRY_SECONDS: i64 = 600;
const SHORTEST_SPACING_SECONDS: i64 = 30;
/// Age at which a token is known and no refusal of it is cached any more, in seconds.
pub const SURELY_KNOWN_SECONDS: i64 = 60;

/// What the schedule of a published issue depends on.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'a> {
    /// UID of the access: spreads accesses of equal age.
    pub uid: &'a str,
    /// `spec.renewBeforeSeconds`.
    pub renew_before_seconds: Option<i64>,
}

/// When an issue is renewed.
///
/// With lifetime `L`, margin `B` (`renewBeforeSeconds`, or `L`/3) and a share `u` in [0, 1) that
/// depends on UID and expiry alone: `expires_at − min(B, 0.8·L) − j·L·u`, where `j` is 0.10, or 0.05
/// when `renewBeforeSeconds` is set. Never before `issued_at` plus a tenth of the lifetime, never
/// after `expires_at`.
#[must_use]
pub fn renew_at(
    schedule: Schedule<'_>,
    issued_at: EpochSeconds,
    expires_at: EpochSeconds,
) -> EpochSeconds {
    let (latest, width) = window(schedule, issued_at, expires_at);
    latest.saturating_sub(share(width, hash(schedule.uid, expires_at), HASHES))
}

/// The earliest instant that [`renew_at`] could have had with another UID: from then on a renewal
/// that costs nothing is in time.
#[must_use]
pub fn earliest_renewal(
    schedule: Schedule<'_>,
    issued_at: EpochSeconds,
    expires_at: EpochSeconds,
) -> EpochSeconds {
    let (latest, width) = window(schedule, issued_at, expires_at);
    latest.saturating_sub(width)
}

/// The instants among which renewals are spread: the latest, and for how many seconds before it.
fn window(
    schedule: Schedule<'_>,
    issued_at: EpochSeconds,
    expires_at: EpochSeconds,
) -> (EpochSeconds, i64) {
    let lifetime = expires_at.saturating_sub(issued_at).max(0);
    let longest_margin = share(lifetime, 4, 5);
    let (margin, jitter_percent) = match schedule.renew_before_seconds {
        Some(seconds) => (seconds.clamp(0, longest_margin), 5),
        None => (lifetime / 3, 10),
    };
    let width = share(lifetime, jitter_percent, 100);
    (expires_at.saturating_sub(margin), width)
}

/// When to try again after a failure at `failed_at`: a tenth of what remains of the published
/// credential, or of the time that has failed already, within 5 to 600 s, times 0.8 to 1.2.
///
/// `not_before` is what the other side asked for (`Retry-After`); it wins.
#[must_use]
pub fn retry_at(
    uid: &str,
    failed_at: EpochSeconds,
    failing_since: EpochSeconds,
    published_expires_at: Option<EpochSeconds>,
    not_before: Option<EpochSeconds>,
) -> EpochSeconds {
    if let Some(not_before) = not_before.filter(|instant| *instant > failed_at) {
        return not_before;
    }
    let span = match published_expires_at {
        Some(expires_at) if expires_at > failed_at => expires_at.saturating_sub(failed_at),
        _ => failed_at.saturating_sub(failing_since),
    };
    let delay = (span / 10).clamp(SHORTEST_RETRY_SECONDS, LONGEST_RETRY_SECONDS);
    failed_at.saturating_add(jittered(uid, failed_at, delay))
}

/// `delay` times 0.8 to 1.2, by hash; at least one second.
#[must_use]
pub fn jittered(uid: &str, at: EpochSeconds, delay: i64) -> i64 {
    let spread = share(share(delay, 2, 5), hash(uid, at), HASHES);
    (share(delay, 4, 5) + spread).max(1)
}

/// Least time between two issues of an access that were due, in seconds: a twentieth of the
/// lifetime, and 30 s at the least.
#[must_use]
pub fn spacing_seconds(lifetime: i64) -> i64 {
    (lifetime / 20).max(SHORTEST_SPACING_SECONDS)
}

/// Whether a new credential that its cluster has rejected, again and again, since it was issued, is given up, so
/// that another one is issued in its place: not before that would come soon after any other issue that was due,
/// nor before a fresh token must be known everywhere. Its cluster may have forgotten it.
#[must_use]
pub fn is_given_up(issued_at: EpochSeconds, expires_at: EpochSeconds, now: EpochSeconds) -> bool {
    let patience = spacing_seconds(expires_at - issued_at).max(SURELY_KNOWN_SECONDS);
    now >= issued_at.saturating_add(patience)
}

/// How often a published credential is asked about, in seconds.
pub const VERIFICATION_SECONDS: i64 = 1800;

/// When a published credential is asked about next, later than `now`: every 30 minutes, at an instant
/// within them that depends on the UID alone, so that a restart asks nothing earlier.
#[must_use]
pub fn next_verification(uid: &str, now: EpochSeconds) -> EpochSeconds {
    let offset = share(
        VERIFICATION_SECONDS,
        hash(uid, VERIFICATION_SECONDS),
        HASHES,
    );
    let since = now.saturating_sub(offset).rem_euclid(VERIFICATION_SECONDS);
    now.saturating_add(VERIFICATION_SECONDS - since)
}

/// Repairs within an hour that may follow one another at once.
const PROMPT_REPAIRS: usize = 3;

/// Least time between the last of `repairs` within an hour and the next, in seconds: none at first,
/// then 5 s, doubling to 600 s.
#[must_use]
pub(super) fn repair_spacing_seconds(repairs: usize) -> i64 {
    match repairs.checked_sub(PROMPT_REPAIRS) {
        None => 0,
        Some(more) => (SHORTEST_RETRY_SECONDS << more.min(7)).min(LONGEST_RETRY_SECONDS),
    }
}

/// Number of values of [`hash`].
const HASHES: i64 = 1 << 32;

/// Uniform in 0 to `HASHES`, a function of its arguments alone.
fn hash(uid: &str, salt: i64) -> i64 {
    let digest = Sha256::new()
        .chain_update(uid)
        .chain_update(salt.to_be_bytes())
        .finalize();
    i64::from(u32::from_be_bytes([
        digest[0], digest[1], digest[2], digest[3],
    ]))
}

/// `value · numerator / denominator` without overflow, rounded towards zero.
fn share(value: i64, numerator: i64, denominator: i64) -> i64 {
    let exact = i128::from(value) * i128::from(numerator) / i128::from(denominator);
    i64::try_from(exact).unwrap_or(i64::MAX)
}
