//! The second net under the types that do not print: no log line leaves the process with a secret in
//! it that was registered here, or with anything that looks like a DigitalOcean API token.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What a secret is replaced by.
const REPLACEMENT: &[u8] = b"[redacted]";
/// Starts of DigitalOcean's API tokens.
const TOKEN_PREFIXES: [&[u8]; 3] = [b"dop_v1_", b"doo_v1_", b"dor_v1_"];
/// Secrets are found by their first bytes. Shorter ones would hit innocent words.
const WINDOW: usize = 8;

/// The registered secrets. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redaction(Arc<Mutex<Registry>>);

/// By the first bytes: the secrets that begin so, and how often each is registered.
type Registry = BTreeMap<[u8; WINDOW], BTreeMap<Vec<u8>, usize>>;

/// A secret stays registered for as long as this lives.
pub struct Registration {
    redaction: Redaction,
    secret: Vec<u8>,
}

impl Redaction {
    /// Keeps `secret` out of the log. Secrets of fewer than 8 bytes are not looked for.
    #[must_use]
    pub fn register(&self, secret: &str) -> Registration {
        let secret = secret.as_bytes().to_vec();
        if let Some(start) = window(&secret) {
            *self
                .registry()
                .entry(start)
                .or_default()
                .entry(secret.clone())
                .or_default() += 1;
        }
        Registration {
            redaction: self.clone(),
            secret,
        }
    }

    /// `line` with every secret replaced; `None` where there is nothing to replace.
    #[must_use]
    pub fn redact(&self, line: &[u8]) -> Option<Vec<u8>> {
        let registry = self.registry();
        let mut redacted: Option<Vec<u8>> = None;
        let mut position = 0;
        while position < line.len() {
            let rest = &line[position..];
            if let Some(length) = secret_at(&registry, rest) {
                let kept = redacted.get_or_insert_with(|| line[..position].to_vec());
                kept.extend_from_slice(REPLACEMENT);
                position += length;
            } else {
                if let Some(kept) = &mut redacted {
                    kept.push(rest[0]);
                }
                position += 1;
            }
        }
        redacted
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(start) = window(&self.secret) else {
            return;
        };
        let mut registry = self.redaction.registry();
        let Some(secrets) = registry.get_mut(&start) else {
            return;
        };
        if let Some(count) = secrets.get_mut(&self.secret) {
            *count -= 1;
            if *count == 0 {
                secrets.remove(&self.secret);
            }
        }
        if secrets.is_empty() {
            registry.remove(&start);
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Registration")
    }
}

fn window(bytes: &[u8]) -> Option<[u8; WINDOW]> {
    bytes.first_chunk().copied()
}

/// Length of the secret that `rest` begins with.
fn secret_at(registry: &Registry, rest: &[u8]) -> Option<usize> {
    if TOKEN_PREFIXES.iter().any(|prefix| rest.starts_with(prefix)) {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        return Some(
            rest.iter()
                .position(|byte| !word(byte))
                .unwrap_or(rest.len()),
        );
    }
    let secrets = registry.get(&window(rest)?)?;
    secrets
        .keys()
        .filter(|secret| rest.starts_with(secret))
        .map(Vec::len)
        .max()
}

/// A writer that redacts. The log hands over a whole line at a time.
pub struct RedactingWriter<W> {
    /// Where lines go.
    pub inner: W,
    /// What is kept out of them.
    pub redaction: Redaction,
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.redaction.redact(line) {
            Some(redacted) => self.inner.write_all(&redacted)?,
            None => self.inner.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(redaction: &Redaction, line: &str) -> String {
        let line = line.as_bytes();
        let line = redaction.redact(line).unwrap_or_else(|| line.to_vec());
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_registered_secret_is_replaced_wherever_it_stands_while_it_is_registered() {
        let redaction = Redaction::default();
        let registration = redaction.register("a-secret-token");
        let line = "x a-secret-token, a-secret-tokena-secret-token y";
        assert_eq!(
            redacted(&redaction, line),
            "x [redacted], [redacted][redacted] y"
        );
        assert_eq!(redacted(&redaction, "a-secret-tape"), "a-secret-tape");
        drop(registration);
        assert_eq!(redacted(&redaction, line), line);
    }

    #[test]
    fn a_secret_registered_twice_stays_until_both_are_gone() {
        let redaction = Redaction::default();
        let one = redaction.register("a-secret-token");
        let two = redaction.register("a-secret-token");
        drop(one);
        assert_eq!(redacted(&redaction, "a-secret-token"), "[redacted]");
        drop(two);
        assert_eq!(redacted(&redaction, "a-secret-token"), "a-secret-token");
    }

    #[test]
    fn anything_that_looks_like_an_api_token_is_replaced_without_being_registered() {
        let redaction = Redaction::default();
        for prefix in ["dop_v1_", "doo_v1_", "dor_v1_"] {
            let line = format!("token=\"{prefix}0123abcdef\" next");
            assert_eq!(redacted(&redaction, &line), "token=\"[redacted]\" next");
        }
    }

    #[test]
    fn a_line_without_secrets_is_handed_on_as_it_is() {
        assert_eq!(Redaction::default().redact(b"nothing to see"), None);
    }
}
