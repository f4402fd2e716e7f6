//! What can end a use case.

use crate::repo::RepoError;
use crate::source::FilterError;

/// A use case ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Something outside the repository: a folder that cannot be made, standard input that breaks off.
    #[error("{action} {subject} failed: {source}")]
    Io { action: &'static str, subject: String, source: std::io::Error },
    #[error("the target {0} is not empty; name an empty or new directory, so that nothing in it can be overwritten")]
    TargetNotEmpty(String),
    #[error("none of the sources exists: {0}; correct the paths")]
    NoSource(String),
    #[error("{path} is not in snapshot {snapshot}; 'ssb ls {snapshot}' shows what is")]
    NoSuchPath { path: String, snapshot: String },
    /// A snapshot that was to be whole or not at all would have holes; the sentence says the first.
    #[error("no snapshot was made, for it was to be whole: {0}")]
    NotWhole(String),
    #[error(
        "no snapshot was made, for what belongs together was changed while it was read, {tries} times: {what}; stop what \
         writes there meanwhile, for example by a hook"
    )]
    Restless { what: String, tries: usize },
    /// A request that makes no sense; the sentence says what to do.
    #[error("{0}")]
    Usage(String),
    /// What safety without locks rests on does not hold.
    #[error(
        "{store} {what}; ssb needs a store that shows every change at once, so nothing was created: use another one, or one \
         without a cache in front of it"
    )]
    StaleStore { store: String, what: &'static str },
    /// Pruning would not be safe; nothing was deleted.
    #[error("nothing was deleted: {0}")]
    Unsafe(String),
    /// What seems lost may still be brought back; the sentence says how.
    #[error("nothing was changed: {0}")]
    RepairFirst(String),
    #[error("this repair's session was removed by a prune that took it for dead, so it was given up; run it again")]
    Fenced,
}

pub type Result<T> = std::result::Result<T, OpsError>;

impl From<crate::store::StoreError> for OpsError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<crate::index::IndexError> for OpsError {
    fn from(error: crate::index::IndexError) -> Self {
        Self::Repo(error.into())
    }
}

impl OpsError {
    /// Lets an error of this layer by a callback that can only pass on the layer below's: it waits in `slot`.
    pub(super) fn pass_by(self, slot: &mut Option<Self>) -> RepoError {
        *slot = Some(self);
        RepoError::Interrupted
    }
}
