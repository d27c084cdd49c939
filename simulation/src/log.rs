//! What the operator logs at the level `trace`, without the net that keeps secrets out of its log: a credential
//! that only that net would catch is found here.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

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
        let words = line.split(|byte| !byte.is_ascii_alphanumeric());
        let long = words.filter(|word| word.len() >= LENGTH);
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(long.map(|word| String::from_utf8_lossy(word).into_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
