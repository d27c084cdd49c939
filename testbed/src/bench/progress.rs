//! What is going on, on standard error: standard output is for the table.

use std::io::{self, Write};

use super::error::Error;

/// Writes a line.
pub(super) fn say(line: &str) -> Result<(), Error> {
    Ok(writeln!(io::stderr(), "{line}")?)
}
