//! The API server as a service: a request comes in, takes effect at once, and is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::{Request, Response, header};
use http_body::Frame;
use http_body_util::{Either, Full, StreamBody};
use kube::client::Body;
use serde_json::Value;

use super::Shared;
use super::delete::deleted;
use super::errors::Refusal;
use super::routes::{self, Action, Call};
use super::watch::Watch;

/// The body of an answer: all of it, or the events of a watch.
pub type AnswerBody =
    Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// Answers requests to an [`ApiServer`](super::ApiServer). A request takes effect when its future is
/// polled to the end of its body, all at once; a future that is dropped before has no effect.
#[derive(Clone)]
pub struct Service {
    pub(super) shared: Arc<Shared>,
}

impl tower::Service<Request<Body>> for Service {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<AnswerBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move { Ok(answer(&shared, request).await) })
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Body>) -> Response<AnswerBody> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect_bytes().await else {
        return refused(&Refusal::bad_request("the body cannot be read"));
    };
    if parts.uri.path() == "/version" {
        let version = r#"{"major":"1","minor":"36","gitVersion":"v1.36.3","gitCommit":"","gitTreeState":"clean","buildDate":"","goVersion":"","compiler":"","platform":""}"#;
        return json(200, Bytes::from_static(version.as_bytes()));
    }
    let done = routes::call(&parts).and_then(|call| carry_out(shared, call, &body));
    done.unwrap_or_else(|refusal| refused(&refusal))
}

fn carry_out(
    shared: &Arc<Shared>,
    call: Call,
    body: &[u8],
) -> Result<Response<AnswerBody>, Refusal> {
    let mut state = shared.lock();
    let before = state.version;
    let written = match call.action {
        Action::Get => {
            let object = state.read(&call)?;
            return Ok(json(200, object.body(call.metadata_only)));
        }
        Action::List => return Ok(json(200, state.list(&call)?)),
        Action::Watch => {
            let watch = Watch::new(shared, &state, call)?;
            let events = StreamBody::new(watch.events().boxed());
            return Ok(response(200, "application/json", Either::Right(events)));
        }
        Action::Create => state.create(&call, parsed(body)?)?,
        Action::Update => state.update(&call, parsed(body)?)?,
        Action::MergePatch => state.merge_patch(&call, &parsed(body)?)?,
        Action::Apply => state.apply(&call, &parsed(body)?)?,
        Action::Delete => {
            let options = if body.is_empty() {
                Value::Null
            } else {
                parsed(body)?
            };
            let (object, gone) = state.delete(&call, &options)?;
            shared.announce(&state, before);
            let answer = if gone {
                deleted(&call, &object).to_string().into()
            } else {
                object.body(call.metadata_only)
            };
            return Ok(json(200, answer));
        }
    };
    shared.announce(&state, before);
    let (object, created) = written;
    let code = if created { 201 } else { 200 };
    Ok(json(code, object.body(call.metadata_only)))
}

fn parsed(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body cannot be read: {error}")))
}

fn refused(refusal: &Refusal) -> Response<AnswerBody> {
    if refusal.plain {
        let text = Either::Left(refusal.text().into());
        return response(refusal.code, "text/plain; charset=utf-8", text);
    }
    json(refusal.code, refusal.status().to_string().into())
}

fn json(code: u16, body: Bytes) -> Response<AnswerBody> {
    response(code, "application/json", Either::Left(body.into()))
}

fn response(code: u16, content_type: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
