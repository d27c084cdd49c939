//! The plot: horizontal bars, a panel for each figure that matters most, as a small SVG that needs no font
//! and no script.

use std::fmt::Write;

use super::figure::Leg;
use super::report::Medians;
use super::table::number;

const WIDTH: usize = 760;
/// Where bars begin, behind their names.
const LEFT: usize = 230;
/// How long the longest bar is.
const LONGEST: f64 = 420.0;
const LINE: usize = 20;

/// What is shown: workload, metric, and what a reader is to make of it.
const PANELS: [(&str, &str, &str); 7] = [
    (
        "W1",
        "rate_over_null_writer",
        "First issue: rate, as a share of the null writer's (more is better)",
    ),
    (
        "W1",
        "cpu_milliseconds_per_first_issue",
        "First issue: processor time, ms (less is better)",
    ),
    (
        "W1",
        "peak_rss_mib",
        "First issue: most memory resident, MiB (less is better)",
    ),
    (
        "W7",
        "apply_to_secret_ms_p50",
        "From apply to Secret, idle: median, ms (less is better)",
    ),
    (
        "W7",
        "apply_to_secret_ms_p99",
        "From apply to Secret, idle: 99th percentile, ms (less is better)",
    ),
    (
        "W7",
        "apply_to_secret_ms_p99_during_rotations",
        "From apply to Secret while all rotate: 99th percentile, ms (less is better)",
    ),
    (
        "W3",
        "seconds_until_scheduled",
        "Restart: until all is as it should be, s (less is better)",
    ),
];

/// The picture.
pub(super) fn svg(medians: &Medians) -> String {
    let mut body = String::new();
    let mut y = 10;
    for (workload, metric, title) in PANELS {
        panel(&mut body, &mut y, medians, (workload, metric), title);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn panel(
    body: &mut String,
    y: &mut usize,
    medians: &Medians,
    (workload, metric): (&str, &str),
    title: &str,
) {
    let rows: Vec<(usize, &Leg, f64)> = medians
        .numbers(workload, metric)
        .into_iter()
        .flat_map(|n| {
            let legs = medians.legs(workload, n, metric).into_iter();
            legs.map(move |(leg, value)| (n, leg, value))
        })
        .filter(|(_, _, value)| value.is_finite())
        .collect();
    let most = rows.iter().map(|(_, _, value)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    *y += LINE;
    let _ = writeln!(
        body,
        "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{}</text>",
        escaped(title)
    );
    for (n, leg, value) in rows {
        *y += LINE;
        let width = value / most * LONGEST;
        let (top, end) = (*y - 13, width + 6.0);
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}, n = {n}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"15\" fill=\"{}\"/>\
             <text x=\"{LEFT}\" dx=\"{end:.1}\" y=\"{y}\">{}</text>",
            LEFT - 8,
            escaped(leg.as_str()),
            colour(leg),
            number(value),
        );
    }
    *y += LINE;
}

/// Told apart by brightness as well.
fn colour(leg: &Leg) -> &'static str {
    match leg {
        Leg::Operator => "#0b5394",
        Leg::NullWriter => "#bbbbbb",
        Leg::Minimal => "#8fb8de",
        Leg::Naive => "#d98032",
        Leg::External(_) => "#7a9a3a",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::figure::Figure;
    use super::*;

    #[test]
    fn the_longest_bar_is_the_largest_value_and_names_cannot_break_the_picture() {
        let figure = |leg, value| Figure {
            workload: "W1".to_owned(),
            n: 300,
            leg,
            run: 1,
            metric: "peak_rss_mib".to_owned(),
            value,
        };
        let odd = Leg::External("a<b&c".to_owned());
        let figures = [figure(Leg::Operator, 20.0), figure(odd, 80.0)];
        let picture = svg(&Medians::of(&figures));
        assert!(picture.contains("width=\"420.0\"") && picture.contains("width=\"105.0\""));
        assert!(picture.contains("a&lt;b&amp;c, n = 300"), "{picture}");
        assert_eq!(picture.matches("<rect").count(), 3, "with the background");
    }
}
