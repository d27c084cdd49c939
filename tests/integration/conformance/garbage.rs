//! Garbage collection.

use serde_json::{Value, json};

use super::subject::{Answer, Subject};

super::cases![
    what_an_access_owns_goes_with_it,
    what_was_released_stays,
    an_owner_of_another_uid_is_none,
    a_second_owner_keeps_it,
    a_secret_may_own_a_secret,
];

async fn access(subject: &mut Subject, name: &str) -> (Answer, Value) {
    let access = json!({"metadata": {"name": name}, "spec": {"cluster": {"name": "c"}}});
    let access = subject.create("doclusteraccesses", "user", access).await;
    let owner = json!({
        "apiVersion": "doclusteraccess.dev/v1alpha1",
        "kind": "DOClusterAccess",
        "name": name,
        "uid": access.uid(),
    });
    (access, owner)
}

fn owned_by(owners: &[Value]) -> Value {
    json!({"metadata": {"ownerReferences": owners}, "data": {"k": "dg=="}})
}

async fn what_an_access_owns_goes_with_it(subject: &mut Subject) {
    let (_, owner) = access(subject, "a").await;
    subject
        .force("secrets", "s", "m", owned_by(std::slice::from_ref(&owner)))
        .await;
    subject.force("secrets", "t", "m", owned_by(&[owner])).await;
    subject.force("secrets", "u", "m", owned_by(&[])).await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
    subject.until_gone("secrets", "s").await;
    subject.until_gone("secrets", "t").await;
    subject.get("secrets", "u").await;
}

async fn what_was_released_stays(subject: &mut Subject) {
    let (_, owner) = access(subject, "a").await;
    subject
        .force("secrets", "s", "m", owned_by(std::slice::from_ref(&owner)))
        .await;
    subject.force("secrets", "t", "m", owned_by(&[owner])).await;
    subject.force("secrets", "s", "m", owned_by(&[])).await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
    subject.until_gone("secrets", "t").await;
    subject.get("secrets", "s").await;
}

async fn an_owner_of_another_uid_is_none(subject: &mut Subject) {
    let (_, mut owner) = access(subject, "a").await;
    owner["uid"] = json!("00000000-0000-4000-8000-000000000000");
    subject.force("secrets", "s", "m", owned_by(&[owner])).await;
    subject.until_gone("secrets", "s").await;
    subject.get("doclusteraccesses", "a").await;
}

async fn a_second_owner_keeps_it(subject: &mut Subject) {
    let (_, one) = access(subject, "a").await;
    let (_, other) = access(subject, "b").await;
    subject
        .force("secrets", "s", "m", owned_by(&[one, other]))
        .await;
    subject.delete("doclusteraccesses", "a", json!(null)).await;
    let count = |answer: &Answer| {
        answer.body["metadata"]["ownerReferences"]
            .as_array()
            .map(Vec::len)
    };
    subject
        .until("secrets", "s", |answer| count(answer) == Some(1))
        .await;
    subject.delete("doclusteraccesses", "b", json!(null)).await;
    subject.until_gone("secrets", "s").await;
}

async fn a_secret_may_own_a_secret(subject: &mut Subject) {
    let first = subject
        .create("secrets", "user", json!({"metadata": {"name": "a"}}))
        .await;
    let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": first.uid()});
    let second = subject.force("secrets", "b", "m", owned_by(&[owner])).await;
    let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "b", "uid": second.uid()});
    subject.force("secrets", "c", "m", owned_by(&[owner])).await;
    subject.delete("secrets", "a", json!(null)).await;
    subject.until_gone("secrets", "b").await;
    subject.until_gone("secrets", "c").await;
}
