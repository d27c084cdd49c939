//! The cluster: gone, not there yet, or not to be had.

use do_cluster_access::api::Reason;
use do_cluster_access_testbed::simulator::{Cluster, Sso};

use super::{Case, Heals, Trouble, cases};

/// The list of clusters tells.
fn listed_as(change: fn(&mut Cluster), reason: Reason) -> Case {
    Case::ends_in(Trouble::Cluster(change), reason, Heals::ByRetryWithNewList)
}

cases! {
    a_cluster_that_is_gone:
        Case::ends_in(Trouble::NoCluster, Reason::ClusterNotFound, Heals::ByRetryWithNewList);
    a_cluster_that_is_being_provisioned:
        listed_as(|cluster| cluster.state = "provisioning".to_owned(), Reason::ClusterNotReady);
    a_cluster_in_error:
        listed_as(|cluster| cluster.state = "error".to_owned(), Reason::ClusterNotReady);
    a_cluster_in_a_state_that_nobody_knows:
        listed_as(|cluster| cluster.state = "levitating".to_owned(), Reason::ClusterNotReady);
    a_cluster_that_is_being_deleted:
        listed_as(|cluster| cluster.state = "deleting".to_owned(), Reason::ClusterGone);
    a_cluster_that_was_deleted:
        listed_as(|cluster| cluster.state = "deleted".to_owned(), Reason::ClusterGone);
    a_cluster_with_single_sign_on_alone:
        listed_as(
            |cluster| cluster.sso = Some(Sso { required: true, ..Sso::default() }),
            Reason::SsoRequired,
        );
    a_running_cluster_whose_credentials_are_answered_with_404_still:
        Case::ends_in(
            Trouble::Cluster(|cluster| cluster.credentials_after_seconds = Some(u32::MAX)),
            Reason::ClusterNotReady,
            Heals::ByRetry,
        );
}
