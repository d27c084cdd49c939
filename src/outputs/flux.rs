//! Format `Flux`: what a Kustomization or HelmRelease reads by `spec.kubeConfig.secretRef`.

use std::collections::BTreeMap;

use super::{Contents, Form, Format, Parts, Source};
use crate::api::Output;

/// The key that Flux reads where `secretRef` names none.
const KUBECONFIG: &str = "value";
/// Has Flux reconcile as soon as the Secret changes, instead of at its next interval.
const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";

/// Format `Flux`.
pub(super) struct Flux;

impl Format for Flux {
    fn holds_kubeconfig(&self, _: &Output) -> bool {
        true
    }

    fn labels(&self, _: &Output) -> BTreeMap<String, String> {
        BTreeMap::from([(WATCH_LABEL.to_string(), "Enabled".to_string())])
    }

    fn render(&self, source: &Source<'_>) -> Option<Contents> {
        Some(Contents::kubeconfig_under(KUBECONFIG, source))
    }

    fn read(&self, contents: &Contents, _: &Form) -> Parts {
        Parts::of_kubeconfig(contents.secret(KUBECONFIG))
    }
}
