//! Repairing the index: afterwards segments list the packs that are there, and no others. A pack that no readable segment
//! lists is listed by its own footer; one that is gone is listed no more. Segments that are right stay as they are.
//!
//! A pack that is there but damaged stays in the segments that list it, which may be the only ones to know what it holds:
//! it is named, and `packs.rs` saves what is whole in it before it goes. One that no segment lists and whose footer does
//! not open is named and stays unlisted. Why this is safe beside others stands in `mod.rs`.

use super::present::Packs;
use super::segments::{self, SegmentWriter, relist};
use super::{Announced, is_newer, lock, reason, stop_if};
use crate::base::{Cancel, PackId, SegmentId, Stage, parallel};
use crate::index::{PackListing, PackNumber};
use crate::ops::check::Finding;
use crate::ops::error::Result;
use crate::repo::cache::CacheKind;
use crate::repo::{Repo, RepoError, View, layout};
use crate::store::ObjectMeta;
use roaring::RoaringTreemap;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Footers that are read at a time; each takes little more than a round trip.
const FOOTERS_AT_ONCE: usize = 32;
const MISSING_NEXT: &str = "bring the object back from a copy of the bucket and repair the index again; otherwise run the backups \
     again, which store what their sources still have, and then 'ssb repair snapshots' for what stays lost";

/// How to repair the index.
#[derive(Clone, Copy, Debug)]
pub struct IndexOptions {
    /// Read the footer of every pack, also where a segment lists it at its size.
    pub read_all: bool,
    /// Look only.
    pub dry_run: bool,
}

/// What a repair of the index did, or would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IndexOutcome {
    /// Packs that are there.
    pub packs: u64,
    /// Packs that no readable segment listed, and that one lists now.
    pub packs_added: u64,
    /// Packs that were missing and that this machine had a whole copy of.
    pub packs_put_back: u64,
    /// Packs that segments listed and that are gone.
    pub packs_missing: u64,
    /// Packs that are there and damaged.
    pub packs_damaged: u64,
    /// Packs that a prune or a repair has given up and the next prune deletes; they are not listed anew.
    pub packs_condemned: u64,
    pub footers_read: u64,
    /// Segments that were right.
    pub segments_kept: u64,
    /// Segments that could not be read.
    pub segments_damaged: u64,
    /// Segments that were deleted, the damaged ones among them.
    pub segments_replaced: u64,
    pub segments_written: u64,
    /// The missing and the damaged packs.
    pub findings: Vec<Finding>,
}

impl IndexOutcome {
    fn find(&mut self, pack: &PackId, what: String, next: String) {
        self.findings.push(Finding { object: layout::pack(pack), what, next });
    }

    fn find_damaged(&mut self, pack: &PackId, what: String) {
        self.packs_damaged += 1;
        let next =
            format!("run 'ssb repair packs {pack}', which saves what is whole in it; until then backups count on it");
        self.find(pack, what, next);
    }

    fn find_unknown(&mut self, pack: &PackId, what: String) {
        self.packs_damaged += 1;
        let next = format!(
            "bring the object back from a copy of the bucket and repair the index again; otherwise nothing tells what it \
             holds, and 'ssb repair packs {pack}' gives it up"
        );
        self.find(pack, what, next);
    }
}

/// Repairs the index, or says what it would do.
///
/// # Errors
/// [`RepoError::TooNew`] if a segment is of a newer version: what it lists would be lost.
pub fn run(repo: &Repo, options: IndexOptions, cancel: &Cancel) -> Result<IndexOutcome> {
    let session = Announced::open(repo, "repair index", options.dry_run)?;
    let view = repo.sync(cancel)?;
    repo.edges.observer.stage(Stage::Repairing);
    // Before the packs: see mod.rs.
    let known = known_segments(repo, &view)?;
    let mut packs = Packs::look(repo, &view, cancel)?;
    let mut outcome = IndexOutcome { packs: packs.count, ..IndexOutcome::default() };
    put_back(repo, &mut packs, options.dry_run, &mut outcome)?;
    let verdict = judge(repo, &view, &known, &packs.gone, cancel)?;
    name_damage(&view, &packs, &verdict, &mut outcome);
    if options.read_all {
        verify(repo, &view, &packs.sound & &verdict.listed, &mut outcome, cancel)?;
    }
    let writer = Mutex::new(SegmentWriter::new(repo, options.dry_run));
    add_unlisted(repo, &view, &packs, &verdict, &writer, &mut outcome, cancel)?;
    let seen = Mutex::new(verdict.kept);
    let stays = |pack: &PackListing| -> Result<bool> {
        let Some(number) = view.index.pack_number(&pack.id)? else { return Ok(true) };
        Ok(!packs.gone.contains(number) && lock(&seen).insert(number))
    };
    relist(repo, &verdict.outdated, &writer, &stays, cancel)?;
    outcome.segments_written = writer.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
    let replaced = [verdict.outdated, verdict.damaged].concat();
    outcome.segments_replaced = replaced.len() as u64;
    outcome.findings.sort_by(|a, b| a.object.cmp(&b.object));
    if options.dry_run {
        return Ok(outcome);
    }
    if !replaced.is_empty() {
        session.check()?;
        repo.edges.observer.stage(Stage::Deleting);
        segments::delete(repo, &replaced)?;
    }
    session.close()?;
    repo.refresh(&view, cancel)?;
    Ok(outcome)
}

/// The segments that `view` was synced with, and their sizes; those that have come since are their writers' matter.
fn known_segments(repo: &Repo, view: &View) -> Result<Vec<(SegmentId, u64)>> {
    let mut known: HashSet<SegmentId> = view.index.segments()?.into_iter().collect();
    known.extend(lock(&view.damaged).iter().filter_map(|(object, _)| layout::parse_segment(object)));
    let sized = |object: ObjectMeta| Some((layout::parse_segment(&object.key)?, object.size_bytes));
    let listed = repo.list_present(layout::SEGMENTS)?.into_iter().filter_map(sized);
    Ok(listed.filter(|(id, _)| known.contains(id)).collect())
}

/// Stores again what is missing and what this machine has a whole copy of.
fn put_back(repo: &Repo, packs: &mut Packs, dry_run: bool, outcome: &mut IndexOutcome) -> Result<()> {
    for (number, id) in std::mem::take(&mut packs.missing) {
        let Some(copy) = repo.cache.get(CacheKind::TreePacks, &id.to_string()) else {
            outcome.packs_missing += 1;
            outcome.find(&id, "it is missing".to_owned(), MISSING_NEXT.to_owned());
            continue;
        };
        if !dry_run {
            repo.store.put_new(&layout::pack(&id), copy)?;
        }
        packs.gone.remove(number);
        packs.sound.insert(number);
        outcome.packs_put_back += 1;
    }
    Ok(())
}

/// What the segments in the bucket say, as opposed to those that the local index remembers.
#[derive(Default)]
struct Verdict {
    /// Packs that readable segments list.
    listed: RoaringTreemap,
    /// Of these, those that segments list which stay.
    kept: RoaringTreemap,
    segments_kept: u64,
    /// Segments that list packs that are gone.
    outdated: Vec<SegmentId>,
    /// Segments that cannot be read.
    damaged: Vec<SegmentId>,
}

fn judge(
    repo: &Repo,
    view: &View,
    known: &[(SegmentId, u64)],
    gone: &RoaringTreemap,
    cancel: &Cancel,
) -> Result<Verdict> {
    let verdict = Mutex::new(Verdict::default());
    let width = parallel::fetch_width(known.iter().map(|(_, size_bytes)| *size_bytes)).min(known.len());
    parallel::for_each(known.iter(), width, cancel, |(id, _)| -> Result<()> {
        let packs = match repo.read_segment(id) {
            // Replaced meanwhile.
            Err(RepoError::Missing { .. }) => return Ok(()),
            Err(error) if error.is_damage() => {
                if is_newer(repo, &layout::segment(id), &error)? {
                    return Err(error.into());
                }
                lock(&verdict).damaged.push(*id);
                return Ok(());
            }
            other => other?,
        };
        let mut numbers = RoaringTreemap::new();
        for pack in &packs {
            numbers.extend(view.index.pack_number(&pack.id)?);
        }
        let mut verdict = lock(&verdict);
        verdict.listed |= &numbers;
        if numbers.is_disjoint(gone) {
            verdict.segments_kept += 1;
            verdict.kept |= numbers;
        } else {
            verdict.outdated.push(*id);
        }
        Ok(())
    })?;
    stop_if(cancel)?;
    Ok(verdict.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn name_damage(view: &View, packs: &Packs, verdict: &Verdict, outcome: &mut IndexOutcome) {
    outcome.segments_kept = verdict.segments_kept;
    outcome.segments_damaged = verdict.damaged.len() as u64;
    for pack in &packs.wrong_size {
        // One that is condemned goes anyway.
        if verdict.listed.contains(pack.number) && !view.is_condemned(pack.number) {
            outcome
                .find_damaged(&pack.id, format!("it has {} bytes instead of {}", pack.size_bytes, pack.listed_bytes));
        }
    }
}

/// Reads the footers of packs that segments list at their size.
fn verify(repo: &Repo, view: &View, listed: RoaringTreemap, outcome: &mut IndexOutcome, cancel: &Cancel) -> Result<()> {
    let found = Mutex::new(&mut *outcome);
    let staying = listed.into_iter().filter(|&number| !view.is_condemned(number));
    parallel::for_each(staying, FOOTERS_AT_ONCE, cancel, |number: PackNumber| -> Result<()> {
        let Some(pack) = view.index.pack(number)? else { return Ok(()) };
        let read = repo.read_footer(&pack.id, pack.size_bytes);
        let mut found = lock(&found);
        found.footers_read += 1;
        match read {
            Ok(listing) if listing.header == pack.header => {}
            // Condemned and deleted meanwhile.
            Err(RepoError::Missing { .. }) => {}
            Ok(_) => found.find_damaged(&pack.id, "it is another pack under this name".to_owned()),
            Err(error) if error.is_damage() => found.find_damaged(&pack.id, reason(&error)),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })?;
    stop_if(cancel)
}

/// Lists by their own footers the packs that no readable segment lists.
fn add_unlisted(
    repo: &Repo,
    view: &View,
    packs: &Packs,
    verdict: &Verdict,
    writer: &Mutex<SegmentWriter<'_>>,
    outcome: &mut IndexOutcome,
    cancel: &Cancel,
) -> Result<()> {
    let condemned = view.condemned_ids();
    let mut unlisted: Vec<(PackId, u64)> = packs.unlisted.iter().map(|pack| (pack.id, pack.size_bytes)).collect();
    // Those that only the local index knows, because the segments that listed them are damaged by now.
    for number in &packs.sound - &verdict.listed {
        unlisted.extend(view.index.pack(number)?.map(|pack| (pack.id, pack.size_bytes)));
    }
    let unknown = packs.wrong_size.iter().filter(|pack| !verdict.listed.contains(pack.number));
    unlisted.extend(unknown.map(|pack| (pack.id, pack.size_bytes)));
    let before = unlisted.len();
    unlisted.retain(|(id, _)| !condemned.contains(id));
    outcome.packs_condemned = (before - unlisted.len()) as u64;
    let found = Mutex::new(outcome);
    parallel::for_each(unlisted.into_iter(), FOOTERS_AT_ONCE, cancel, |(id, size_bytes)| -> Result<()> {
        let read = repo.read_footer(&id, size_bytes);
        let mut found = lock(&found);
        found.footers_read += 1;
        match read {
            Ok(listing) => {
                found.packs_added += 1;
                drop(found);
                lock(writer).add(listing)
            }
            // Condemned and deleted meanwhile.
            Err(RepoError::Missing { .. }) => Ok(()),
            Err(error) if error.is_damage() => {
                found.find_unknown(&id, reason(&error));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    })?;
    stop_if(cancel)
}
