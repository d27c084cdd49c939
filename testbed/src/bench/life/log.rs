//! What the operator's log, in JSON, tells of its start.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::super::error::Error;
use super::super::world::NAMESPACE;

/// What makes it tell, a line for every run.
pub(super) const FLAGS: [&str; 2] = [
    "--log-format=json",
    "--log-filter=info,do_cluster_access::controller=debug",
];

const BETWEEN_READS: Duration = Duration::from_millis(50);

/// What has been read of the log.
#[derive(Default)]
pub(super) struct Start {
    /// When the watches had told all there is, which is when `/readyz` turns.
    pub(super) synced: Option<Timestamp>,
    seen: BTreeSet<String>,
    /// When the last access that is seen for the first time had its run.
    pub(super) scheduled: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Line {
    timestamp: Timestamp,
    message: String,
    #[serde(default)]
    key: String,
}

impl Start {
    /// Follows the log until every one of `accesses` has had a run, and so is scheduled.
    pub(super) async fn follow(
        log: &Path,
        accesses: usize,
        within: Duration,
    ) -> Result<Self, Error> {
        let file = File::open(log).map_err(Error::file(log))?;
        let mut lines = BufReader::new(file);
        let mut start = Self::default();
        let mut line = String::new();
        let deadline = Instant::now() + within;
        while start.seen.len() < accesses || start.synced.is_none() {
            let read = lines.read_line(&mut line).map_err(Error::file(log))?;
            if line.ends_with('\n') {
                start.take_over(&line)?;
                line.clear();
            } else if read == 0 {
                if Instant::now() > deadline {
                    return Err(Error::TooLong {
                        what: "accesses were not scheduled (by lines `run ended` of the log)",
                        within,
                        done: start.seen.len(),
                        wanted: accesses,
                    });
                }
                sleep(BETWEEN_READS).await;
            }
        }
        Ok(start)
    }

    fn take_over(&mut self, line: &str) -> Result<(), Error> {
        let line: Line = serde_json::from_str(line)?;
        let is_access = line.key.strip_prefix("access ");
        let is_access = is_access.is_some_and(|key| key.starts_with(NAMESPACE));
        match line.message.as_str() {
            "the watches are synced" => self.synced = Some(line.timestamp),
            "run ended" if is_access && self.seen.insert(line.key) => {
                self.scheduled = Some(line.timestamp);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_scheduled_by_its_first_run() {
        let mut start = Start::default();
        for (second, rest) in [
            (1, r#""message":"the watches are synced""#),
            (
                2,
                r#""message":"run ended","key":"access bench/access-000000""#,
            ),
            (
                3,
                r#""message":"run ended","key":"token bench/digitalocean""#,
            ),
            (
                4,
                r#""message":"run ended","key":"access bench/access-000001""#,
            ),
            (
                5,
                r#""message":"run ended","key":"access bench/access-000000""#,
            ),
            (
                6,
                r#""message":"another","key":"access bench/access-000002""#,
            ),
        ] {
            let line = format!(
                r#"{{"timestamp":"2026-01-01T00:00:0{second}.5Z","level":"DEBUG",{rest}}}"#
            );
            start.take_over(&line).expect("a line of the log");
        }
        let at = |second: u8| format!("2026-01-01T00:00:0{second}.5Z").parse().ok();
        assert_eq!(start.seen.len(), 2);
        assert_eq!((start.synced, start.scheduled), (at(1), at(4)));
    }
}
