//! Where in the course of a call a process can be caught.

use std::fmt;

/// A point in the course of a call. Each is a different knowledge of two sides: whether the call took effect, and
/// whether its caller could know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// The caller has begun to send: the head of the request is there. The body was not read, and nothing goes
    /// upstream, so that the call has no effect. Released, it is passed on, as late as that.
    BeforeSend,
    /// The whole request is there, and the caller waits for the answer. Nothing went upstream, so that the call has
    /// no effect. Released, the connection is closed without an answer: the request was lost on its way.
    SentNotCommitted,
    /// The request was passed on, took effect, and the whole answer is there. The caller gets none of it. Released,
    /// it gets all of it, as late as that.
    CommittedNotAcknowledged,
    /// The caller has read the whole answer: it was passed on with `Connection: close`, and the caller has closed
    /// the connection, which it does when it has taken the last byte. What it makes of the answer, it may have begun.
    Acknowledged,
}

impl Point {
    /// Every point, in order.
    pub const ALL: [Self; 4] = [
        Self::BeforeSend,
        Self::SentNotCommitted,
        Self::CommittedNotAcknowledged,
        Self::Acknowledged,
    ];

    /// Whether a call that is stalled here has taken effect.
    #[must_use]
    pub fn is_committed(self) -> bool {
        matches!(self, Self::CommittedNotAcknowledged | Self::Acknowledged)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BeforeSend => "before send",
            Self::SentNotCommitted => "sent but not committed",
            Self::CommittedNotAcknowledged => "committed but not acknowledged",
            Self::Acknowledged => "acknowledged",
        })
    }
}
