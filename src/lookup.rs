//! Which cluster a reference leads to. Pure.

use crate::api::{ClusterReference, ClusterStatus, Reason};
use crate::digitalocean::Cluster;

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// To this cluster.
    Found(&'a Cluster),
    /// To an id that the list does not hold: only GET decides whether there is such a cluster.
    NotListed {
        /// The id.
        id: String,
    },
    /// Nowhere: no cluster has that name.
    NotFound,
    /// To several clusters that have that name.
    Ambiguous {
        /// Their ids, sorted.
        ids: Vec<String>,
    },
}

/// Looks `reference` up in `clusters`, which must be complete. With `pinned`, the id that it led to
/// before, a name is not looked up again.
#[must_use]
pub fn look_up<'a>(
    reference: &ClusterReference,
    pinned: Option<&str>,
    clusters: &'a [Cluster],
) -> Lookup<'a> {
    let id = pinned.map(str::to_string).or_else(|| reference.id.clone());
    if let Some(id) = id {
        let same = |cluster: &&Cluster| cluster.id.eq_ignore_ascii_case(&id);
        return match clusters.iter().find(same) {
            Some(cluster) => Lookup::Found(cluster),
            None => Lookup::NotListed {
                id: id.to_ascii_lowercase(),
            },
        };
    }
    let named: Vec<_> = clusters
        .iter()
        .filter(|cluster| Some(&cluster.name) == reference.name.as_ref())
        .collect();
    match named.as_slice() {
        [] => Lookup::NotFound,
        [cluster] => Lookup::Found(cluster),
        several => {
            let mut ids: Vec<_> = several.iter().map(|cluster| cluster.id.clone()).collect();
            ids.sort();
            Lookup::Ambiguous { ids }
        }
    }
}

/// Why a cluster has no credential to give, if it has none.
#[must_use]
pub fn unusable(cluster: &Cluster) -> Option<Reason> {
    if cluster.state.is_gone() {
        Some(Reason::ClusterGone)
    } else if cluster.sso.required {
        Some(Reason::SsoRequired)
    } else if cluster.state.is_usable() {
        None
    } else {
        Some(Reason::ClusterNotReady)
    }
}

/// What status says of a cluster.
#[must_use]
pub fn facts(cluster: &Cluster) -> ClusterStatus {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_string());
    ClusterStatus {
        id: known(&cluster.id),
        name: known(&cluster.name),
        region: known(&cluster.region),
        version: known(&cluster.version),
        state: known(cluster.state.as_str()),
        endpoint: cluster.endpoint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digitalocean::{ClusterState, Sso};

    fn cluster(id: &str, name: &str) -> Cluster {
        Cluster {
            id: id.to_string(),
            name: name.to_string(),
            region: "nyc1".to_string(),
            version: String::new(),
            state: ClusterState::Running,
            state_message: None,
            endpoint: None,
            tags: Vec::new(),
            sso: Sso::default(),
        }
    }

    fn name(name: &str) -> ClusterReference {
        ClusterReference {
            name: Some(name.to_string()),
            id: None,
        }
    }

    #[test]
    fn a_name_leads_to_the_one_cluster_that_has_it() {
        let clusters = [cluster("1", "a"), cluster("2", "b")];
        assert_eq!(
            look_up(&name("b"), None, &clusters),
            Lookup::Found(&clusters[1])
        );
        assert_eq!(look_up(&name("c"), None, &clusters), Lookup::NotFound);
    }

    #[test]
    fn an_ambiguous_name_lists_the_ids_in_order() {
        let clusters = [cluster("2", "a"), cluster("1", "a")];
        let ids = vec!["1".to_string(), "2".to_string()];
        assert_eq!(
            look_up(&name("a"), None, &clusters),
            Lookup::Ambiguous { ids }
        );
    }

    #[test]
    fn a_pinned_cluster_that_was_renamed_stays_although_another_one_has_the_name_now() {
        let clusters = [cluster("1", "renamed"), cluster("2", "a")];
        assert_eq!(
            look_up(&name("a"), Some("1"), &clusters),
            Lookup::Found(&clusters[0])
        );
    }

    #[test]
    fn an_id_that_is_not_listed_is_not_decided_here() {
        let reference = ClusterReference {
            name: None,
            id: Some("ABC".to_string()),
        };
        let expected = Lookup::NotListed {
            id: "abc".to_string(),
        };
        assert_eq!(look_up(&reference, None, &[]), expected);
    }

    #[test]
    fn the_state_decides_whether_a_cluster_has_credentials_to_give() {
        let state = |state| Cluster {
            state,
            ..cluster("1", "a")
        };
        assert_eq!(unusable(&state(ClusterState::Running)), None);
        assert_eq!(unusable(&state(ClusterState::Degraded)), None);
        assert_eq!(unusable(&state(ClusterState::Upgrading)), None);
        assert_eq!(
            unusable(&state(ClusterState::Provisioning)),
            Some(Reason::ClusterNotReady)
        );
        assert_eq!(
            unusable(&state(ClusterState::Error)),
            Some(Reason::ClusterNotReady)
        );
        assert_eq!(
            unusable(&state(ClusterState::Unknown("odd".to_string()))),
            Some(Reason::ClusterNotReady)
        );
        assert_eq!(
            unusable(&state(ClusterState::Deleting)),
            Some(Reason::ClusterGone)
        );
        assert_eq!(
            unusable(&state(ClusterState::Deleted)),
            Some(Reason::ClusterGone)
        );
        let sso = Cluster {
            sso: Sso {
                enabled: true,
                required: true,
            },
            ..cluster("1", "a")
        };
        assert_eq!(unusable(&sso), Some(Reason::SsoRequired));
    }
}
