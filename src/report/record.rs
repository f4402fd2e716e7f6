//! What is to be told of a run. Kept as JSON, one document per run, so that later runs can compare; unknown fields of newer
//! versions are passed over.

use crate::base::Issue;
use crate::repo::Totals;
use crate::store::RequestCounts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One run of `ssb run`. Holds no secret: whoever makes it masks the texts that come from elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// 1; more is newer than this program.
    pub format: u64,
    /// Name and version of the program.
    pub program: String,
    pub host: String,
    pub user: String,
    /// Path of the config file.
    pub config: String,
    /// Where the repository is, without credentials.
    pub repository: String,
    pub begun: Timestamp,
    pub ended: Timestamp,
    /// The zone for people: an IANA name such as `Europe/Berlin`, or `UTC`.
    pub time_zone: String,
    pub status: RunStatus,
    /// What the process ended with.
    pub exit_code: u8,
    /// In the order of the config.
    pub jobs: Vec<JobRecord>,
    /// Entries that were left out, and why.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// What went wrong with the run as a whole: the repository could not be opened, a hook of the run failed.
    #[serde(default)]
    pub errors: Vec<String>,
    /// What is worth a remark: a config file that others may read, an entry that is disabled.
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub prune: Option<PruneRecord>,
    /// Of the whole run.
    pub requests: RequestCounts,
}

impl RunStatus {
    /// As it is serialized, for people and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// All that was to be done was done.
    Success,
    /// Something was not backed up, or not all of it.
    Incomplete,
    /// Nothing was backed up.
    Failed,
    Interrupted,
}

/// One entry, or the entries of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Of the entry or the group.
    pub name: String,
    pub is_group: bool,
    /// Of a group, its entries; else the entry.
    pub entries: Vec<String>,
    pub policy: Option<String>,
    pub begun: Timestamp,
    pub ended: Timestamp,
    pub status: JobStatus,
    /// Why it failed: one sentence.
    #[serde(default)]
    pub error: Option<String>,
    /// The end of what a command or a failed hook told on standard error.
    #[serde(default)]
    pub stderr: Option<String>,
    /// From 1; 0 if it was refused.
    pub tries: u32,
    /// The whole id; `None` if none was made.
    pub snapshot: Option<String>,
    pub parent: Option<String>,
    /// All 0 if it failed.
    pub totals: Totals,
    #[serde(default)]
    pub issues: Vec<Issue>,
    #[serde(default)]
    pub hook_failures: Vec<HookFailure>,
    #[serde(default)]
    pub retention: Option<RetentionRecord>,
    pub requests: RequestCounts,
}

impl JobRecord {
    pub fn duration_ms(&self) -> u64 {
        self.ended.duration_since(self.begun).as_millis().max(0).try_into().unwrap_or(u64::MAX)
    }
}

impl RunRecord {
    pub fn duration_ms(&self) -> u64 {
        self.ended.duration_since(self.begun).as_millis().max(0).try_into().unwrap_or(u64::MAX)
    }

    /// Whether anybody must be told that something went wrong.
    pub fn has_errors(&self) -> bool {
        self.status != RunStatus::Success
    }

    /// Nothing was due, and nothing went wrong: nobody has to hear of it.
    pub fn is_quiet(&self) -> bool {
        self.jobs.is_empty() && self.errors.is_empty() && self.prune.is_none() && !self.has_errors()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// A snapshot was committed, and nothing was left out.
    Success,
    /// Nothing has changed, and so no snapshot was wanted.
    Unchanged,
    /// A snapshot was committed, but some sources were unreadable, or a hook or the retention failed.
    Incomplete,
    /// There is no snapshot.
    Failed,
    /// The config says something about it that cannot be; the error says what.
    Refused,
    Interrupted,
}

impl JobStatus {
    /// As it is serialized, for people and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unchanged => "unchanged",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether what it is about stands in a snapshot, be it with holes.
    pub fn is_kept(self) -> bool {
        self.is_good() || self == Self::Incomplete
    }

    pub fn is_good(self) -> bool {
        matches!(self, Self::Success | Self::Unchanged)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub name: String,
    /// `not due before 2026-01-02 02:00`, `disabled`
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailure {
    /// `before`, `after`, `on-success`, `on-failure`, `finally`
    pub hook: String,
    pub error: String,
}

/// What the retention of a job's policy made of its snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRecord {
    /// Newest first.
    pub kept: Vec<SnapshotVerdict>,
    pub removed: Vec<SnapshotVerdict>,
    /// Why nothing was removed although it was to be.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotVerdict {
    pub id: String,
    pub time: Timestamp,
    /// Empty for what is removed.
    pub reasons: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneRecord {
    pub freed_bytes: u64,
    pub repacked_bytes: u64,
    /// Deleting was left to a later prune; why.
    #[serde(default)]
    pub deferred: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
}
