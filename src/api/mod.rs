//! The custom resources: schema, validation rules, condition types and reasons. Pure.

mod access;
mod account;
mod condition;
mod crd;
mod reason;

pub use access::{
    ArgoCdOptions, ClusterReference, ClusterStatus, CredentialStatus, CustomField, CustomKey,
    DOClusterAccess, DOClusterAccessSpec, DOClusterAccessStatus, DeletionPolicy, KubeconfigSource,
    NameReference, Output, OutputFormat, OutputStatus, SecretKeyReference, VerificationPolicy,
};
pub use account::{AllowedClusters, DOAccount, DOAccountSpec, DOAccountStatus};
pub use condition::{ConditionType, Status as ConditionStatus};
pub use crd::custom_resource_definitions;
pub use reason::{EventType, Reason, RetryClass};

/// API group of every resource of this operator, and prefix of its labels and annotations.
pub const GROUP: &str = "doclusteraccess.dev";

/// Annotation on an access: a new value forces exactly one issue. The value is opaque.
pub const ROTATE_ANNOTATION: &str = "doclusteraccess.dev/rotate";

/// Name of the DOAccount of an access that names neither an account nor a token Secret.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Lifetime asked for when `spec.expirySeconds` is absent, in seconds: DigitalOcean's own default.
pub const DEFAULT_EXPIRY_SECONDS: i64 = 604_800;

/// Key of the API token in its Secret where none is named.
pub const DEFAULT_TOKEN_KEY: &str = "access-token";

/// Behind the name of an access, names the Secret of an access without `spec.outputs`.
pub const DEFAULT_OUTPUT_SUFFIX: &str = "-kubeconfig";

#[cfg(test)]
mod tests;
