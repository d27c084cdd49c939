//! The labels and annotations by which the operator knows its Secrets. They are the truth about a
//! published credential; status copies them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Contents, Facts, format_of};
use crate::api::{DEFAULT_ACCOUNT, DOClusterAccessSpec, KubeconfigSource, Output};
use crate::hexadecimal::hexadecimal;
use crate::rotation::Issue;

/// Label that says whose Secret it is to operate.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGED_BY: &str = "do-cluster-access";
/// Selects every Secret that the operator wrote.
pub const MANAGED_SELECTOR: &str = "app.kubernetes.io/managed-by=do-cluster-access";
/// Label with the name of the access.
pub const ACCESS_LABEL: &str = "doclusteraccess.dev/access";

const CLUSTER_ID: &str = "doclusteraccess.dev/cluster-id";
const ISSUED_AT: &str = "doclusteraccess.dev/issued-at";
const EXPIRES_AT: &str = "doclusteraccess.dev/expires-at";
const ISSUE_HASH: &str = "doclusteraccess.dev/issue-hash";
const CONTENT_HASH: &str = "doclusteraccess.dev/content-hash";
const ROTATE: &str = "doclusteraccess.dev/rotate";
const FORM: &str = "doclusteraccess.dev/form";

/// The marks on one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// UID of the access that the Secret belongs to.
    pub access_uid: String,
    /// The issue that the content comes from.
    pub issue: Issue,
    /// The [`Form`](super::Form) that it was written in.
    pub form: String,
    /// [`content_hash`] of the content.
    pub content_hash: String,
}

impl Marks {
    /// Annotation with the UID of the access that the Secret belongs to.
    pub const ACCESS_UID: &str = "doclusteraccess.dev/access-uid";

    /// The marks in `annotations`; `None` where one is missing or makes no sense.
    #[must_use]
    pub fn read(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key: &str| annotations.get(key).cloned();
        let instant = |key: &str| {
            annotations
                .get(key)?
                .parse::<Timestamp>()
                .ok()
                .map(Timestamp::as_second)
        };
        Some(Self {
            access_uid: text(Self::ACCESS_UID)?,
            issue: Issue {
                issued_at: instant(ISSUED_AT)?,
                expires_at: instant(EXPIRES_AT)?,
                cluster_id: text(CLUSTER_ID)?,
                issue_hash: text(ISSUE_HASH)?,
                rotate: text(ROTATE),
            },
            form: text(FORM)?,
            content_hash: text(CONTENT_HASH)?,
        })
    }

    /// Hash of all beside the credential that the content was rendered from.
    #[must_use]
    pub fn rendering(&self) -> &str {
        self.content_hash
            .split_once('.')
            .map_or("", |(_, rendering)| rendering)
    }

    /// The marks as annotations; `released` ones name no access.
    #[must_use]
    pub fn annotations(&self, released: bool) -> BTreeMap<String, String> {
        let issue = &self.issue;
        let mut annotations = BTreeMap::from([
            (CLUSTER_ID.to_string(), issue.cluster_id.clone()),
            (ISSUED_AT.to_string(), rfc3339(issue.issued_at)),
            (EXPIRES_AT.to_string(), rfc3339(issue.expires_at)),
            (ISSUE_HASH.to_string(), issue.issue_hash.clone()),
            (FORM.to_string(), self.form.clone()),
            (CONTENT_HASH.to_string(), self.content_hash.clone()),
        ]);
        if let Some(rotate) = &issue.rotate {
            annotations.insert(ROTATE.to_string(), rotate.clone());
        }
        if !released {
            annotations.insert(Self::ACCESS_UID.to_string(), self.access_uid.clone());
        }
        annotations
    }
}

/// RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn rfc3339(instant: i64) -> String {
    Timestamp::from_second(instant)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Hash of the content and marks of a Secret: together they come from one issue and one write. Behind
/// the dot stands `rendering`, so that metadata alone tells whether the content is to be rendered
/// anew.
#[must_use]
pub fn content_hash(
    access_uid: &str,
    issue: &Issue,
    form: &str,
    rendering: &str,
    contents: &Contents,
) -> String {
    let mut hash = FieldHash::default();
    hash.field("access-uid", access_uid.as_bytes());
    hash.field("cluster-id", issue.cluster_id.as_bytes());
    hash.field("issued-at", &issue.issued_at.to_be_bytes());
    hash.field("expires-at", &issue.expires_at.to_be_bytes());
    hash.field("issue-hash", issue.issue_hash.as_bytes());
    if let Some(rotate) = &issue.rotate {
        hash.field("rotate", rotate.as_bytes());
    }
    hash.field("form", form.as_bytes());
    hash.field("rendering", rendering.as_bytes());
    for (key, value) in contents.iter() {
        hash.field(&format!("data/{key}"), value);
    }
    format!("{}.{rendering}", hash.finish())
}

/// Hash of all beside the credential that goes into the content for `output`.
#[must_use]
pub(super) fn rendering_hash(output: &Output, facts: &Facts) -> String {
    let mut hash = FieldHash::default();
    hash.field("format", format!("{:?}", output.format).as_bytes());
    for input in format_of(output.format).inputs(output, facts) {
        hash.field("input", input.as_bytes());
    }
    hash.finish()
}

/// Hash of all in the spec that calls for a new credential when it changes: the part before the dot
/// covers the cluster reference, the part behind it the rest. An absent field contributes nothing,
/// so that a field added in a later version changes no hash.
#[must_use]
pub fn issue_hash(spec: &DOClusterAccessSpec) -> String {
    let mut cluster = FieldHash::default();
    if let Some(name) = &spec.cluster.name {
        cluster.field("cluster.name", name.as_bytes());
    }
    if let Some(id) = &spec.cluster.id {
        cluster.field("cluster.id", id.to_ascii_lowercase().as_bytes());
    }
    let mut rest = FieldHash::default();
    // Naming the account that is used anyway changes nothing.
    if let Some(account) = &spec.account_ref
        && account.name != DEFAULT_ACCOUNT
    {
        rest.field("accountRef.name", account.name.as_bytes());
    }
    if let Some(secret) = &spec.token_secret_ref {
        rest.field("tokenSecretRef.name", secret.name.as_bytes());
        rest.field("tokenSecretRef.key", secret.key.as_bytes());
    }
    if let Some(seconds) = spec.expiry_seconds {
        rest.field("expirySeconds", &seconds.to_be_bytes());
    }
    if spec.kubeconfig_source != KubeconfigSource::DigitalOcean {
        rest.field("kubeconfigSource", b"Rendered");
    }
    format!("{}.{}", cluster.finish(), rest.finish())
}

/// Whether two issue hashes speak of the same cluster reference.
#[must_use]
pub fn same_cluster_reference(one: &str, other: &str) -> bool {
    one.split_once('.').map(|(cluster, _)| cluster)
        == other.split_once('.').map(|(cluster, _)| cluster)
}

/// SHA-256 over named fields, each with its length, so that no two sequences of fields collide.
#[derive(Default)]
struct FieldHash(Sha256);

impl FieldHash {
    fn field(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    /// The first 128 bits, in hexadecimal.
    fn finish(self) -> String {
        hexadecimal(&self.0.finalize()[..16])
    }
}
