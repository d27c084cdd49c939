//! A proxy before both the API server and DigitalOcean, which holds the operator at a chosen call.
//!
//! It numbers and names the calls of one process. When the call that was chosen comes, it says so and stalls it
//! at a chosen [`Point`], so that the process can be killed, or paused, exactly there.
//!
//! ```text
//!                    plain http             TLS, the caller's own bearer token
//!   operator ──┬── door Kubernetes ─────────────────────────────────────────▶ kube-apiserver
//!              └── door DigitalOcean ───────────────────────────────────────▶ DigitalOcean, or its simulator
//! ```
//!
//! Watches stream through. A proxy belongs to one process: whoever comes after it gets a proxy of its own, and
//! [`FaultProxy::shut`] makes sure that nothing of the former is still on its way.
//!
//! ```no_run
//! # async fn example() -> Result<(), do_cluster_access_testbed::fault_proxy::Error> {
//! # let (kubernetes, digitalocean, certificate_authority) = (String::new(), String::new(), String::new());
//! use do_cluster_access_testbed::fault_proxy::{FaultProxy, Point, Strike, Upstreams};
//!
//! let upstreams = Upstreams { kubernetes, certificate_authority, digitalocean };
//! let mut proxy = FaultProxy::start(&upstreams).await?;
//! // … a process starts with `proxy.kubernetes_url()` and `proxy.digitalocean_url()`, and works …
//! let chosen = proxy.calls().pop().expect("it has called").name;
//! let point = Point::CommittedNotAcknowledged;
//! let stalled = proxy.strike(Strike { call: chosen, occurrence: 1, point });
//! stalled.here().await;
//! // … kill the process …
//! proxy.shut().await;
//! # Ok(()) }
//! ```

mod call;
mod forward;
mod point;
mod server;
mod strike;
mod traffic;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use self::call::{Call, CallName, Door};
use self::forward::Upstream;
pub use self::point::Point;
pub use self::strike::{Stalled, Strike};
use self::traffic::Traffic;

/// Where calls go.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// Base URL of the API server.
    pub kubernetes: String,
    /// PEM of the authority behind its certificate.
    pub certificate_authority: String,
    /// Base URL of DigitalOcean's API.
    pub digitalocean: String,
}

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no free port on loopback.
    #[error("cannot listen on loopback")]
    Listen(#[from] io::Error),
    /// The authority is no certificate, or there can be no client at all.
    #[error("cannot make a client for what is behind the proxy")]
    Client(#[from] reqwest::Error),
}

/// A proxy on loopback, which serves until it is shut or dropped.
#[derive(Debug)]
pub struct FaultProxy {
    kubernetes: SocketAddr,
    digitalocean: SocketAddr,
    traffic: Arc<Traffic>,
    /// The doors, which own every connection.
    doors: JoinSet<()>,
}

impl FaultProxy {
    /// Opens both doors, at free ports. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot listen, or the authority is no certificate.
    pub async fn start(upstreams: &Upstreams) -> Result<Self, Error> {
        let kubernetes =
            Upstream::trusting(&upstreams.kubernetes, &upstreams.certificate_authority)?;
        let digitalocean = Upstream::plain(&upstreams.digitalocean)?;
        let traffic = Arc::<Traffic>::default();
        let mut doors = JoinSet::new();
        let mut open = async |door, upstream| -> io::Result<SocketAddr> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            doors.spawn(server::accept(listener, door, upstream, traffic.clone()));
            Ok(address)
        };
        let kubernetes = open(Door::Kubernetes, kubernetes).await?;
        let digitalocean = open(Door::DigitalOcean, digitalocean).await?;
        Ok(Self {
            kubernetes,
            digitalocean,
            traffic,
            doors,
        })
    }

    /// Base URL of the API server, as the operator is to see it.
    #[must_use]
    pub fn kubernetes_url(&self) -> String {
        format!("http://{}", self.kubernetes)
    }

    /// Base URL of DigitalOcean's API, as the operator is to see it.
    #[must_use]
    pub fn digitalocean_url(&self) -> String {
        format!("http://{}", self.digitalocean)
    }

    /// Every call so far, in the order in which they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.traffic.calls()
    }

    /// Chooses a call to stall, counted from now. It takes the place of one that was chosen before and has not come.
    #[must_use = "nobody would know when the call is there"]
    pub fn strike(&self, strike: Strike) -> Stalled {
        self.traffic.arm(strike)
    }

    /// Lets nothing more pass, waits for the end of what is on its way, and hangs up. Afterwards nothing that came
    /// through this proxy can take effect any more.
    pub async fn shut(&mut self) {
        self.traffic.close().await;
        self.doors.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
