//! A host that nobody has any business with.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Counts who connects to it.
pub(super) struct Stranger {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Stranger {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let counter = visits.clone();
        let accepting = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            address,
            visits,
            accepting,
        }
    }

    /// Its URL, with that scheme.
    pub(super) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    pub(super) fn assert_left_alone(&self) {
        assert_eq!(
            self.visits.load(Ordering::Relaxed),
            0,
            "somebody went to {}",
            self.address
        );
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
