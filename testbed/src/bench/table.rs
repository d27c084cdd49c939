//! The table at the end: medians over the runs.

use std::collections::{BTreeMap, BTreeSet};

use super::figure::{Figure, Leg};
use super::statistics::median;

type Row<'a> = (&'a str, usize, &'a str);

/// A line for every metric, a column for every leg: the median over the runs, with the least and the most
/// behind it.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut cells: BTreeMap<Row<'_>, BTreeMap<&Leg, Vec<f64>>> = BTreeMap::new();
    for figure in figures {
        let row = (figure.workload.as_str(), figure.n, figure.metric.as_str());
        let values = cells
            .entry(row)
            .or_default()
            .entry(&figure.leg)
            .or_default();
        values.push(figure.value);
    }
    let legs: BTreeSet<&Leg> = figures.iter().map(|figure| &figure.leg).collect();
    let heading = ["", "n", "median (least … most)"].map(ToOwned::to_owned);
    let mut lines = vec![
        heading
            .into_iter()
            .chain(legs.iter().map(|leg| leg.as_str().to_owned()))
            .collect(),
    ];
    lines.extend(cells.iter().map(|((workload, n, metric), values)| {
        let cell = |leg| {
            values
                .get(leg)
                .map_or_else(String::new, |values| cell(values))
        };
        [(*workload).to_owned(), n.to_string(), (*metric).to_owned()]
            .into_iter()
            .chain(legs.iter().map(cell))
            .collect()
    }));
    aligned(&lines)
}

fn cell(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let Some(median) = median(values) else {
        return String::new();
    };
    format!("{} ({} … {})", number(median), number(least), number(most))
}

/// Three digits that matter, or all before the point.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{value:.2}"),
        middling if middling < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let text = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(leg: Leg, run: usize, metric: &str, value: f64) -> Figure {
        Figure {
            workload: "W1".to_owned(),
            n: 300,
            leg,
            run,
            metric: metric.to_owned(),
            value,
        }
    }

    #[test]
    fn every_metric_is_a_line_with_the_median_of_each_leg() {
        let figures = [
            figure(Leg::NullWriter, 1, "accesses_per_second", 250.0),
            figure(Leg::Operator, 1, "accesses_per_second", 90.0),
            figure(Leg::Operator, 2, "accesses_per_second", 110.4),
            figure(Leg::Operator, 3, "accesses_per_second", 100.0),
            figure(Leg::Operator, 1, "requests_per_first_issue", 4.0),
        ];
        let expected = "\
    n    median (least … most)     operator        null-writer
W1  300  accesses_per_second       100 (90.0 … 110)  250 (250 … 250)
W1  300  requests_per_first_issue  4.00 (4.00 … 4.00)";
        let squeezed = |text: &str| -> Vec<String> {
            let lines = text.lines();
            lines
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(squeezed(&table(&figures)), squeezed(expected));
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [
            vec!["a".to_owned(), "long".to_owned(), "x".to_owned()],
            vec!["…bc".to_owned(), "d".to_owned(), String::new()],
        ];
        assert_eq!(aligned(&lines), "a    long  x\n…bc  d");
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        let shown = [0.0, 0.123, 9.99, 12.34, 1234.5].map(number);
        assert_eq!(shown, ["0", "0.12", "9.99", "12.3", "1234"]);
    }
}
