//! What the operator logs at the level `trace`, without the net that keeps secrets out of its log: a credential
//! that only that net would catch is found here.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tracing::subscriber::with_default;
use tracing_subscriber::fmt::MakeWriter;

/// Length of what looks like a credential: the simulator's tokens have so many digits.
const LENGTH: usize = 64;

/// Runs `work` on this thread; returns what it does and every word of its log that is long enough for a token.
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
    let words = Words::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(words.clone())
        .finish();
    let done = with_default(subscriber, work);
    let found = std::mem::take(&mut *words.0.lock().unwrap_or_else(PoisonError::into_inner));
    (done, found)
}

fn long_words(text: &[u8]) -> impl Iterator<Item = String> {
    let words = text.split(|byte| !byte.is_ascii_alphanumeric());
    let long = words.filter(|word| word.len() >= LENGTH);
    long.map(|word| String::from_utf8_lossy(word).into_owned())
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// What it may stand for: data of a Secret is logged in base64, if it is.
fn decoded(encoded: &[u8]) -> Option<Vec<u8>> {
    let whole = &encoded[..encoded.len() - usize::from(encoded.len() % 4 == 1)];
    STANDARD_NO_PAD.decode(whole).ok()
}

#[derive(Clone, Default)]
struct Words(Arc<Mutex<BTreeSet<String>>>);

impl MakeWriter<'_> for Words {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Words {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(long_words(line));
        for encoded in line.split(|byte| !is_base64(*byte)) {
            if encoded.len() * 3 / 4 >= LENGTH {
                found.extend(decoded(encoded).iter().flat_map(|text| long_words(text)));
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
