//! What a DOAccount allows: closed unless one of its lists says otherwise. Pure.

use wildmatch::WildMatch;

use crate::api::{AllowedClusters, DOAccountSpec};

/// In the globs of every list, `*` stands for any number of characters, none included, and `?` for
/// exactly one. No other character is special, and upper and lower case differ.
impl DOAccountSpec {
    /// Whether accesses of `namespace` may use the account.
    #[must_use]
    pub fn allows_namespace(&self, namespace: &str) -> bool {
        any_matches(&self.allowed_namespaces, namespace)
    }

    /// Whether the cluster of this id and name may be accessed: either is enough.
    #[must_use]
    pub fn allows_cluster(&self, id: &str, name: &str) -> bool {
        self.allows_cluster_id(id) || self.allows_cluster_name(name)
    }

    /// Whether a cluster of this name may be accessed, whatever its id.
    #[must_use]
    pub fn allows_cluster_name(&self, name: &str) -> bool {
        self.allowed_clusters
            .as_ref()
            .is_some_and(|allowed| any_matches(&allowed.names, name))
    }

    /// Whether the cluster of this id (in upper or lower case) may be accessed, whatever its name:
    /// it is listed, or every name is allowed. `false` leaves the question to its name.
    #[must_use]
    pub fn allows_cluster_id(&self, id: &str) -> bool {
        self.allowed_clusters
            .as_ref()
            .is_some_and(|allowed| lists_id(allowed, id) || allows_every_name(allowed))
    }
}

fn lists_id(allowed: &AllowedClusters, id: &str) -> bool {
    allowed
        .ids
        .iter()
        .any(|listed| listed.eq_ignore_ascii_case(id))
}

fn allows_every_name(allowed: &AllowedClusters) -> bool {
    let matches_all = |glob: &String| !glob.is_empty() && glob.bytes().all(|byte| byte == b'*');
    allowed.names.iter().any(matches_all)
}

/// Takes no more than (length of the glob) × (length of `text`) steps a glob.
fn any_matches(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| WildMatch::new(glob).matches(text))
}

#[cfg(test)]
mod tests;
