//! From a credential to the Secrets that hold it, and back. Pure.
//!
//! A format is one file that implements [`Format`], and one line in the table below; the compiler
//! asks for the line as soon as the API has the word.

mod contents;
mod desired;
mod facts;
mod form;
mod found;
mod marks;
mod ownership;
mod pairs;

pub use contents::{Contents, Material, Parts};
pub use desired::{DesiredSecret, Owner, Placement};
pub use facts::Facts;
pub use form::Form;
pub use found::{FoundMetadata, FoundSecret};
pub use marks::{
    ACCESS_LABEL, MANAGED_BY, MANAGED_BY_LABEL, MANAGED_SELECTOR, Marks, content_hash, issue_hash,
    rfc3339, same_cluster_reference,
};
pub use ownership::{OwnedFields, fields_of, recorded_fields};
pub use pairs::Pairs;

use std::collections::BTreeMap;

use crate::api::{Output, OutputFormat};

/// Name under which the operator applies Secrets and status.
pub const FIELD_MANAGER: &str = "do-cluster-access";

macro_rules! formats {
    ($($format:ident => $module:ident,)*) => {
        $(mod $module;)*

        /// The implementation of a format.
        #[must_use]
        pub fn format_of(format: OutputFormat) -> &'static dyn Format {
            match format {
                $(OutputFormat::$format => &$module::$format,)*
            }
        }
    };
}

formats! {
    Kubeconfig => kubeconfig,
    Flux => flux,
    ArgoCD => argocd,
    ClusterAPI => cluster_api,
    Karmada => karmada,
    Custom => custom,
}

/// The form in which a consumer reads a credential.
pub trait Format: Sync {
    /// `type` of the Secret.
    fn secret_type(&self) -> &'static str {
        "Opaque"
    }

    /// Whether the Secret holds a kubeconfig, so that an issue must provide one.
    fn holds_kubeconfig(&self, output: &Output) -> bool;

    /// Labels that the consumer looks for.
    fn labels(&self, output: &Output) -> BTreeMap<String, String> {
        let _ = output;
        BTreeMap::new()
    }

    /// Whether the Secret has the facts of the cluster as labels.
    fn has_fact_labels(&self) -> bool {
        false
    }

    /// All beside the credential that [`render`](Self::render) puts into the data: when it changes,
    /// the Secret is rendered anew.
    fn inputs(&self, output: &Output, facts: &Facts) -> Vec<String> {
        let _ = (output, facts);
        Vec::new()
    }

    /// What goes into the Secret; `None` where this kind of credential has no such form.
    fn render(&self, source: &Source<'_>) -> Option<Contents>;

    /// What the content of such a Secret, written in `form`, says of the credential in it.
    fn read(&self, contents: &Contents, form: &Form) -> Parts;

    /// The content, written so that equal meaning is equal bytes.
    fn canonical(&self, contents: Contents) -> Contents {
        contents
    }
}

/// What a Secret is rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What the spec asks for.
    pub output: &'a Output,
    /// The credential.
    pub material: &'a Material,
    /// What is known of the cluster.
    pub facts: &'a Facts,
    /// What the Secret holds already, where there is one.
    pub present: Option<&'a Contents>,
}

#[cfg(test)]
mod tests;
