//! Being told to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::Error;

/// Ctrl-C, SIGTERM, and the terminal that goes away. What arrives between two looks is not lost.
pub(super) struct Interruption([Signal; 3]);

impl Interruption {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Does something, unless interrupted.
    pub(super) async fn unless<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Err(Error::Interrupted),
            _ = terminate.recv() => Err(Error::Interrupted),
            _ = hangup.recv() => Err(Error::Interrupted),
            outcome = work => outcome,
        }
    }
}
