//! The three doors of the operator, with the weather behind them.

mod api_server;
mod digitalocean;
mod target;
mod watch_body;

use std::future::Future;
use std::sync::Arc;

use do_cluster_access::controller::Doors;
use do_cluster_access::digitalocean::{BaseUrl, Client};
use do_cluster_access::target::Verifier;
use tokio::sync::Notify;

use crate::journal::Journal;
use crate::time::SkewedClock;
use crate::weather::{Door, Point, Weather};
use crate::world::World;

/// One process of the operator, as the doors know it.
#[derive(Clone)]
pub struct Process {
    /// Which replica it is.
    pub replica: usize,
    /// The weather that it lives in.
    pub weather: Weather,
    /// Where things are noted.
    pub journal: Journal,
    /// Has it killed.
    pub kill: Arc<Notify>,
}

impl Process {
    /// Nothing; or never comes back, when this is where the process dies.
    async fn pass(&self, door: Door, point: Point) {
        if self.weather.dies_at(self.replica, door, point) {
            self.journal.count(match point {
                Point::BeforeEffect => "crash before a request",
                Point::AfterEffect => "crash after a request took effect",
                Point::Answered => "crash after an answer",
            });
            self.kill.notify_one();
            hang::<()>().await;
        }
    }
}

/// Never comes back.
fn hang<T>() -> impl Future<Output = T> {
    std::future::pending()
}

/// The doors for a process with this clock.
#[must_use]
pub fn doors(world: &World, process: &Process, clock: &SkewedClock) -> Doors {
    let base_url = BaseUrl::DEFAULT.parse::<BaseUrl>();
    #[expect(clippy::expect_used, reason = "it is DigitalOcean's own")]
    let base_url = base_url.expect("a base URL");
    Doors {
        clock: clock.handed_in(),
        digitalocean: Client::new(digitalocean::door(world, process), base_url),
        verifier: Verifier::new(target::door(world, process)),
        kubernetes: api_server::client(world, process),
    }
}
