//! What was measured: one figure a line.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::error::Error;

/// Who did the work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leg {
    /// do-cluster-access itself.
    Operator,
    /// Nothing but the writes, 16 at a time: the floor of this machine in this minute.
    NullWriter,
    /// The least that a controller can do.
    Minimal,
    /// What a team writes in an afternoon.
    Naive,
    /// That of a leg file, by its name.
    External(String),
}

impl Leg {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::NullWriter => "null-writer",
            Self::Minimal => "minimal",
            Self::Naive => "naive",
            Self::External(name) => name,
        }
    }
}

impl Serialize for Leg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Leg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let own = [Self::Operator, Self::NullWriter, Self::Minimal, Self::Naive];
        let known = own.into_iter().find(|leg| leg.as_str() == name);
        Ok(known.unwrap_or(Self::External(name)))
    }
}

/// One measurement.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Figure {
    /// The name of a [`Workload`](super::workload::Workload).
    pub(super) workload: String,
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
    heading: Value,
    figures: Vec<Figure>,
}

impl Results {
    /// Begins the file anew; its first line is `heading`.
    pub(super) fn begin(path: &Path, heading: Value) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(Error::file(directory))?;
        }
        let file = File::create(path).map_err(Error::file(path))?;
        let mut results = Self {
            path: path.to_owned(),
            file,
            heading: Value::Null,
            figures: Vec::new(),
        };
        results.line(&heading)?;
        results.heading = heading;
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

    /// Machine, commit and versions.
    pub(super) fn heading(&self) -> &Value {
        &self.heading
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

/// The figures in a file with a line of JSON each; the heading of results is passed over.
pub(super) fn read(path: &Path) -> Result<Vec<Figure>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    let mut figures = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line.get("commit").is_none() {
            figures.push(serde_json::from_value(line)?);
        }
    }
    Ok(figures)
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
            workload: "W1".to_owned(),
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
        let own = [Leg::Operator, Leg::NullWriter, Leg::Minimal, Leg::Naive];
        for leg in own.into_iter().chain([Leg::External("eso".to_owned())]) {
            let json = serde_json::json!(leg);
            assert_eq!(json, leg.as_str());
            assert_eq!(serde_json::from_value::<Leg>(json).expect("a leg"), leg);
        }
    }

    #[test]
    fn the_file_begins_with_its_heading_and_replaces_an_older_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bench/results.jsonl");
        for commit in ["old", "new"] {
            Results::begin(&path, serde_json::json!({"commit": commit})).expect("a file");
        }
        let content = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(content, "{\"commit\":\"new\"}\n");
    }

    #[test]
    fn what_was_written_is_read_again_without_its_heading() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("results.jsonl");
        let figure = Figure {
            workload: "W6".to_owned(),
            n: 10_000,
            leg: Leg::Operator,
            run: 1,
            metric: "expired".to_owned(),
            value: 0.0,
        };
        let heading = serde_json::json!({"commit": "abc", "machine": {}});
        let mut results = Results::begin(&path, heading).expect("a file");
        results.add(vec![figure.clone()]).expect("written");
        assert_eq!(read(&path).expect("figures"), [figure]);
    }
}
