//! The cluster that an access names: found, pinned, not ready, gone.

use std::time::Duration;

use do_cluster_access_testbed::simulator::{Cluster, Sso};
use serde_json::json;

use crate::harness::{
    Access, Operator, Stage, annotation, assert_condition, condition, text, whoami,
};

/// After this the operator asks for the list of clusters again when it is to issue.
const LIST_IS_OLD: Duration = Duration::from_secs(301);
/// After this an operator that looked for a cluster in vain looks again.
const RETRY_IS_DUE: Duration = Duration::from_secs(800);

async fn published(stage: &Stage) -> Access {
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.ready().await;
    access
}

fn cluster_id(access: &do_cluster_access::api::DOClusterAccess) -> Option<String> {
    access.status.as_ref()?.cluster.as_ref()?.id.clone()
}

#[tokio::test]
async fn a_cluster_that_is_renamed_stays_the_cluster_of_its_access() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    let access = published(&stage).await;
    let before = access.secret().await;
    stage
        .simulator
        .update_cluster(&id, |cluster| "renamed".clone_into(&mut cluster.name))
        .unwrap();
    stage.add_cluster(stage.cluster("prod"));

    operator.advance(LIST_IS_OLD);
    access.rotate("now").await;
    let after = access.renewed(&before).await;
    let ready = access.ready().await;
    assert_eq!(annotation(&after, "cluster-id"), id);
    assert_eq!(cluster_id(&ready), Some(id.clone()));
    assert_eq!(
        ready.status.unwrap().cluster.unwrap().name.as_deref(),
        Some("renamed")
    );
    assert!(stage.mints().iter().all(|mint| mint.cluster == id));
}

#[tokio::test]
async fn a_pinned_cluster_stays_pinned_through_a_restart_of_the_operator() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    let access = published(&stage).await;
    let before = access.secret().await;
    drop(operator);
    stage
        .simulator
        .update_cluster(&id, |cluster| "renamed".clone_into(&mut cluster.name))
        .unwrap();
    stage.add_cluster(stage.cluster("prod"));
    let _operator = Operator::start(&stage).await;
    access.rotate("now").await;
    let after = access.renewed(&before).await;
    assert_eq!(annotation(&after, "cluster-id"), id);
}

#[tokio::test]
async fn a_name_that_no_cluster_has_is_told_and_found_as_soon_as_one_has_it() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    stage.add_cluster(stage.cluster("other"));
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let refused = access.synced("ClusterNotFound").await;
    assert!(
        condition(&refused, "Stalled").is_none(),
        "it may yet be created"
    );
    assert_eq!(stage.mints().len(), 0);
    let id = stage.add_cluster(stage.cluster("prod"));
    operator.advance(Duration::from_secs(31));
    let ready = access.ready().await;
    assert_eq!(cluster_id(&ready), Some(id));
}

#[tokio::test]
async fn an_id_that_the_account_does_not_have_is_told() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let id = "bd5f5959-5e1e-4205-a714-a914373942af";
    let access = stage
        .create_access("prod", json!({"cluster": {"id": id}}))
        .await;
    access.synced("ClusterNotFound").await;
    assert_eq!(stage.mints().len(), 0);
}

#[tokio::test]
async fn a_name_that_two_clusters_have_is_told_with_their_ids_and_nothing_is_minted() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let ids = [
        stage.add_cluster(stage.cluster("prod")),
        stage.add_cluster(stage.cluster("prod")),
    ];
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let refused = access.synced("ClusterAmbiguous").await;
    assert_condition(&refused, "Stalled", "True", "ClusterAmbiguous");
    let message = &condition(&refused, "Synced").unwrap().message;
    assert!(ids.iter().all(|id| message.contains(id)), "{message}");
    assert_eq!(stage.mints().len(), 0);

    access
        .patch_spec(json!({"cluster": {"name": null, "id": ids[0]}}))
        .await;
    assert_eq!(cluster_id(&access.ready().await), Some(ids[0].clone()));
    drop(operator);
}

#[tokio::test]
async fn a_cluster_that_is_being_made_is_waited_for_and_served_without_anybody_doing_anything() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let id = stage.add_cluster(Cluster {
        state: "provisioning".to_owned(),
        ..stage.cluster("prod")
    });
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let waiting = access.synced("ClusterNotReady").await;
    assert!(condition(&waiting, "Stalled").is_none());
    let cluster = waiting.status.unwrap().cluster.unwrap();
    assert_eq!(cluster.state.as_deref(), Some("provisioning"));
    assert_eq!(stage.mints().len(), 0);
    stage
        .simulator
        .update_cluster(&id, |cluster| "running".clone_into(&mut cluster.state))
        .unwrap();
    operator.advance(LIST_IS_OLD);
    let ready = access.ready().await;
    assert_eq!(
        ready.status.unwrap().cluster.unwrap().state.as_deref(),
        Some("running")
    );
}

#[tokio::test]
async fn a_running_cluster_that_has_no_credentials_to_give_yet_is_waited_for() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(Cluster {
        credentials_after_seconds: Some(8),
        ..stage.cluster("prod")
    });
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    access.synced("ClusterNotReady").await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn a_cluster_in_error_is_not_ready_and_says_so_with_its_state() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(Cluster {
        state: "error".to_owned(),
        ..stage.cluster("prod")
    });
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let refused = access.synced("ClusterNotReady").await;
    assert_eq!(
        refused.status.unwrap().cluster.unwrap().state.as_deref(),
        Some("error")
    );
    assert_eq!(stage.mints().len(), 0);
}

#[tokio::test]
async fn a_cluster_that_is_being_deleted_is_gone_and_the_old_secret_stays() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    let access = published(&stage).await;
    let before = access.secret().await;
    stage
        .simulator
        .update_cluster(&id, |cluster| "deleting".clone_into(&mut cluster.state))
        .unwrap();
    operator.advance(LIST_IS_OLD);
    access.rotate("now").await;
    let gone = access.synced("ClusterGone").await;
    assert_condition(&gone, "Ready", "True", "Published");
    assert!(
        condition(&gone, "Stalled").is_none(),
        "kstatus would call a working access failed"
    );
    assert_eq!(
        access.secret().await.metadata.resource_version,
        before.metadata.resource_version
    );
    assert!(whoami(&text(&before, "kubeconfig")).await.is_ok());
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn a_cluster_that_is_not_found_any_more_is_gone_after_ten_minutes_and_the_old_secret_stays() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    let access = published(&stage).await;
    let before = access.secret().await;
    stage.simulator.remove_cluster(&id).unwrap();
    operator.advance(LIST_IS_OLD);
    access.rotate("now").await;
    access.synced("ClusterNotFound").await;
    operator.advance(RETRY_IS_DUE);
    access.touch("later").await;
    access.synced("ClusterGone").await;
    assert_eq!(
        access.secret().await.metadata.resource_version,
        before.metadata.resource_version
    );
    assert_eq!(stage.mints().len(), 2);
}

#[tokio::test]
async fn an_access_by_name_follows_it_to_a_new_cluster_only_when_the_old_one_is_gone() {
    let stage = stage!();
    let operator = Operator::start(&stage).await;
    let old = stage.add_cluster(stage.cluster("prod"));
    let access = published(&stage).await;
    let before = access.secret().await;
    stage.simulator.remove_cluster(&old).unwrap();
    let new = stage.add_cluster(stage.cluster("prod"));
    operator.advance(LIST_IS_OLD);
    access.rotate("now").await;
    access.synced("ClusterNotFound").await;
    assert_eq!(stage.mints().len(), 2);
    operator.advance(RETRY_IS_DUE);
    access.touch("later").await;
    let after = access.renewed(&before).await;
    assert_eq!(annotation(&after, "cluster-id"), new);
    let ready = access.ready().await;
    assert_eq!(cluster_id(&ready), Some(new));
    assert_eq!(stage.mints().len(), 4);
}

#[tokio::test]
async fn a_cluster_for_single_sign_on_alone_is_told_and_nothing_is_minted() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let sso = Some(Sso {
        required: true,
        ..Sso::default()
    });
    stage.add_cluster(Cluster {
        sso,
        ..stage.cluster("prod")
    });
    let access = stage
        .create_access("prod", json!({"cluster": {"name": "prod"}}))
        .await;
    let refused = access.synced("SsoRequired").await;
    assert_condition(&refused, "Stalled", "True", "SsoRequired");
    assert_eq!(stage.mints().len(), 0);
}

#[tokio::test]
async fn a_cluster_that_allows_single_sign_on_gives_a_token_all_the_same() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    stage.add_cluster(Cluster {
        sso: Some(Sso::default()),
        ..stage.cluster("prod")
    });
    let access = published(&stage).await;
    assert!(
        whoami(&text(&access.secret().await, "kubeconfig"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_two_hundredth_cluster_of_an_account_is_found_by_name() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    let id = stage.add_cluster(stage.cluster("prod"));
    for number in 0..250 {
        stage.add_cluster(stage.cluster(&format!("other-{number}")));
    }
    let access = published(&stage).await;
    assert_eq!(cluster_id(&access.get().await), Some(id));
}

#[tokio::test]
async fn an_unreachable_cluster_is_published_for_unless_verification_is_required() {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    // Nobody listens at port 1.
    let endpoint = Some("https://127.0.0.1:1".to_owned());
    stage.add_cluster(Cluster {
        endpoint,
        ..stage.cluster("prod")
    });
    let spec = |policy: &str| json!({"cluster": {"name": "prod"}, "verification": policy});
    for (policy, reason) in [("WhenReachable", "Unreachable"), ("Off", "Off")] {
        let name = policy.to_lowercase();
        let ready = stage.create_access(&name, spec(policy)).await.ready().await;
        assert_condition(&ready, "Verified", "Unknown", reason);
    }
    let required = stage.create_access("required", spec("Required")).await;
    let blocked = required.synced("Unreachable").await;
    assert_eq!(condition(&blocked, "Ready").unwrap().status, "False");
    assert!(
        stage
            .secrets()
            .get_opt("required-kubeconfig")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_credential_that_waits_for_its_cluster_is_published_when_that_answers_and_not_minted_again()
 {
    let stage = stage!();
    let _operator = Operator::start(&stage).await;
    // The cluster's endpoint is where DigitalOcean says, but it refuses connections for a while.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Some(format!("https://{address}"));
    stage.add_cluster(Cluster {
        endpoint,
        ..stage.cluster("prod")
    });
    let spec = json!({"cluster": {"name": "prod"}, "verification": "Required"});
    let access = stage.create_access("prod", spec).await;
    access.synced("Unreachable").await;
    assert_eq!(stage.mints().len(), 2);

    let api_server = stage.server.trim_start_matches("https://").to_owned();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut incoming, _) = listener.accept().await.unwrap();
            let mut outgoing = tokio::net::TcpStream::connect(&api_server).await.unwrap();
            tokio::spawn(async move {
                // Either side may close as it likes.
                drop(tokio::io::copy_bidirectional(&mut incoming, &mut outgoing).await);
            });
        }
    });
    let ready = access.ready().await;
    assert_condition(&ready, "Verified", "True", "Accepted");
    assert_eq!(stage.mints().len(), 2);
}
