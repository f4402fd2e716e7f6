//! Telling of a finished run: one [`RunRecord`], many renderings. Runs nothing and decides nothing about the run.

mod record;

pub use record::{
    HookFailure, JobRecord, JobStatus, PruneRecord, RetentionRecord, RunRecord, RunStatus, Skipped, SnapshotVerdict,
};
