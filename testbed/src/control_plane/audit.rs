//! The API server's audit log: what was asked, by whom, and how it was answered.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Error;

/// A place in an audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

/// A request to the API server. What does not apply to it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The id that the API server gave it.
    pub id: String,
    /// Who asked: `system:serviceaccount:<namespace>:<name>`, for example. Empty when the request was
    /// refused because nobody knew.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for paths
    /// that are not resources the HTTP method, in small letters.
    pub verb: String,
    /// The path and query.
    pub uri: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name of the resource.
    pub resource: String,
    /// `status`, `token`, …
    pub subresource: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name; empty for lists.
    pub name: String,
    /// The HTTP status of the answer; of a watch, the one it began with.
    pub code: u16,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// When the request arrived.
    pub received: Timestamp,
    /// When the answer was complete; of a watch, when it began.
    pub answered: Timestamp,
}

impl Request {
    /// Whether this is a watch: one request that lasts, where all others are an effort each.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }
}

/// The file that the API server writes its audit events to.
///
/// An answer that a client has read to its end is in the log. A watch is there from its beginning.
/// Each request appears once.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log in a file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file: one JSON event (`audit.k8s.io/v1`) a line.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The end of the log as it is now: all that is there lies before it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn position(&self) -> Result<Position, Error> {
        let lines = self.lines(Position::default()).await?;
        Ok(Position(lines.len() as u64))
    }

    /// All requests after a position, in the order of their answers.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn since(&self, position: Position) -> Result<Vec<Request>, Error> {
        Ok(self.read(position).await?.0)
    }

    /// The requests of one user after a position, in the order of their answers.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn requests_of(&self, user: &str, position: Position) -> Result<Vec<Request>, Error> {
        let mut requests = self.since(position).await?;
        requests.retain(|request| request.user == user);
        Ok(requests)
    }

    /// Waits for a request, as long as it takes: bound it by `tokio::time::timeout`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn wait_for(
        &self,
        mut position: Position,
        wanted: impl Fn(&Request) -> bool,
    ) -> Result<Request, Error> {
        const BETWEEN_READS: Duration = Duration::from_millis(20);
        loop {
            let (requests, end) = self.read(position).await?;
            if let Some(request) = requests.into_iter().find(&wanted) {
                return Ok(request);
            }
            position = end;
            tokio::time::sleep(BETWEEN_READS).await;
        }
    }

    /// The requests after a position, and the end of the last whole line.
    async fn read(&self, from: Position) -> Result<(Vec<Request>, Position), Error> {
        let lines = self.lines(from).await?;
        let requests = lines
            .lines()
            .filter_map(|line| parse(line).transpose())
            .collect::<Result<_, _>>()?;
        Ok((requests, Position(from.0 + lines.len() as u64)))
    }

    /// All whole lines after a position.
    async fn lines(&self, from: Position) -> Result<String, Error> {
        let content = read_from(&self.path, from.0).await;
        let lines = content.and_then(|mut content| {
            // What follows the last newline is still being written.
            let whole = content.iter().rposition(|&byte| byte == b'\n');
            content.truncate(whole.map_or(0, |newline| newline + 1));
            String::from_utf8(content).map_err(io::Error::other)
        });
        lines.map_err(|source| Error::file(&self.path, source))
    }
}

async fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).await?;
    Ok(content)
}

/// A request, from the one event that stands for it.
fn parse(line: &str) -> Result<Option<Request>, Error> {
    let event: Event = serde_json::from_str(line).map_err(|source| Error::Audit {
        line: line.to_owned(),
        source,
    })?;
    Ok(event.stands_for_its_request().then(|| event.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: Stage,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectReference,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize, PartialEq, Eq)]
enum Stage {
    /// Answers that take long begin with it, as do refusals of unknown users (which end there).
    ResponseStarted,
    ResponseComplete,
    Panic,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectReference {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl Event {
    fn stands_for_its_request(&self) -> bool {
        self.stage != Stage::ResponseComplete || self.verb != "watch"
    }
}

impl From<Event> for Request {
    fn from(event: Event) -> Self {
        let object = event.object_ref;
        Self {
            id: event.audit_id,
            user: event.user.username,
            verb: event.verb,
            uri: event.request_uri,
            group: object.api_group,
            resource: object.resource,
            subresource: object.subresource,
            namespace: object.namespace,
            name: object.name,
            code: event.response_status.map_or(0, |status| status.code),
            user_agent: event.user_agent,
            received: event.request_received_timestamp,
            answered: event.stage_timestamp,
        }
    }
}
