//! The door to the API server.

use std::task::{Context, Poll};

use bytes::Bytes;
use do_cluster_access::controller::READ_TIMEOUT;
use do_cluster_access::outputs::FIELD_MANAGER;
use do_cluster_access_testbed::api_server::{AnswerBody, Service};
use futures::future::BoxFuture;
use http::header::USER_AGENT;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::json;
use tower::BoxError;

use super::{Process, watch_body};
use crate::journal::Event;
use crate::weather::{ApiFault, Door, Point};
use crate::world::World;

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// A client of the world's API server for one process.
pub(super) fn client(world: &World, process: &Process) -> kube::Client {
    let door = ApiServerDoor {
        server: world.api_server.service(),
        process: process.clone(),
    };
    kube::Client::new(door, "default")
}

#[derive(Clone)]
struct ApiServerDoor {
    server: Service,
    process: Process,
}

impl tower::Service<Request<Body>> for ApiServerDoor {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.answer(request).await })
    }
}

impl ApiServerDoor {
    async fn answer(self, request: Request<Body>) -> Result<Answer, BoxError> {
        self.process.journal.arrive(Door::ApiServer);
        let path = request.uri().path().to_owned();
        let is_watch = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch=true"));
        let lease = path.contains("/leases");
        if is_watch {
            return self.watch(request, &path).await;
        }
        let method = name(request.method());
        let counts = !lease && !path.contains("/events");
        if counts {
            self.process
                .pass(Door::ApiServer, Point::BeforeEffect)
                .await;
        }
        let (fate, latency) = self.process.weather.api_fate(method != "GET", lease);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let answer = self.exchange(request, fate, counts).await;
        if !lease {
            self.process.journal.note(Event::Call {
                replica: self.process.replica,
                method,
                path,
                status: answer.as_ref().ok().map(|answer| answer.status().as_u16()),
                faulted: fate.is_some(),
            });
        }
        if counts {
            self.process.pass(Door::ApiServer, Point::Answered).await;
        }
        answer
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        fate: Option<ApiFault>,
        counts: bool,
    ) -> Result<Answer, BoxError> {
        let Some(fault) = fate else {
            let answer = self.forward(request).await;
            if counts {
                self.process.pass(Door::ApiServer, Point::AfterEffect).await;
            }
            return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
        };
        self.process.journal.count(describe(fault));
        self.process.journal.note(Event::Struck {
            what: format!("Api({fault:?})"),
        });
        match fault {
            ApiFault::Down | ApiFault::NoLease => Err("connection refused".into()),
            ApiFault::LoseRequest => Err("connection reset by peer".into()),
            ApiFault::RefuseWrites(code)
            | ApiFault::RefuseReads(code)
            | ApiFault::RefuseAll(code) => Ok(refusal(code)),
            ApiFault::HangBefore => silence().await,
            ApiFault::LoseResponse => {
                self.forward(request).await;
                Err("connection reset by peer".into())
            }
            ApiFault::GatewayTimeout => {
                self.forward(request).await;
                Ok(refusal(504))
            }
            ApiFault::HangAfter => {
                self.forward(request).await;
                silence().await
            }
            ApiFault::Slow(_) => {
                let answer = self.forward(request).await;
                Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
            }
        }
    }

    async fn forward(&self, mut request: Request<Body>) -> Response<AnswerBody> {
        // By this a deletion is known to be the operator's: it has no field manager.
        let agent = HeaderValue::from_static(FIELD_MANAGER);
        request.headers_mut().insert(USER_AGENT, agent);
        match tower::Service::call(&mut self.server.clone(), request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    async fn watch(self, request: Request<Body>, path: &str) -> Result<Answer, BoxError> {
        let (fate, latency) = self.process.weather.api_fate(false, false);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if let Some(fault) = fate {
            self.process.journal.count(describe(fault));
            self.process.journal.note(Event::Struck {
                what: format!("Api({fault:?}), a watch"),
            });
        }
        match fate {
            None | Some(ApiFault::Slow(_)) => {}
            Some(ApiFault::RefuseReads(code) | ApiFault::RefuseAll(code)) => {
                return Ok(refusal(code));
            }
            Some(ApiFault::HangBefore | ApiFault::HangAfter) => return silence().await,
            Some(_) => return Err("connection refused".into()),
        }
        let of_accesses = path.contains("/doclusteraccesses");
        let answer = self.forward(request).await;
        let process = self.process.clone();
        Ok(answer.map(|body| watch_body::disturbed(body, process, of_accesses).boxed_unsync()))
    }
}

/// No answer, until the connection's read timeout.
async fn silence<T>() -> Result<T, BoxError> {
    tokio::time::sleep(READ_TIMEOUT).await;
    Err("read timed out".into())
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

fn describe(fault: ApiFault) -> &'static str {
    match fault {
        ApiFault::Down => "API server: down",
        ApiFault::NoLease => "API server: lease out of reach",
        ApiFault::LoseRequest => "API server: request lost",
        ApiFault::LoseResponse => "API server: response lost",
        ApiFault::RefuseWrites(_) => "API server: write refused",
        ApiFault::RefuseReads(_) => "API server: read refused",
        ApiFault::RefuseAll(_) => "API server: everything refused",
        ApiFault::HangBefore => "API server: hung before effect",
        ApiFault::HangAfter => "API server: hung after effect",
        ApiFault::GatewayTimeout => "API server: 504 after effect",
        ApiFault::Slow(_) => "API server: slow",
    }
}

fn refusal(code: u16) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by the simulation", "reason": reason, "code": code,
    });
    let body = Full::from(status.to_string()).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    let content_type = http::HeaderValue::from_static("application/json");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    answer
}
