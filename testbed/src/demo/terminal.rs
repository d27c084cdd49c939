//! Where the demo is shown: a terminal, on which the last line can be a hint that changes, or a file or
//! pipe, for which that would be noise.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tokio::time::Instant;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const QUIET: Style = Style::new().dimmed();

/// Time between two hints where each is a line of its own.
const BETWEEN_HINT_LINES: Duration = Duration::from_secs(15);

/// An output. Colours are left out where it is no terminal, or `NO_COLOR` is set.
pub(super) struct Terminal {
    /// Whether a line can be taken back.
    rewrites: bool,
    screen: Mutex<Screen>,
}

struct Screen {
    out: Box<dyn Write + Send>,
    /// Columns of the hint that is shown.
    hint_columns: usize,
    hint_line_at: Option<Instant>,
}

impl Terminal {
    pub(super) fn standard_output() -> Self {
        Self::new(Box::new(anstream::stdout()), io::stdout().is_terminal())
    }

    pub(super) fn standard_error() -> Self {
        Self::new(Box::new(anstream::stderr()), io::stderr().is_terminal())
    }

    fn new(out: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        Self {
            rewrites: is_terminal && !is_dumb,
            screen: Mutex::new(Screen {
                out,
                hint_columns: 0,
                hint_line_at: None,
            }),
        }
    }

    /// Shows a line, or several, in place of the hint.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.erase_hint()?;
        // What has just been told needs no hint for a while.
        screen.hint_line_at = Some(Instant::now());
        writeln!(screen.out, "{text}")?;
        screen.out.flush()
    }

    /// Takes the hint away.
    pub(super) fn erase(&self) -> io::Result<()> {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.erase_hint()?;
        screen.out.flush()
    }

    /// Shows what is being waited for, in less than 80 columns.
    pub(super) fn hint(&self, text: &str) -> io::Result<()> {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rewrites {
            screen.erase_hint()?;
            screen.hint_columns = text.chars().count();
            write!(screen.out, "{QUIET}{text}{QUIET:#}")?;
            return screen.out.flush();
        }
        let shown = screen.hint_line_at;
        if shown.is_some_and(|shown| shown.elapsed() < BETWEEN_HINT_LINES) {
            return Ok(());
        }
        screen.hint_line_at = Some(Instant::now());
        writeln!(screen.out, "{text}")?;
        screen.out.flush()
    }
}

impl Screen {
    /// By spaces: the escape sequence would be left out together with the colours.
    fn erase_hint(&mut self) -> io::Result<()> {
        let columns = std::mem::take(&mut self.hint_columns);
        if columns > 0 {
            write!(self.out, "\r{:columns$}\r", "")?;
        }
        Ok(())
    }
}
