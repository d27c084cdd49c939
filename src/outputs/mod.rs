//! From a credential to the Secrets that hold it, and back. Pure.
//!
//! A format is one file that implements [`Format`], and one line in [`format_of`].

mod contents;
mod desired;
mod found;
mod kubeconfig;
mod marks;
mod ownership;

pub use contents::{Contents, Material, Parts};
pub use desired::{DesiredSecret, Owner, Placement};
pub use found::{FoundMetadata, FoundSecret};
pub use marks::{
    ACCESS_LABEL, MANAGED_BY, MANAGED_BY_LABEL, MANAGED_SELECTOR, Marks, content_hash, issue_hash,
    rfc3339, same_cluster_reference,
};
pub use ownership::{owned_fields_digest, recorded_fields_digest};

use crate::api::{Output, OutputFormat};

/// Name under which the operator applies Secrets and status.
pub const FIELD_MANAGER: &str = "do-cluster-access";

/// The form in which a consumer reads a credential.
pub trait Format: Sync {
    /// `type` of the Secret.
    fn secret_type(&self) -> &'static str {
        "Opaque"
    }

    /// Whether the Secret holds a kubeconfig, so that an issue must provide one.
    fn holds_kubeconfig(&self, output: &Output) -> bool;

    /// The sets of keys that the Secret may have: one for each kind of credential.
    fn key_sets(&self, output: &Output) -> Vec<Vec<String>>;

    /// What goes into the Secret; `None` where this kind of credential has no such form.
    fn render(&self, output: &Output, material: &Material) -> Option<Contents>;

    /// What the content of such a Secret says of the credential in it.
    fn read(&self, contents: &Contents) -> Parts;
}

/// The implementation of a format; `None` where this version has none.
#[must_use]
pub fn format_of(format: OutputFormat) -> Option<&'static dyn Format> {
    match format {
        OutputFormat::Kubeconfig => Some(&kubeconfig::Kubeconfig),
        OutputFormat::Flux
        | OutputFormat::ArgoCD
        | OutputFormat::ClusterAPI
        | OutputFormat::Karmada
        | OutputFormat::Custom => None,
    }
}

#[cfg(test)]
mod tests;
