//! Asking both indexes for known and unknown chunks, and taking segments in.

use divan::Bencher;
use divan::counter::ItemsCount;
use ssb::base::{ChunkId, PackId, SegmentId};
use ssb::index::{Index, ListedChunk, MemoryIndex, PackListing, RocksIndex};
use ssb::repo::envelope::HEADER_BYTES;
use std::ops::Range;
use std::path::Path;

const CHUNKS: u64 = 1_000_000;
/// As many as a backup lists in one segment.
const SEGMENT_CHUNKS: u64 = 32 << 10;
const PACK_CHUNKS: u64 = 64;
/// So many ids are asked for, again and again: enough to touch every block of the index.
const ASKED: u64 = 1 << 16;
const ASKED_AT_ONCE: usize = 1 << 10;

trait Fresh: Index + Sized {
    fn fresh(folder: &Path) -> Self;
}

impl Fresh for RocksIndex {
    fn fresh(folder: &Path) -> Self {
        Self::open(folder).unwrap().0
    }
}

impl Fresh for MemoryIndex {
    fn fresh(_: &Path) -> Self {
        Self::new()
    }
}

fn id(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

fn pack(first: u64, end: u64) -> PackListing {
    let sealed_len = 256 << 10;
    let chunk = |number: u64| ListedChunk {
        id: ChunkId::from_bytes(id(number)),
        offset: HEADER_BYTES as u32 + (number - first) as u32 * sealed_len,
        sealed_len,
        plain_len: 2 * sealed_len,
        compressed: true,
    };
    // Ids of packs and chunks are kept in different tables, so they may be alike.
    let (id, size_bytes) = (PackId::from_bytes(id(first)), (end - first) * u64::from(sealed_len));
    PackListing { id, header: vec![0; HEADER_BYTES], size_bytes, chunks: (first..end).map(chunk).collect() }
}

/// What lists the chunks with these numbers.
fn segment(chunks: Range<u64>) -> (SegmentId, Vec<PackListing>) {
    let name = SegmentId::from_bytes(id(chunks.start));
    let packs = chunks.clone().step_by(PACK_CHUNKS as usize);
    (name, packs.map(|first| pack(first, chunks.end.min(first + PACK_CHUNKS))).collect())
}

/// Asks an index of [`CHUNKS`] chunks, the numbers from 0 on, for chunks with the numbers from `first` on.
fn look_up<I: Fresh>(bencher: Bencher, first: u64) {
    let folder = tempfile::tempdir().unwrap();
    let index = I::fresh(folder.path());
    for first in (0..CHUNKS).step_by(SEGMENT_CHUNKS as usize) {
        let (name, packs) = segment(first..CHUNKS.min(first + SEGMENT_CHUNKS));
        index.absorb(name, &packs).unwrap();
    }
    index.begin_flush().unwrap();
    let ids: Vec<ChunkId> = (first..first + ASKED).map(|number| ChunkId::from_bytes(id(number))).collect();
    let mut asked = ids.chunks(ASKED_AT_ONCE).cycle();
    let found = |ids: &[ChunkId]| ids.iter().filter(|id| !index.locate(id).unwrap().is_empty()).count();
    let bencher = bencher.counter(ItemsCount::new(ASKED_AT_ONCE));
    bencher.with_inputs(|| asked.next().unwrap_or_default()).bench_local_values(found);
}

#[divan::bench(types = [RocksIndex, MemoryIndex])]
fn look_up_known<I: Fresh>(bencher: Bencher) {
    look_up::<I>(bencher, 0);
}

#[divan::bench(types = [RocksIndex, MemoryIndex])]
fn look_up_unknown<I: Fresh>(bencher: Bencher) {
    look_up::<I>(bencher, CHUNKS);
}

/// One segment after the other into an index that grows to as many chunks as are looked up above.
#[divan::bench(types = [RocksIndex, MemoryIndex], sample_count = 30, sample_size = 1)]
fn absorb<I: Fresh>(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let index = I::fresh(folder.path());
    let mut firsts = (0..).step_by(SEGMENT_CHUNKS as usize);
    let next = || firsts.next().map(|first| segment(first..first + SEGMENT_CHUNKS)).unwrap();
    let bencher = bencher.counter(ItemsCount::new(SEGMENT_CHUNKS));
    bencher.with_inputs(next).bench_local_refs(|(name, packs)| index.absorb(*name, packs).unwrap());
}
