//! The simulator on a socket.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use do_cluster_access_testbed::simulator::{Fault, FaultKind, Moment, RunningSimulator, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{LIST, TOKEN, World, credentials, named};

const ANY_PORT: &str = "127.0.0.1:0";
/// Long enough for a loaded machine, and never waited for in full by a test that passes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn serve(simulator: &Simulator) -> RunningSimulator {
    let address: SocketAddr = ANY_PORT.parse().expect("an address");
    simulator.serve(address).await.expect("a free port")
}

/// What comes back for a GET until the connection ends, and the error that ended it.
async fn raw_get(address: SocketAddr, path: &str) -> (String, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut received = Vec::new();
    let outcome = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    let error = outcome.expect("an end").err().map(|error| error.kind());
    (String::from_utf8(received).expect("text"), error)
}

#[tokio::test]
async fn a_client_gets_its_answer_and_links_to_the_host_it_called() {
    let world = World::new();
    for number in 0..26 {
        world.add(named(&format!("c{number}")));
    }
    let running = serve(&world.simulator).await;
    let url = running.url();
    let response = reqwest::Client::new()
        .get(format!("{url}{LIST}"))
        .bearer_auth(TOKEN)
        .send()
        .await
        .expect("a response");
    assert_eq!(response.status(), 200);
    let list: serde_json::Value = response.json().await.expect("JSON");
    let next = list["links"]["pages"]["next"].as_str().expect("a link");
    assert_eq!(next, format!("{url}{LIST}?page=2"));
    assert!(running.token_review_url().starts_with(&url));
    assert!(running.token_review_url_of("x").ends_with("/tokenreview/x"));
}

#[tokio::test]
async fn a_reset_connection_is_a_tcp_reset_without_a_byte() {
    for moment in [Moment::BeforeEffect, Moment::AfterEffect] {
        let (world, id) = World::with_cluster(named("prod"));
        let running = serve(&world.simulator).await;
        let reset = Fault::new(FaultKind::ConnectionReset(moment)).times(1);
        world.simulator.inject(reset).expect("a valid fault");
        let (received, error) = raw_get(running.address(), &credentials(&id)).await;
        assert_eq!(
            (received.as_str(), error),
            ("", Some(ErrorKind::ConnectionReset))
        );
        let (received, error) = raw_get(running.address(), &credentials(&id)).await;
        assert!(received.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(error, None);
    }
}

#[tokio::test]
async fn a_truncated_body_announces_more_than_it_sends() {
    let (world, id) = World::with_cluster(named("prod"));
    let running = serve(&world.simulator).await;
    let cut = Fault::new(FaultKind::TruncatedBody).times(1);
    world.simulator.inject(cut).expect("a valid fault");
    let (received, _) = raw_get(running.address(), &credentials(&id)).await;
    let (head, body) = received.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    assert_eq!(body.len(), length.parse::<usize>().expect("a number") / 2);
}

#[tokio::test]
async fn a_hanging_connection_stays_open_and_others_are_answered() {
    let world = World::new();
    let running = serve(&world.simulator).await;
    let hang = Fault::new(FaultKind::Hang(Moment::BeforeEffect)).times(1);
    world.simulator.inject(hang).expect("a valid fault");
    let address = running.address();
    let hanging = tokio::spawn(async move { raw_get(address, LIST).await });
    while world.simulator.history().is_empty() {
        tokio::task::yield_now().await;
    }
    let (received, _) = raw_get(address, LIST).await;
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(!hanging.is_finished());
    drop(running);
    let (received, _) = hanging.await.expect("an end");
    assert_eq!(received, "");
}

#[tokio::test]
async fn an_oversized_body_arrives_in_full() {
    let (world, id) = World::with_cluster(named("prod"));
    let running = serve(&world.simulator).await;
    for chunked in [false, true] {
        let oversize = FaultKind::Oversize {
            bytes: 10_000_000,
            chunked,
        };
        let fault = Fault::new(oversize).times(1);
        world.simulator.inject(fault).expect("a valid fault");
        let response = reqwest::Client::new()
            .get(format!("{}{}", running.url(), credentials(&id)))
            .bearer_auth(TOKEN)
            .send()
            .await
            .expect("a response");
        assert_eq!(response.content_length().is_none(), chunked);
        assert_eq!(response.bytes().await.expect("a body").len(), 10_000_000);
    }
}

#[tokio::test]
async fn dropping_it_frees_the_port_and_it_can_come_back_there() {
    let world = World::new();
    let running = serve(&world.simulator).await;
    let address = running.address();
    let (received, _) = raw_get(address, LIST).await;
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"));
    let occupied = world.simulator.serve(address).await;
    assert_eq!(
        occupied.err().map(|error| error.kind()),
        Some(ErrorKind::AddrInUse)
    );
    drop(running);
    let again = loop {
        match world.simulator.serve(address).await {
            Ok(running) => break running,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(again.address(), address);
    let (received, _) = raw_get(address, LIST).await;
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"));
    drop(again);
    while TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
}
