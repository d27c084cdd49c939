//! A consumer: it calls the target cluster with the credential that the Secret holds at that moment.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::error::Error;
use super::follow::Published;
use super::tally::{Tally, Verdict};
use crate::simulator::Simulator;

/// Five calls a second.
const BETWEEN_CALLS: Duration = Duration::from_millis(200);
const CALL_DEADLINE: Duration = Duration::from_secs(2);

/// Makes calls. The target cluster is that of the credential it is made with.
pub(super) struct Consumer {
    client: reqwest::Client,
    server: String,
    certificate_authority: Vec<u8>,
    simulator: Simulator,
}

impl Consumer {
    pub(super) fn new(published: &Published, simulator: Simulator) -> Result<Self, Error> {
        let authority = reqwest::Certificate::from_pem(&published.certificate_authority)?;
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(CALL_DEADLINE)
            .build()?;
        Ok(Self {
            client,
            server: published.server.clone(),
            certificate_authority: published.certificate_authority.clone(),
            simulator,
        })
    }

    fn is_for(&self, published: &Published) -> bool {
        self.server == published.server
            && self.certificate_authority == published.certificate_authority
    }

    /// Lists the namespaces of the target cluster.
    pub(super) async fn call(&self, published: &Published) -> Verdict {
        // An API server may remember for some seconds that it accepted a token; whoever minted it
        // knows at once that it has expired.
        if self.simulator.review(&published.token).is_none() {
            return Verdict::Refused;
        }
        self.ask_target(published).await
    }

    /// The same without asking whoever minted the token.
    pub(super) async fn ask_target(&self, published: &Published) -> Verdict {
        let request = self
            .client
            .get(format!("{}/api/v1/namespaces", self.server))
            .bearer_auth(&published.token);
        match request.send().await.map(|response| response.status()) {
            Ok(StatusCode::OK) => Verdict::Accepted,
            Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Verdict::Refused,
            Ok(_) | Err(_) => Verdict::Unanswered,
        }
    }
}

/// A consumer that calls all the time.
pub(super) struct Poller {
    tally: Mutex<Tally>,
    began: Instant,
}

impl Poller {
    pub(super) fn new() -> Self {
        Self {
            tally: Mutex::default(),
            began: Instant::now(),
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }

    /// For how long the credential was refused so far.
    pub(super) fn refused(&self) -> Duration {
        self.tally().refused(self.began.elapsed())
    }

    /// Calls from the moment at which there is a credential. Ends only when that is impossible.
    pub(super) async fn poll<T>(
        &self,
        mut secret: watch::Receiver<Option<Published>>,
        simulator: Simulator,
    ) -> Result<T, Error> {
        let first = secret.wait_for(Option::is_some).await;
        let first = first.ok().and_then(|published| published.clone());
        let first = first.ok_or(Error::WatchEnded("the Secret"))?;
        let mut consumer = Consumer::new(&first, simulator.clone())?;
        let mut ticks = interval(BETWEEN_CALLS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let published = secret.borrow().clone();
            let at = self.began.elapsed();
            let verdict = match &published {
                Some(published) => {
                    if !consumer.is_for(published) {
                        consumer = Consumer::new(published, simulator.clone())?;
                    }
                    consumer.call(published).await
                }
                None => Verdict::Refused,
            };
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.record(at, verdict);
        }
    }
}
