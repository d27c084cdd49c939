//! Watches: what is written from a version on, until the deadline.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http_body::Frame;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::errors::Refusal;
use super::object::Object;
use super::routes::Call;
use super::selectors::Selector;
use super::storage::{State, Write};

/// How often a watch is told how far it is, unless [told otherwise](super::ApiServer::set_bookmark_interval).
pub(super) const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// How long before its end it is told so, too.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// How long a watch lasts that does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// A watch that goes on.
pub(super) struct Watch {
    shared: Arc<Shared>,
    call: Call,
    selector: Selector,
    /// All up to this version was told.
    version: u64,
    /// What to tell at once.
    pending: Vec<u8>,
    ended: bool,
    deadline: Instant,
    next_bookmark: Option<Instant>,
    bookmark_interval: Duration,
}

impl Watch {
    /// Starts to watch.
    pub(super) fn new(shared: &Arc<Shared>, state: &State, call: Call) -> Result<Self, Refusal> {
        let query = &call.query;
        let selector = Selector::parse(&query.label_selector, &query.field_selector)?;
        let timeout = query
            .timeout_seconds
            .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let now = Instant::now();
        let deadline = now + timeout;
        let mut watch = Self {
            shared: shared.clone(),
            selector,
            version: state.version,
            pending: Vec::new(),
            ended: false,
            deadline,
            next_bookmark: query
                .bookmarks
                .then(|| next_bookmark(now, state.bookmark_interval, deadline)),
            bookmark_interval: state.bookmark_interval,
            call,
        };
        match watch.call.query.resource_version.parse() {
            Ok(version @ 1..) => {
                watch.version = version;
                if version < state.compacted || !state.knows(watch.call.kind, version) {
                    watch.tell_that_it_is_too_late(state);
                }
            }
            _ => watch.tell_what_is_there(state),
        }
        Ok(watch)
    }

    /// The events, a line each.
    pub(super) fn events(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
        stream::unfold(self, async |mut watch| {
            let events = watch.next().await?;
            Some((Ok(Frame::data(events)), watch))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let shared = self.shared.clone();
            let mut changed = std::pin::pin!(shared.changed[self.call.kind as usize].notified());
            changed.as_mut().enable();
            self.catch_up(&shared.lock());
            if !self.pending.is_empty() {
                return Some(std::mem::take(&mut self.pending).into());
            }
            let now = Instant::now();
            if self.ended || now >= self.deadline {
                return None;
            }
            if self.next_bookmark.is_some_and(|at| now >= at) {
                self.next_bookmark =
                    Some(next_bookmark(now, self.bookmark_interval, self.deadline));
                self.tell_how_far_it_is();
                continue;
            }
            let wake = self
                .next_bookmark
                .unwrap_or(self.deadline)
                .min(self.deadline);
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    fn catch_up(&mut self, state: &State) {
        if self.ended || self.version >= state.version {
            return;
        }
        if !state.knows(self.call.kind, self.version) {
            self.tell_that_it_is_too_late(state);
            return;
        }
        for write in state.log_after(self.version) {
            if write.kind == self.call.kind {
                self.tell(write);
            }
        }
        self.version = state.version;
    }

    fn selects(&self, object: &Object) -> bool {
        let namespace = &self.call.namespace;
        (namespace.is_empty() || namespace == object.namespace())
            && (self.selector.is_empty() || self.selector.matches(&object.value))
    }

    fn tell(&mut self, write: &Write) {
        let before = write.before.as_ref().filter(|object| self.selects(object));
        let after = write.after.as_ref().filter(|object| self.selects(object));
        let metadata_only = self.call.metadata_only;
        match (before, after) {
            (None, None) => {}
            (None, Some(object)) => self.push("ADDED", &object.body(metadata_only)),
            (Some(_), Some(object)) => self.push("MODIFIED", &object.body(metadata_only)),
            // What was selected last, at the version at which it no longer is.
            (Some(object), None) => {
                let last = object.at_version(write.version);
                self.push("DELETED", &last.body(metadata_only));
            }
        }
    }

    fn tell_what_is_there(&mut self, state: &State) {
        for object in state.objects(self.call.kind).values() {
            if self.selects(object) {
                self.push("ADDED", &object.body(self.call.metadata_only));
            }
        }
    }

    fn tell_that_it_is_too_late(&mut self, state: &State) {
        let message = format!(
            "too old resource version: {} ({})",
            self.version, state.version
        );
        let status = Refusal::expired(message).status();
        self.push("ERROR", status.to_string().as_bytes());
        self.ended = true;
    }

    fn tell_how_far_it_is(&mut self) {
        let resource = self.call.kind.resource();
        let (kind, api_version) = if self.call.metadata_only {
            ("PartialObjectMetadata", "meta.k8s.io/v1")
        } else {
            (resource.name, &*resource.api_version)
        };
        let mut object = json!({
            "kind": kind,
            "apiVersion": api_version,
            "metadata": {"resourceVersion": self.version.to_string()},
        });
        if !self.call.metadata_only && !resource.custom {
            resource.schema.normalise(&mut object);
        }
        self.push("BOOKMARK", object.to_string().as_bytes());
    }

    fn push(&mut self, event: &str, object: &[u8]) {
        self.pending.extend_from_slice(br#"{"type":""#);
        self.pending.extend_from_slice(event.as_bytes());
        self.pending.extend_from_slice(br#"","object":"#);
        self.pending.extend_from_slice(object);
        self.pending.extend_from_slice(b"}\n");
    }
}

fn next_bookmark(now: Instant, interval: Duration, deadline: Instant) -> Instant {
    let regular = now + interval;
    match deadline.checked_sub(LAST_BOOKMARK) {
        Some(last) if last > now => regular.min(last),
        _ => regular,
    }
}
