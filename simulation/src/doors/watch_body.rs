//! The events of a watch on their way to the operator: late, twice, again, not at all, or cut off.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use do_cluster_access::controller::READ_TIMEOUT;
use do_cluster_access::signal::Listener;
use do_cluster_access_testbed::api_server::AnswerBody;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::Process;
use crate::journal::Event;

/// Old events that may be told again.
const REMEMBERED: usize = 4;

struct Watch {
    body: AnswerBody,
    process: Process,
    of_accesses: bool,
    cuts: Listener,
    rest: BytesMut,
    /// What is to be told, and when: never earlier than what came before it.
    due: VecDeque<(Instant, Bytes)>,
    told: VecDeque<Bytes>,
    ended: bool,
    /// When the silence is noticed.
    silent_until: Option<Instant>,
}

/// The body of a watch as it arrives.
pub(super) fn disturbed(
    body: AnswerBody,
    process: Process,
    of_accesses: bool,
) -> impl http_body::Body<Data = Bytes, Error = BoxError> + Send {
    let cuts = process.weather.cuts();
    let watch = Watch {
        body,
        process,
        of_accesses,
        cuts,
        rest: BytesMut::new(),
        due: VecDeque::new(),
        told: VecDeque::new(),
        ended: false,
        silent_until: None,
    };
    StreamBody::new(stream::unfold(watch, async |mut watch| {
        let line = watch.next().await?;
        Some((line.map(Frame::data), watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            let due = self.due.front().map(|(at, _)| *at);
            if due.is_some_and(|at| at <= Instant::now()) {
                let (_, line) = self.due.pop_front()?;
                self.note(&line);
                return Some(Ok(line));
            }
            if self.ended && due.is_none() {
                return None;
            }
            if let Some(noticed) = self.silent_until {
                sleep_until(noticed).await;
                return Some(Err("read timed out".into()));
            }
            tokio::select! {
                biased;
                () = self.cuts.next() => {
                    self.process.journal.count("watch: cut");
                    return Some(Err("connection reset by peer".into()));
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                frame = self.body.frame(), if !self.ended => match frame {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            self.take(&data);
                        }
                    }
                    _ => self.ended = true,
                },
            }
        }
    }

    fn take(&mut self, data: &[u8]) {
        self.rest.extend_from_slice(data);
        while self.silent_until.is_none()
            && let Some(end) = self.rest.iter().position(|byte| *byte == b'\n')
        {
            let line = self.rest.split_to(end + 1).freeze();
            self.schedule(&line);
        }
    }

    fn schedule(&mut self, line: &Bytes) {
        let fate = self.process.weather.event_fate();
        let is_event =
            !line.starts_with(br#"{"type":"BOOKMARK""#) && !line.starts_with(br#"{"type":"ERROR""#);
        // To leave a bookmark out would harm nobody, and to leave an error out would lie.
        if fate.silence {
            self.process.journal.count("watch: silence");
            self.silent_until = Some(Instant::now() + READ_TIMEOUT);
            return;
        }
        if fate.drop && is_event {
            self.process.journal.count("watch: event left out");
            return;
        }
        let earliest = self.due.back().map_or_else(Instant::now, |(at, _)| *at);
        let at = (Instant::now() + fate.lag).max(earliest);
        if !fate.lag.is_zero() {
            self.process.journal.count("watch: event late");
        }
        self.due.push_back((at, line.clone()));
        if fate.repeat && is_event {
            self.process.journal.count("watch: event told again");
            let again = self.told.iter().cloned().chain([line.clone()]);
            self.due.extend(again.map(|line| (at, line)));
        }
        if is_event {
            if self.told.len() == REMEMBERED {
                self.told.pop_front();
            }
            self.told.push_back(line.clone());
        }
    }

    fn note(&self, line: &[u8]) {
        if !self.of_accesses || !line.starts_with(br#"{"type":"DELETED""#) {
            return;
        }
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        if let Some(uid) = event["object"]["metadata"]["uid"].as_str() {
            self.process.journal.note(Event::DeletionSeen {
                replica: self.process.replica,
                uid: uid.to_owned(),
            });
        }
    }
}
