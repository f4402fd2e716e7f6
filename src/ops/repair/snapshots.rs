//! Repairing snapshots: each that cannot be restored whole is written anew without what is lost, and the original is
//! removed if that is wanted. Goes by what lies where, as a check without reading data does: damage inside of packs is for
//! `packs.rs`, which makes it show here.
//!
//! Nothing is taken for lost while there is another way: as long as packs are in no segment, or segments list packs that
//! are not there as they should be, it refuses. What is left is as safe as what a backup stores: chunks that lie in condemned
//! packs only are stored again. Why the order is safe beside others stands in `mod.rs`.

use super::present::Packs;
use super::rewrite::{Lost, Namer, Rewriter, Rewritten};
use super::{Announced, is_newer, lock, reason, refuse_unreadable_segments, stop_if};
use crate::base::{Cancel, ChunkId, SnapshotId, Stage, parallel};
use crate::index::Location;
use crate::ops::check::MOST_FILES_NAMED;
use crate::ops::error::{OpsError, Result};
use crate::ops::usage::{self, Visitor};
use crate::repo::cache::CacheKind;
use crate::repo::tree::{Content, Entry, Hole, each_chunk};
use crate::repo::{
    ChunkKind, ChunkReader, ChunkWriter, Manifest, Repo, RepoError, Snapshot, View, WriterOptions, layout,
    open_sessions,
};
use crate::store::ErrorKind;
use jiff::Timestamp;
use roaring::RoaringTreemap;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Marks a snapshot that a repair wrote.
pub const REPAIRED_TAG: &str = "repaired";

/// How to repair snapshots.
#[derive(Clone, Debug)]
pub struct SnapshotsOptions {
    /// Remove the snapshots that cannot be restored whole, once they are written anew; and those of which nothing is left.
    pub forget: bool,
    /// Look only.
    pub dry_run: bool,
    /// Goes into the new snapshots as the program that wrote them.
    pub program: String,
}

/// A snapshot that cannot be restored whole.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotRepair {
    pub snapshot: SnapshotId,
    /// Why its manifest cannot be read; `None` if it can.
    pub unreadable: Option<String>,
    /// Files and directories that are lost, in text form; at most [`MOST_FILES_NAMED`].
    pub files: Vec<String>,
    /// All of them.
    pub file_count: u64,
    /// The snapshot without them, written now or by an earlier repair; `None` if there is none.
    pub repaired: Option<SnapshotId>,
    /// It was removed.
    pub forgotten: bool,
}

/// What a repair of snapshots did, or would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SnapshotsOutcome {
    /// Snapshots that there were.
    pub snapshots: u64,
    /// Damaged manifests of which this machine had a whole copy.
    pub manifests_put_back: u64,
    pub damaged: Vec<SnapshotRepair>,
}

/// Repairs snapshots, or says what it would do.
///
/// # Errors
/// [`OpsError::RepairFirst`] if something is lost and the index or packs have to be repaired before that is certain.
pub fn run(repo: &Arc<Repo>, options: &SnapshotsOptions, cancel: &Cancel) -> Result<SnapshotsOutcome> {
    let session = Announced::open(repo, "repair snapshots", options.dry_run)?;
    let manifests_put_back = put_back(repo, options.dry_run, cancel)?;
    let in_flight_since = open_sessions(repo)?.into_iter().map(|s| s.opened).min();
    // What a snapshot needs was listed before it was written, so the segments are looked at after the snapshots.
    let listing = repo.snapshots()?;
    let view = Arc::new(repo.sync(cancel)?);
    repo.edges.observer.stage(Stage::Repairing);
    let packs = Packs::look(repo, &view, cancel)?;
    let chunks = ChunkReader::new(repo.clone(), view.clone());
    let mut found = Found { unusable: packs.unusable(), lost: HashSet::new(), has_holes: false };
    usage::walk(&chunks, &listing.snapshots, cancel, &mut found)?;
    let Found { lost, has_holes, .. } = found;
    let count = listing.snapshots.len() + listing.damaged.len();
    let mut outcome = SnapshotsOutcome { snapshots: count as u64, manifests_put_back, damaged: Vec::new() };
    if !lost.is_empty() || has_holes {
        refuse_while_mendable(&view, &packs, in_flight_since)?;
        let rewriter = Rewriter { chunks: &chunks, lost: &lost, cancel };
        let run = Run { repo, view: &view, rewriter, options, session: &session, all: &listing.snapshots };
        for snapshot in &listing.snapshots {
            outcome.damaged.extend(run.repair(snapshot)?);
        }
    }
    for (id, error) in &listing.damaged {
        let is_newer = is_newer(repo, &layout::snapshot(id), error)?;
        outcome.damaged.push(SnapshotRepair {
            snapshot: *id,
            unreadable: Some(reason(error)),
            files: Vec::new(),
            file_count: 0,
            repaired: None,
            forgotten: options.forget && !options.dry_run && !is_newer,
        });
    }
    let doomed: Vec<SnapshotId> = outcome.damaged.iter().filter(|d| d.forgotten).map(|d| d.snapshot).collect();
    if !doomed.is_empty() {
        session.check()?;
        repo.delete_snapshots(&doomed)?;
    }
    session.close()?;
    Ok(outcome)
}

/// Stores damaged manifests again of which this machine has a whole copy; gives their number.
fn put_back(repo: &Repo, dry_run: bool, cancel: &Cancel) -> Result<u64> {
    if repo.cache.folder().is_none() {
        return Ok(0);
    }
    let objects = repo.list_present(layout::SNAPSHOTS)?;
    let count = Mutex::new(0);
    let width = parallel::fetch_width(objects.iter().map(|object| object.size_bytes)).min(objects.len());
    parallel::for_each(objects.iter(), width, cancel, |object| -> Result<()> {
        let Some(id) = layout::parse_snapshot(&object.key) else { return Ok(()) };
        let hash = id.to_string();
        match repo.store.get(&object.key) {
            Ok(bytes) if blake3::hash(&bytes).to_hex().as_str() == hash => return Ok(()),
            Ok(_) => {}
            // Forgotten since it was listed.
            Err(e) if e.kind == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        if let Some(copy) = repo.cache.get(CacheKind::Snapshots, &hash) {
            if !dry_run {
                repo.store.put(&object.key, copy)?;
            }
            *lock(&count) += 1;
        }
        Ok(())
    })?;
    stop_if(cancel)?;
    Ok(count.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Refuses to give anything up that repairing the index or a pack may bring back.
fn refuse_while_mendable(view: &View, packs: &Packs, in_flight_since: Option<Timestamp>) -> Result<()> {
    refuse_unreadable_segments(view)?;
    let refuse = |what: String| Err(OpsError::RepairFirst(what));
    if let Some((_, pack)) = packs.missing.first() {
        let what = format!("segments list packs that are missing, such as {}", layout::pack(pack));
        return refuse(format!("{what}; run 'ssb repair index' first"));
    }
    let condemned = view.condemned_ids();
    let is_left_over = |modified: Timestamp| in_flight_since.is_none_or(|since| modified < since);
    let mut unlisted = packs.unlisted.iter().filter(|p| !condemned.contains(&p.id) && is_left_over(p.modified));
    if let Some(pack) = unlisted.next() {
        let what =
            format!("what seems lost may lie in packs that no segment lists, such as {}", layout::pack(&pack.id));
        return refuse(format!("{what}; run 'ssb repair index' first"));
    }
    if let Some(pack) = packs.wrong_size.iter().find(|pack| !condemned.contains(&pack.id)) {
        let (id, is, was) = (pack.id, pack.size_bytes, pack.listed_bytes);
        let what = format!("{} has {is} bytes instead of {was}", layout::pack(&id));
        return refuse(format!("{what}; run 'ssb repair packs {id}' first"));
    }
    Ok(())
}

/// What the snapshots need and no pack has.
struct Found {
    /// Packs that are listed and not there as they should be. What has come to be listed since they were looked at is there.
    unusable: RoaringTreemap,
    lost: HashSet<ChunkId>,
    has_holes: bool,
}

impl Visitor for Found {
    fn chunk(&mut self, id: &ChunkId, places: &[Location]) -> Result<()> {
        if places.iter().all(|place| self.unusable.contains(place.pack)) {
            self.lost.insert(*id);
        }
        Ok(())
    }

    fn hole(&mut self, _: &SnapshotId, _: Hole) -> Result<()> {
        self.has_holes = true;
        Ok(())
    }

    fn broken_entry(&mut self, _: &SnapshotId, _: &Entry, _: RepoError) -> Result<()> {
        self.has_holes = true;
        Ok(())
    }
}

/// What repairing one snapshot after the other takes.
struct Run<'a> {
    repo: &'a Arc<Repo>,
    view: &'a Arc<View>,
    rewriter: Rewriter<'a>,
    options: &'a SnapshotsOptions,
    session: &'a Announced,
    all: &'a [Snapshot],
}

impl Run<'_> {
    /// `None` if the snapshot is whole.
    fn repair(&self, snapshot: &Snapshot) -> Result<Option<SnapshotRepair>> {
        let lost = self.rewriter.look(snapshot)?;
        if lost.count == 0 {
            return Ok(None);
        }
        let mut namer = Namer(&self.repo.keys);
        let planned = self.rewriter.rewrite(snapshot, &lost, &mut namer, &mut |_| Ok(()))?;
        let mut told = SnapshotRepair {
            snapshot: snapshot.id,
            unreadable: None,
            files: lost.files.iter().take(MOST_FILES_NAMED).cloned().collect(),
            file_count: lost.count,
            repaired: self.earlier(snapshot, &planned)?,
            forgotten: self.options.forget && !self.options.dry_run,
        };
        if told.repaired.is_none() && planned.entries > 0 && !self.options.dry_run {
            told.repaired = Some(self.write(snapshot, lost)?);
        }
        Ok(Some(told))
    }

    /// The snapshot that an earlier repair made of this one, if it would come out the same now and is whole.
    fn earlier(&self, snapshot: &Snapshot, planned: &Rewritten) -> Result<Option<SnapshotId>> {
        let fits = |s: &&Snapshot| s.manifest.original == Some(snapshot.id) && s.manifest.tree == planned.tree;
        for candidate in self.all.iter().filter(fits) {
            if self.rewriter.look(candidate)?.count == 0 {
                return Ok(Some(candidate.id));
            }
        }
        Ok(None)
    }

    /// (w3) to (w5): nodes and whatever lies in condemned packs only, their segment, the snapshot.
    fn write(&self, snapshot: &Snapshot, lost: Lost) -> Result<SnapshotId> {
        let options = WriterOptions { zstd_level: 3, lanes: 1, dry_run: false };
        let writer = ChunkWriter::start(self.repo.clone(), self.view.clone(), options);
        let chunks = self.rewriter.chunks;
        let mut sink = &writer;
        let written = self.rewriter.rewrite(snapshot, &lost, &mut sink, &mut |content| keep(chunks, &writer, content));
        // What was stored is listed even if it does not go on.
        let finished = writer.finish();
        let Rewritten { tree, totals, .. } = written?;
        finished?;
        let before = &snapshot.manifest;
        let mut tags = before.tags.clone();
        if !tags.iter().any(|tag| tag == REPAIRED_TAG) {
            tags.push(REPAIRED_TAG.to_owned());
        }
        let issues = before.issues.iter().cloned().chain(lost.into_issues()).collect();
        let program = self.options.program.clone();
        let original = Some(snapshot.id);
        let manifest = Manifest { tags, original, tree, totals, issues, program, ..before.clone() };
        let repaired = self.repo.put_snapshot(manifest)?;
        if let Err(error) = self.session.check() {
            self.repo.delete_snapshots(&[repaired.id])?;
            return Err(error);
        }
        Ok(repaired.id)
    }
}

/// Stores again what lies in condemned packs only: no new snapshot may count on those.
fn keep(chunks: &ChunkReader, writer: &ChunkWriter, content: &Content) -> Result<()> {
    let again = |kind: ChunkKind, id: ChunkId| -> crate::repo::Result<()> {
        if !writer.is_known(&id)? {
            writer.put(kind, &chunks.read(&id)?)?;
        }
        Ok(())
    };
    let mut lists = Vec::new();
    each_chunk(content, chunks, &mut |list| lists.push(*list), &mut |id| again(ChunkKind::Data, id))?;
    Ok(lists.into_iter().try_for_each(|id| again(ChunkKind::Tree, id))?)
}
