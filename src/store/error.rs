//! The one error of the store layer: which call on which object, what kind of failure, and the words for it.

/// Which class a store failure belongs to; decides whether it is tried again and what a person is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object is not there.
    NotFound,
    /// The object is shorter than the range asked for.
    OutOfRange,
    /// The bucket (or the directory that holds the repository) does not exist.
    NoBucket,
    /// The credentials are missing, wrong or not sufficient.
    Denied,
    /// No connection: name not resolved, refused, timed out, TLS failure.
    Unreachable,
    /// The device or the quota is full.
    Full,
    /// The store asked to slow down, or failed in a way that may pass (5xx, a half answer).
    Transient,
    /// Anything that trying again cannot mend.
    Permanent,
}

impl ErrorKind {
    /// Whether the same call may succeed a little later.
    pub fn is_retryable(self) -> bool {
        matches!(self, ErrorKind::Unreachable | ErrorKind::Transient)
    }
}

/// A failed store call.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} {key} in {store}: {message}")]
pub struct StoreError {
    pub kind: ErrorKind,
    /// `put`, `get`, `list`, ...
    pub operation: &'static str,
    /// The key or prefix; empty for calls on the store as a whole.
    pub key: String,
    /// The store's [`describe`](super::ObjectStore::describe).
    pub store: String,
    /// One sentence without key or store, without a trailing full stop.
    pub message: String,
}

impl StoreError {
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        key: impl Into<String>,
        store: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, operation, key: key.into(), store: store.into(), message: message.into() }
    }
}
