//! DELETE.

use http::Method;
use serde_json::json;

use super::subject::Subject;

super::cases![
    a_secret_is_deleted,
    an_access_is_deleted,
    what_is_not_there_is_not_deleted,
    another_uid_is_not_deleted,
    another_version_is_not_deleted,
    exactly_what_was_found_is_deleted,
    the_same_name_gets_another_uid,
    a_terminating_namespace_takes_nothing_new,
];

async fn a_secret_is_deleted(subject: &mut Subject) {
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject
        .delete("secrets", "a", json!({"propagationPolicy": "Background"}))
        .await;
    subject.get("secrets", "a").await;
    subject
        .create("leases", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject.delete("leases", "a", json!(null)).await;
}

async fn an_access_is_deleted(subject: &mut Subject) {
    let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.create("doclusteraccesses", "user", access).await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
    subject.get("doclusteraccesses", "a").await;
}

async fn what_is_not_there_is_not_deleted(subject: &mut Subject) {
    subject.delete("secrets", "a", json!(null)).await;
    let preconditions = json!({"preconditions": {"uid": "u", "resourceVersion": "7"}});
    subject.delete("secrets", "a", preconditions).await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
}

async fn another_uid_is_not_deleted(subject: &mut Subject) {
    let secret = subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    let preconditions = json!({"uid": "u", "resourceVersion": secret.version()});
    subject
        .delete("secrets", "a", json!({"preconditions": preconditions}))
        .await
        .is(409);
    let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.create("doclusteraccesses", "user", access).await;
    subject
        .delete(
            "doclusteraccesses",
            "a",
            json!({"preconditions": {"uid": "u"}}),
        )
        .await
        .is(409);
    subject.get("secrets", "a").await;
}

async fn another_version_is_not_deleted(subject: &mut Subject) {
    let secret = subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dg=="}}))
        .await;
    let preconditions = json!({"uid": secret.uid(), "resourceVersion": secret.version()});
    subject
        .delete("secrets", "a", json!({"preconditions": preconditions}))
        .await
        .is(409);
    subject.get("secrets", "a").await;
}

async fn exactly_what_was_found_is_deleted(subject: &mut Subject) {
    let secret = subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    let preconditions = json!({"uid": secret.uid(), "resourceVersion": secret.version()});
    let options = json!({"preconditions": preconditions, "propagationPolicy": "Background"});
    subject.delete("secrets", "a", options).await.is(200);
    subject.get("secrets", "a").await;
}

async fn the_same_name_gets_another_uid(subject: &mut Subject) {
    for _ in 0..2 {
        subject
            .apply("secrets", "a", "m", json!({"data": {"k": "dg=="}}))
            .await;
        subject.delete("secrets", "a", json!(null)).await;
    }
}

async fn a_terminating_namespace_takes_nothing_new(subject: &mut Subject) {
    let name = format!("{}-2", subject.namespace);
    subject
        .create("namespaces", "user", json!({"metadata": {"name": name}}))
        .await;
    let (path, outer) = (
        name.clone(),
        std::mem::replace(&mut subject.namespace, name),
    );
    let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}});
    subject.create("secrets", "user", held).await;
    subject.delete("namespaces", &path, json!(null)).await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject.apply("secrets", "b", "m", json!({})).await;
    let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.create("doclusteraccesses", "user", access).await;
    if subject.model.is_none() {
        // So long, the namespace cannot have come to its end.
        let secret = subject.path("secrets", "a");
        let header = ("content-type", "application/merge-patch+json");
        let release = json!({"metadata": {"finalizers": null}});
        subject
            .request(Method::PATCH, &secret, Some(header), Some(release))
            .await
            .is(200);
    }
    subject.until_gone("namespaces", &path).await;
    subject.get("secrets", "a").await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject.namespace = outer;
}
