//! What is measured, in which order, and what follows from the figures of one run.

use std::fmt;

use super::accesses::Verification;
use super::figure::{Figure, Leg};
use super::latency;

/// Something that is measured in a world of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    FirstIssue {
        n: usize,
        run: usize,
        verification: Verification,
    },
    NullWriter {
        n: usize,
        run: usize,
    },
    Latency {
        run: usize,
    },
}

impl Step {
    /// How many clusters it needs.
    pub(super) fn clusters(&self) -> usize {
        match self {
            Self::FirstIssue { n, .. } | Self::NullWriter { n, .. } => *n,
            Self::Latency { .. } => latency::CLUSTERS,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstIssue {
                n,
                run,
                verification,
            } => write!(
                formatter,
                "run {run}: operator, first issue and restart, {n} accesses, verification {verification:?}"
            ),
            Self::NullWriter { n, run } => {
                write!(formatter, "run {run}: null writer, {n} accesses")
            }
            Self::Latency { run } => {
                write!(formatter, "run {run}: operator, latency of single accesses")
            }
        }
    }
}

/// Everything, run by run. Legs take turns; each run begins with another. The very first step is the operator
/// as it is by default: the null writer imitates it.
pub(super) fn steps(accesses: &[usize], runs: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for run in 1..=runs {
        for &n in accesses {
            let mut legs = vec![
                Step::FirstIssue {
                    n,
                    run,
                    verification: Verification::On,
                },
                Step::NullWriter { n, run },
                Step::FirstIssue {
                    n,
                    run,
                    verification: Verification::Off,
                },
            ];
            let turn = (run - 1) % legs.len();
            legs.rotate_left(turn);
            steps.extend(legs);
        }
        steps.push(Step::Latency { run });
    }
    steps
}

const RATE: &str = "accesses_per_second";

/// The rates of W1 divided by the null writer's of the same run.
pub(super) fn ratios(figures: &[Figure]) -> Vec<Figure> {
    let floor = |of: &Figure| {
        figures
            .iter()
            .find(|figure| {
                (figure.leg, figure.metric.as_str()) == (Leg::NullWriter, RATE)
                    && (figure.workload, figure.n, figure.run) == (of.workload, of.n, of.run)
            })
            .map(|figure| figure.value)
    };
    let ratio = |figure: &Figure| {
        let suffix = figure.metric.strip_prefix(RATE)?;
        Some(Figure {
            metric: format!("rate_over_null_writer{suffix}"),
            value: figure.value / floor(figure)?,
            ..figure.clone()
        })
    };
    let operator = figures.iter().filter(|figure| figure.leg == Leg::Operator);
    operator.filter_map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_take_turns_and_the_first_is_the_operator_by_default() {
        let steps: Vec<String> = steps(&[300], 2).iter().map(ToString::to_string).collect();
        let expected = [
            "run 1: operator, first issue and restart, 300 accesses, verification On",
            "run 1: null writer, 300 accesses",
            "run 1: operator, first issue and restart, 300 accesses, verification Off",
            "run 1: operator, latency of single accesses",
            "run 2: null writer, 300 accesses",
            "run 2: operator, first issue and restart, 300 accesses, verification Off",
            "run 2: operator, first issue and restart, 300 accesses, verification On",
            "run 2: operator, latency of single accesses",
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_rate_is_divided_by_that_of_the_null_writer_in_the_same_run() {
        let figure = |leg, n, run, metric: &str, value| Figure {
            workload: "W1",
            n,
            leg,
            run,
            metric: metric.to_owned(),
            value,
        };
        let figures = [
            figure(Leg::NullWriter, 100, 1, "accesses_per_second", 200.0),
            figure(Leg::NullWriter, 100, 2, "accesses_per_second", 400.0),
            figure(Leg::NullWriter, 300, 1, "accesses_per_second", 800.0),
            figure(Leg::Operator, 100, 1, "accesses_per_second", 100.0),
            figure(
                Leg::Operator,
                100,
                2,
                "accesses_per_second_verification_off",
                100.0,
            ),
            figure(Leg::Operator, 100, 2, "peak_rss_mib", 18.0),
            figure(Leg::Operator, 300, 2, "accesses_per_second", 100.0),
        ];
        let expected = [
            figure(Leg::Operator, 100, 1, "rate_over_null_writer", 0.5),
            figure(
                Leg::Operator,
                100,
                2,
                "rate_over_null_writer_verification_off",
                0.25,
            ),
        ];
        assert_eq!(ratios(&figures), expected);
    }
}
