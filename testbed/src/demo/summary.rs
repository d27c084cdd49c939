//! What came of it.

use std::time::Duration;

use super::effort::Effort;
use super::tally::Tally;

/// The figures of a demo.
pub(super) struct Summary {
    pub(super) rotations: usize,
    /// Those that came after the credential had expired.
    pub(super) late: usize,
    pub(super) mints: usize,
    pub(super) effort: Effort,
    pub(super) tally: Tally,
    pub(super) refused: Duration,
}

impl Summary {
    /// For people.
    pub(super) fn lines(&self) -> String {
        let Self {
            rotations,
            late,
            mints,
            effort,
            tally,
            ..
        } = self;
        let punctuality = match late {
            0 => "each before the credential expired".to_owned(),
            late => format!("{late} of them after the credential had expired"),
        };
        let kinds: Vec<String> = effort
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let unanswered = match tally.unanswered {
            0 => String::new(),
            count => format!(", {count} of which got no answer"),
        };
        format!(
            "  rotations     {rotations}, {punctuality}\n  \
             mints         {mints} tokens by DigitalOcean, for {} credentials\n  \
             API requests  {} per rotation, of the operator to the API server:\n                \
             {}\n  \
             refused       {} s, in {} calls with the Secret's token of that moment{unanswered}",
            rotations + 1,
            self.requests_per_rotation(),
            kinds.join(", "),
            self.refused_seconds(),
            tally.calls,
        )
    }

    /// For programs.
    pub(super) fn machine_readable(&self) -> String {
        format!(
            "demo: rotations={} mints={} api_requests_per_rotation={} refused_seconds={}",
            self.rotations,
            self.mints,
            self.requests_per_rotation(),
            self.refused_seconds(),
        )
    }

    fn requests_per_rotation(&self) -> String {
        let requests: usize = self.effort.values().sum();
        // In tenths, rounded.
        let tenths = (requests * 10 + self.rotations / 2) / self.rotations.max(1);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    /// Tenths of a second, rounded up: what is not nothing never looks like it.
    pub(super) fn refused_seconds(&self) -> String {
        let tenths = self.refused.as_millis().div_ceil(100);
        match (tenths / 10, tenths % 10) {
            (seconds, 0) => seconds.to_string(),
            (seconds, tenths) => format!("{seconds}.{tenths}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(requests: usize, refused: Duration) -> Summary {
        Summary {
            rotations: 3,
            late: 0,
            mints: 8,
            effort: Effort::from([("get secrets".to_owned(), requests)]),
            tally: Tally::default(),
            refused,
        }
    }

    #[test]
    fn the_machine_readable_line_has_a_fixed_form() {
        assert_eq!(
            summary(12, Duration::ZERO).machine_readable(),
            "demo: rotations=3 mints=8 api_requests_per_rotation=4.0 refused_seconds=0"
        );
    }

    #[test]
    fn requests_per_rotation_are_rounded_to_tenths() {
        let per_rotation = |requests| summary(requests, Duration::ZERO).requests_per_rotation();
        assert_eq!(per_rotation(13), "4.3");
        assert_eq!(per_rotation(14), "4.7");
        assert_eq!(per_rotation(0), "0.0");
    }

    #[test]
    fn the_shortest_refusal_does_not_look_like_none() {
        let seconds =
            |milliseconds| summary(12, Duration::from_millis(milliseconds)).refused_seconds();
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(1), "0.1");
        assert_eq!(seconds(1_400), "1.4");
        assert_eq!(seconds(1_950), "2");
    }
}
