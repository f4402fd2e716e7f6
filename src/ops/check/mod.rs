//! Checking: that everything the snapshots need is there, and with `read_data` that every byte of it is what it was.
//! Changes nothing.

mod data;
mod hits;
mod structure;

use super::error::Result;
use crate::base::{Cancel, ChunkId, Stage};
use crate::repo::{ChunkReader, Repo, Snapshot};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// How much of the packs is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadData {
    /// Names and sizes only.
    No,
    All,
    /// Packs drawn by chance until they hold this share of the bytes, in percent.
    Percent(f64),
    /// The n-th of m parts, which together are all packs; n from 1.
    Part(u32, u32),
}

/// An object that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The object's name in the bucket, or what is missing.
    pub object: String,
    pub what: String,
    /// What to do.
    pub next: String,
}

/// What the findings do to one snapshot.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Hit {
    pub snapshot: String,
    /// Files and directories that cannot be restored whole, in text form; at most [`MOST_FILES_NAMED`].
    pub files: Vec<String>,
    /// All of them.
    pub file_count: u64,
}

/// Files of one snapshot that are named.
pub const MOST_FILES_NAMED: usize = 100;

/// How often it is begun anew when a prune takes away what is being looked at.
const TRIES: usize = 3;

/// What was looked at and found.
#[derive(Debug, Default, Serialize)]
pub struct CheckOutcome {
    pub snapshots: u64,
    pub packs: u64,
    pub packs_read: u64,
    pub bytes_read: u64,
    /// Packs that no segment lists: left by an interrupted run, freed by the next prune.
    pub packs_unlisted: u64,
    pub findings: Vec<Finding>,
    pub hits: Vec<Hit>,
}

/// What is known to be lost, while the check goes on.
#[derive(Default)]
struct Damage {
    findings: Vec<Finding>,
    /// Chunks that no pack gives any more.
    chunks: HashSet<ChunkId>,
    hits: BTreeMap<String, Hit>,
}

impl Damage {
    fn find(&mut self, object: impl Into<String>, what: impl Into<String>, next: &str) {
        self.findings.push(Finding { object: object.into(), what: what.into(), next: next.to_owned() });
    }

    fn hit(&mut self, snapshot: &impl ToString, file: String) {
        let snapshot = snapshot.to_string();
        let hit = self.hits.entry(snapshot.clone()).or_insert_with(|| Hit { snapshot, ..Hit::default() });
        hit.file_count += 1;
        if hit.files.len() < MOST_FILES_NAMED {
            hit.files.push(file);
        }
    }

    fn hits(&mut self) -> Vec<Hit> {
        let mut hits: Vec<Hit> = std::mem::take(&mut self.hits).into_values().collect();
        // Threads have found them in any order.
        hits.iter_mut().for_each(|hit| hit.files.sort_unstable());
        hits
    }
}

/// Checks the repository. `seed` draws the packs of a percentage.
pub fn run(repo: &Arc<Repo>, read_data: ReadData, seed: u64, cancel: &Cancel) -> Result<CheckOutcome> {
    let mut tries = 1;
    loop {
        let names = repo.names()?;
        let outcome = look(repo, read_data, seed, cancel)?;
        // What a prune has taken away meanwhile looks like damage.
        if outcome.findings.is_empty() || tries >= TRIES || !repo.has_met_a_prune(&names)? {
            return Ok(outcome);
        }
        tries += 1;
    }
}

fn look(repo: &Arc<Repo>, read_data: ReadData, seed: u64, cancel: &Cancel) -> Result<CheckOutcome> {
    let mut outcome = CheckOutcome::default();
    let mut damage = Damage::default();
    repo.edges.observer.stage(Stage::CheckingStructure);
    let checked = structure::check(repo, &mut outcome, &mut damage, cancel)?;
    if read_data != ReadData::No {
        repo.edges.observer.stage(Stage::ReadingData);
        data::check(&checked, read_data, seed, &mut outcome, &mut damage, cancel)?;
    }
    if !damage.chunks.is_empty() {
        hits::name(&checked.chunks, &checked.snapshots, &mut damage, cancel)?;
    }
    outcome.hits = damage.hits();
    outcome.findings = damage.findings;
    // Threads have found them in any order.
    outcome.findings.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(outcome)
}

/// Which files of these snapshots chunks belong to that another use case has found lost.
pub(super) fn hits_of(
    chunks: &ChunkReader,
    snapshots: &[Snapshot],
    lost: HashSet<ChunkId>,
    cancel: &Cancel,
) -> Result<Vec<Hit>> {
    let mut damage = Damage { chunks: lost, ..Damage::default() };
    hits::name(chunks, snapshots, &mut damage, cancel)?;
    Ok(damage.hits())
}
