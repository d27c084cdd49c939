//! What is measured, in which order, and what follows from the figures of one run.

use std::collections::BTreeSet;
use std::fmt;

use super::contender::Contender;
use super::figure::{Figure, Leg};
use super::variant::Variant;
use super::workload::Workload;

/// Something that is measured in a world of its own.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// First issue and what follows it.
    Life {
        contender: Contender,
        workloads: BTreeSet<Workload>,
        n: usize,
        run: usize,
    },
    NullWriter {
        n: usize,
        run: usize,
    },
    Latency {
        contender: Contender,
        run: usize,
    },
    Foreign {
        contender: Contender,
        run: usize,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |contender: &Contender| match &contender.leg {
            Leg::Operator => contender.variant.to_string(),
            other => other.as_str().to_owned(),
        };
        match self {
            Self::Life {
                contender,
                workloads,
                n,
                run,
            } => {
                let workloads: Vec<String> = workloads.iter().map(ToString::to_string).collect();
                let (who, workloads) = (who(contender), workloads.join(", "));
                write!(formatter, "run {run}: {who}: {workloads} with {n} accesses")
            }
            Self::NullWriter { n, run } => {
                write!(formatter, "run {run}: null-writer: {n} accesses")
            }
            Self::Latency { contender, run } => {
                let who = who(contender);
                write!(formatter, "run {run}: {who}: W7, single accesses")
            }
            Self::Foreign { contender, run } => {
                let who = who(contender);
                write!(formatter, "run {run}: {who}: W9, foreign Secrets")
            }
        }
    }
}

/// What is wanted.
pub(super) struct Plan {
    pub(super) contenders: Vec<Contender>,
    pub(super) null_writer: bool,
    pub(super) workloads: BTreeSet<Workload>,
    pub(super) accesses: Vec<usize>,
    pub(super) runs: usize,
}

impl Plan {
    /// Everything, run by run. Legs take turns; each run begins with another, but for the first, which the
    /// operator begins as it is by default: the null writer imitates it.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for run in 1..=self.runs {
            for &n in &self.accesses {
                let mut legs: Vec<Step> = self
                    .contenders
                    .iter()
                    .filter_map(|contender| self.life(contender, n, run))
                    .collect();
                if self.null_writer && self.workloads.contains(&Workload::W1) && !legs.is_empty() {
                    legs.insert(1, Step::NullWriter { n, run });
                }
                let turn = (run - 1) % legs.len().max(1);
                legs.rotate_left(turn);
                steps.extend(legs);
            }
            let contenders = self.contenders.iter().cloned();
            if self.workloads.contains(&Workload::W7) {
                let latency = |contender| Step::Latency { contender, run };
                let contenders = contenders.clone().filter(has_latency_of_its_own);
                steps.extend(contenders.map(latency));
            }
            if self.workloads.contains(&Workload::W9) {
                let operator = contenders.filter(is_default);
                steps.extend(operator.map(|contender| Step::Foreign { contender, run }));
            }
        }
        steps
    }

    fn life(&self, contender: &Contender, n: usize, run: usize) -> Option<Step> {
        let lived = [Workload::W1, Workload::W3, Workload::W4, Workload::W5];
        let mut workloads: BTreeSet<Workload> = lived
            .into_iter()
            .filter(|workload| self.workloads.contains(workload))
            .collect();
        if workloads.is_empty() {
            return None;
        }
        // The first issue is what all the others need.
        workloads.insert(Workload::W1);
        if contender.leg == Leg::Operator && !is_default(contender) {
            workloads.retain(|workload| *workload == Workload::W1);
        } else if workloads.contains(&Workload::W5) && self.workloads.contains(&Workload::W7) {
            workloads.insert(Workload::W7);
        }
        Some(Step::Life {
            contender: contender.clone(),
            workloads,
            n,
            run,
        })
    }
}

/// Whether it is the operator as it is by default.
pub(super) fn is_default(contender: &Contender) -> bool {
    contender.leg == Leg::Operator && contender.variant == Variant::Default
}

/// Whether the time that it takes for a single access says something that others do not.
fn has_latency_of_its_own(contender: &Contender) -> bool {
    contender.leg != Leg::Operator
        || matches!(
            contender.variant,
            Variant::Default | Variant::VerificationOff
        )
}

const RATE: &str = "accesses_per_second";

/// The rates of W1 divided by the null writer's of the same run.
pub(super) fn ratios(figures: &[Figure]) -> Vec<Figure> {
    let floor = |of: &Figure| {
        figures
            .iter()
            .find(|figure| {
                (&figure.leg, figure.metric.as_str()) == (&Leg::NullWriter, RATE)
                    && (&figure.workload, figure.n, figure.run) == (&of.workload, of.n, of.run)
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
    let others = figures
        .iter()
        .filter(|figure| figure.leg != Leg::NullWriter);
    others.filter_map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn contender(variant: Variant) -> Contender {
        Contender::operator(Path::new("operator"), variant)
    }

    fn plan(workloads: &[Workload], accesses: &[usize], runs: usize) -> Plan {
        let naive = Contender::baseline(Leg::Naive).expect("this program");
        Plan {
            contenders: vec![
                contender(Variant::Default),
                contender(Variant::VerificationOff),
                naive,
            ],
            null_writer: true,
            workloads: workloads.iter().copied().collect(),
            accesses: accesses.to_vec(),
            runs,
        }
    }

    fn shown(plan: &Plan) -> Vec<String> {
        plan.steps().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn legs_take_turns_and_each_run_begins_with_another() {
        let shown = shown(&plan(&[Workload::W1], &[300], 2));
        let expected = [
            "run 1: operator: W1 with 300 accesses",
            "run 1: null-writer: 300 accesses",
            "run 1: operator, verification off: W1 with 300 accesses",
            "run 1: naive: W1 with 300 accesses",
            "run 2: null-writer: 300 accesses",
            "run 2: operator, verification off: W1 with 300 accesses",
            "run 2: naive: W1 with 300 accesses",
            "run 2: operator: W1 with 300 accesses",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_needs_no_fleet_is_measured_once_a_run() {
        let shown = shown(&plan(&[Workload::W7, Workload::W9], &[100, 1000], 1));
        let expected = [
            "run 1: operator: W7, single accesses",
            "run 1: operator, verification off: W7, single accesses",
            "run 1: naive: W7, single accesses",
            "run 1: operator: W9, foreign Secrets",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn of_what_differs_only_the_first_issue_is_measured() {
        let shown = shown(&plan(&[Workload::W5, Workload::W7], &[100], 1));
        let lives = &shown[..4];
        let expected = [
            "run 1: operator: W1, W5, W7 with 100 accesses",
            "run 1: operator, verification off: W1 with 100 accesses",
            "run 1: naive: W1, W5, W7 with 100 accesses",
            "run 1: operator: W7, single accesses",
        ];
        assert_eq!(lives, expected);
    }

    #[test]
    fn ratios_are_within_a_run_and_a_number_of_accesses() {
        let figure = |leg: &Leg, n, run, metric: &str, value| Figure {
            workload: "W1".to_owned(),
            n,
            leg: leg.clone(),
            run,
            metric: metric.to_owned(),
            value,
        };
        let off = "accesses_per_second_verification_off";
        let figures = [
            figure(&Leg::NullWriter, 100, 1, RATE, 200.0),
            figure(&Leg::NullWriter, 100, 2, RATE, 100.0),
            figure(&Leg::NullWriter, 300, 1, RATE, 50.0),
            figure(&Leg::Operator, 100, 1, RATE, 100.0),
            figure(&Leg::Operator, 100, 2, off, 80.0),
            figure(&Leg::Operator, 100, 3, RATE, 80.0),
            figure(&Leg::Naive, 100, 1, RATE, 20.0),
            figure(&Leg::Operator, 100, 1, "peak_rss_mib", 20.0),
        ];
        let expected = [
            figure(&Leg::Operator, 100, 1, "rate_over_null_writer", 0.5),
            figure(
                &Leg::Operator,
                100,
                2,
                "rate_over_null_writer_verification_off",
                0.8,
            ),
            figure(&Leg::Naive, 100, 1, "rate_over_null_writer", 0.1),
        ];
        assert_eq!(ratios(&figures), expected);
    }
}
