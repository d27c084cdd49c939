//! The log.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;
use crate::redaction::{RedactingWriter, Redaction};

/// Starts logging to standard error.
///
/// # Errors
/// When `filter` is not a valid filter.
pub fn init(format: LogFormat, filter: &str, redaction: &Redaction) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let redaction = redaction.clone();
    let writer = move || RedactingWriter {
        inner: io::stderr(),
        redaction: redaction.clone(),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        LogFormat::Text => log.with_ansi(false).with_target(false).finish().init(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .finish()
            .init(),
    }
    Ok(())
}
