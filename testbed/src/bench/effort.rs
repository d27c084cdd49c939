//! What a leg asked of the API server, by its audit log.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::error::Error;
use super::world::{NAMESPACE, World};
use crate::control_plane::audit::{Position, Request};
use crate::demo::effort::{Effort, effort};
use crate::demo::names::operator_user;

/// How often the log is looked at.
const BETWEEN_READS: Duration = Duration::from_millis(100);
/// Nothing more is expected when so long nothing came.
const QUIET: Duration = Duration::from_secs(1);

/// All requests of the contender's ServiceAccount since a position.
pub(super) struct Audited {
    requests: Vec<Request>,
}

impl Audited {
    /// What is in the log now.
    pub(super) async fn since(world: &World, position: Position) -> Result<Self, Error> {
        let log = world.control_plane.audit_log();
        let requests = log.requests_of(&operator_user(), position).await?;
        Ok(Self { requests })
    }

    /// What is in the log when nothing has been written for a second, or `enough` is there. Reads never end: of
    /// thousands of accesses some is always verified again.
    pub(super) async fn when_quiet(
        world: &World,
        position: Position,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<Self, Error> {
        let mut before = Self::since(world, position).await?;
        let mut written_at = Instant::now();
        while written_at.elapsed() < QUIET && !enough(&before) {
            tokio::time::sleep(BETWEEN_READS).await;
            let asked_at = Instant::now();
            let now = Self::since(world, position).await?;
            if now.writes() > before.writes() {
                written_at = asked_at;
            }
            before = now;
        }
        Ok(before)
    }

    /// Requests by what they do, without watches and the lease.
    pub(super) fn by_kind(&self) -> Effort {
        let (begin, end) = (Timestamp::MIN, Timestamp::MAX);
        effort(&self.requests, &operator_user(), begin, end)
    }

    /// How many there are, without watches and the lease.
    pub(super) fn efforts(&self) -> usize {
        self.by_kind().values().sum()
    }

    fn writes(&self) -> usize {
        let reads = ["get ", "list "];
        let kinds = self.by_kind().into_iter();
        kinds
            .filter(|(kind, _)| !reads.iter().any(|read| kind.starts_with(read)))
            .map(|(_, number)| number)
            .sum()
    }

    /// How many of a kind there are: `create events`.
    pub(super) fn of_kind(&self, kind: &str) -> usize {
        self.by_kind().get(kind).copied().unwrap_or(0)
    }

    /// How many were refused. That a Secret to be created is not there yet is no refusal.
    pub(super) fn refused(&self) -> usize {
        let refused = |request: &&Request| {
            request.code >= 400 && !(request.code == 404 && request.verb == "get")
        };
        self.requests.iter().filter(refused).count()
    }

    /// From the arrival of the first request about the Secret of an access until the last status is answered.
    pub(super) fn span_of_work(&self) -> Result<Duration, Error> {
        let begin = self
            .requests
            .iter()
            .filter(|request| is_about_access_secret(request));
        let begin = begin.map(|request| request.received).min();
        let end = self.requests.iter().filter(|request| is_status(request));
        let end = end.map(|request| request.answered).max();
        let begin = begin.ok_or(Error::NotAudited("request about the Secret of an access"))?;
        let end = end.ok_or(Error::NotAudited("written status"))?;
        Ok(Duration::try_from(end.duration_since(begin)).unwrap_or_default())
    }
}

fn is_about_access_secret(request: &Request) -> bool {
    request.namespace == NAMESPACE
        && request.resource == "secrets"
        && request.name.starts_with("access-")
}

fn is_status(request: &Request) -> bool {
    request.resource == "doclusteraccesses" && request.subresource == "status"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, resource: &str, name: &str, received: i64, answered: i64) -> Request {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Request {
            id: String::new(),
            user: operator_user(),
            verb: verb.to_owned(),
            uri: String::new(),
            group: String::new(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
            code: 200,
            user_agent: String::new(),
            received: Timestamp::from_second(received).expect("a time"),
            answered: Timestamp::from_second(answered).expect("a time"),
        }
    }

    #[test]
    fn work_lasts_from_the_first_secret_to_the_last_status() {
        let requests = vec![
            request("get", "secrets", "digitalocean", 1, 2),
            request("list", "secrets", "", 1, 2),
            request("get", "secrets", "access-000001-kubeconfig", 5, 6),
            request("patch", "doclusteraccesses/status", "access-000001", 8, 12),
            request("patch", "doclusteraccesses/status", "access-000000", 7, 9),
            request("create", "events", "", 13, 14),
        ];
        let span = Audited { requests }.span_of_work().expect("a span");
        assert_eq!(span, Duration::from_secs(7));
    }

    #[test]
    fn work_without_a_status_has_no_span() {
        let requests = vec![request(
            "patch",
            "secrets",
            "access-000000-kubeconfig",
            1,
            2,
        )];
        assert!(Audited { requests }.span_of_work().is_err());
    }

    #[test]
    fn what_is_only_read_is_no_write() {
        let requests = vec![
            request("get", "secrets", "access-000000-kubeconfig", 1, 2),
            request("list", "doclusteraccesses", "", 1, 2),
            request("patch", "secrets", "access-000000-kubeconfig", 1, 2),
            request("create", "events", "", 1, 2),
        ];
        assert_eq!(Audited { requests }.writes(), 2);
    }

    #[test]
    fn a_secret_that_is_not_there_yet_is_no_refusal() {
        let mut requests = vec![
            request("get", "secrets", "access-000000-kubeconfig", 1, 2),
            request("patch", "secrets", "access-000000-kubeconfig", 1, 2),
            request("create", "events", "", 1, 2),
        ];
        requests[0].code = 404;
        requests[1].code = 409;
        assert_eq!(Audited { requests }.refused(), 1);
    }
}
