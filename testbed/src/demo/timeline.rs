//! What happened, and when.

use std::io;
use std::sync::OnceLock;

use anstyle::Style;
use tokio::time::Instant;

use super::terminal::{QUIET, Terminal};

/// Columns before the text of an entry.
const INDENT: usize = 26;

/// Entries with the seconds since the first one.
pub(super) struct Timeline<'a> {
    terminal: &'a Terminal,
    began: OnceLock<Instant>,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            began: OnceLock::new(),
        }
    }

    /// The same timeline, shown elsewhere from now on.
    pub(super) fn moved_to(self, terminal: &Terminal) -> Timeline<'_> {
        Timeline {
            terminal,
            began: self.began,
        }
    }

    /// Something happened now. `what` is a word or two.
    pub(super) fn entry(&self, style: Style, what: &str, text: &str) -> io::Result<()> {
        let began = self.began.get_or_init(Instant::now);
        let seconds = began.elapsed().as_secs_f64();
        let line = format!("{seconds:+8.2} s  {style}{what:<12}{style:#}  {text}");
        self.terminal.line(&line)
    }

    /// A command and what it printed, under the latest entry.
    pub(super) fn command(&self, command: &str, output: &str) -> io::Result<()> {
        let mut lines = format!("{:INDENT$}{QUIET}$ {command}{QUIET:#}", "");
        for line in output.lines() {
            lines.push('\n');
            lines.push_str(format!("{:INDENT$}{line}", "").trim_end());
        }
        self.terminal.line(&lines)
    }

    /// What is being waited for.
    pub(super) fn hint(&self, text: &str) -> io::Result<()> {
        self.terminal.hint(&format!("{:INDENT$}{text}", ""))
    }
}
