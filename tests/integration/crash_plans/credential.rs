//! What one version of a Secret holds.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::harness::{annotation, keys, text, token_in};

/// Which issue a version says that it is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Issue {
    pub(super) issued_at: String,
    pub(super) expires_at: String,
    pub(super) spec_hash: String,
    pub(super) rotate: String,
}

/// What one version of a Secret holds.
pub(super) struct Credential {
    /// What the annotations say.
    pub(super) issue: Issue,
    /// The kubeconfig.
    pub(super) kubeconfig: String,
    /// The token of the kubeconfig, and the one beside it.
    pub(super) tokens: Vec<String>,
}

impl Issue {
    /// What the annotations of a Secret say.
    pub(super) fn of(secret: &Secret) -> Self {
        Self {
            issued_at: annotation(secret, "issued-at"),
            expires_at: annotation(secret, "expires-at"),
            spec_hash: annotation(secret, "issue-hash"),
            rotate: annotation(secret, "rotate"),
        }
    }
}

impl Credential {
    /// Panics where a key, or an annotation, is missing or says something else than another.
    pub(super) fn of(secret: &Secret) -> Self {
        let name = secret.name_any();
        for mark in [
            "access-uid",
            "cluster-id",
            "issued-at",
            "expires-at",
            "issue-hash",
            "content-hash",
        ] {
            assert!(!annotation(secret, mark).is_empty(), "{name} has no {mark}");
        }
        let issue = Issue::of(secret);
        let kubeconfig_key = if keys(secret).contains(&"value") {
            assert_eq!(keys(secret), ["value"], "{name}");
            "value"
        } else {
            let all = ["ca.crt", "expires-at", "kubeconfig", "server", "token"];
            assert_eq!(keys(secret), all, "{name}");
            assert_eq!(text(secret, "expires-at"), issue.expires_at, "{name}");
            "kubeconfig"
        };
        let kubeconfig = text(secret, kubeconfig_key);
        let mut tokens = vec![token_in(&kubeconfig)];
        tokens.extend(Some(text(secret, "token")).filter(|token| !token.is_empty()));
        Self {
            issue,
            kubeconfig,
            tokens,
        }
    }
}
