//! What a case is put to: the real API server, or the model. It records every answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use do_cluster_access_testbed::api_server::ApiServer;
use http::{Method, Request};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::Record;
use super::normal::Normaliser;
use super::paths::{collection, types};
use crate::harness::{PATIENCE, World};

/// A request, and the answer that both sides should agree on.
#[derive(Debug)]
pub(super) struct Exchange {
    request: String,
    answer: Value,
}

/// An answer as it came.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Value,
}

impl Answer {
    /// Panics unless it has this code: for facts that the operator relies on.
    #[track_caller]
    pub(super) fn is(&self, code: u16) {
        assert_eq!(self.code, code, "{}", self.body);
    }

    pub(super) fn uid(&self) -> &str {
        self.body["metadata"]["uid"].as_str().unwrap()
    }

    pub(super) fn version(&self) -> &str {
        self.body["metadata"]["resourceVersion"].as_str().unwrap()
    }
}

/// One side, with a namespace of the case's own.
pub(super) struct Subject {
    client: Client,
    pub(super) namespace: String,
    pub(super) model: Option<ApiServer>,
    record: Record,
    normaliser: Normaliser,
}

impl Subject {
    pub(super) async fn real(world: &World) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let client = world.control_plane.admin_client().await.unwrap();
        let mut subject = Self::new(client, format!("conformance-{number}"), None);
        let name = subject.namespace.clone();
        let namespace = json!({"metadata": {"name": name}});
        let created = subject
            .request(Method::POST, "/api/v1/namespaces", None, Some(namespace))
            .await;
        assert_eq!(created.code, 201, "{}", created.body);
        subject
    }

    fn new(client: Client, namespace: String, model: Option<ApiServer>) -> Self {
        Self {
            client,
            normaliser: Normaliser::new(&namespace),
            namespace,
            model,
            record: Record::new(),
        }
    }

    /// Another one of the same namespace, with a record of its own.
    pub(super) fn another(&self) -> Self {
        Self::new(
            self.client.clone(),
            self.namespace.clone(),
            self.model.clone(),
        )
    }

    /// What was recorded so far.
    pub(super) fn into_record(self) -> Record {
        self.record
    }

    /// Ends the case: its namespace goes. Returns what was recorded.
    pub(super) async fn finish(mut self) -> Record {
        if self.model.is_none() {
            let path = format!("/api/v1/namespaces/{}", self.namespace);
            self.request(Method::DELETE, &path, None, None).await;
        }
        self.record
    }

    // ---- requests ----------------------------------------------------------------------------------------

    async fn open(
        &mut self,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("user-agent", "conformance/1");
        if body.is_some() && header.is_none_or(|(name, _)| name != "content-type") {
            request = request.header("content-type", "application/json");
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let body = body.map_or_else(Body::empty, |body| {
            Body::from(body.to_string().into_bytes())
        });
        self.client.send(request.body(body).unwrap()).await.unwrap()
    }

    /// Makes a request that is not recorded.
    pub(super) async fn request(
        &mut self,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Answer {
        let response = self.open(method, path, header, body.as_ref()).await;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Answer { code, body }
    }

    /// Makes a request, and records the answer.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Answer {
        let request = format!("{method} {path} {}", body.as_ref().unwrap_or(&Value::Null));
        let answer = self.request(method, path, header, body).await;
        self.note(request, json!({"code": answer.code, "body": answer.body}));
        answer
    }

    /// Records what both sides should agree on.
    pub(super) fn note(&mut self, request: String, answer: Value) {
        let answer = self.normaliser.normalise(answer);
        let request = self.normaliser.text(&request);
        self.record.push(Exchange { request, answer });
    }

    /// The path of an object; of the collection where the name is empty.
    pub(super) fn path(&self, plural: &str, name: &str) -> String {
        let collection = collection(plural, &self.namespace);
        if name.is_empty() {
            collection
        } else {
            format!("{collection}/{name}")
        }
    }

    // ---- what users and the operator do --------------------------------------------------------------------

    pub(super) async fn get(&mut self, plural: &str, name: &str) -> Answer {
        let path = self.path(plural, name);
        self.send(Method::GET, &path, None, None).await
    }

    /// GET of any path below a collection, with a query.
    pub(super) async fn list(&mut self, plural: &str, query: &str) -> Answer {
        let path = format!("{}?{query}", self.path(plural, ""));
        self.send(Method::GET, &path, None, None).await
    }

    /// POST; `manager` writes.
    pub(super) async fn create(&mut self, plural: &str, manager: &str, body: Value) -> Answer {
        let path = format!("{}?fieldManager={manager}", self.path(plural, ""));
        let body = with_types(plural, body);
        self.send(Method::POST, &path, None, Some(body)).await
    }

    /// PUT; `manager` writes.
    pub(super) async fn update(
        &mut self,
        plural: &str,
        name: &str,
        manager: &str,
        body: Value,
    ) -> Answer {
        let path = format!("{}?fieldManager={manager}", self.path(plural, name));
        let body = with_types(plural, body);
        self.send(Method::PUT, &path, None, Some(body)).await
    }

    /// A merge patch; `manager` writes.
    pub(super) async fn patch(
        &mut self,
        plural: &str,
        name: &str,
        manager: &str,
        body: Value,
    ) -> Answer {
        let path = format!("{}?fieldManager={manager}", self.path(plural, name));
        let header = ("content-type", "application/merge-patch+json");
        self.send(Method::PATCH, &path, Some(header), Some(body))
            .await
    }

    /// An apply that is not forced.
    pub(super) async fn apply(
        &mut self,
        plural: &str,
        name: &str,
        manager: &str,
        body: Value,
    ) -> Answer {
        self.apply_with(plural, name, &format!("fieldManager={manager}"), body)
            .await
    }

    /// A forced apply.
    pub(super) async fn force(
        &mut self,
        plural: &str,
        name: &str,
        manager: &str,
        body: Value,
    ) -> Answer {
        let query = format!("fieldManager={manager}&force=true");
        self.apply_with(plural, name, &query, body).await
    }

    pub(super) async fn apply_with(
        &mut self,
        plural: &str,
        name: &str,
        query: &str,
        body: Value,
    ) -> Answer {
        let path = format!("{}?{query}", self.path(plural, name));
        let mut body = with_types(plural, body);
        let object = name.split('/').next().unwrap();
        if body["metadata"]["name"].is_null() {
            body["metadata"]["name"] = object.into();
        }
        let header = ("content-type", "application/apply-patch+yaml");
        self.send(Method::PATCH, &path, Some(header), Some(body))
            .await
    }

    /// An apply that is answered with metadata alone, as `accept` asks for.
    pub(super) async fn patch_for_metadata(&mut self, path: &str, accept: &str, body: Value) {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(path)
            .header("accept", accept)
            .header("content-type", "application/apply-patch+yaml")
            .body(Body::from(body.to_string().into_bytes()))
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        self.note(format!("PATCH {path}"), json!({"code": code, "body": body}));
    }

    pub(super) async fn delete(&mut self, plural: &str, name: &str, options: Value) -> Answer {
        let path = self.path(plural, name);
        let options = (!options.is_null()).then_some(options);
        self.send(Method::DELETE, &path, None, options).await
    }

    // ---- watches -------------------------------------------------------------------------------------------

    /// Starts to watch.
    pub(super) async fn watch(
        &mut self,
        plural: &str,
        query: &str,
        accept: Option<&str>,
    ) -> OpenWatch {
        let path = format!("{}?watch=true&{query}", self.path(plural, ""));
        let header = accept.map(|accept| ("accept", accept));
        let response = self.open(Method::GET, &path, header, None).await;
        self.note(
            format!("GET {path}"),
            json!({"code": response.status().as_u16()}),
        );
        OpenWatch {
            body: response.into_body(),
            received: Vec::new(),
        }
    }

    /// Records the next events, or the end of the watch where it comes first.
    pub(super) async fn events(&mut self, watch: &mut OpenWatch, count: usize) {
        for number in 0..count {
            let event = watch.next().await;
            let ended = event.is_none();
            self.note(
                format!("event {number}"),
                event.unwrap_or_else(|| "the end".into()),
            );
            if ended {
                return;
            }
        }
    }

    // ---- controllers ---------------------------------------------------------------------------------------

    /// Waits until the controllers have brought an object to where `holds` says yes to the answer to GET; it is
    /// recorded.
    pub(super) async fn until(
        &mut self,
        plural: &str,
        name: &str,
        holds: impl Fn(&Answer) -> bool,
    ) -> Answer {
        if let Some(model) = &self.model {
            model.collect_garbage();
            model.empty_namespace(name);
            model.remove_terminated_namespaces();
        }
        let path = self.path(plural, name);
        let since = Instant::now();
        loop {
            let answer = self.request(Method::GET, &path, None, None).await;
            if holds(&answer) || since.elapsed() > PATIENCE {
                let recorded = json!({"code": answer.code, "body": answer.body});
                self.note(format!("until GET {path}"), recorded);
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until an object is gone.
    pub(super) async fn until_gone(&mut self, plural: &str, name: &str) {
        self.until(plural, name, |answer| answer.code == 404).await;
    }
}

/// A body with its `apiVersion` and `kind` where it has none.
fn with_types(plural: &str, mut body: Value) -> Value {
    let (api_version, kind) = types(plural);
    let object = body.as_object_mut().unwrap();
    object.entry("apiVersion").or_insert(api_version.into());
    object.entry("kind").or_insert(kind.into());
    object.entry("metadata").or_insert(json!({}));
    body
}

/// A watch that goes on.
pub(super) struct OpenWatch {
    body: Body,
    received: Vec<u8>,
}

impl OpenWatch {
    /// The next event, `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .expect("a watch is silent");
            let data = frame?.unwrap().into_data().unwrap();
            self.received.extend_from_slice(&data);
        }
    }
}

/// Puts `requests` to the model, in virtual time.
pub(super) fn by_model<T, F>(requests: impl FnOnce(Subject) -> F + Send) -> T
where
    T: Send,
    F: Future<Output = T>,
{
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let began = Instant::now();
            let start = Timestamp::from_second(1_800_000_000).unwrap();
            let now = move || start + jiff::SignedDuration::try_from(began.elapsed()).unwrap();
            let model = ApiServer::new(now, 1);
            let namespace = "conformance-0".to_owned();
            // Versions as large as those of the real one: they are looked for in sentences.
            for number in 0..200 {
                model.create_namespace(&format!("other-{number}"));
            }
            model.create_namespace(&namespace);
            let subject = Subject::new(model.client(), namespace, Some(model));
            requests(subject).await
        })
    };
    // A runtime cannot be started within another.
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Where two records differ first.
pub(super) fn first_difference(real: &Record, model: &Record) -> Option<String> {
    let exchanges = real.iter().zip(model).enumerate();
    for (number, (real, model)) in exchanges {
        if real.answer != model.answer {
            return Some(format!(
                "{number}: {}\n   {}",
                model.request,
                differing_paths("", &model.answer, &real.answer).join("\n   "),
            ));
        }
    }
    (real.len() != model.len())
        .then(|| format!("{} exchanges, {} by the model", real.len(), model.len()))
}

fn differing_paths(path: &str, model: &Value, real: &Value) -> Vec<String> {
    match (model, real) {
        _ if model == real => Vec::new(),
        (Value::Object(model), Value::Object(real)) => {
            let keys: std::collections::BTreeSet<_> = model.keys().chain(real.keys()).collect();
            let differing = keys.into_iter().map(|key| {
                let value = |object: &serde_json::Map<String, Value>| {
                    object.get(key).cloned().unwrap_or_else(|| "(none)".into())
                };
                differing_paths(&format!("{path}.{key}"), &value(model), &value(real))
            });
            differing.flatten().collect()
        }
        (Value::Array(model), Value::Array(real)) if model.len() == real.len() => {
            let pairs = model.iter().zip(real).enumerate();
            let differing = pairs.map(|(number, (model, real))| {
                differing_paths(&format!("{path}[{number}]"), model, real)
            });
            differing.flatten().collect()
        }
        _ => vec![format!("{path}: model {model}, real {real}")],
    }
}
