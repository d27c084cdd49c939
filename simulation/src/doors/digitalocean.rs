//! The door to DigitalOcean.

use bytes::Bytes;
use do_cluster_access::digitalocean::{ConnectError, HttpService, boxed_service};
use do_cluster_access_testbed::simulator::SimulatorService;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use tower::{BoxError, Service, service_fn};

use super::Process;
use crate::journal::Event;
use crate::weather::{Door, Point};
use crate::world::World;

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The door for one process.
pub(super) fn door(world: &World, process: &Process) -> HttpService {
    let simulator = world.digitalocean.service();
    let process = process.clone();
    boxed_service(service_fn(move |request| {
        exchange(simulator.clone(), process.clone(), request)
    }))
}

async fn exchange(
    mut simulator: SimulatorService,
    process: Process,
    request: Request<Full<Bytes>>,
) -> Result<Answer, BoxError> {
    process.journal.arrive(Door::DigitalOcean);
    let path = request.uri().path().to_owned();
    process.pass(Door::DigitalOcean, Point::BeforeEffect).await;
    let (no_connection, latency) = process.weather.digitalocean_fate();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if no_connection {
        process.journal.count("DigitalOcean: no connection");
        return Err(ConnectError("connection refused".into()).into());
    }
    let answer = simulator.call(request).await;
    process.pass(Door::DigitalOcean, Point::AfterEffect).await;
    let answer = answer.inspect_err(|_| {
        process.journal.note(Event::AnswerLost {
            replica: process.replica,
            path,
        });
    })?;
    process.pass(Door::DigitalOcean, Point::Answered).await;
    Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
}
