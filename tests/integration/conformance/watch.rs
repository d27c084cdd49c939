//! Watches.

use serde_json::json;

use super::subject::Subject;

super::cases![
    a_watch_tells_what_was_written_since,
    a_watch_tells_what_is_written_next,
    a_write_that_changes_nothing_is_not_told,
    what_enters_and_leaves_a_selection_is_added_and_deleted,
    a_watch_without_a_version_begins_with_what_is_there,
    a_watch_of_metadata,
    a_watch_of_accesses_tells_of_status,
    a_watch_ends_after_its_time,
    bookmarks_tell_how_far_a_watch_is,
    bookmarks_of_metadata,
    a_version_that_is_too_old_is_gone,
    a_watch_of_one_name,
];

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

async fn since(subject: &mut Subject) -> String {
    let first = json!({"metadata": {"name": "first"}});
    let first = subject.create("secrets", "user", first).await;
    format!("timeoutSeconds=30&resourceVersion={}", first.version())
}

async fn a_watch_tells_what_was_written_since(subject: &mut Subject) {
    let since = since(subject).await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dg=="}}))
        .await;
    subject
        .create("leases", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject.delete("secrets", "a", json!(null)).await;
    subject.delete("secrets", "first", json!(null)).await;
    let mut watch = subject.watch("secrets", &since, None).await;
    subject.events(&mut watch, 4).await;
}

async fn a_watch_tells_what_is_written_next(subject: &mut Subject) {
    let since = since(subject).await;
    let mut watch = subject.watch("secrets", &since, None).await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject.events(&mut watch, 1).await;
    subject
        .force("secrets", "a", "m", json!({"data": {"k": "dg=="}}))
        .await;
    subject.delete("secrets", "a", json!(null)).await;
    subject.events(&mut watch, 2).await;
}

async fn a_write_that_changes_nothing_is_not_told(subject: &mut Subject) {
    let since = since(subject).await;
    let mut watch = subject.watch("secrets", &since, None).await;
    for _ in 0..2 {
        subject
            .apply("secrets", "a", "m", json!({"data": {"k": "dg=="}}))
            .await;
    }
    subject
        .create("secrets", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject.events(&mut watch, 2).await;
}

async fn what_enters_and_leaves_a_selection_is_added_and_deleted(subject: &mut Subject) {
    let since = since(subject).await;
    let query = format!("{since}&labelSelector=x%3D1");
    let mut watch = subject.watch("secrets", &query, None).await;
    let labelled = |label: Option<&str>| json!({"metadata": {"labels": {"x": label}}});
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    for label in [Some("1"), Some("2"), None, Some("1")] {
        subject.patch("secrets", "a", "user", labelled(label)).await;
    }
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dg=="}}))
        .await;
    subject
        .patch("secrets", "first", "user", json!({"data": {"k": "dg=="}}))
        .await;
    subject.delete("secrets", "a", json!(null)).await;
    subject.events(&mut watch, 5).await;
}

async fn a_watch_without_a_version_begins_with_what_is_there(subject: &mut Subject) {
    since(subject).await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    let mut watch = subject.watch("secrets", "timeoutSeconds=30", None).await;
    subject.events(&mut watch, 2).await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject.events(&mut watch, 1).await;
}

async fn a_watch_of_metadata(subject: &mut Subject) {
    let since = since(subject).await;
    let mut watch = subject.watch("secrets", &since, Some(METADATA)).await;
    subject
        .create(
            "secrets",
            "user",
            json!({"metadata": {"name": "a"}, "data": {"k": "dg=="}}),
        )
        .await;
    subject
        .patch("secrets", "a", "user", json!({"data": {"k": "dw=="}}))
        .await;
    subject.delete("secrets", "a", json!(null)).await;
    subject.events(&mut watch, 3).await;
}

async fn a_watch_of_accesses_tells_of_status(subject: &mut Subject) {
    let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    let first = subject.create("doclusteraccesses", "user", access).await;
    let query = format!("timeoutSeconds=30&resourceVersion={}", first.version());
    let mut watch = subject.watch("doclusteraccesses", &query, None).await;
    let status = json!({"status": {"observedGeneration": 1}});
    subject
        .force("doclusteraccesses", "a/status", "operator", status)
        .await;
    subject
        .patch(
            "doclusteraccesses",
            "a",
            "user",
            json!({"spec": {"suspend": true}}),
        )
        .await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
    subject.events(&mut watch, 3).await;
}

async fn a_watch_ends_after_its_time(subject: &mut Subject) {
    let since = since(subject).await.replace("Seconds=30", "Seconds=1");
    let mut watch = subject.watch("secrets", &since, None).await;
    subject.events(&mut watch, 1).await;
}

async fn bookmarks_tell_how_far_a_watch_is(subject: &mut Subject) {
    let since = since(subject).await.replace("Seconds=30", "Seconds=4");
    let query = format!("{since}&allowWatchBookmarks=true");
    for plural in ["secrets", "doclusteraccesses", "leases"] {
        let mut watch = subject.watch(plural, &query, None).await;
        subject.events(&mut watch, 1).await;
    }
}

async fn bookmarks_of_metadata(subject: &mut Subject) {
    let since = since(subject).await.replace("Seconds=30", "Seconds=4");
    let query = format!("{since}&allowWatchBookmarks=true");
    let mut watch = subject.watch("secrets", &query, Some(METADATA)).await;
    subject.events(&mut watch, 1).await;
}

async fn a_version_that_is_too_old_is_gone(subject: &mut Subject) {
    if let Some(model) = &subject.model {
        model.compact();
    }
    // The real one knows nothing from before there were accesses.
    for accept in [None, Some(METADATA)] {
        let query = "timeoutSeconds=30&resourceVersion=1";
        let mut watch = subject.watch("doclusteraccesses", query, accept).await;
        subject.events(&mut watch, 2).await;
    }
}

async fn a_watch_of_one_name(subject: &mut Subject) {
    let since = since(subject).await;
    let query = format!("{since}&fieldSelector=metadata.name%3Db");
    let mut watch = subject.watch("secrets", &query, None).await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "b"}}))
        .await;
    subject.events(&mut watch, 1).await;
}
