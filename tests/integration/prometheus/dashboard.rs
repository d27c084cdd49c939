//! The queries of the dashboard, as Grafana would put them.

use serde_json::Value;

use super::server::Prometheus;
use crate::harness::eventually;

/// What Grafana puts into the place of variables where everything is chosen.
const VARIABLES: [(&str, &str); 5] = [
    ("$cluster", ".*"),
    ("$job", ".*"),
    ("$namespace", ".*"),
    ("$__rate_interval", "1m"),
    ("$__range", "1h"),
];

fn substituted(query: &str) -> String {
    let mut query = query.to_owned();
    for (variable, value) in VARIABLES {
        query = query.replace(variable, value);
    }
    // What is left is for Prometheus: the first group of a regular expression.
    assert!(!query.replace("\"$1\"", "").contains('$'), "{query}");
    query
}

/// Waits until every query of the dashboard, its variables' included, gives something that can be shown.
pub(super) async fn answers_every_query(dashboard: &str, prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = substituted(&text(&target["expr"]));
            let what = format!("{}: {query}", panel["title"]);
            eventually(&what, async || {
                let values = prometheus.values(&query).await;
                !values.is_empty() && values.iter().all(|value| value.is_finite())
            })
            .await;
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");

    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter(|variable| variable["type"] == "query");
    for variable in variables {
        assert_eq!(variable["query"]["query"], variable["definition"]);
        let query = substituted(&text(&variable["definition"]));
        let inner = query
            .strip_prefix("label_values(")
            .and_then(|query| query.strip_suffix(')'));
        let (selector, label) = inner.unwrap().rsplit_once(", ").unwrap();
        let values = prometheus.label_values(selector, label).await;
        // The label `cluster` is there for those who have several management clusters.
        assert_eq!(values.is_empty(), label == "cluster", "{query}: {values:?}");
    }
}
