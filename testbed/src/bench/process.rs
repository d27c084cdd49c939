//! What a process has used, as the Linux kernel tells it under `/proc`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// User and system time of all its threads; counted in hundredths of a second.
    pub(super) cpu: Duration,
    /// The most memory that was resident at any time, MiB.
    pub(super) peak_rss_mib: f64,
}

/// What the process `pid` has used so far.
pub(super) fn usage(pid: u32) -> Result<Usage, Error> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    Ok(Usage {
        cpu: read(&directory.join("stat"), |stat| {
            cpu(stat, rustix::param::clock_ticks_per_second())
        })?,
        peak_rss_mib: read(&directory.join("status"), peak_rss_mib)?,
    })
}

fn read<T>(path: &Path, parse: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let content = std::fs::read_to_string(path).map_err(Error::file(path))?;
    parse(&content).ok_or_else(|| Error::Unreadable {
        path: path.to_owned(),
        content,
    })
}

/// Fields 14 and 15 of `stat`. The second field is the program's name, which may hold spaces and
/// parentheses.
fn cpu(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = u32::try_from(user + system).ok()?;
    let ticks_per_second = u32::try_from(ticks_per_second).ok()?;
    Some(Duration::from_secs(1) * ticks / ticks_per_second)
}

fn peak_rss_mib(status: &str) -> Option<f64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u32 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(f64::from(kibibytes) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_that_of_user_and_system_whatever_the_name() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194304 900 0 0 0 150 30 5 6 20 0 4 0 1234 5 6";
        assert_eq!(cpu(stat, 100), Some(Duration::from_millis(1800)));
    }

    #[test]
    fn peak_memory_is_told_in_mib() {
        let status = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   18432 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(peak_rss_mib(status), Some(18.0));
    }

    #[test]
    fn what_makes_no_sense_is_no_figure() {
        assert_eq!(cpu("77 (x) S 1 2", 100), None);
        assert_eq!(peak_rss_mib("VmHWM: lots"), None);
    }

    #[test]
    fn the_usage_of_this_process_can_be_read() {
        let usage = usage(std::process::id()).expect("the usage");
        assert!(usage.peak_rss_mib > 0.1);
    }
}
