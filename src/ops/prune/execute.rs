//! (p2) to (p6): copy what stays, list it anew, condemn, look for writers, look again, delete.

use super::plan::{Marks, Plan, chunks_listed, mark};
use super::{PruneOptions, PruneSummary, Wait, writers};
use crate::base::{Cancel, PackId, SegmentId, SnapshotId, Stage, parallel};
use crate::index::{PackListing, PackRecord};
use crate::ops::error::{OpsError, Result};
use crate::repo::pack::{open_packed, read_pack, shrink};
use crate::repo::{ChunkKind, ChunkWriter, Repo, RepoError, StoredList, View, WriterOptions, full_pack_bytes, layout};
use crate::store::list_all;
use jiff::{SignedDuration, Timestamp};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use roaring::RoaringTreemap;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Packs that are in memory at a time.
const MOST_PACKS: usize = 4;
/// Chunks that one thread copies before it looks for the next part.
const COPIED_AT_ONCE: usize = 256;
/// Chunks after which a consolidated segment is full, and that are read at a time, about; bounds memory.
const SEGMENT_CHUNKS: u64 = 64 << 10;
/// Small segments that are read at a time.
const SEGMENT_WIDTH: usize = 128;
/// Packs per condemned list, about.
const LIST_PACKS: usize = 64 << 10;
/// Packs that are deleted with one call; the store divides it as its requests allow.
const DELETED_AT_ONCE: usize = 10_000;
/// How long a list is remembered after its packs are gone.
const LIST_AGE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// A list this young counts as written when its packs went.
const LIST_FRESH: SignedDuration = SignedDuration::from_hours(24);
/// How often new snapshots may appear between two looks before the deleting is left to a later prune.
const LOOKS: usize = 10;

pub(super) fn execute(
    repo: &Arc<Repo>,
    view: Arc<View>,
    plan: Plan,
    options: PruneOptions,
    cancel: &Cancel,
) -> Result<PruneSummary> {
    let fence_after = options.fence_after;
    let Plan { mut summary, marks, copy, unused: mut condemn, unlisted, replace, snapshots } = plan;
    // With a writer at work nothing will be deleted, so nothing is written in vain; what nobody needs is condemned all the
    // same, so that later writers do not build upon it. Who waits for writers goes on: the sooner the list is there, the
    // fewer there are to wait for.
    if options.wait == Wait::No
        && let Some(reason) = writers::why_deferred(&writers::at_work(repo, fence_after)?)
    {
        publish(repo, &view, &condemn, unlisted)?;
        summary.deferred = Some(reason);
        return Ok(summary);
    }
    // (p2)
    copy_packs(repo, &view, &copy, &marks, cancel)?;
    condemn.extend(copy.iter().map(|pack| pack.number).filter(|&number| !view.is_condemned(number)));
    write_segments(repo, &view, &replace, &condemn, cancel)?;
    stop_if(cancel)?;
    // (p3)
    let mut lists = list_keys(&view);
    lists.extend(publish(repo, &view, &condemn, unlisted)?);
    // (p4)
    let open = match options.wait {
        Wait::No => writers::at_work(repo, fence_after)?,
        Wait::ForWriters { at_most } => writers::wait(repo, fence_after, at_most, cancel)?,
    };
    if let Some(reason) = writers::why_deferred(&open) {
        summary.deferred = Some(reason);
        return Ok(summary);
    }
    // (p5)
    if let Some(reason) = rescue(repo, &view, snapshots, lists.clone(), cancel)? {
        summary.deferred = Some(reason);
        return Ok(summary);
    }
    // (p6)
    repo.edges.observer.stage(Stage::Deleting);
    delete(repo, &view, &replace, &lists)?;
    repo.refresh(&view, cancel)?;
    Ok(summary)
}

/// Writes the lists of the packs that are to go; gives their keys.
fn publish(repo: &Repo, view: &View, condemn: &RoaringTreemap, unlisted: Vec<PackId>) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut ids = unlisted;
    for number in condemn {
        ids.extend(view.index.pack(number)?.map(|pack| pack.id));
        if ids.len() >= LIST_PACKS {
            keys.push(repo.put_condemned(std::mem::take(&mut ids))?);
        }
    }
    if !ids.is_empty() {
        keys.push(repo.put_condemned(ids)?);
    }
    Ok(keys)
}

fn list_keys(view: &View) -> HashSet<String> {
    let lists = view.lists.lock().unwrap_or_else(PoisonError::into_inner);
    lists.iter().map(|list| list.key.clone()).collect()
}

fn stop_if(cancel: &Cancel) -> Result<()> {
    if cancel.is_cancelled() { Err(RepoError::Interrupted.into()) } else { Ok(()) }
}

/// Copies the marked chunks of packs that go into new packs, as they are: neither unpacked nor compressed again. What stays of
/// a pack and is not little keeps its seals; only the rest is gathered and sealed anew.
fn copy_packs(repo: &Arc<Repo>, view: &Arc<View>, packs: &[PackRecord], marks: &Marks, cancel: &Cancel) -> Result<()> {
    if packs.is_empty() {
        return Ok(());
    }
    repo.edges.observer.stage(Stage::Repacking);
    let options = WriterOptions { zstd_level: 3, lanes: rayon::current_num_threads(), dry_run: false };
    let writer = ChunkWriter::start(repo.clone(), view.clone(), options);
    // From a remote store, more of them hide its latency.
    let width = if repo.store.is_local() { rayon::current_num_threads().min(MOST_PACKS) } else { MOST_PACKS };
    let copied = parallel::for_each(packs.iter(), width, cancel, |pack| copy_pack(repo, pack, marks, &writer));
    // What was copied is listed even if a later pack fails; it is found and freed by the next prune.
    let finished = writer.finish();
    copied?;
    finished?;
    stop_if(cancel)
}

fn copy_pack(repo: &Repo, pack: &PackRecord, marks: &Marks, writer: &ChunkWriter) -> Result<()> {
    let name = layout::pack(&pack.id);
    let damaged = |what: &str| OpsError::Unsafe(format!("{name} {what}; run 'ssb check --read-data'"));
    let mut bytes: Vec<u8> = repo.store.get(&name).map_err(|e| RepoError::reading(&name, e))?.into();
    let (header, listed) = read_pack(&repo.keys, &name, &bytes).map_err(|e| OpsError::Unsafe(e.to_string()))?;
    let kind = ChunkKind::of(header.kind).ok_or_else(|| damaged("is no pack"))?;
    let stays = |ordinal: usize| marks.used.contains(pack.number + ordinal as u64);
    let staying = listed.iter().enumerate().filter(|(ordinal, _)| stays(*ordinal));
    let staying_bytes: usize = staying.map(|(_, c)| c.sealed_len as usize).sum();
    if staying_bytes >= full_pack_bytes(kind) / 2
        && let Some(pack) = shrink(&*repo.edges.entropy, &pack.id, kind, &header, &listed, &mut bytes, stays)?
    {
        return Ok(writer.put_pack(pack)?);
    }
    // Chunks follow one another without a gap, so several threads can have a part of them each.
    let mut parts = Vec::new();
    let mut rest = &mut bytes[header.bytes.len()..];
    for (n, chunks) in listed.chunks(COPIED_AT_ONCE).enumerate() {
        let len_bytes = chunks.iter().map(|c| c.sealed_len as usize).sum();
        let (sealed, later) = rest.split_at_mut(len_bytes);
        rest = later;
        parts.push((n * COPIED_AT_ONCE, chunks, sealed));
    }
    parts.into_par_iter().try_for_each(|(first, chunks, mut rest)| -> Result<()> {
        for (ordinal, c) in (first..).zip(chunks) {
            let (sealed, later) = std::mem::take(&mut rest).split_at_mut(c.sealed_len as usize);
            rest = later;
            if stays(ordinal) {
                let packed = open_packed(&header.sealer, kind, &c.id, sealed);
                let packed = packed.ok_or_else(|| damaged("has a needed chunk that does not open"))?;
                writer.copy(kind, c.id, c.plain_len, packed, c.compressed)?;
            }
        }
        Ok(())
    })
}

/// Lists the packs that stay of the replaced segments in new ones.
fn write_segments(
    repo: &Repo,
    view: &View,
    replace: &[SegmentId],
    condemn: &RoaringTreemap,
    cancel: &Cancel,
) -> Result<()> {
    let stays = |pack: &PackListing| -> Result<bool> {
        let number = view.index.pack_number(&pack.id)?;
        Ok(number.is_none_or(|number| !condemn.contains(number) && !view.is_condemned(number)))
    };
    let mut seen: HashSet<PackId> = HashSet::new();
    let mut gathered: Vec<PackListing> = Vec::new();
    let mut rest = replace;
    while !rest.is_empty() {
        let (group, later) = rest.split_at(fitting(view, rest)?);
        rest = later;
        let read = Mutex::new(Vec::new());
        parallel::for_each(group.iter(), group.len(), cancel, |segment| -> Result<()> {
            let packs = match repo.read_segment(segment) {
                // A repair or another prune has replaced it meanwhile, and has listed what stays.
                Err(RepoError::Missing { .. }) => return Ok(()),
                other => other?,
            };
            read.lock().unwrap_or_else(PoisonError::into_inner).extend(packs);
            Ok(())
        })?;
        stop_if(cancel)?;
        let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        for pack in read {
            if stays(&pack)? && seen.insert(pack.id) {
                gathered.push(pack);
            }
        }
        let chunks: u64 = gathered.iter().map(|pack| pack.chunks.len() as u64).sum();
        if chunks >= SEGMENT_CHUNKS {
            repo.put_segment(&std::mem::take(&mut gathered))?;
        }
    }
    if !gathered.is_empty() {
        repo.put_segment(&gathered)?;
    }
    Ok(())
}

/// How many of the first segments are read at a time; at least one.
fn fitting(view: &View, segments: &[SegmentId]) -> Result<usize> {
    let mut chunks = 0;
    for (count, segment) in segments.iter().enumerate().take(SEGMENT_WIDTH) {
        chunks += chunks_listed(view, &view.index.packs_of(segment)?)?;
        if chunks >= SEGMENT_CHUNKS {
            return Ok(count + 1);
        }
    }
    Ok(segments.len().min(SEGMENT_WIDTH))
}

/// Copies what has come to be needed meanwhile and lies in condemned packs only, until nothing is missing.
fn rescue(
    repo: &Arc<Repo>,
    view: &Arc<View>,
    mut seen: HashSet<SnapshotId>,
    lists_then: HashSet<String>,
    cancel: &Cancel,
) -> Result<Option<String>> {
    let mut lists_before = Some(lists_then);
    for _ in 0..LOOKS {
        stop_if(cancel)?;
        let listing = repo.snapshots()?;
        repo.refresh(view, cancel)?;
        let lists = list_keys(view);
        let present: HashSet<SnapshotId> = listing.snapshots.iter().map(|s| s.id).collect();
        let nothing_new =
            present.is_subset(&seen) && lists_before.as_ref().is_some_and(|before| lists.is_subset(before));
        if nothing_new {
            return Ok(None);
        }
        let (snapshots, marks) = match mark(repo, view, listing, cancel) {
            // Forgotten and pruned by somebody else since it was listed.
            Err(OpsError::Unsafe(_)) if !present.is_subset(&present_ids(repo)?) => continue,
            other => other?,
        };
        let mut copy = Vec::new();
        view.index.each_pack(&mut |pack| {
            if view.is_condemned(pack.number) && marks.used_in(&pack) > 0 {
                copy.push(pack);
            }
        })?;
        let was_missing = !copy.is_empty();
        copy_packs(repo, view, &copy, &marks, cancel)?;
        (seen, lists_before) = (snapshots, if was_missing { None } else { Some(lists) });
    }
    Ok(Some("snapshots kept appearing; nothing was deleted, a later prune will".to_owned()))
}

fn present_ids(repo: &Repo) -> Result<HashSet<SnapshotId>> {
    Ok(repo.snapshots()?.snapshots.iter().map(|s| s.id).collect())
}

/// Deletes the replaced segments, then the packs of the lists `heeded`, then lists that nobody needs any more.
///
/// `heeded` are the lists that were there before sessions were looked for, so that no writer counts on their packs. Packs
/// of lists that came later are left alone: a writer that began in between may count on them, and whoever published the
/// list meets its session.
fn delete(repo: &Repo, view: &View, replace: &[SegmentId], heeded: &HashSet<String>) -> Result<()> {
    let segments: Vec<String> = replace.iter().map(layout::segment).collect();
    repo.store.delete_many(&segments)?;
    let condemned = view.condemned_ids();
    let lists = view.lists.lock().unwrap_or_else(PoisonError::into_inner);
    let mut there = HashSet::new();
    let mut now = lists.iter().map(|list| list.written).max().unwrap_or(Timestamp::MIN);
    for object in list_all(&*repo.store, layout::PACKS)? {
        // The store's clock shows in what it wrote last.
        now = now.max(object.modified);
        there.extend(layout::parse_pack(&object.key).filter(|id| condemned.contains(id)));
    }
    let doomed: HashSet<PackId> =
        lists.iter().filter(|list| heeded.contains(&list.key)).flat_map(|l| &l.packs).copied().collect();
    let doomed: Vec<PackId> = doomed.intersection(&there).copied().collect();
    renew(repo, &lists, &doomed, now)?;
    for packs in doomed.chunks(DELETED_AT_ONCE) {
        repo.store.delete_many(&packs.iter().map(layout::pack).collect::<Vec<_>>())?;
    }
    forget_lists(repo, &lists, &there, now)
}

/// A list's time counts from when its packs are gone, which is about to be: the same bytes, written again. Before the packs
/// go, so that at no moment, whoever dies, packs are just gone and their list is old.
fn renew(repo: &Repo, lists: &[StoredList], doomed: &[PackId], now: Timestamp) -> Result<()> {
    let doomed: HashSet<&PackId> = doomed.iter().collect();
    let goes = |list: &&StoredList| list.packs.iter().any(|pack| doomed.contains(pack));
    for list in lists.iter().filter(|list| now.duration_since(list.written) > LIST_FRESH).filter(goes) {
        let bytes = repo.store.get(&list.key)?;
        repo.store.put(&list.key, bytes)?;
    }
    Ok(())
}

/// Deletes lists whose packs are long gone; `there` are the condemned packs that were there when all were listed.
///
/// How old a list is, is asked for after that: another prune may have renewed it and deleted its packs since the list was read.
fn forget_lists(repo: &Repo, lists: &[StoredList], there: &HashSet<PackId>, now: Timestamp) -> Result<()> {
    let is_old = |written: Timestamp| now.duration_since(written) > LIST_AGE;
    let is_gone = |list: &&StoredList| !list.packs.iter().any(|pack| there.contains(pack));
    let old = lists.iter().filter(|list| is_old(list.written)).filter(is_gone);
    let mut old: HashSet<&str> = old.map(|list| list.key.as_str()).collect();
    if old.is_empty() {
        return Ok(());
    }
    let listed = list_all(&*repo.store, layout::CONDEMNED)?;
    let still_old: Vec<String> = listed
        .into_iter()
        .filter(|object| is_old(object.modified) && old.remove(object.key.as_str()))
        .map(|o| o.key)
        .collect();
    Ok(repo.store.delete_many(&still_old)?)
}
