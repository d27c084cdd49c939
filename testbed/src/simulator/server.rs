//! The simulator on a socket.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

use super::Simulator;
use super::http::{Peer, SimulatorService};

/// A simulator that answers on a socket until this is dropped; then every connection is closed.
#[derive(Debug)]
pub struct RunningSimulator {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Answers on `address` (port 0: any free one), until the result is dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(&self, address: SocketAddr) -> io::Result<RunningSimulator> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, self.service()));
        Ok(RunningSimulator { address, accepting })
    }
}

impl RunningSimulator {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of the DigitalOcean API, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the `TokenReview` webhook that knows the tokens of every cluster.
    #[must_use]
    pub fn token_review_url(&self) -> String {
        format!("{}/tokenreview", self.url())
    }

    /// The URL of the `TokenReview` webhook that knows the tokens of one cluster.
    #[must_use]
    pub fn token_review_url_of(&self, cluster: &str) -> String {
        format!("{}/{cluster}", self.token_review_url())
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        // The task owns the listener and every connection.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: SimulatorService) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(converse(stream, peer, service.clone()));
                }
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers on one connection. Where the service fails, the peer gets a TCP reset instead of an answer.
async fn converse(stream: TcpStream, peer: SocketAddr, service: SimulatorService) {
    let service = service.map_request(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request
    });
    let mut connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let outcome = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if let Err(error) = outcome {
        tracing::debug!(%error, %peer, "a connection broke off");
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, %peer, "a connection is closed instead of reset");
        }
    }
}
