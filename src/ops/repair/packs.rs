//! Repairing packs: every chunk of a damaged pack that is still whole is stored again in a new one; the damaged one is
//! taken out of the segments and condemned, and the next prune deletes it. Names what is lost.
//!
//! What a pack holds is told by its footer, or where that is damaged by the segments that list it; every chunk proves
//! itself, by its seal and by its id. A pack that is whole is left alone. Why this is safe beside others stands in `mod.rs`.

use super::segments::{self, SegmentWriter, relist};
use super::{Announced, lock, refuse_unreadable_segments, stop_if};
use crate::base::{Cancel, ChunkId, PackId, SegmentId, Stage, parallel};
use crate::index::{ListedChunk, PackListing, PackNumber};
use crate::ops::check::{Hit, hits_of};
use crate::ops::error::{OpsError, Result};
use crate::repo::cache::CacheKind;
use crate::repo::envelope::Header;
use crate::repo::pack::{open_packed, pack_id, read_pack, unpack};
use crate::repo::{ChunkKind, ChunkReader, ChunkWriter, Repo, RepoError, View, WriterOptions, layout};
use crate::store::ErrorKind;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Packs that are in memory at a time, each twice.
const WIDTH: usize = 2;

/// What to repair.
#[derive(Clone, Debug)]
pub struct PacksOptions {
    /// The damaged packs.
    pub packs: Vec<PackId>,
    /// Look only.
    pub dry_run: bool,
}

/// What became of one pack.
#[derive(Clone, Debug, Serialize)]
pub struct PackRepair {
    pub pack: PackId,
    /// Nothing is wrong with it, and it was left alone.
    pub whole: bool,
    /// Chunks that it is known to hold; 0 if nothing tells.
    pub chunks: u64,
    /// Chunks that are whole, and their stored bytes.
    pub saved: u64,
    pub saved_bytes: u64,
    /// Chunks that are not, and lie in no other pack.
    pub lost: u64,
}

/// What a repair of packs did, or would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PacksOutcome {
    /// In the order of their names.
    pub packs: Vec<PackRepair>,
    pub segments_replaced: u64,
    /// The snapshots and files that the lost chunks belong to.
    pub hits: Vec<Hit>,
}

/// Repairs packs, or says what it would do.
///
/// # Errors
/// [`OpsError::Usage`] if one of the packs is unknown, [`OpsError::RepairFirst`] if a segment cannot be read.
pub fn run(repo: &Arc<Repo>, options: &PacksOptions, cancel: &Cancel) -> Result<PacksOutcome> {
    let session = Announced::open(repo, "repair packs", options.dry_run)?;
    let view = Arc::new(repo.sync(cancel)?);
    refuse_unreadable_segments(&view)?;
    repo.edges.observer.stage(Stage::Repairing);
    let mut wanted = options.packs.clone();
    wanted.sort_unstable();
    wanted.dedup();
    let listed = Listed::find(repo, &view, &wanted, cancel)?;
    refuse_unknown(repo, &listed, &wanted)?;
    let salvages = salvage_all(repo, &view, &listed, &wanted, options.dry_run, cancel)?;
    let damaged: HashSet<PackId> = salvages.iter().filter(|s| !s.is_whole).map(|s| s.pack).collect();
    let lost = lost_chunks(&view, &damaged, &salvages)?;
    let mut outcome = PacksOutcome {
        packs: salvages.iter().map(|salvage| salvage.told(&lost)).collect(),
        segments_replaced: listed.segments_of(&damaged).len() as u64,
        hits: Vec::new(),
    };
    if !options.dry_run && !damaged.is_empty() {
        give_up(repo, &view, &session, &listed.segments_of(&damaged), &damaged, cancel)?;
    }
    session.close()?;
    if !lost.is_empty() {
        let snapshots = repo.snapshots()?.snapshots;
        outcome.hits = hits_of(&ChunkReader::new(repo.clone(), view), &snapshots, lost, cancel)?;
    }
    Ok(outcome)
}

/// What segments say of the wanted packs.
#[derive(Default)]
struct Listed {
    listings: HashMap<PackId, Vec<PackListing>>,
    /// The segments that list any of them, and which.
    segments: Vec<(SegmentId, Vec<PackId>)>,
}

impl Listed {
    fn find(repo: &Repo, view: &View, wanted: &[PackId], cancel: &Cancel) -> Result<Self> {
        let mut numbers: HashSet<PackNumber> = HashSet::new();
        for pack in wanted {
            numbers.extend(view.index.pack_number(pack)?);
        }
        let mut listed = Self::default();
        for segment in view.index.segments()? {
            stop_if(cancel)?;
            if !view.index.packs_of(&segment)?.iter().any(|number| numbers.contains(number)) {
                continue;
            }
            let packs = match repo.read_segment(&segment) {
                // Replaced meanwhile.
                Err(RepoError::Missing { .. }) => continue,
                Err(error) if error.is_damage() => {
                    let what = format!("{error}, and it lists a pack that is to be repaired");
                    return Err(OpsError::RepairFirst(format!("{what}; run 'ssb repair index' first")));
                }
                other => other?,
            };
            let mut named = Vec::new();
            for pack in packs.into_iter().filter(|pack| wanted.binary_search(&pack.id).is_ok()) {
                named.push(pack.id);
                let known = listed.listings.entry(pack.id).or_default();
                if !known.contains(&pack) {
                    known.push(pack);
                }
            }
            listed.segments.push((segment, named));
        }
        Ok(listed)
    }

    fn segments_of(&self, packs: &HashSet<PackId>) -> Vec<SegmentId> {
        let lists_any = |named: &[PackId]| named.iter().any(|pack| packs.contains(pack));
        self.segments.iter().filter(|(_, named)| lists_any(named)).map(|(segment, _)| *segment).collect()
    }
}

/// What was found in one pack.
struct Salvage {
    pack: PackId,
    is_whole: bool,
    /// All chunks that it is known to hold.
    chunks: HashSet<ChunkId>,
    saved: HashSet<ChunkId>,
    saved_bytes: u64,
}

impl Salvage {
    fn told(&self, lost: &HashSet<ChunkId>) -> PackRepair {
        PackRepair {
            pack: self.pack,
            whole: self.is_whole,
            chunks: self.chunks.len() as u64,
            saved: self.saved.len() as u64,
            saved_bytes: self.saved_bytes,
            lost: self.chunks.intersection(lost).count() as u64,
        }
    }
}

fn refuse_unknown(repo: &Repo, listed: &Listed, wanted: &[PackId]) -> Result<()> {
    for pack in wanted.iter().filter(|pack| !listed.listings.contains_key(pack)) {
        if repo.store.head(&layout::pack(pack))?.is_none() {
            let what = format!("there is no pack {pack}, and no segment lists one");
            return Err(OpsError::Usage(format!("{what}; 'ssb check --read-data' names damaged packs")));
        }
    }
    Ok(())
}

/// Looks into every pack, and stores the whole chunks of those that are damaged.
fn salvage_all(
    repo: &Arc<Repo>,
    view: &Arc<View>,
    listed: &Listed,
    wanted: &[PackId],
    dry_run: bool,
    cancel: &Cancel,
) -> Result<Vec<Salvage>> {
    let options = WriterOptions { zstd_level: 3, lanes: WIDTH, dry_run };
    let writer = ChunkWriter::start(repo.clone(), view.clone(), options);
    let condemned = view.condemned_ids();
    let salvages = Mutex::new(Vec::new());
    let work = parallel::for_each(wanted.iter(), WIDTH.min(wanted.len()), cancel, |pack| -> Result<()> {
        let listings = listed.listings.get(pack).map_or(&[][..], Vec::as_slice);
        let salvage = salvage(repo, pack, listings, condemned.contains(pack), &writer)?;
        lock(&salvages).push(salvage);
        Ok(())
    });
    // What was stored is listed even if a later pack fails; it is found and used by the next try.
    let finished = writer.finish();
    work?;
    finished?;
    stop_if(cancel)?;
    let mut salvages = salvages.into_inner().unwrap_or_else(PoisonError::into_inner);
    salvages.sort_unstable_by_key(|salvage| salvage.pack);
    Ok(salvages)
}

/// One that is condemned goes in any case, so whatever is whole in it is stored again.
fn salvage(
    repo: &Repo,
    pack: &PackId,
    listings: &[PackListing],
    is_condemned: bool,
    writer: &ChunkWriter,
) -> Result<Salvage> {
    let name = layout::pack(pack);
    let stored = match repo.store.get(&name) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind == ErrorKind::NotFound => None,
        Err(e) => return Err(e.into()),
    };
    let (mut chunks, mut saved, mut saved_bytes) = (HashSet::new(), HashSet::new(), 0);
    let mut opened = open_all(repo, &name, stored.as_deref().unwrap_or_default(), listings, &mut chunks);
    let is_as_named = stored.is_some_and(|bytes| pack_id(&bytes) == *pack);
    if is_as_named && opened.len() == chunks.len() && !is_condemned {
        return Ok(Salvage { pack: *pack, is_whole: true, chunks, saved, saved_bytes });
    }
    if let Some(copy) = repo.cache.get(CacheKind::TreePacks, &pack.to_string()) {
        opened = open_all(repo, &name, &copy, &[], &mut chunks);
    }
    for Opened { kind, chunk, packed } in opened {
        writer.copy(kind, chunk.id, chunk.plain_len, &packed, chunk.compressed)?;
        saved_bytes += packed.len() as u64;
        saved.insert(chunk.id);
    }
    Ok(Salvage { pack: *pack, is_whole: false, chunks, saved, saved_bytes })
}

/// A chunk that has proved to be what its id says.
struct Opened {
    kind: ChunkKind,
    chunk: ListedChunk,
    /// Without its seal, but still packed.
    packed: Vec<u8>,
}

/// The whole chunks of a pack, each once, going by its own footer and by other listings of it; `ids` gets those of all that
/// they name.
fn open_all(
    repo: &Repo,
    name: &str,
    bytes: &[u8],
    listings: &[PackListing],
    ids: &mut HashSet<ChunkId>,
) -> Vec<Opened> {
    let own = read_pack(&repo.keys, name, bytes).ok();
    let others = listings.iter().filter_map(|listing| {
        let header = Header::parse(&repo.keys, name, &listing.header).ok()?;
        Some((header, listing.chunks.clone()))
    });
    let (mut opened, mut done, mut plain) = (Vec::new(), HashSet::new(), Vec::new());
    for (header, chunks) in own.into_iter().chain(others) {
        let Some(kind) = ChunkKind::of(header.kind) else { continue };
        for chunk in chunks {
            ids.insert(chunk.id);
            let range = chunk.offset as usize..chunk.offset as usize + chunk.sealed_len as usize;
            let Some(sealed) = bytes.get(range).filter(|_| !done.contains(&chunk.id)) else { continue };
            let mut sealed = sealed.to_vec();
            let Some(packed) = open_packed(&header.sealer, kind, &chunk.id, &mut sealed) else {
                continue;
            };
            if unpack(&repo.keys, &chunk.id, packed, chunk.plain_len, chunk.compressed, &mut plain).is_some() {
                done.insert(chunk.id);
                opened.push(Opened { kind, chunk, packed: packed.to_vec() });
            }
        }
    }
    opened
}

/// The chunks that no pack gives any more.
fn lost_chunks(view: &View, damaged: &HashSet<PackId>, salvages: &[Salvage]) -> Result<HashSet<ChunkId>> {
    let saved: HashSet<ChunkId> = salvages.iter().flat_map(|salvage| &salvage.saved).copied().collect();
    let mut numbers = HashSet::new();
    for pack in damaged {
        numbers.extend(view.index.pack_number(pack)?);
    }
    let mut lost = HashSet::new();
    for id in salvages.iter().filter(|salvage| !salvage.is_whole).flat_map(|salvage| &salvage.chunks) {
        let stays = |pack: PackNumber| !numbers.contains(&pack) && !view.is_condemned(pack);
        if !saved.contains(id) && !view.locate(id)?.iter().any(|place| stays(place.pack)) {
            lost.insert(*id);
        }
    }
    Ok(lost)
}

/// Takes the damaged packs out of the segments and condemns them.
fn give_up(
    repo: &Repo,
    view: &View,
    session: &Announced,
    replaced: &[SegmentId],
    damaged: &HashSet<PackId>,
    cancel: &Cancel,
) -> Result<()> {
    let writer = Mutex::new(SegmentWriter::new(repo, false));
    let seen = Mutex::new(HashSet::new());
    let stays = |pack: &PackListing| Ok(!damaged.contains(&pack.id) && lock(&seen).insert(pack.id));
    relist(repo, replaced, &writer, &stays, cancel)?;
    writer.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
    let known = view.condemned_ids();
    let mut condemn: Vec<PackId> = damaged.iter().filter(|pack| !known.contains(pack)).copied().collect();
    condemn.sort_unstable();
    // Twice: who slept before the first step must not take it, and who slept after it must not take the second.
    session.check()?;
    if !condemn.is_empty() {
        repo.put_condemned(condemn)?;
    }
    session.check()?;
    segments::delete(repo, replaced)?;
    repo.refresh(view, cancel)?;
    Ok(())
}
