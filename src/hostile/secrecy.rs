//! Whether anything that is shown holds a credential.

use std::fmt::{Debug, Display};

use secrecy::ExposeSecret;

use crate::credential::fixtures::capture_log;
use crate::credential::{Authentication, Credential};

/// Part of every token and key that a seed holds.
pub(crate) const CANARY: &str = "c4n4ry5ecret";

/// Checks that `error` shows a sentence and nothing of what was read: the canary, which every seed has
/// where its secret is.
pub(crate) fn shows_no_secret<E: Debug + Display>(error: &E) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY), "an error quotes what was read");
    assert!(shown.len() < 1000, "an error is no sentence: {shown}");
}

/// What `read` returns. Nothing that it logs, at trace level, holds one of the `secrets`.
pub(crate) fn logging_none<T>(secrets: &[&str], read: impl FnOnce() -> T) -> T {
    let (log, guard) = capture_log();
    let result = read();
    drop(guard);
    let text = log.text();
    let leaked = secrets.iter().any(|secret| text.contains(secret));
    assert!(!leaked, "the log holds a secret: {text}");
    result
}

/// Words that whoever holds `credential` must not show: its token, or the lines of its key.
pub(crate) fn secrets_of(credential: &Credential) -> Vec<String> {
    let secret = match credential.authentication() {
        Authentication::Token(token) => token,
        Authentication::Certificate { key_pem, .. } => key_pem,
    };
    let lines = secret.expose_secret().lines().map(str::trim);
    let long = |line: &&str| line.len() >= CANARY.len() && !line.starts_with("-----");
    lines.filter(long).map(str::to_owned).collect()
}

/// Checks that `shown` holds no secret of `credential`, except where that stands in `public`, too.
pub(crate) fn hides(credential: &Credential, shown: &str, public: &[&str]) {
    for secret in secrets_of(credential) {
        // Debug output is escaped, and so are public words in it.
        let public = public
            .iter()
            .any(|public| format!("{public:?}").contains(&secret) || public.contains(&secret));
        assert!(public || !shown.contains(&secret), "a secret is shown");
    }
}
