//! Kubernetes events. They are a courtesy: sent in the background, in order, and never in the way of
//! a renewal.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tracing::debug;

use super::kubernetes::Kubernetes;
use crate::api::{DOClusterAccess, EventType};
use crate::hexadecimal::hexadecimal;

const REPORTER: &str = "doclusteraccess.dev/do-cluster-access";
/// Events that wait to be sent; more are dropped, and counted in the log.
const WAITING_EVENTS: usize = 1024;
/// The API's limit on a note, in bytes.
const NOTE_LIMIT: usize = 1024;

/// Takes events to be sent. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<WaitingEvent>,
    instance: Arc<str>,
}

/// An event that waits to be sent, as text: hundreds wait when many accesses are issued at once.
pub struct WaitingEvent {
    /// Its namespace.
    pub namespace: Box<str>,
    /// The event, JSON.
    pub body: Box<[u8]>,
}

/// What an event says.
pub struct Notice<'a> {
    /// Normal or Warning.
    pub event_type: EventType,
    /// One word, why.
    pub reason: &'a str,
    /// One word, what was done.
    pub action: &'a str,
    /// A sentence.
    pub note: String,
}

impl Events {
    /// Where to put events, and where they come out. `instance` names this process.
    #[must_use]
    pub fn channel(instance: &str) -> (Self, mpsc::Receiver<WaitingEvent>) {
        let (queue, waiting) = mpsc::channel(WAITING_EVENTS);
        (
            Self {
                queue,
                instance: instance.into(),
            },
            waiting,
        )
    }

    /// Has an event sent that is about `access`.
    pub fn send(&self, access: &DOClusterAccess, now: Timestamp, notice: &Notice<'_>) {
        let event = self.event(access, now, notice);
        let waiting = serde_json::to_vec(&event).map(|body| WaitingEvent {
            namespace: event.metadata.namespace.unwrap_or_default().into(),
            body: body.into(),
        });
        if !waiting.is_ok_and(|waiting| self.queue.try_send(waiting).is_ok()) {
            debug!(
                reason = notice.reason,
                "too many events are waiting: one is dropped"
            );
        }
    }

    fn event(&self, access: &DOClusterAccess, now: Timestamp, notice: &Notice<'_>) -> Event {
        let metadata = &access.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let event_type = match notice.event_type {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{}", unique(access, now, notice))),
                namespace: metadata.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some(notice.action.to_string()),
            event_time: Some(MicroTime(now)),
            note: Some(truncated(&notice.note)),
            reason: Some(notice.reason.to_string()),
            regarding: Some(ObjectReference {
                api_version: Some("doclusteraccess.dev/v1alpha1".to_string()),
                kind: Some("DOClusterAccess".to_string()),
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(REPORTER.to_string()),
            reporting_instance: Some(self.instance.to_string()),
            type_: Some(event_type.to_string()),
            ..Event::default()
        }
    }
}

/// Sends what comes out of `waiting`, one after another, until nothing can come any more.
pub(super) async fn deliver(kubernetes: Kubernetes, mut waiting: mpsc::Receiver<WaitingEvent>) {
    let mut outage = kubernetes.outage.changes();
    while let Some(event) = waiting.recv().await {
        outage.until_answers().await;
        if let Err(error) = kubernetes.create_event(event).await {
            debug!(%error, "an event could not be written");
        }
    }
}

/// A name of its own for every event, the same in every run of a simulation.
fn unique(access: &DOClusterAccess, now: Timestamp, notice: &Notice<'_>) -> String {
    let uid = access.metadata.uid.as_deref().unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(uid)
        .chain_update(now.as_nanosecond().to_be_bytes())
        .chain_update(notice.reason)
        .chain_update(&notice.note)
        .finalize();
    hexadecimal(&digest[..8])
}

fn truncated(note: &str) -> String {
    let end = (0..=NOTE_LIMIT.min(note.len()))
        .rev()
        .find(|end| note.is_char_boundary(*end));
    note[..end.unwrap_or(0)].to_string()
}
