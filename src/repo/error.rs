//! The repository layer's error: what is wrong with the bucket's contents, or with the way to them.

use crate::index::IndexError;
use crate::store::{ErrorKind, StoreError};

/// A repository operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RepoError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("there is no repository in {place}; create one with 'ssb init', or correct the address")]
    NoRepository { place: String },
    #[error("{place} already holds a repository; it was left as it is")]
    AlreadyExists { place: String },
    #[error(
        "{place} holds objects of a repository but neither a readable 'config' nor a key slot with a copy of it; bring \
         'config' or 'keys/' back from a copy of the bucket or from its version history"
    )]
    NoConfig { place: String },
    #[error("the passphrase is wrong: it opens none of the {slots} key slots of {place}")]
    WrongKey { place: String, slots: usize },
    #[error("{place} has no key slot left, so nothing in it can be read; bring 'keys/' back from a copy of the bucket")]
    NoSlots { place: String },
    #[error("{object} has format version {version}, this ssb reads version 1 only; install a newer ssb")]
    TooNew { object: String, version: u64 },
    #[error("{object} is damaged: {what}; run 'ssb check --read-data' to see what it hits and what to do")]
    Damaged { object: String, what: String },
    #[error("{object} is missing from the repository; run 'ssb check' to see what it hits and what to do")]
    Missing { object: String },
    #[error("no snapshot matches '{wanted}'; 'ssb snapshots' lists them")]
    NoSnapshot { wanted: String },
    #[error("'{wanted}' matches several snapshots: {}; give more digits", candidates.join(", "))]
    Ambiguous { wanted: String, candidates: Vec<String> },
    #[error(
        "this run's session was removed by a prune that took it for dead, so its snapshot was withdrawn; run the backup \
         again, what was uploaded is used where it is still there"
    )]
    Fenced,
    #[error("interrupted")]
    Interrupted,
    #[error("sealing failed: {0}")]
    Seal(String),
}

pub type Result<T> = std::result::Result<T, RepoError>;

impl RepoError {
    pub(crate) fn damaged(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { object: object.into(), what: what.into() }
    }

    /// Of reading an object that should be there: gone or too short is damage, all else is the way to it.
    pub(crate) fn reading(object: &str, error: StoreError) -> Self {
        match error.kind {
            ErrorKind::NotFound => Self::Missing { object: object.to_owned() },
            ErrorKind::OutOfRange => Self::damaged(object, "it is too short"),
            _ => error.into(),
        }
    }

    /// Whether it is stored bytes that are at fault, not the way to them.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Missing { .. } | Self::TooNew { .. })
    }
}
