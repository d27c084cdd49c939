//! Which cluster a reference leads to. Pure.

mod list;

use crate::api::{ClusterReference, ClusterStatus, DOAccountSpec, Reason};
use crate::digitalocean::Cluster;

pub use list::ClusterList;

/// Which clusters may be accessed.
#[derive(Clone, Copy, Debug)]
pub enum Permission<'a> {
    /// All that the API token sees: it is the namespace's own.
    Everything,
    /// Those that a DOAccount allows.
    Account(&'a DOAccountSpec),
}

impl Permission<'_> {
    /// Whether this cluster may be accessed.
    #[must_use]
    pub fn allows(self, id: &str, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Account(account) => account.allows_cluster(id, name),
        }
    }

    /// Whether the cluster with this id may be accessed, whatever its name.
    #[must_use]
    pub fn allows_id(self, id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Account(account) => account.allows_cluster_id(id),
        }
    }

    fn allows_name(self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Account(account) => account.allows_cluster_name(name),
        }
    }
}

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// To this cluster, which may be accessed.
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
    /// To a cluster that may not be accessed, or would not be allowed if there were one: the answer
    /// does not tell which.
    NotAllowed,
}

/// Looks `reference` up in `clusters`, which must be complete. With `pinned`, the id that it led to
/// before, a name is not looked up again.
#[must_use]
pub fn look_up<'a>(
    reference: &ClusterReference,
    pinned: Option<&str>,
    clusters: &'a ClusterList,
    permission: Permission<'_>,
) -> Lookup<'a> {
    let allowed = |cluster: &Cluster| permission.allows(&cluster.id, &cluster.name);
    let id = pinned.map(str::to_string).or_else(|| reference.id.clone());
    if let Some(id) = id {
        return match clusters.with_id(&id) {
            Some(cluster) if allowed(cluster) => Lookup::Found(cluster),
            Some(_) => Lookup::NotAllowed,
            None => Lookup::NotListed {
                id: id.to_ascii_lowercase(),
            },
        };
    }
    let name = reference.name.as_deref().unwrap_or_default();
    let named: Vec<_> = clusters
        .named(name)
        .filter(|cluster| allowed(cluster))
        .collect();
    match named.as_slice() {
        [] if permission.allows_name(name) => Lookup::NotFound,
        [] => Lookup::NotAllowed,
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
        let clusters = ClusterList::new(vec![cluster("1", "a"), cluster("2", "b")]);
        assert_eq!(
            look_up(&name("b"), None, &clusters, Permission::Everything),
            Lookup::Found(&clusters[1])
        );
        assert_eq!(
            look_up(&name("c"), None, &clusters, Permission::Everything),
            Lookup::NotFound
        );
    }

    #[test]
    fn an_ambiguous_name_lists_the_ids_in_order() {
        let clusters = ClusterList::new(vec![cluster("2", "a"), cluster("1", "a")]);
        let ids = vec!["1".to_string(), "2".to_string()];
        assert_eq!(
            look_up(&name("a"), None, &clusters, Permission::Everything),
            Lookup::Ambiguous { ids }
        );
    }

    #[test]
    fn a_pinned_cluster_that_was_renamed_stays_although_another_one_has_the_name_now() {
        let clusters = ClusterList::new(vec![cluster("1", "renamed"), cluster("2", "a")]);
        assert_eq!(
            look_up(&name("a"), Some("1"), &clusters, Permission::Everything),
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
        assert_eq!(
            look_up(
                &reference,
                None,
                &ClusterList::default(),
                Permission::Everything
            ),
            expected
        );
    }

    #[test]
    fn a_cluster_is_found_by_id_and_by_name_wherever_it_is_in_the_list() {
        let clusters = [("d", "x"), ("B", "y"), ("a", "x"), ("C", "w"), ("e", "x")];
        let clusters = clusters.map(|(id, name)| cluster(id, name));
        let list = ClusterList::new(clusters.to_vec());
        for cluster in &clusters {
            for id in [
                cluster.id.to_ascii_lowercase(),
                cluster.id.to_ascii_uppercase(),
            ] {
                assert_eq!(list.with_id(&id), Some(cluster));
            }
            let named = list.named(&cluster.name);
            let same = clusters.iter().filter(|other| other.name == cluster.name);
            assert!(named.eq(same), "in the order of the list");
        }
        assert_eq!((list.with_id("0"), list.with_id("f")), (None, None));
        assert_eq!(list.named("v").chain(list.named("z")).count(), 0);
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

    fn account(spec: serde_json::Value) -> DOAccountSpec {
        let mut whole = serde_json::json!({"tokenSecretRef": {"name": "t"}});
        whole["allowedClusters"] = spec;
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn with_an_account_only_allowed_clusters_are_there() {
        let clusters = ClusterList::new(vec![
            cluster("1", "prod-a"),
            cluster("2", "secret"),
            cluster("3", "prod-a"),
            cluster("4", "other"),
        ]);
        let by_glob = account(serde_json::json!({"names": ["prod-*"]}));
        let by_id = account(serde_json::json!({"ids": ["3", "4"]}));
        let look_up = |name_: &str, account| {
            look_up(&name(name_), None, &clusters, Permission::Account(account))
        };
        assert_eq!(look_up("other", &by_id), Lookup::Found(&clusters[3]));
        assert_eq!(look_up("prod-a", &by_id), Lookup::Found(&clusters[2]));
        let ids = vec!["1".to_string(), "3".to_string()];
        assert_eq!(look_up("prod-a", &by_glob), Lookup::Ambiguous { ids });
        assert_eq!(look_up("prod-b", &by_glob), Lookup::NotFound);
    }

    #[test]
    fn whether_a_cluster_exists_that_is_not_allowed_cannot_be_told_from_the_answer() {
        let clusters = ClusterList::new(vec![cluster("2", "secret")]);
        let account = account(serde_json::json!({"names": ["prod-*"]}));
        let permission = Permission::Account(&account);
        for named in ["secret", "no-such-cluster"] {
            assert_eq!(
                look_up(&name(named), None, &clusters, permission),
                Lookup::NotAllowed
            );
        }
        assert_eq!(
            look_up(&name("a"), Some("2"), &clusters, permission),
            Lookup::NotAllowed
        );
    }
    fn id(id: &str) -> ClusterReference {
        ClusterReference {
            name: None,
            id: Some(id.to_string()),
        }
    }

    #[test]
    fn an_id_leads_to_its_cluster_in_upper_or_lower_case_where_that_is_allowed() {
        let clusters = ClusterList::new(vec![cluster("ab", "prod-a"), cluster("cd", "secret")]);
        let found = |place: usize| Lookup::Found(&clusters[place]);
        let all = Permission::Everything;
        assert_eq!(look_up(&id("CD"), None, &clusters, all), found(1));
        let by_glob = account(serde_json::json!({"names": ["prod-*"]}));
        let by_id = account(serde_json::json!({"ids": ["CD"]}));
        for (account, reference, expected) in [
            (&by_glob, "AB", found(0)),
            (&by_glob, "cd", Lookup::NotAllowed),
            (&by_id, "ab", Lookup::NotAllowed),
            (&by_id, "cd", found(1)),
        ] {
            let permission = Permission::Account(account);
            assert_eq!(
                look_up(&id(reference), None, &clusters, permission),
                expected
            );
        }
    }

    #[test]
    fn a_pinned_cluster_whose_new_name_is_not_allowed_is_not_allowed_any_more() {
        let clusters = ClusterList::new(vec![cluster("1", "secret"), cluster("2", "prod-a")]);
        let by_name = account(serde_json::json!({"names": ["prod-*"]}));
        let permission = Permission::Account(&by_name);
        let look_up = |permission| look_up(&name("prod-a"), Some("1"), &clusters, permission);
        assert_eq!(look_up(permission), Lookup::NotAllowed);
        let by_id = account(serde_json::json!({"names": ["prod-*"], "ids": ["1"]}));
        let permission = Permission::Account(&by_id);
        assert_eq!(look_up(permission), Lookup::Found(&clusters[0]));
    }

    #[test]
    fn a_cluster_is_allowed_by_id_or_name_and_without_an_account_always() {
        let account = account(serde_json::json!({"names": ["prod-*"], "ids": ["1"]}));
        let permission = Permission::Account(&account);
        for (id, name, allowed) in [
            ("1", "secret", true),
            ("2", "prod-a", true),
            ("2", "secret", false),
        ] {
            assert_eq!(permission.allows(id, name), allowed, "{id} {name}");
            assert!(Permission::Everything.allows(id, name));
        }
        assert!(permission.allows_id("1"));
        assert!(!permission.allows_id("2"), "its name decides");
        assert!(Permission::Everything.allows_id("2"));
    }

    #[test]
    fn what_status_says_of_a_cluster_leaves_out_what_is_not_known() {
        let known = Cluster {
            endpoint: Some("https://a".to_string()),
            version: "1.36".to_string(),
            ..cluster("1", "a")
        };
        let text = |text: &str| Some(text.to_string());
        let expected = ClusterStatus {
            id: text("1"),
            name: text("a"),
            region: text("nyc1"),
            version: text("1.36"),
            state: text("running"),
            endpoint: text("https://a"),
        };
        assert_eq!(facts(&known), expected);
        assert_eq!(facts(&cluster("1", "a")).version, None);
    }
}
