//! What may differ in the accesses of the operator.

use std::fmt;

/// Accesses to one cluster, where they share.
pub(super) const SHARERS: usize = 4;

/// How the accesses are not as they are by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Each has a cluster of its own, and the cluster is asked whether it accepts what was issued.
    Default,
    /// The cluster is not asked.
    VerificationOff,
    /// The kubeconfig is made from what get_credentials answers.
    Rendered,
    /// [`SHARERS`] accesses are for the same cluster.
    Shared,
}

impl Variant {
    /// Every one.
    pub(super) const ALL: [Self; 4] = [
        Self::Default,
        Self::VerificationOff,
        Self::Rendered,
        Self::Shared,
    ];

    /// Ends the names of metrics that are not measured with the default.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::VerificationOff => "_verification_off",
            Self::Rendered => "_rendered",
            Self::Shared => "_four_sharing",
        }
    }

    /// The fields of a spec that say so, and the cluster.
    pub(super) fn fields(self) -> &'static str {
        match self {
            Self::Default => r#""cluster": {"name": "{cluster}"}"#,
            Self::VerificationOff => r#""cluster": {"name": "{cluster}"}, "verification": "Off""#,
            Self::Rendered => r#""cluster": {"name": "{cluster}"}, "kubeconfigSource": "Rendered""#,
            Self::Shared => r#""cluster": {"name": "{shared_cluster}"}"#,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "operator",
            Self::VerificationOff => "operator, verification off",
            Self::Rendered => "operator, kubeconfigs rendered",
            Self::Shared => "operator, four accesses a cluster",
        })
    }
}
