//! What the library tells while it works: stages, counters and issues. It never prints; whoever implements
//! [`Observer`] draws, logs or collects.

use serde::{Deserialize, Serialize};

/// A part of a command that a person would want to see named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    SyncingIndex,
    BackingUp,
    Restoring,
    CheckingStructure,
    ReadingData,
    Marking,
    Repacking,
    Waiting,
    Repairing,
    Deleting,
}

impl Stage {
    pub fn title(self) -> &'static str {
        match self {
            Stage::SyncingIndex => "reading the index",
            Stage::BackingUp => "backing up",
            Stage::Restoring => "restoring",
            Stage::CheckingStructure => "checking structure",
            Stage::ReadingData => "reading data",
            Stage::Marking => "finding what is in use",
            Stage::Repacking => "repacking",
            Stage::Waiting => "waiting for writers",
            Stage::Repairing => "repairing",
            Stage::Deleting => "deleting",
        }
    }
}

/// What is counted. Bytes are plaintext bytes unless the name says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    FilesDone,
    BytesDone,
    FilesTotal,
    BytesTotal,
    StoredBytes,
}

/// Why an [`Issue`] was raised; stable names, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueCode {
    SourceMissing,
    SourceUnreadable,
    SourceChanged,
    SourceSymlink,
    RestoreHole,
    RestoreMetadata,
    RestoreSkipped,
    DamagedObject,
    /// Not in a repaired snapshot because it was lost.
    RepairLeftOut,
    CacheUnusable,
    SessionLeft,
    #[serde(other)]
    Other,
}

impl IssueCode {
    /// True for what is worth telling but leaves nothing out, so that the run still counts as complete.
    pub fn is_notice(self) -> bool {
        self.is_remark() || self == IssueCode::SessionLeft
    }

    /// True for a notice that nobody has to act upon; it need not be told to who wants to hear of warnings only.
    pub fn is_remark(self) -> bool {
        matches!(self, IssueCode::SourceSymlink | IssueCode::CacheUnusable | IssueCode::RestoreMetadata)
    }
}

/// Something that went wrong with one subject while the run went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    pub code: IssueCode,
    /// The file or object that is hit, in text form.
    pub subject: String,
    /// What happened, without the subject.
    pub what: String,
    /// What to do next; empty if nothing helps.
    #[serde(default)]
    pub next: String,
}

impl Issue {
    pub fn new(code: IssueCode, subject: impl Into<String>, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, subject: subject.into(), what: what.into(), next: next.into() }
    }
}

impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)?;
        if !self.next.is_empty() {
            write!(f, "; {}", self.next)?;
        }
        Ok(())
    }
}

/// Receives events; called from many threads, so it must be quick.
pub trait Observer: Send + Sync {
    fn stage(&self, _stage: Stage) {}
    fn add(&self, _counter: Counter, _amount: u64) {}
    fn issue(&self, _issue: &Issue) {}
    /// A remark of one sentence that is no issue: who is being waited for, what was healed.
    fn note(&self, _sentence: &str) {}
}

/// An observer that looks away.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
