//! From errors to exit codes and words; the only table of both.

use crate::jobs::JobsError;
use crate::jobs::install::InstallError;
use crate::ops::OpsError;
use crate::repo::RepoError;
use crate::source::FilterError;
use crate::store::{ErrorKind, LocationError, StoreError};

/// Exit codes; documented in the README and by `ssb --help`.
pub mod code {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const SOURCES_UNREADABLE: u8 = 3;
    pub const DAMAGE: u8 = 4;
    pub const NO_REPOSITORY: u8 = 10;
    pub const AT_WORK: u8 = 11;
    pub const WRONG_KEY: u8 = 12;
    pub const TOO_NEW: u8 = 13;
    pub const INTERRUPTED: u8 = 130;
}

/// What ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// Wrong usage or settings; the sentence names the option or variable and says what to do.
    #[error("{0}")]
    Usage(String),
    /// Something outside of the repository went wrong; the sentence says what, and what to do.
    #[error("{0}")]
    Failed(String),
    /// Standard output could not be written.
    #[error("writing the output failed: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(sentence.into())
    }

    pub fn failed(sentence: impl Into<String>) -> Self {
        Self::Failed(sentence.into())
    }

    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => code::USAGE,
            Self::Failed(_) | Self::Output(_) => code::FAILED,
            Self::Ops(error) => ops_code(error),
            Self::Jobs(JobsError::AtWork { .. }) => code::AT_WORK,
            Self::Jobs(JobsError::Unknown { .. } | JobsError::State { .. }) => code::USAGE,
        }
    }
}

fn ops_code(error: &OpsError) -> u8 {
    match error {
        OpsError::Repo(error) => repo_code(error),
        OpsError::Filter(_)
        | OpsError::TargetNotEmpty(_)
        | OpsError::NoSource(_)
        | OpsError::NoSuchPath { .. }
        | OpsError::Usage(_) => code::USAGE,
        OpsError::Unsafe(_) | OpsError::RepairFirst(_) => code::DAMAGE,
        OpsError::Io { .. }
        | OpsError::StaleStore { .. }
        | OpsError::NotWhole(_)
        | OpsError::Restless { .. }
        | OpsError::Fenced => code::FAILED,
    }
}

fn repo_code(error: &RepoError) -> u8 {
    match error {
        RepoError::Store(StoreError { kind: ErrorKind::NoBucket, .. }) | RepoError::NoRepository { .. } => {
            code::NO_REPOSITORY
        }
        RepoError::WrongKey { .. } => code::WRONG_KEY,
        RepoError::TooNew { .. } => code::TOO_NEW,
        RepoError::Interrupted => code::INTERRUPTED,
        RepoError::NoSnapshot { .. } | RepoError::Ambiguous { .. } => code::USAGE,
        RepoError::Damaged { .. }
        | RepoError::Missing { .. }
        | RepoError::NoConfig { .. }
        | RepoError::NoSlots { .. } => code::DAMAGE,
        RepoError::Store(_)
        | RepoError::Index(_)
        | RepoError::AlreadyExists { .. }
        | RepoError::Fenced
        | RepoError::Seal(_) => code::FAILED,
    }
}

impl From<RepoError> for CliError {
    fn from(error: RepoError) -> Self {
        Self::Ops(error.into())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Ops(error.into())
    }
}

impl From<LocationError> for CliError {
    fn from(error: LocationError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<InstallError> for CliError {
    fn from(error: InstallError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<FilterError> for CliError {
    fn from(error: FilterError) -> Self {
        Self::Ops(error.into())
    }
}
