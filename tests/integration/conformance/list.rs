//! Lists: selectors, pages, versions.

use http::Method;
use serde_json::json;

use super::subject::{Answer, Subject};

super::cases![
    an_empty_list,
    everything_is_listed_in_order,
    labels_select,
    fields_select,
    pages_follow_each_other,
    pages_show_what_was_there_at_the_first,
    pages_of_a_selection,
    a_list_from_any_version,
    a_list_at_exactly_a_version,
    a_version_that_is_not_there_yet,
    a_selector_that_cannot_be_read,
    metadata_is_listed_in_pages,
];

async fn secrets(subject: &mut Subject) {
    for (name, label) in [("d", "1"), ("a", "1"), ("c", "2"), ("b", "1")] {
        let secret = json!({"metadata": {"name": name, "labels": {"x": label, name: "yes"}}});
        subject.create("secrets", "user", secret).await;
    }
    subject
        .create("secrets", "user", json!({"metadata": {"name": "e"}}))
        .await;
}

/// Where the next page begins; empty at the end.
fn next_page(page: &Answer) -> String {
    let token = page.body["metadata"]["continue"].as_str();
    token.unwrap_or_default().to_owned()
}

async fn an_empty_list(subject: &mut Subject) {
    for plural in ["secrets", "doclusteraccesses", "leases", "events"] {
        subject.list(plural, "limit=500").await;
    }
}

async fn everything_is_listed_in_order(subject: &mut Subject) {
    secrets(subject).await;
    subject.list("secrets", "").await;
    let access = json!({"metadata": {"name": "a"}, "spec": {"cluster": {"name": "c"}}});
    subject.create("doclusteraccesses", "user", access).await;
    subject.list("doclusteraccesses", "limit=500").await;
}

async fn labels_select(subject: &mut Subject) {
    secrets(subject).await;
    for selector in [
        "x%3D1",
        "x%3D%3D2",
        "x!%3D1",
        "x",
        "!x",
        "x%20in%20(1,2)",
        "x%20notin%20(1)",
        "x%3D1,b",
        "x%3D1,!b",
        "x%3D3",
    ] {
        subject
            .list("secrets", &format!("labelSelector={selector}"))
            .await;
    }
}

async fn fields_select(subject: &mut Subject) {
    secrets(subject).await;
    subject
        .list("secrets", "fieldSelector=metadata.name%3Db")
        .await;
    subject
        .list("secrets", "fieldSelector=metadata.name%3Dz")
        .await;
}

async fn pages_follow_each_other(subject: &mut Subject) {
    secrets(subject).await;
    let mut next = String::new();
    for _ in 0..3 {
        let page = subject
            .list("secrets", &format!("limit=2&continue={next}"))
            .await;
        next = next_page(&page);
    }
}

async fn pages_show_what_was_there_at_the_first(subject: &mut Subject) {
    secrets(subject).await;
    let page = subject.list("secrets", "limit=1").await;
    let next = next_page(&page);
    subject.delete("secrets", "b", json!(null)).await;
    subject
        .patch("secrets", "c", "user", json!({"data": {"k": "dg=="}}))
        .await;
    subject
        .create("secrets", "user", json!({"metadata": {"name": "bb"}}))
        .await;
    subject
        .list("secrets", &format!("limit=10&continue={next}"))
        .await;
    subject.list("secrets", "").await;
}

async fn pages_of_a_selection(subject: &mut Subject) {
    secrets(subject).await;
    let mut next = String::new();
    for _ in 0..2 {
        let query = format!("labelSelector=x%3D1&limit=2&continue={next}");
        let page = subject.list("secrets", &query).await;
        next = next_page(&page);
    }
}

async fn a_list_from_any_version(subject: &mut Subject) {
    secrets(subject).await;
    let last = subject.get("secrets", "e").await;
    subject
        .list("secrets", &format!("resourceVersion={}", last.version()))
        .await;
}

async fn a_list_at_exactly_a_version(subject: &mut Subject) {
    secrets(subject).await;
    let last = subject.get("secrets", "e").await;
    subject.delete("secrets", "a", json!(null)).await;
    subject
        .patch("secrets", "c", "user", json!({"data": {"k": "dg=="}}))
        .await;
    let path = format!(
        "{}?resourceVersionMatch=Exact&resourceVersion={}",
        subject.path("secrets", ""),
        last.version()
    );
    let answer = subject.request(Method::GET, &path, None, None).await;
    let names: Vec<_> = answer.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].clone())
        .collect();
    let same = answer.version() == last.version();
    subject.note(
        path,
        json!({"code": answer.code, "names": names, "at that version": same}),
    );
}

async fn a_version_that_is_not_there_yet(subject: &mut Subject) {
    subject.list("secrets", "resourceVersion=999999999").await;
}

async fn a_selector_that_cannot_be_read(subject: &mut Subject) {
    let path = format!("{}?labelSelector=a%20b", subject.path("secrets", ""));
    let answer = subject.request(Method::GET, &path, None, None).await;
    // The sentence quotes the parser's states.
    let outcome = json!({"code": answer.code, "reason": answer.body["reason"]});
    subject.note(path, outcome);
}

async fn metadata_is_listed_in_pages(subject: &mut Subject) {
    secrets(subject).await;
    let path = format!("{}?limit=2", subject.path("secrets", ""));
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    subject
        .send(Method::GET, &path, Some(("accept", accept)), None)
        .await;
}
