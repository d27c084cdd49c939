//! What was measured: one figure a line.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::error::Error;

/// Who did the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Leg {
    /// do-cluster-access itself.
    Operator,
    /// Nothing but the writes, 16 at a time: the floor of this machine in this minute.
    NullWriter,
}

impl Leg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::NullWriter => "null-writer",
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    /// `W1` first issue, `W3` restart, `W4` idle, `W7` latency.
    pub(super) workload: &'static str,
    /// Accesses.
    pub(super) n: usize,
    pub(super) leg: Leg,
    /// Counted from 1.
    pub(super) run: usize,
    /// What was measured, with its unit.
    pub(super) metric: String,
    pub(super) value: f64,
}

/// The file with all figures, and the figures.
pub(super) struct Results {
    path: PathBuf,
    file: File,
    figures: Vec<Figure>,
}

impl Results {
    /// Begins the file anew; its first line is `heading`.
    pub(super) fn begin(path: &Path, heading: &Value) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(Error::file(directory))?;
        }
        let file = File::create(path).map_err(Error::file(path))?;
        let mut results = Self {
            path: path.to_owned(),
            file,
            figures: Vec::new(),
        };
        results.line(heading)?;
        Ok(results)
    }

    /// Adds what a leg has measured.
    pub(super) fn add(&mut self, figures: Vec<Figure>) -> Result<(), Error> {
        for figure in &figures {
            self.line(figure)?;
        }
        self.figures.extend(figures);
        Ok(())
    }

    /// Everything so far.
    pub(super) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    fn line(&mut self, content: &impl Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_string(content)?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(Error::file(&self.path))
    }
}

/// The number of things counted, as a figure.
#[expect(
    clippy::cast_precision_loss,
    reason = "there are far fewer than 2^52 of anything here"
)]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_line_of_json() {
        let figure = Figure {
            workload: "W1",
            n: 1000,
            leg: Leg::NullWriter,
            run: 1,
            metric: "accesses_per_second".to_owned(),
            value: 123.4,
        };
        let line = serde_json::to_string(&figure).expect("JSON");
        let expected = r#"{"workload":"W1","n":1000,"leg":"null-writer","run":1,"metric":"accesses_per_second","value":123.4}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn a_leg_is_called_the_same_everywhere() {
        for leg in [Leg::Operator, Leg::NullWriter] {
            assert_eq!(serde_json::json!(leg), leg.as_str());
        }
    }

    #[test]
    fn the_file_begins_with_its_heading_and_replaces_an_older_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bench/results.jsonl");
        for commit in ["old", "new"] {
            Results::begin(&path, &serde_json::json!({"commit": commit})).expect("a file");
        }
        let content = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(content, "{\"commit\":\"new\"}\n");
    }
}
