//! A door: connections, and the course of each call.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::call::{CallName, Door};
use super::forward::{Upstream, whole};
use super::point::Point;
use super::strike::Stall;
use super::traffic::Traffic;

/// The call gets no answer: its connection is closed.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("the request broke off")]
    Request(#[from] hyper::Error),
    #[error("the request was lost on its way")]
    Lost,
    #[error("the proxy was shut")]
    Shut,
    #[error("there is no answer from upstream")]
    Upstream(#[from] reqwest::Error),
    #[error("the answer from upstream broke off")]
    Answer(#[from] axum::Error),
}

/// The stall of a call whose answer has been passed on, until the caller has read it.
type Unread = Arc<Mutex<Option<Stall>>>;

/// Serves one door until it is dropped, with all of its connections.
pub(super) async fn accept(
    listener: TcpListener,
    door: Door,
    upstream: Upstream,
    traffic: Arc<Traffic>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let calls = Calls { door, upstream: upstream.clone(), traffic: traffic.clone() };
                    connections.spawn(converse(stream, calls));
                }
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, calls: Calls) {
    let unread = Unread::default();
    let answer = service_fn(|request| Box::pin(calls.answer(request, unread.clone())));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = poll_fn(|context| connection.poll_without_shutdown(context)).await {
        tracing::trace!(%error, "a connection broke off");
        return;
    }
    let stall = unread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(stall) = stall {
        closed_by_peer(connection.into_parts().io.into_inner()).await;
        stall.stay().await;
    }
}

/// Returns when the peer has closed the connection: with nothing more to come, it does so when it has read all.
async fn closed_by_peer(mut stream: TcpStream) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// What comes through one connection.
struct Calls {
    door: Door,
    upstream: Upstream,
    traffic: Arc<Traffic>,
}

impl Calls {
    async fn answer(
        &self,
        request: Request<Incoming>,
        unread: Unread,
    ) -> Result<Response<Body>, NoAnswer> {
        let (head, body) = request.into_parts();
        let name = CallName::of(self.door, &head);
        let (number, stall) = self.traffic.note(&name);
        let at = |point| stall.as_ref().filter(|stall| stall.is_at(point));

        if let Some(stall) = at(Point::BeforeSend) {
            stall.stay().await;
        }
        let body = body.collect().await?.to_bytes();
        if let Some(stall) = at(Point::SentNotCommitted) {
            stall.stay().await;
            return Err(NoAnswer::Lost);
        }
        let mut answer = self.exchange(number, &name, head, body).await?;
        if let Some(stall) = at(Point::CommittedNotAcknowledged) {
            stall.stay().await;
        }
        if let Some(stall) = at(Point::Acknowledged) {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
            *unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(stall.clone());
        }
        Ok(answer)
    }

    /// Passes a request on to its end, even when whoever made it does not live to see that.
    async fn exchange(
        &self,
        number: usize,
        name: &CallName,
        head: request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, NoAnswer> {
        let under_way = self.traffic.depart().ok_or(NoAnswer::Shut)?;
        let (upstream, traffic) = (self.upstream.clone(), self.traffic.clone());
        let streams = name.is_watch();
        let exchange = tokio::spawn(async move {
            let answer = upstream.pass_on(&head, body).await?;
            traffic.note_status(number, answer.status());
            let answer = if streams {
                answer
            } else {
                whole(answer).await?
            };
            drop(under_way);
            Ok(answer)
        });
        exchange.await.unwrap_or(Err(NoAnswer::Shut))
    }
}
