//! Sequences of writes by three managers, drawn at random: after each write, both sides agree on the object and
//! on who owns what, and at the end on what a watch of labelled objects told.
//!
//! The same sequences are drawn every time. `SEQUENCES` says how many, `SEED` which; a sequence that shows a
//! difference is made as short as it can be.

use std::collections::BTreeMap;

use futures::{StreamExt, future, stream};
use http::Method;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::subject::{self, Subject};
use super::{AT_ONCE, Record};
use crate::harness::{World, unavailable};

/// How many attempts are made to make a sequence shorter.
const SHRINKING: usize = 200;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Secret,
    Access,
}

/// Some of the things that a write may say; what is absent it does not mention.
#[derive(Clone, Debug)]
struct Content {
    labels: Option<Vec<Option<u8>>>,
    annotations: Option<Vec<Option<u8>>>,
    /// Keys of a Secret; outputs of an access, with their formats.
    items: Option<Vec<Option<u8>>>,
    /// Owners of a Secret, of which the second may be the controller; labels of the first output of an access.
    more: Option<Vec<Option<u8>>>,
    suspend: Option<bool>,
}

#[derive(Clone, Debug)]
enum Write {
    Apply {
        force: bool,
        content: Content,
    },
    Update {
        content: Content,
    },
    /// Removes what the content does not say when `replaces`.
    Patch {
        content: Content,
        replaces: bool,
    },
    /// Of an access alone: conditions, and the cluster.
    ApplyStatus {
        force: bool,
        conditions: Vec<Option<u8>>,
        cluster: Option<u8>,
    },
    Delete,
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Access => "doclusteraccesses",
        }
    }
}

type Sequence = Vec<(u8, Write)>;

fn content() -> impl Strategy<Value = Content> {
    let some = |count| option::weighted(0.7, vec(option::of(0..2_u8), count));
    (
        some(3),
        some(2),
        some(3),
        some(2),
        option::of(any::<bool>()),
    )
        .prop_map(|(labels, annotations, items, more, suspend)| Content {
            labels,
            annotations,
            items,
            more,
            suspend,
        })
}

fn write(kind: Kind) -> BoxedStrategy<Write> {
    let apply =
        || (any::<bool>(), content()).prop_map(|(force, content)| Write::Apply { force, content });
    let update = content().prop_map(|content| Write::Update { content });
    let patch = (content(), any::<bool>())
        .prop_map(|(content, replaces)| Write::Patch { content, replaces });
    let status = (
        any::<bool>(),
        vec(option::of(0..2_u8), 2),
        option::of(0..2_u8),
    )
        .prop_map(|(force, conditions, cluster)| Write::ApplyStatus {
            force,
            conditions,
            cluster,
        });
    match kind {
        Kind::Secret => {
            prop_oneof![6 => apply(), 3 => update, 3 => patch, 1 => Just(Write::Delete)].boxed()
        }
        Kind::Access => prop_oneof![5 => apply(), 3 => update, 3 => patch, 3 => status].boxed(),
    }
}

fn sequence(kind: Kind) -> impl Strategy<Value = Sequence> {
    vec((0..3_u8, write(kind)), 2..12)
}

fn map(prefix: &str, values: &[Option<u8>], absent: Option<&Value>) -> Value {
    let entries = values.iter().enumerate().filter_map(|(number, value)| {
        let value = value.map(|value| json!(["dg==", "dw=="][usize::from(value)]));
        Some((format!("{prefix}{number}"), value.or(absent.cloned())?))
    });
    Value::Object(entries.collect())
}

/// The owners of a Secret.
fn chosen_owners(choice: &[Option<u8>], owners: &[Value]) -> Value {
    let owners = choice.iter().zip(owners);
    let owner = |(choice, owner): (&Option<u8>, &Value)| {
        let mut owner = owner.clone();
        if (*choice)? == 1 {
            owner["blockOwnerDeletion"] = json!(true);
        }
        Some(owner)
    };
    owners.filter_map(owner).collect()
}

/// The outputs of an access.
fn outputs(formats: &[Option<u8>], labels: Option<&[Option<u8>]>, with_kept: bool) -> Value {
    let mut outputs: Vec<Value> = Vec::new();
    for (number, format) in formats.iter().enumerate() {
        let Some(format) = format else { continue };
        let mut output = json!({"secretName": format!("s{number}")});
        if *format == 1 {
            output["format"] = json!("Flux");
        }
        if let Some(labels) = labels.filter(|_| number == 0) {
            output["labels"] = map("l", labels, None);
            for value in output["labels"].as_object_mut().unwrap().values_mut() {
                *value = json!(value.as_str().unwrap().trim_end_matches('='));
            }
        }
        outputs.push(output);
    }
    if with_kept {
        outputs.push(json!({"secretName": "kept"}));
    }
    outputs.into()
}

impl Content {
    /// What a write says. `absent` stands for what it leaves out of a map that it mentions; `whole` objects hold
    /// what they must.
    fn body(&self, kind: Kind, owners: &[Value], absent: Option<&Value>, whole: bool) -> Value {
        let mut metadata = Map::new();
        let trimmed = |values: &[Option<u8>]| {
            let mut map = map("k", values, absent);
            for value in map.as_object_mut().unwrap().values_mut() {
                if let Some(text) = value.as_str() {
                    *value = json!(text.trim_end_matches('='));
                }
            }
            map
        };
        if let Some(labels) = &self.labels {
            metadata.insert("labels".to_owned(), trimmed(labels));
        }
        if let Some(annotations) = &self.annotations {
            metadata.insert("annotations".to_owned(), trimmed(annotations));
        }
        let mut body = Map::new();
        match kind {
            Kind::Secret => {
                if let Some(more) = &self.more {
                    metadata.insert("ownerReferences".to_owned(), chosen_owners(more, owners));
                }
                if let Some(items) = &self.items {
                    body.insert("data".to_owned(), map("k", items, absent));
                }
            }
            Kind::Access => {
                let mut spec = Map::new();
                if whole {
                    spec.insert("cluster".to_owned(), json!({"name": "c"}));
                }
                if let Some(suspend) = self.suspend {
                    spec.insert("suspend".to_owned(), suspend.into());
                }
                // A list in a patch replaces all of it.
                let with_kept = whole || absent.is_some();
                let chosen = self.items.as_deref().unwrap_or_default();
                if with_kept && self.items.is_some() || chosen.iter().any(Option::is_some) || whole
                {
                    let outputs = outputs(chosen, self.more.as_deref(), with_kept);
                    spec.insert("outputs".to_owned(), outputs);
                }
                body.insert("spec".to_owned(), spec.into());
            }
        }
        body.insert("metadata".to_owned(), metadata.into());
        body.into()
    }
}

fn status(conditions: &[Option<u8>], cluster: Option<u8>) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .enumerate()
        .filter_map(|(number, status)| {
            let status = if (*status)? == 0 { "True" } else { "False" };
            Some(json!({
                "type": format!("Type{number}"),
                "status": status,
                "reason": "Because",
                "message": "",
                "lastTransitionTime": "2026-11-22T10:00:00Z",
            }))
        })
        .collect();
    let mut status = json!({"conditions": conditions});
    if let Some(cluster) = cluster {
        status["cluster"] = json!({"id": format!("{cluster}-id")});
    }
    json!({"status": status})
}

fn drop_empty(object: &mut Value) {
    let is_empty = |value: &Value| *value == json!({}) || *value == json!([]);
    object
        .as_object_mut()
        .unwrap()
        .retain(|key, value| key == "metadata" || !is_empty(value));
}

/// Makes the writes to an object called `name`.
async fn make(subject: &mut Subject, kind: Kind, name: &str, sequence: &Sequence) {
    let mut owners = Vec::new();
    let plural = kind.plural();
    match kind {
        Kind::Secret => {
            for number in 0..2 {
                let name = format!("{name}-owner-{number}");
                let owner = json!({"metadata": {"name": name}});
                let owner = subject.create("secrets", "user", owner).await;
                owners.push(
                    json!({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": owner.uid()}),
                );
            }
        }
        Kind::Access => {
            let spec = json!({"cluster": {"name": "c"}, "outputs": [{"secretName": "kept"}]});
            let access = json!({"metadata": {"name": name}, "spec": spec});
            subject.create("doclusteraccesses", "user", access).await;
        }
    }
    for (manager, write) in sequence {
        let manager = ["m", "n", "o"][usize::from(*manager)];
        match write {
            Write::Apply { force, content } => {
                let query = format!("fieldManager={manager}&force={force}");
                let mut body = content.body(kind, &owners, None, false);
                // Whether applying an empty map alone makes a new version depends on the second in which it happens.
                drop_empty(&mut body["metadata"]);
                drop_empty(&mut body);
                subject.apply_with(plural, name, &query, body).await;
            }
            Write::Update { content } => {
                let path = subject.path(plural, name);
                let found = subject.request(Method::GET, &path, None, None).await;
                let mut body = content.body(kind, &owners, None, true);
                body["metadata"]["name"] = json!(name);
                if found.code == 200 {
                    body["metadata"]["resourceVersion"] = found.version().into();
                }
                subject.update(plural, name, manager, body).await;
            }
            Write::Patch { content, replaces } => {
                let absent = replaces.then_some(&Value::Null);
                let mut body = content.body(kind, &owners, absent, false);
                if matches!(kind, Kind::Access) && absent.is_none() {
                    body["spec"].as_object_mut().unwrap().remove("outputs");
                }
                subject.patch(plural, name, manager, body).await;
            }
            Write::ApplyStatus {
                force,
                conditions,
                cluster,
            } => {
                let query = format!("fieldManager={manager}&force={force}");
                let path = format!("{name}/status");
                let body = status(conditions, *cluster);
                subject.apply_with(plural, &path, &query, body).await;
            }
            Write::Delete => {
                subject.delete(plural, name, json!(null)).await;
            }
        }
    }
    subject.get(plural, name).await;
}

/// The records of all sequences, each with an object of its own in the namespace of `subject`. What a watch of
/// labelled objects tells about it is at the end.
async fn records(
    subject: &Subject,
    kind: Kind,
    first: usize,
    sequences: &[Sequence],
    at_once: usize,
) -> Vec<Record> {
    let plural = kind.plural();
    let mut watcher = subject.another();
    let path = format!("{}?limit=1", watcher.path(plural, ""));
    let page = watcher.request(Method::GET, &path, None, None).await;
    let query = format!(
        "labelSelector=k0%3Ddg&timeoutSeconds=3000&resourceVersion={}",
        page.version()
    );
    let mut watch = watcher.watch(plural, &query, None).await;

    let name = |number: usize| format!("object-{}", first + number);
    let last = format!("last-{first}");
    let writing = async {
        let numbered = sequences.iter().enumerate();
        let subjects: Vec<_> = stream::iter(numbered)
            .map(|(number, sequence)| async move {
                let mut subject = subject.another();
                make(&mut subject, kind, &name(number), sequence).await;
                subject
            })
            .buffered(at_once)
            .collect()
            .await;
        let metadata = json!({"name": last, "labels": {"k0": "dg"}});
        let body = json!({"metadata": metadata, "spec": {"cluster": {"name": "c"}}});
        watcher.create(plural, "user", body).await;
        subjects
    };
    // The API server ends watches that are not read.
    let watching = async {
        let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        loop {
            let event = watch.next().await.expect("a watch ended");
            let object = event["object"]["metadata"]["name"]
                .as_str()
                .unwrap()
                .to_owned();
            if object == last {
                return told;
            }
            told.entry(object).or_default().push(event);
        }
    };
    let (subjects, mut told) = future::join(writing, watching).await;
    let numbered = subjects.into_iter().enumerate();
    numbered
        .map(|(number, mut subject)| {
            for event in told.remove(&name(number)).unwrap_or_default() {
                subject.note("an event".to_owned(), event);
            }
            subject.into_record()
        })
        .collect()
}

/// The number of a sequence that shows a difference, and the difference.
async fn difference(
    real: &Subject,
    kind: Kind,
    first: usize,
    sequences: &[Sequence],
) -> Option<(usize, String)> {
    let by_real = records(real, kind, first, sequences, AT_ONCE).await;
    let by_model =
        subject::by_model(|model| async move { records(&model, kind, first, sequences, 1).await });
    let mut pairs = by_real.iter().zip(&by_model).enumerate();
    pairs.find_map(|(number, (real, model))| {
        subject::first_difference(real, model).map(|difference| (number, difference))
    })
}

fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

async fn compare(kind: Kind) {
    if unavailable() {
        return;
    }
    let seed = u8::try_from(setting("SEED", 0)).unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let draw = |_| sequence(kind).new_tree(&mut runner).unwrap();
    let mut trees: Vec<_> = (0..setting("SEQUENCES", 200)).map(draw).collect();
    let sequences: Vec<_> = trees.iter().map(ValueTree::current).collect();
    let world = World::shared().await;
    let real = Subject::real(&world).await;
    let Some((number, mut found)) = difference(&real, kind, 0, &sequences).await else {
        real.finish().await;
        return;
    };
    let tree = &mut trees[number];
    let mut smallest = tree.current();
    let mut simpler = tree.simplify();
    for attempt in 0..SHRINKING {
        if !simpler {
            break;
        }
        let first = sequences.len() + attempt;
        let candidate = [tree.current()];
        simpler = match difference(&real, kind, first, &candidate).await {
            Some((_, difference)) => {
                found = difference;
                [smallest] = candidate;
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    real.finish().await;
    panic!("sequence {number} of seed {seed}: {smallest:?}\n{found}");
}

#[tokio::test]
async fn any_writes_to_a_secret_have_the_same_effect_on_both() {
    compare(Kind::Secret).await;
}

#[tokio::test]
async fn any_writes_to_an_access_have_the_same_effect_on_both() {
    compare(Kind::Access).await;
}
