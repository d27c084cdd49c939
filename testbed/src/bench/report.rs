//! The page of the documentation: what stands between two marks is replaced by the figures, and the plot
//! beside it is made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use super::error::Error;
use super::figure::{Figure, Leg};
use super::plot;
use super::statistics::median;
use super::table::number;

const BEGIN: &str = "<!-- figures: begin, written by make bench -->";
const END: &str = "<!-- figures: end -->";

/// Writes figures and plot.
pub(super) fn write(page: &Path, heading: &Value, figures: &[Figure]) -> Result<(), Error> {
    let text = std::fs::read_to_string(page).map_err(Error::file(page))?;
    let unmarked = || Error::Unexpected(format!("{}: it lacks {BEGIN} … {END}", page.display()));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(unmarked)?;
    let (_, after) = rest.split_once(END).ok_or_else(unmarked)?;
    let medians = Medians::of(figures);
    let text = format!(
        "{before}{BEGIN}\n\n{}\n{}\n{END}{after}",
        circumstances(heading, figures),
        tables(&medians)
    );
    std::fs::write(page, text).map_err(Error::file(page))?;
    let picture = page.with_extension("svg");
    std::fs::write(&picture, plot::svg(&medians)).map_err(Error::file(&picture))
}

/// The median over the runs of everything that was measured.
pub(super) struct Medians(BTreeMap<(String, usize, String), BTreeMap<Leg, f64>>);

impl Medians {
    pub(super) fn of(figures: &[Figure]) -> Self {
        let mut values: BTreeMap<_, BTreeMap<Leg, Vec<f64>>> = BTreeMap::new();
        for figure in figures {
            let row = (figure.workload.clone(), figure.n, figure.metric.clone());
            let legs = values.entry(row).or_default();
            legs.entry(figure.leg.clone())
                .or_default()
                .push(figure.value);
        }
        let medians = values.into_iter().map(|(row, legs)| {
            let legs = legs.into_iter();
            let legs = legs.filter_map(|(leg, values)| Some((leg, median(&values)?)));
            (row, legs.collect())
        });
        Self(medians.collect())
    }

    /// What was measured of a metric, by leg.
    pub(super) fn legs(&self, workload: &str, n: usize, metric: &str) -> Vec<(&Leg, f64)> {
        let row = (workload.to_owned(), n, metric.to_owned());
        let legs = self.0.get(&row).into_iter().flatten();
        legs.map(|(leg, value)| (leg, *value)).collect()
    }

    /// The numbers of accesses with which a metric was measured.
    pub(super) fn numbers(&self, workload: &str, metric: &str) -> Vec<usize> {
        let rows = self.0.keys();
        rows.filter(|(of, _, what)| of == workload && what == metric)
            .map(|(_, n, _)| *n)
            .collect()
    }
}

fn circumstances(heading: &Value, figures: &[Figure]) -> String {
    let text = |path: &str| match heading.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "unknown".to_owned(),
    };
    let runs = figures.iter().map(|figure| figure.run).max().unwrap_or(0);
    format!(
        "Medians of {runs} run{}. Machine: {} processors ({}), {} of memory, Linux {}; load at the start {}. \
         Commit {}, {} ({} bytes), Kubernetes {}, {}.\n",
        if runs == 1 { "" } else { "s" },
        text("/machine/cpus"),
        text("/machine/cpu"),
        text("/machine/memory"),
        text("/machine/kernel"),
        text("/machine/load"),
        text("/commit"),
        text("/versions/operator"),
        text("/versions/operator_bytes"),
        text("/versions/kubernetes"),
        text("/versions/rustc"),
    )
}

/// A table for every workload.
fn tables(medians: &Medians) -> String {
    let workloads: BTreeSet<&String> = medians.0.keys().map(|(workload, _, _)| workload).collect();
    let mut text = String::new();
    for workload in workloads {
        let rows: Vec<_> = medians
            .0
            .iter()
            .filter(|((of, _, _), _)| of == workload)
            .collect();
        let legs: BTreeSet<&Leg> = rows.iter().flat_map(|(_, legs)| legs.keys()).collect();
        let _ = writeln!(text, "### {workload}: {}\n", title(workload));
        let names: Vec<&str> = legs.iter().map(|leg| leg.as_str()).collect();
        let _ = writeln!(text, "| n | figure | {} |", names.join(" | "));
        let _ = writeln!(text, "|---:|---|{}", "---:|".repeat(names.len()));
        for ((_, n, metric), values) in rows {
            let cells: Vec<String> = legs
                .iter()
                .map(|leg| {
                    values
                        .get(leg)
                        .map_or_else(String::new, |value| number(*value))
                })
                .collect();
            let metric = metric.replace('_', " ");
            let _ = writeln!(text, "| {n} | {metric} | {} |", cells.join(" | "));
        }
        text.push('\n');
    }
    text
}

fn title(workload: &str) -> &'static str {
    match workload {
        "W1" => "first issue of n accesses",
        "W3" => "restart with n accesses Ready",
        "W4" => "nothing to do",
        "W5" => "n rotations due in one second",
        "W6" => "rotations under DigitalOcean's limits, in virtual time",
        "W7" => "from apply to Secret",
        "W9" => "20,000 Secrets of others",
        _ => "others",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figure(leg: Leg, run: usize, value: f64) -> Figure {
        Figure {
            workload: "W1".to_owned(),
            n: 300,
            leg,
            run,
            metric: "accesses_per_second".to_owned(),
            value,
        }
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let page = directory.path().join("benchmarks.md");
        let figures = [
            figure(Leg::Operator, 1, 90.0),
            figure(Leg::Operator, 2, 110.0),
            figure(Leg::Operator, 3, 100.0),
            figure(Leg::Naive, 1, 10.0),
        ];
        std::fs::write(&page, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).expect("a page");
        for _ in 0..2 {
            write(&page, &json!({"commit": "abc"}), &figures).expect("written");
            let text = std::fs::read_to_string(&page).expect("the page");
            assert!(
                text.starts_with("before\n") && text.ends_with("\nafter\n"),
                "{text}"
            );
            assert!(
                !text.contains("old") && text.contains("Commit abc"),
                "{text}"
            );
            let row = "| n | figure | operator | naive |\n|---:|---|---:|---:|\n\
                       | 300 | accesses per second | 100 | 10.0 |\n";
            assert!(text.contains(row), "{text}");
        }
        assert!(page.with_extension("svg").is_file());
        std::fs::write(&page, "no marks").expect("a page");
        assert!(write(&page, &json!({}), &figures).is_err());
    }
}
