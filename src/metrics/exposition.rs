//! The form in which metrics are told: OpenMetrics to who asks for it, as Prometheus does, and the text
//! format of Prometheus, which every scraper and `promtool check metrics` read, to everybody else.

use super::families::{Description, Kind, PREFIX};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
}

impl Format {
    /// The one for a client that says in `accept` what it understands.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What OpenMetrics says, in the text format of Prometheus. They differ in that a family of counters is there
/// called as its series are, and in the mark at the end.
pub(super) fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines().filter(|line| *line != "# EOF") {
        match counter_described(line) {
            Some((start, rest)) => text.extend([start, "_total ", rest, "\n"]),
            None => text.extend([line, "\n"]),
        }
    }
    text
}

/// The two parts of a line about a family of counters: up to its name, and what follows.
fn counter_described(line: &str) -> Option<(&str, &str)> {
    let about = line
        .strip_prefix("# HELP ")
        .or_else(|| line.strip_prefix("# TYPE "))?;
    let (family, rest) = about.split_once(' ')?;
    let name = family.strip_prefix(PREFIX)?.strip_prefix('_')?;
    let is_counter = |family: &Description| family.kind == Kind::Counter && family.name == name;
    let start = line.strip_suffix(rest)?.strip_suffix(' ')?;
    Description::ALL
        .iter()
        .any(is_counter)
        .then_some((start, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        for accept in [None, Some("*/*"), Some("text/plain;version=0.0.4")] {
            assert_eq!(Format::accepted(accept), Format::Prometheus, "{accept:?}");
        }
    }

    #[test]
    fn a_family_of_counters_is_called_as_its_series_are() {
        let openmetrics = "\
            # HELP do_cluster_access_mints Tokens.\n\
            # TYPE do_cluster_access_mints counter\n\
            do_cluster_access_mints_total{reason=\"first\"} 2\n\
            # HELP do_cluster_access_leader 1 while.\n\
            # TYPE do_cluster_access_leader gauge\n\
            do_cluster_access_leader 1.0\n\
            # EOF\n";
        let expected = "\
            # HELP do_cluster_access_mints_total Tokens.\n\
            # TYPE do_cluster_access_mints_total counter\n\
            do_cluster_access_mints_total{reason=\"first\"} 2\n\
            # HELP do_cluster_access_leader 1 while.\n\
            # TYPE do_cluster_access_leader gauge\n\
            do_cluster_access_leader 1.0\n";
        assert_eq!(prometheus(openmetrics), expected);
    }
}
