//! Pruning: frees what no snapshot needs. Safe beside running backups and other prunes, without a lock, by the order of
//! change in the repository's format: (p1) to (p6). Until the last step nothing is deleted, and whatever interrupts it
//! leaves garbage at worst.

mod execute;
mod plan;
mod writers;

use super::error::{OpsError, Result};
use crate::base::{Cancel, PackId};
use crate::repo::{Repo, RepoError, layout};
use jiff::SignedDuration;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How to prune.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// Unused bytes that may stay in part-used packs, in percent of what stays; rewriting packs costs traffic.
    pub max_unused_percent: f64,
    /// Writers that gave no sign of life for so long, by the store's clock, are taken for dead. If one is not, it notices,
    /// withdraws its snapshot and says so.
    pub fence_after: SignedDuration,
    pub wait: Wait,
    /// Plan only.
    pub dry_run: bool,
}

/// What to do about writers that are at work, which the deleting has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Leave the deleting to a later prune.
    No,
    /// Wait for those that are at work when the condemned list is published; without a limit, or so long. Then the deleting
    /// is left to a later prune.
    ForWriters { at_most: Option<Duration> },
}

/// What a prune would do, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneSummary {
    pub packs: u64,
    /// Bytes of chunks that snapshots need.
    pub used_bytes: u64,
    /// Other bytes of packs, before; in part-used packs about, by the number of chunks. So are the figures below.
    pub unused_bytes: u64,
    pub packs_unused: u64,
    /// Left by interrupted runs.
    pub packs_unlisted: u64,
    /// Deleted by an earlier prune's decision, which only now may be carried out.
    pub packs_condemned_before: u64,
    pub packs_repacked: u64,
    /// Bytes that are written anew.
    pub repacked_bytes: u64,
    /// Bytes that deleting frees, less what was written anew.
    pub freed_bytes: u64,
    /// Unused bytes that stay in part-used packs.
    pub unused_bytes_kept: u64,
    pub segments_replaced: u64,
    /// Deleting was left to a later prune; why.
    pub deferred: Option<String>,
}

/// How often it is begun anew when others take away what is being looked at.
const TRIES: usize = 5;

/// Prunes, or says what it would do.
pub fn run(repo: &Arc<Repo>, options: PruneOptions, cancel: &Cancel) -> Result<PruneSummary> {
    let mut tries = 1;
    loop {
        let names = repo.names()?;
        let error = match try_run(repo, options, cancel) {
            Err(error) if tries < TRIES => error,
            other => return other,
        };
        let may_go_better = match &error {
            // Others were at work meanwhile. Another prune or a repair has stored and listed what is needed before it condemned
            // or deleted anything; and what has come may have gone again. If it was nothing of that, the next try finds out.
            OpsError::Unsafe(_) => names != repo.names()? || repo.is_any_gone(&names)?,
            // It was there when it was decided to copy from it. Its segment may have gone long before.
            OpsError::Repo(RepoError::Missing { object }) => object.starts_with(layout::PACKS),
            _ => false,
        };
        if !may_go_better {
            return Err(error);
        }
        tries += 1;
    }
}

fn try_run(repo: &Arc<Repo>, options: PruneOptions, cancel: &Cancel) -> Result<PruneSummary> {
    let (view, plan) = plan::plan(repo, options.max_unused_percent, cancel)?;
    if options.dry_run {
        return Ok(plan.summary);
    }
    execute::execute(repo, view, plan, options, cancel)
}

fn needed_but_missing(pack: &PackId) -> OpsError {
    OpsError::Unsafe(format!("{} is needed but missing; run 'ssb check'", layout::pack(pack)))
}
