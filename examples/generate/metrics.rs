//! The page about the metrics.

use do_cluster_access::metrics::{Description, Kind, PREFIX};

use crate::markdown::{code, page as markdown_page, sentence, table};

/// Every family of series.
pub(crate) fn page() -> String {
    let parts = [
        "`GET /metrics` at `--admin-address` answers in the text format of Prometheus, and in that of OpenMetrics to those who ask for it, as Prometheus does. [Monitoring](../monitoring.md) says how to scrape it and which series matter. Series of single accesses and accounts come from the leader alone, and only for what is known: an access without credential has no expiry. `namespace` and `name` are those of the `DOClusterAccess`. `account` is the name of the `DOAccount`, or, for a token that an access names itself, the namespace and the name of its Secret with a slash between them, and the key behind another one where it is not `access-token`.".to_owned(),
        table(&["metric", "type", "labels", "what it tells"], Description::ALL.iter().map(row)),
    ];
    markdown_page("Metrics", "`src/metrics.rs`", &parts)
}

fn row(family: &Description) -> Vec<String> {
    let (kind, ending) = match family.kind {
        Kind::Counter => ("counter", "_total"),
        Kind::Gauge => ("gauge", ""),
        Kind::Histogram => ("histogram", ""),
    };
    let labels: Vec<_> = family.labels.iter().map(|label| code(label)).collect();
    vec![
        code(&format!("{PREFIX}_{}{ending}", family.name)),
        kind.to_owned(),
        labels.join(", "),
        sentence(family.help),
    ]
}
