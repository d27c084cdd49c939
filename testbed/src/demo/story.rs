//! The story: an access is applied, becomes a Secret, and the Secret renews itself.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use super::command::output;
use super::consumer::{Consumer, Poller};
use super::effort::effort;
use super::error::Error;
use super::follow::{AccessStatus, Published};
use super::names::{ACCESS, NAMESPACE, SECRET, operator_user};
use super::stage::Stage;
use super::summary::Summary;
use super::tally::Verdict;
use super::terminal::{BAD, BOLD, GOOD};
use super::timeline::Timeline;
use crate::control_plane::audit::{Position, Request};
use crate::simulator::system_clock;

pub(super) const ACCESS_YAML: &str = include_str!("access.yaml");

/// For what takes a second or two.
const SOON: Duration = Duration::from_secs(30);
/// How long a credential may have been expired before the demo gives up on its renewal.
const AFTER_EXPIRY: Duration = Duration::from_secs(30);

/// What the story is told with.
pub(super) struct Story<'a> {
    pub(super) stage: &'a Stage,
    pub(super) timeline: &'a Timeline<'a>,
    pub(super) poller: &'a Poller,
    pub(super) secret: watch::Receiver<Option<Published>>,
    pub(super) access: watch::Receiver<Option<AccessStatus>>,
    /// Where the consumer keeps the kubeconfig.
    pub(super) kubeconfig: PathBuf,
}

impl Story<'_> {
    /// Tells it to the end.
    pub(super) async fn tell(&self, rotations: usize) -> Result<Summary, Error> {
        let first = self.issue().await?;
        self.use_it(&first).await?;
        let begin = self.settled(Timestamp::UNIX_EPOCH, &first).await?;
        let rotate = self.rotate(rotations, first.clone(), begin);
        let ((end, late), ()) = tokio::try_join!(rotate, self.expire(&first))?;
        let audit_log = self.stage.control_plane.audit_log();
        let requests = audit_log.since(Position::default()).await?;
        Ok(Summary {
            rotations,
            late,
            mints: self.stage.mints(),
            effort: effort(&requests, &operator_user(), begin, end),
            tally: self.poller.tally(),
            refused: self.poller.refused(),
        })
    }

    /// From the access to a Secret that is ready to use.
    async fn issue(&self) -> Result<Published, Error> {
        let mut apply = self.stage.control_plane.kubectl();
        apply.args(["apply", "--filename", "-"]);
        let apply = output(apply, "kubectl apply", ACCESS_YAML);
        let (_, published) = tokio::try_join!(apply, self.follow_issue())?;
        Ok(published)
    }

    async fn follow_issue(&self) -> Result<Published, Error> {
        self.await_access("the access", |_| true).await?;
        let applied = format!("DOClusterAccess {ACCESS} in namespace {NAMESPACE}");
        self.timeline.entry(BOLD, "applied", &applied)?;

        let published = self.await_secret("the Secret", SOON, |_| true).await?;
        let lifetime = seconds_until(published.expires_at);
        let issued = format!("Secret {SECRET} written; its credential expires in {lifetime} s");
        self.timeline.entry(BOLD, "issued", &issued)?;

        let status = self.await_ready(&published).await?;
        let ready = format!(
            "{}, Synced: {}, Verified: {} as {}",
            status.ready.reason, status.synced.reason, status.verified.reason, status.username,
        );
        self.timeline.entry(GOOD, "Ready", &ready)?;
        Ok(published)
    }

    /// kubectl with nothing but the content of the Secret.
    async fn use_it(&self, published: &Published) -> Result<(), Error> {
        write_private(&self.kubeconfig, &published.kubeconfig)
            .map_err(Error::file(&self.kubeconfig))?;
        let told = "with the kubeconfig in the Secret, to the target cluster:";
        self.timeline.entry(BOLD, "kubectl", told)?;
        for arguments in [["get", "namespaces"], ["auth", "whoami"]] {
            let shown = format!(
                "kubectl --kubeconfig prod.kubeconfig {}",
                arguments.join(" ")
            );
            let mut command = self.stage.control_plane.kubectl_with(&self.kubeconfig);
            command.args(arguments);
            let printed = output(command, &shown, "").await?;
            self.timeline.command(&shown, &printed)?;
        }
        Ok(())
    }

    /// Watches it renew itself; the answer is when the last renewal was complete, and how many
    /// came after the expiry that they were to forestall.
    async fn rotate(
        &self,
        rotations: usize,
        first: Published,
        begin: Timestamp,
    ) -> Result<(Timestamp, usize), Error> {
        let mut late = 0;
        let mut current = first;
        let mut settled_at = begin;
        for rotation in 1..=rotations {
            let next = self.next(&current).await?;
            let (style, when) = match seconds_until(current.expires_at) {
                seconds @ 1.. => (GOOD, format!("{seconds} s before the old one expires")),
                seconds => {
                    late += 1;
                    (BAD, format!("{} s after the old one expired", -seconds))
                }
            };
            let told = format!("a new token in the same Secret, {when}");
            self.timeline
                .entry(style, &format!("rotated ({rotation})"), &told)?;
            settled_at = self.settled(settled_at, &next).await?;
            current = next;
        }
        Ok((settled_at, late))
    }

    /// The credential that follows `current`. A hint says when it is due.
    async fn next(&self, current: &Published) -> Result<Published, Error> {
        let remaining = u64::try_from(seconds_until(current.expires_at)).unwrap_or(0);
        let patience = Duration::from_secs(remaining) + AFTER_EXPIRY;
        let replaced = |published: &Published| published.token != current.token;
        let next = self.await_secret("the renewal of the credential", patience, replaced);
        tokio::select! {
            next = next => next,
            failed = self.hint_on_and_on() => failed,
        }
    }

    /// Ends only when that is impossible.
    async fn hint_on_and_on<T>(&self) -> Result<T, Error> {
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            self.hint()?;
        }
    }

    fn hint(&self) -> Result<(), Error> {
        let renew_at = self
            .access
            .borrow()
            .as_ref()
            .and_then(|status| status.renew_at);
        let due = match renew_at.map_or(0, seconds_until) {
            seconds @ 1.. => format!("renews in {seconds} s"),
            _ => "renewing".to_owned(),
        };
        let tally = self.poller.tally();
        let calls = format!(
            "{} calls with its token, {} refused",
            tally.calls, tally.refusals
        );
        Ok(self.timeline.hint(&format!("{due}; {calls}"))?)
    }

    /// Shows that tokens expire here: a demo in which they do not would show nothing.
    async fn expire(&self, first: &Published) -> Result<(), Error> {
        let remaining = first.expires_at.duration_since(system_clock()());
        tokio::time::sleep(remaining.try_into().unwrap_or(Duration::ZERO)).await;
        let consumer = Consumer::new(first, self.stage.simulator.clone())?;
        let refused = async {
            while consumer.ask_target(first).await != Verdict::Refused {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        };
        self.within("the refusal of a token that has expired", SOON, refused)
            .await?;
        let told = "the first token is refused from now on (401), and nobody uses it any more";
        self.timeline.entry(BOLD, "expired", told)?;
        Ok(())
    }

    /// Returns the time once the operator has done all that an issue takes: `published` is in the
    /// status, and that write and the event, both after `after`, are in the audit log.
    async fn settled(&self, after: Timestamp, published: &Published) -> Result<Timestamp, Error> {
        self.await_ready(published).await?;
        let audit_log = self.stage.control_plane.audit_log();
        let user = operator_user();
        for (resource, subresource) in [("doclusteraccesses", "status"), ("events", "")] {
            let wanted = |request: &Request| {
                request.user == user
                    && request.resource == resource
                    && request.subresource == subresource
                    && request.received > after
            };
            let found = async { Ok(audit_log.wait_for(Position::default(), wanted).await?) };
            let what = format!("the operator's request for {resource} in the audit log");
            self.within(&what, SOON, found).await?;
        }
        Ok(system_clock()())
    }

    async fn await_secret(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Published) -> bool,
    ) -> Result<Published, Error> {
        let mut secret = self.secret.clone();
        let found = async {
            let found = secret
                .wait_for(|secret| secret.as_ref().is_some_and(&wanted))
                .await;
            let found = found.ok().and_then(|published| published.clone());
            found.ok_or(Error::WatchEnded("the Secret"))
        };
        self.within(what, patience, found).await
    }

    /// Waits until the status says of `published` that it is ready.
    async fn await_ready(&self, published: &Published) -> Result<AccessStatus, Error> {
        let is_ready = |status: &AccessStatus| {
            status.ready.holds() && status.expires_at == Some(published.expires_at)
        };
        self.await_access("condition Ready", is_ready).await
    }

    async fn await_access(
        &self,
        what: &str,
        wanted: impl Fn(&AccessStatus) -> bool,
    ) -> Result<AccessStatus, Error> {
        let mut access = self.access.clone();
        let found = async {
            let found = access
                .wait_for(|status| status.as_ref().is_some_and(&wanted))
                .await;
            let found = found.ok().and_then(|status| status.clone());
            found.ok_or(Error::WatchEnded("the access"))
        };
        self.within(what, SOON, found).await
    }

    async fn within<T>(
        &self,
        what: &str,
        within: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout(within, work).await.unwrap_or_else(|_| {
            let access = self.access.borrow();
            let synced = access.as_ref().map(|status| &status.synced);
            let state = synced.map_or_else(String::new, |synced| {
                format!(": {} ({})", synced.reason, synced.message)
            });
            let what = what.to_owned();
            Err(Error::TooLong {
                what,
                within,
                state,
            })
        })
    }
}

/// Rounded.
fn seconds_until(instant: Timestamp) -> i64 {
    let milliseconds = instant.duration_since(system_clock()()).as_millis();
    i64::try_from((milliseconds + 500).div_euclid(1000)).unwrap_or(i64::MAX)
}

fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)
}
