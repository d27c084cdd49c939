//! Format `ClusterAPI`: the Secret `<cluster>-kubeconfig` by which Cluster API reaches a workload
//! cluster.

use std::collections::BTreeMap;

use super::{Contents, Form, Format, Parts, Source};
use crate::api::Output;

const KUBECONFIG: &str = "value";
const SECRET_TYPE: &str = "cluster.x-k8s.io/secret";
const CLUSTER_NAME_LABEL: &str = "cluster.x-k8s.io/cluster-name";
/// What Cluster API puts behind a cluster's name; the API sees to it that it is there.
const SUFFIX: &str = "-kubeconfig";

/// Format `ClusterAPI`.
pub(super) struct ClusterAPI;

impl Format for ClusterAPI {
    fn secret_type(&self) -> &'static str {
        SECRET_TYPE
    }

    fn holds_kubeconfig(&self, _: &Output) -> bool {
        true
    }

    fn labels(&self, output: &Output) -> BTreeMap<String, String> {
        let name = &output.secret_name;
        let cluster = name.strip_suffix(SUFFIX).unwrap_or(name);
        BTreeMap::from([(CLUSTER_NAME_LABEL.to_string(), cluster.to_string())])
    }

    fn render(&self, source: &Source<'_>) -> Option<Contents> {
        Some(Contents::kubeconfig_under(KUBECONFIG, source))
    }

    fn read(&self, contents: &Contents, _: &Form) -> Parts {
        Parts::of_kubeconfig(contents.secret(KUBECONFIG))
    }
}
