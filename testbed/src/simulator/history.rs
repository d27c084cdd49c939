//! The record of every request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::call::Operation;
use super::limits::LimitWindow;

/// One request to the DigitalOcean API, whatever became of it. It holds no secret. As JSON it is a line of the history.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it arrived, by the simulator's clock.
    pub time: Timestamp,
    /// Label of the account; null when the API token is unknown or missing.
    pub account: Option<String>,
    /// [`fingerprint`](super::fingerprint) of the API token.
    pub token: Option<String>,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// Null when the path is none of the four.
    pub operation: Option<Operation>,
    /// The cluster that the path names.
    pub cluster: Option<String>,
    /// Header `user-agent`.
    pub user_agent: Option<String>,
    /// The status of the answer; null when none was sent.
    pub status: Option<u16>,
    /// The limit that the request ran into (not that of an injected 429).
    pub rate_limited: Option<LimitWindow>,
    /// The credential that it minted, whether or not the answer arrived.
    pub minted: Option<MintedInEntry>,
    /// Ids of the faults that struck it.
    pub faults: Vec<u64>,
    /// `x-request-id` of the answer.
    pub request_id: String,
}

/// A minted credential in the history.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct MintedInEntry {
    /// [`fingerprint`](super::fingerprint) of the token, or of the certificate's PEM.
    pub fingerprint: String,
    /// When it stops working by itself.
    pub expires_at: Timestamp,
}
