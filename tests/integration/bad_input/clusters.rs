//! The cluster: gone, not there yet, or not to be had.

use std::time::Duration;

use do_cluster_access::api::Reason;
use do_cluster_access_testbed::simulator::{Cluster, Sso};

use serde_json::json;

use super::{Case, Heals, Scene, Trouble, cases};
use crate::harness::{condition, has_condition};

/// The list of clusters tells.
fn listed_as(change: fn(&mut Cluster), reason: Reason) -> Case {
    Case::ends_in(Trouble::Cluster(change), reason, Heals::RetryWithNewList)
}

cases! {
    a_cluster_that_is_gone:
        Case::ends_in(Trouble::NoCluster, Reason::ClusterNotFound, Heals::RetryWithNewList);
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
            Heals::Retry,
        );
}

#[tokio::test]
async fn a_cluster_that_is_still_missing_after_ten_minutes_is_gone() {
    let scene = Scene::set(stage!(), &Trouble::NoCluster).await;
    let spec = json!({"cluster": {"id": scene.cluster}});
    let by_id = scene.stage.create_access("by-id", spec).await;
    by_id.synced("ClusterNotFound").await;
    scene.ends_in(Reason::ClusterNotFound).await;
    scene.operator.advance(Duration::from_secs(720));
    by_id.touch("later").await;
    let gone = by_id.synced("ClusterGone").await;
    assert!(has_condition(&gone, "Stalled", "True", "ClusterGone"));
    scene.published.touch("later").await;
    let published = scene.published.synced("ClusterGone").await;
    // The credential may serve still; whether it does, consumers see.
    assert!(has_condition(&published, "Ready", "True", "Published"));
    assert!(condition(&published, "Stalled").is_none());
    assert!(scene.published.secret().await == scene.before);
    Trouble::NoCluster.end(&scene.stage, &scene.cluster).await;
    scene.operator.advance(Duration::from_secs(720));
    by_id.touch("returned").await;
    by_id.ready().await;
}
