//! What snapshots need: a walk over their trees, on all threads, that looks every chunk up. Shared by check and prune.

use super::error::{OpsError, Result};
use crate::base::{Cancel, ChunkId, SnapshotId};
use crate::index::Location;
use crate::repo::tree::{self, Entry, Hole, NodeVisitor, each_chunk};
use crate::repo::{ChunkReader, RepoError, Snapshot};
use roaring::RoaringTreemap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chunks that are looked up at a time.
const BATCH_CHUNKS: usize = 16 << 10;

/// Chunks that are remembered as looked up: most of what a snapshot needs was met in the one before, in other leaves.
const REMEMBERED_CHUNKS: usize = 1 << 18;

/// Is told what the walk meets, in no order.
pub trait Visitor: Send {
    /// A chunk of contents, or a tree node or id list, and its places. Told once or more, whatever refers to it.
    fn chunk(&mut self, id: &ChunkId, places: &[Location]) -> Result<()>;
    /// A run of entries whose node cannot be read.
    fn hole(&mut self, snapshot: &SnapshotId, hole: Hole) -> Result<()>;
    /// An entry one of whose id lists cannot be read.
    fn broken_entry(&mut self, snapshot: &SnapshotId, entry: &Entry, error: RepoError) -> Result<()>;
}

/// Walks the trees of all snapshots; nodes that several share are walked once.
pub fn walk<V: Visitor>(chunks: &ChunkReader, snapshots: &[Snapshot], cancel: &Cancel, visitor: &mut V) -> Result<()> {
    chunks.fetch_ahead(cancel)?;
    let seen = Mutex::new(RoaringTreemap::new());
    let visitor = Mutex::new(visitor);
    let met = Mutex::new(Met::new());
    for snapshot in snapshots {
        let walk = Walk { chunks, snapshot: snapshot.id, cancel, seen: &seen, met: &met, visitor: &visitor };
        tree::walk(chunks, snapshot.manifest.tree, &walk)?;
    }
    let met = met.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell(chunks, &visitor, met.untold)
}

/// Looks these up and tells the visitor, of each once.
fn tell<V: Visitor>(chunks: &ChunkReader, visitor: &Mutex<&mut V>, mut ids: Vec<ChunkId>) -> Result<()> {
    ids.sort_unstable();
    ids.dedup();
    let all = chunks.view.locate_all(&ids)?;
    let mut visitor = visitor.lock().unwrap_or_else(PoisonError::into_inner);
    ids.iter().zip(all).try_for_each(|(id, places)| visitor.chunk(id, &places))
}

/// The chunks that leaves refer to, on their way to the visitor.
struct Met {
    /// The visitor knows of these, or will; as far as there is room: a later one takes the place of an earlier one.
    known: Box<[Option<ChunkId>]>,
    untold: Vec<ChunkId>,
}

impl Met {
    fn new() -> Self {
        Self { known: vec![None; REMEMBERED_CHUNKS].into(), untold: Vec::new() }
    }

    fn add(&mut self, id: &ChunkId) {
        let [a, b, c, ..] = *id.as_bytes();
        let place = &mut self.known[u32::from_le_bytes([a, b, c, 0]) as usize % REMEMBERED_CHUNKS];
        if place.replace(*id) != Some(*id) {
            self.untold.push(*id);
        }
    }
}

/// The walk over one snapshot's tree.
struct Walk<'a, 'v, V> {
    chunks: &'a ChunkReader,
    snapshot: SnapshotId,
    cancel: &'a Cancel,
    /// Chunk numbers of the nodes that were met.
    seen: &'a Mutex<RoaringTreemap>,
    met: &'a Mutex<Met>,
    visitor: &'a Mutex<&'v mut V>,
}

impl<'v, V: Visitor> Walk<'_, 'v, V> {
    fn visitor(&self) -> MutexGuard<'_, &'v mut V> {
        self.visitor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers these, over many leaves: the index finds many chunks in one go for far less than one by one.
    fn gather(&self, ids: &mut Vec<ChunkId>) -> Result<()> {
        let full = {
            let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
            ids.drain(..).for_each(|id| met.add(&id));
            if met.untold.len() < BATCH_CHUNKS {
                return Ok(());
            }
            std::mem::take(&mut met.untold)
        };
        tell(self.chunks, self.visitor, full)
    }
}

impl<V: Visitor> NodeVisitor<OpsError> for Walk<'_, '_, V> {
    fn enter(&self, id: &ChunkId) -> Result<bool> {
        if self.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        let places = self.chunks.view.locate(id)?;
        let Some(first) = places.first() else { return Ok(true) };
        let is_new = self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(first.chunk_number());
        if is_new {
            self.visitor().chunk(id, &places)?;
        }
        Ok(is_new)
    }

    fn leaf(&self, entries: Vec<Entry>) -> Result<()> {
        let mut met = Vec::new();
        for entry in entries {
            // Both closures gather, and neither can hold the vector while the other runs.
            let mut lists = Vec::new();
            let mut failure = None;
            let read = each_chunk(&entry.content, self.chunks, &mut |list| lists.push(*list), &mut |id| {
                met.push(id);
                if met.len() < BATCH_CHUNKS {
                    return Ok(());
                }
                self.gather(&mut met).map_err(|error| error.pass_by(&mut failure))
            });
            met.append(&mut lists);
            match (read, failure) {
                (_, Some(error)) => return Err(error),
                (Err(error), None) if error.is_damage() => {
                    self.visitor().broken_entry(&self.snapshot, &entry, error)?;
                }
                (other, None) => other?,
            }
        }
        self.gather(&mut met)
    }

    fn hole(&self, hole: Hole) -> Result<()> {
        if hole.error.is_damage() { self.visitor().hole(&self.snapshot, hole) } else { Err(hole.error.into()) }
    }
}
