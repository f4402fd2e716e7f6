//! The index in plain maps: the model that the RocksDB one is tested against, and what serves where no cache folder may
//! be written.

use super::{Index, Load, Location, OneByOne, PackListing, PackNumber, PackRecord, Result};
use crate::base::{ChunkId, PackId, SegmentId, SnapshotId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Default)]
struct State {
    chunks: HashMap<ChunkId, Vec<Location>>,
    packs: BTreeMap<PackNumber, PackRecord>,
    numbers: HashMap<PackId, PackNumber>,
    segments: HashMap<SegmentId, Vec<PackNumber>>,
    whole: HashSet<SnapshotId>,
    retirements: u64,
    end: u64,
}

/// An index that lives and dies with the process; grows with the number of chunks.
#[derive(Default)]
pub struct MemoryIndex(RwLock<State>);

impl MemoryIndex {
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index for MemoryIndex {
    fn locate(&self, id: &ChunkId) -> Result<Vec<Location>> {
        let state = self.read();
        let all = state.chunks.get(id).map_or(&[][..], Vec::as_slice);
        Ok(all.iter().filter(|l| state.packs.contains_key(&l.pack)).copied().collect())
    }

    fn pack(&self, number: PackNumber) -> Result<Option<PackRecord>> {
        Ok(self.read().packs.get(&number).cloned())
    }

    fn pack_number(&self, id: &PackId) -> Result<Option<PackNumber>> {
        Ok(self.read().numbers.get(id).copied())
    }

    fn each_pack(&self, each: &mut dyn FnMut(PackRecord)) -> Result<()> {
        self.read().packs.values().cloned().for_each(each);
        Ok(())
    }

    fn segments(&self) -> Result<Vec<SegmentId>> {
        Ok(self.read().segments.keys().copied().collect())
    }

    fn packs_of(&self, segment: &SegmentId) -> Result<Vec<PackNumber>> {
        let mut numbers = self.read().segments.get(segment).cloned().unwrap_or_default();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn absorb(&self, segment: SegmentId, packs: &[PackListing]) -> Result<()> {
        let state = &mut *self.write();
        let mut listed = Vec::new();
        for pack in packs {
            let number = *state.numbers.entry(pack.id).or_insert_with(|| {
                let number = state.end;
                state.end += pack.numbers();
                number
            });
            listed.push(number);
            let chunk_count = pack.chunks.len() as u32;
            let (id, header, size_bytes) = (pack.id, pack.header.clone(), pack.size_bytes);
            let record = PackRecord { number, id, header, size_bytes, chunk_count };
            if state.packs.insert(number, record).is_some() {
                continue;
            }
            for (ordinal, c) in pack.chunks.iter().enumerate() {
                state.chunks.entry(c.id).or_default().push(Location::of(number, ordinal, c));
            }
        }
        state.segments.insert(segment, listed);
        Ok(())
    }

    fn load(&self, _: u64) -> Result<Box<dyn Load + '_>> {
        Ok(Box::new(OneByOne(self)))
    }

    fn retire(&self, segments: &[SegmentId]) -> Result<()> {
        let state = &mut *self.write();
        segments.iter().for_each(|s| drop(state.segments.remove(s)));
        let live: HashSet<PackNumber> = state.segments.values().flatten().copied().collect();
        state.packs.retain(|number, _| live.contains(number));
        state.numbers.retain(|_, number| live.contains(number));
        state.whole.clear();
        state.retirements += 1;
        Ok(())
    }

    fn retirements(&self) -> u64 {
        self.read().retirements
    }

    fn set_whole(&self, snapshot: &SnapshotId, instead_of: Option<&SnapshotId>) -> Result<()> {
        let state = &mut *self.write();
        if let Some(before) = instead_of {
            state.whole.remove(before);
        }
        state.whole.insert(*snapshot);
        Ok(())
    }

    fn is_whole(&self, snapshot: &SnapshotId) -> Result<bool> {
        Ok(self.read().whole.contains(snapshot))
    }

    fn chunk_numbers_end(&self) -> u64 {
        self.read().end
    }

    fn begin_flush(&self) -> Result<()> {
        Ok(())
    }
}

impl Location {
    pub(super) fn of(pack: PackNumber, ordinal: usize, c: &super::ListedChunk) -> Self {
        Self {
            pack,
            ordinal: ordinal as u32,
            offset: c.offset,
            sealed_len: c.sealed_len,
            plain_len: c.plain_len,
            compressed: c.compressed,
        }
    }
}
