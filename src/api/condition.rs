//! The condition types, spelled as in status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Type of a condition in status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Every output holds an unexpired credential for the cluster that the spec names.
    Ready,
    /// The last attempt did all there was to do.
    Synced,
    /// The cluster accepted the published credential.
    Verified,
    /// Nothing but a user's action will help. Present only when True.
    Stalled,
}

impl ConditionType {
    /// The condition of this type.
    #[must_use]
    pub fn of(self, conditions: &[Condition]) -> Option<&Condition> {
        let mut conditions = conditions.iter();
        conditions.find(|condition| condition.type_ == self.as_str())
    }

    /// As spelled in `status.conditions[].type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Synced => "Synced",
            Self::Verified => "Verified",
            Self::Stalled => "Stalled",
        }
    }
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known whether it holds.
    Unknown,
}

impl Status {
    /// As spelled in `status.conditions[].status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}
