//! (p1) Reads everything, marks what snapshots need, and decides about every pack. Writes nothing.

use super::{PruneSummary, needed_but_missing};
use crate::base::{Cancel, ChunkId, PackId, SegmentId, SnapshotId, Stage};
use crate::index::{Location, PackNumber, PackRecord};
use crate::ops::error::{OpsError, Result};
use crate::ops::usage::{self, Visitor};
use crate::repo::tree::{Entry, Hole};
use crate::repo::{ChunkReader, Listing, Repo, RepoError, Snapshot, View, layout, open_sessions};
use crate::store::ObjectMeta;
use roaring::RoaringTreemap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Segments that list fewer chunks than this are gathered into larger ones, once there are this many of them.
const SMALL_SEGMENT_CHUNKS: u64 = 16 << 10;
const MANY_SMALL_SEGMENTS: usize = 16;

/// What is to be done.
pub(super) struct Plan {
    pub summary: PruneSummary,
    pub marks: Marks,
    /// Packs whose needed chunks are copied before they go.
    pub copy: Vec<PackRecord>,
    /// Packs to be condemned at once: unused ones by their numbers, and those that no segment lists.
    pub unused: RoaringTreemap,
    pub unlisted: Vec<PackId>,
    /// Segments that name packs that go, or are small.
    pub replace: Vec<SegmentId>,
    pub snapshots: HashSet<SnapshotId>,
}

/// The needed chunks.
#[derive(Default)]
pub(super) struct Marks {
    /// Chunk numbers: for every needed chunk one place, in a pack that is not condemned if there is one.
    pub used: RoaringTreemap,
    /// Sealed bytes of all of them.
    used_bytes: u64,
}

impl Marks {
    /// How many chunks of a pack are needed.
    pub fn used_in(&self, pack: &PackRecord) -> u64 {
        self.used.range_cardinality(pack.number..pack.number + u64::from(pack.chunk_count))
    }

    /// About how many bytes of a pack are needed, by their number: the index does not know which bytes are whose, and no
    /// decision needs more.
    fn used_bytes_in(&self, pack: &PackRecord) -> u64 {
        (u128::from(pack.size_bytes) * u128::from(self.used_in(pack)) / u128::from(pack.chunk_count.max(1))) as u64
    }
}

/// The packs that lie in the store. Those that the index knows are bits.
#[derive(Default)]
struct Present {
    known: RoaringTreemap,
    /// Of these, the ones that a writer may have written that is still at work.
    in_flight: RoaringTreemap,
    unknown: Vec<(PackId, ObjectMeta)>,
}

impl Present {
    fn add(&mut self, view: &View, id: PackId, object: ObjectMeta, is_in_flight: bool) -> Result<()> {
        match view.index.pack_number(&id)? {
            Some(number) => {
                self.known.insert(number);
                if is_in_flight {
                    self.in_flight.insert(number);
                }
            }
            None => self.unknown.push((id, object)),
        }
        Ok(())
    }
}

pub(super) fn plan(repo: &Arc<Repo>, max_unused_percent: f64, cancel: &Cancel) -> Result<(Arc<View>, Plan)> {
    // Packs that appear from here on may be in flight, so what is looked at first decides which are left alone.
    let in_flight_since = open_sessions(repo)?.into_iter().map(|s| s.opened).min();
    let is_in_flight = |object: &ObjectMeta| in_flight_since.is_some_and(|since| object.modified >= since);
    // Synced twice: now, so that packs can be noted by their numbers; and again below.
    let view = Arc::new(repo.sync(cancel)?);
    let mut present = Present::default();
    let mut failure = None;
    repo.store.list(layout::PACKS, &mut |object| {
        if let Some(id) = layout::parse_pack(&object.key) {
            let is_in_flight = is_in_flight(&object);
            failure = failure.take().or(present.add(&view, id, object, is_in_flight).err());
        }
    })?;
    failure.map_or(Ok(()), Err)?;
    // What a snapshot needs was listed before it was written, so the segments are looked at after the snapshots.
    let listing = repo.snapshots()?;
    repo.refresh(&view, cancel)?;
    for (id, object) in std::mem::take(&mut present.unknown) {
        let is_in_flight = is_in_flight(&object);
        present.add(&view, id, object, is_in_flight)?;
    }
    let (snapshots, marks) = mark(repo, &view, listing, cancel)?;
    let mut summary = PruneSummary { used_bytes: marks.used_bytes, ..PruneSummary::default() };
    let mut copy = Vec::new();
    let mut unused = RoaringTreemap::new();
    let mut unlisted = Vec::new();
    let mut going = RoaringTreemap::new();
    let mut part_used: Vec<PartUsed> = Vec::new();
    let mut lost = Vec::new();
    view.index.each_pack(&mut |pack| {
        summary.packs += 1;
        let (used, used_bytes) = (marks.used_in(&pack), marks.used_bytes_in(&pack));
        let unused_bytes = pack.size_bytes - used_bytes;
        let is_there = present.known.contains(pack.number);
        if !is_there && used > 0 {
            lost.push(pack.id);
        }
        if view.is_condemned(pack.number) {
            going.insert(pack.number);
            if is_there {
                summary.packs_condemned_before += 1;
                summary.unused_bytes += unused_bytes;
                summary.freed_bytes += pack.size_bytes;
            }
            if used > 0 {
                copy.push(pack);
            }
            return;
        }
        summary.unused_bytes += unused_bytes;
        // A writer that is at work needs its packs, though no snapshot says so yet.
        if in_flight_since.is_some() && (!is_there || present.in_flight.contains(pack.number)) {
            return;
        }
        if used == 0 {
            summary.packs_unused += 1;
            summary.freed_bytes += if is_there { pack.size_bytes } else { 0 };
            going.insert(pack.number);
            unused.insert(pack.number);
        } else if used < u64::from(pack.chunk_count) {
            part_used.push(PartUsed { number: pack.number, size_bytes: pack.size_bytes, unused_bytes });
        }
    })?;
    for pack in lost {
        // It may have been written after the packs were listed.
        if repo.store.head(&layout::pack(&pack))?.is_none() {
            return Err(needed_but_missing(&pack));
        }
    }
    let condemned = view.condemned_ids();
    for (id, object) in present.unknown {
        if condemned.contains(&id) {
            summary.packs_condemned_before += 1;
            summary.freed_bytes += object.size_bytes;
        } else if !is_in_flight(&object) {
            summary.packs_unlisted += 1;
            summary.unused_bytes += object.size_bytes;
            summary.freed_bytes += object.size_bytes;
            unlisted.push(id);
        }
    }
    for number in choose_repacks(part_used, max_unused_percent, &mut summary) {
        going.insert(number);
        copy.extend(view.index.pack(number)?);
    }
    summary.packs_repacked = copy.len() as u64;
    summary.repacked_bytes = copy.iter().map(|pack| marks.used_bytes_in(pack)).sum();
    summary.freed_bytes = summary.freed_bytes.saturating_sub(summary.repacked_bytes);
    let replace = segments_to_replace(&view, &going)?;
    summary.segments_replaced = replace.len() as u64;
    Ok((view, Plan { summary, marks, copy, unused, unlisted, replace, snapshots }))
}

/// A pack of which some chunks are needed and some are not.
struct PartUsed {
    number: PackNumber,
    size_bytes: u64,
    unused_bytes: u64,
}

/// The packs with the greatest unused shares, to be rewritten until no more than the allowed share of what stays is unused.
fn choose_repacks(
    mut part_used: Vec<PartUsed>,
    max_unused_percent: f64,
    summary: &mut PruneSummary,
) -> Vec<PackNumber> {
    let unused_share = |pack: &PartUsed| pack.unused_bytes as f64 / pack.size_bytes as f64;
    part_used.sort_by(|a, b| unused_share(b).total_cmp(&unused_share(a)).then(a.number.cmp(&b.number)));
    let mut kept: u64 = part_used.iter().map(|pack| pack.unused_bytes).sum();
    let allowed = (summary.used_bytes as f64 * max_unused_percent / 100.0) as u64;
    let mut chosen = Vec::new();
    for pack in part_used {
        if kept <= allowed {
            break;
        }
        kept -= pack.unused_bytes;
        summary.freed_bytes += pack.size_bytes;
        chosen.push(pack.number);
    }
    summary.unused_bytes_kept = kept;
    chosen
}

fn segments_to_replace(view: &View, going: &RoaringTreemap) -> Result<Vec<SegmentId>> {
    let (mut replace, mut small) = (Vec::new(), Vec::new());
    for segment in view.index.segments()? {
        let packs = view.index.packs_of(&segment)?;
        if packs.iter().any(|&pack| going.contains(pack)) {
            replace.push(segment);
        } else if chunks_listed(view, &packs)? < SMALL_SEGMENT_CHUNKS {
            small.push(segment);
        }
    }
    if small.len() >= MANY_SMALL_SEGMENTS || (!replace.is_empty() && !small.is_empty()) {
        replace.append(&mut small);
    }
    Ok(replace)
}

/// How many chunks these packs hold; counted only until a segment that lists them is not small.
pub(super) fn chunks_listed(view: &View, packs: &[PackNumber]) -> Result<u64> {
    let mut chunks = 0;
    for &number in packs {
        chunks += view.index.pack(number)?.map_or(0, |pack| u64::from(pack.chunk_count));
        if chunks >= SMALL_SEGMENT_CHUNKS {
            break;
        }
    }
    Ok(chunks)
}

/// Marks what these snapshots, which are all, need; `view` was refreshed after they were listed.
///
/// # Errors
/// [`OpsError::Unsafe`] if anything that might be needed cannot be read: what is not known to be garbage is not deleted.
pub(super) fn mark(
    repo: &Arc<Repo>,
    view: &Arc<View>,
    listing: Listing,
    cancel: &Cancel,
) -> Result<(HashSet<SnapshotId>, Marks)> {
    repo.edges.observer.stage(Stage::Marking);
    if let Some((id, error)) = listing.damaged.first() {
        return Err(unsafe_because(&format!("snapshot {} cannot be read ({error})", id.short())));
    }
    let chunks = ChunkReader::new(repo.clone(), view.clone());
    let ids = listing.snapshots.iter().map(|s: &Snapshot| s.id).collect();
    loop {
        let refreshes = view.refreshes();
        if !view.is_whole() {
            return Err(unsafe_because("a segment or a condemned list cannot be read"));
        }
        let mut marker = Marker { repo, view, marks: Marks::default(), gone: HashMap::new() };
        usage::walk(&chunks, &listing.snapshots, cancel, &mut marker)?;
        // A reader that misses a pack refreshes the view, a few times at most. What was marked before then may lie elsewhere
        // now, and count for nothing where it was.
        if view.refreshes() == refreshes {
            return Ok((ids, marker.marks));
        }
    }
}

fn unsafe_because(what: &str) -> OpsError {
    OpsError::Unsafe(format!("{what}, so nobody knows what it needs; run 'ssb check' and follow what it says"))
}

struct Marker<'a> {
    repo: &'a Repo,
    view: &'a View,
    marks: Marks,
    /// Condemned packs, and whether they are gone, as far as that was asked.
    gone: HashMap<PackNumber, bool>,
}

impl Marker<'_> {
    /// The first of these places, all in condemned packs, that can still be copied from; else simply the first.
    fn place_to_copy_from<'p>(&mut self, places: &'p [Location]) -> Result<Option<&'p Location>> {
        let mut places: Vec<&Location> = places.iter().collect();
        places.sort_by_key(|place| place.pack);
        if places.len() > 1 {
            for place in &places {
                if !self.is_gone(place.pack)? {
                    return Ok(Some(place));
                }
            }
        }
        Ok(places.first().copied())
    }

    fn is_gone(&mut self, number: PackNumber) -> Result<bool> {
        if let Some(&is_gone) = self.gone.get(&number) {
            return Ok(is_gone);
        }
        let is_gone = match self.view.index.pack(number)? {
            Some(pack) => self.repo.store.head(&layout::pack(&pack.id))?.is_none(),
            None => true,
        };
        self.gone.insert(number, is_gone);
        Ok(is_gone)
    }
}

impl Visitor for Marker<'_> {
    fn chunk(&mut self, id: &ChunkId, places: &[Location]) -> Result<()> {
        // Of several sound places the lowest number is taken, so that every snapshot's walk chooses the same.
        let staying = places.iter().filter(|place| !self.view.is_condemned(place.pack)).min_by_key(|place| place.pack);
        let place = if staying.is_some() { staying } else { self.place_to_copy_from(places)? };
        let Some(place) = place else {
            return Err(OpsError::Unsafe(format!("chunk {id} is needed but lies in no pack; run 'ssb check'")));
        };
        if self.marks.used.insert(place.chunk_number()) {
            self.marks.used_bytes += u64::from(place.sealed_len);
        }
        Ok(())
    }

    fn hole(&mut self, snapshot: &SnapshotId, hole: Hole) -> Result<()> {
        Err(unsafe_because(&format!("snapshot {} has a hole at {} ({})", snapshot.short(), hole.from, hole.error)))
    }

    fn broken_entry(&mut self, snapshot: &SnapshotId, entry: &Entry, error: RepoError) -> Result<()> {
        Err(unsafe_because(&format!("snapshot {} has a hole at {} ({error})", snapshot.short(), entry.display())))
    }
}
