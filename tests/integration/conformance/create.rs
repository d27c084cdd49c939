//! POST and GET.

use http::Method;
use serde_json::json;

use super::subject::Subject;

super::cases![
    a_secret_is_created,
    a_name_that_is_taken_is_refused,
    a_missing_namespace_is_not_found,
    string_data_becomes_data,
    empty_maps_are_left_out,
    an_object_without_a_name_is_invalid,
    another_namespace_than_that_of_the_path_is_refused,
    another_kind_than_that_of_the_path_is_refused,
    an_access_gets_defaults_and_a_generation,
    the_status_of_a_new_access_is_the_default,
    unknown_fields_of_an_access_are_dropped,
    an_account_is_created,
    a_lease_is_created,
    an_empty_lease_is_created,
    an_event_is_created,
    an_owner_without_uid_is_invalid,
    managed_fields_that_are_sent_are_taken_over,
    what_is_not_there_is_not_found,
    a_path_that_nobody_serves_is_not_found,
    metadata_alone_can_be_read,
    the_user_agent_is_the_manager_of_writes_that_name_none,
];

async fn a_secret_is_created(subject: &mut Subject) {
    let secret = json!({
        "metadata": {"name": "a", "labels": {"x": "1"}, "annotations": {"y": "2"}},
        "data": {"k": "dg=="},
    });
    subject.create("secrets", "user", secret).await;
    subject.get("secrets", "a").await;
}

async fn a_name_that_is_taken_is_refused(subject: &mut Subject) {
    for plural in ["secrets", "leases"] {
        for _ in 0..2 {
            let object = json!({"metadata": {"name": "a"}});
            subject.create(plural, "user", object).await;
        }
    }
    for _ in 0..2 {
        let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
        subject.create("doclusteraccesses", "user", access).await;
    }
}

async fn a_missing_namespace_is_not_found(subject: &mut Subject) {
    let path = "/api/v1/namespaces/missing/secrets";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
    subject
        .send(Method::POST, path, None, Some(secret.clone()))
        .await;
    let path = "/api/v1/namespaces/missing/secrets/a?fieldManager=m";
    let header = ("content-type", "application/apply-patch+yaml");
    subject
        .send(Method::PATCH, path, Some(header), Some(secret))
        .await;
    subject
        .send(
            Method::GET,
            "/api/v1/namespaces/missing/secrets/a",
            None,
            None,
        )
        .await;
    subject
        .send(Method::GET, "/api/v1/namespaces/missing", None, None)
        .await;
}

async fn string_data_becomes_data(subject: &mut Subject) {
    let secret = json!({"metadata": {"name": "a"}, "data": {"k": "dg==", "l": "bA=="}, "stringData": {"k": "text"}});
    subject.create("secrets", "user", secret).await;
}

async fn empty_maps_are_left_out(subject: &mut Subject) {
    let secret = json!({
        "metadata": {"name": "a", "labels": {}, "annotations": {}, "ownerReferences": [], "finalizers": []},
        "data": {},
        "immutable": false,
    });
    subject.create("secrets", "user", secret).await;
    let access = json!({
        "metadata": {"name": "a", "labels": {}, "annotations": {}},
        "spec": {"cluster": {"name": "c"}, "outputs": [{"secretName": "s", "labels": {}}]},
    });
    subject.create("doclusteraccesses", "user", access).await;
}

async fn an_object_without_a_name_is_invalid(subject: &mut Subject) {
    subject.create("secrets", "user", json!({})).await;
    let access = json!({"spec": {"cluster": {"name": "c"}}});
    subject.create("doclusteraccesses", "user", access).await;
}

async fn another_namespace_than_that_of_the_path_is_refused(subject: &mut Subject) {
    let secret = json!({"metadata": {"name": "a", "namespace": "other"}});
    subject.create("secrets", "user", secret.clone()).await;
    subject.apply("secrets", "a", "user", secret).await;
}

async fn another_kind_than_that_of_the_path_is_refused(subject: &mut Subject) {
    let other = json!({"apiVersion": "v2", "metadata": {"name": "a"}});
    subject.apply("secrets", "a", "user", other).await;
}

async fn an_access_gets_defaults_and_a_generation(subject: &mut Subject) {
    let access = json!({
        "metadata": {"name": "a", "labels": {"x": "1"}},
        "spec": {
            "cluster": {"name": "c"},
            "tokenSecretRef": {"name": "t"},
            "outputs": [{"secretName": "s"}, {"secretName": "t-kubeconfig", "format": "ClusterAPI"}],
        },
    });
    subject.create("doclusteraccesses", "user", access).await;
    subject.get("doclusteraccesses", "a").await;
    subject.get("doclusteraccesses", "a/status").await;
}

async fn the_status_of_a_new_access_is_the_default(subject: &mut Subject) {
    let access = json!({
        "metadata": {"name": "a", "generation": 7, "uid": "mine"},
        "spec": {"cluster": {"name": "c"}},
        "status": {"observedGeneration": 7, "cluster": {"id": "x"}},
    });
    subject.create("doclusteraccesses", "user", access).await;
}

async fn unknown_fields_of_an_access_are_dropped(subject: &mut Subject) {
    let access = json!({
        "metadata": {"name": "a"},
        "spec": {"cluster": {"name": "c", "colour": "red"}, "weight": 3},
        "extra": {},
    });
    subject.create("doclusteraccesses", "user", access).await;
}

async fn an_account_is_created(subject: &mut Subject) {
    let name = format!("account-{}", subject.namespace);
    let account = json!({
        "metadata": {"name": name},
        "spec": {"tokenSecretRef": {"name": "t"}, "allowedNamespaces": ["a", "b"]},
    });
    subject.create("doaccounts", "user", account).await;
    subject.get("doaccounts", &name).await;
    subject.delete("doaccounts", &name, json!(null)).await;
}

async fn a_lease_is_created(subject: &mut Subject) {
    let spec = json!({
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 0,
        "renewTime": "2026-11-22T10:00:00.123456Z",
        "acquireTime": "2026-11-22T10:00:00.123456Z",
    });
    let lease = json!({"metadata": {"name": "l"}, "spec": spec});
    subject.create("leases", "user", lease).await;
}

async fn an_empty_lease_is_created(subject: &mut Subject) {
    subject
        .create("leases", "user", json!({"metadata": {"name": "l"}}))
        .await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    subject.force("leases", "l", "m", lease).await;
}

async fn an_event_is_created(subject: &mut Subject) {
    let namespace = subject.namespace.clone();
    let event = json!({
        "metadata": {"name": "a.1", "namespace": namespace},
        "action": "Issue",
        "eventTime": "2026-11-22T10:00:00.123456Z",
        "note": "Issued.",
        "reason": "Issued",
        "regarding": {"apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess", "name": "a", "namespace": namespace, "uid": "u"},
        "reportingController": "doclusteraccess.dev/do-cluster-access",
        "reportingInstance": "me",
        "type": "Normal",
    });
    subject.create("events", "user", event.clone()).await;
    subject.create("events", "user", event).await;
    subject.list("events", "").await;
}

async fn an_owner_without_uid_is_invalid(subject: &mut Subject) {
    let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "o", "uid": ""});
    let secret = json!({"metadata": {"name": "a", "ownerReferences": [owner]}});
    subject.create("secrets", "user", secret).await;
    let owner = json!({"apiVersion": "v1", "kind": "", "name": "", "uid": "u"});
    let secret = json!({"metadata": {"name": "a", "ownerReferences": [owner]}});
    subject.create("secrets", "user", secret).await;
}

async fn managed_fields_that_are_sent_are_taken_over(subject: &mut Subject) {
    let secret = json!({"metadata": {"labels": {"x": "1"}}, "data": {"k": "dg=="}});
    let applied = subject.apply("secrets", "a", "operator", secret).await;
    let mut copy = applied.body;
    copy["metadata"]["name"] = json!("b");
    copy["metadata"]["resourceVersion"] = json!(null);
    subject.create("secrets", "user", copy).await;
}

async fn what_is_not_there_is_not_found(subject: &mut Subject) {
    for plural in [
        "secrets",
        "doclusteraccesses",
        "leases",
        "doaccounts",
        "events",
    ] {
        subject.get(plural, "missing").await;
    }
}

async fn a_path_that_nobody_serves_is_not_found(subject: &mut Subject) {
    let path = "/apis/doclusteraccess.dev/v1alpha1/unknowns";
    subject.send(Method::GET, path, None, None).await;
    subject
        .send(
            Method::GET,
            "/apis/doclusteraccess.dev/v2/doaccounts",
            None,
            None,
        )
        .await;
    subject
        .send(Method::GET, "/apis/nobody.example/v1/things", None, None)
        .await;
}

async fn metadata_alone_can_be_read(subject: &mut Subject) {
    let metadata = json!({"labels": {"x": "1"}});
    let secret = json!({"metadata": metadata, "data": {"k": "dg=="}});
    let path = format!("{}?fieldManager=m", subject.path("secrets", "a"));
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    subject.apply("secrets", "a", "m", secret).await;
    subject
        .send(Method::GET, &path, Some(("accept", accept)), None)
        .await;
    let missing = subject.path("secrets", "b");
    subject
        .send(Method::GET, &missing, Some(("accept", accept)), None)
        .await;
    let list = subject.path("secrets", "");
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    subject
        .send(Method::GET, &list, Some(("accept", accept)), None)
        .await;
}

async fn the_user_agent_is_the_manager_of_writes_that_name_none(subject: &mut Subject) {
    let path = subject.path("secrets", "");
    let secret = json!({"metadata": {"name": "a"}, "data": {"k": "dg=="}});
    subject.send(Method::POST, &path, None, Some(secret)).await;
}
