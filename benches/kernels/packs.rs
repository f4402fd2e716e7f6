//! Filling packs and reading their listings, with chunks as small files leave them and as long ones do.

use crate::data::{CHUNK_BYTES, NOISE, SAMPLE_BYTES, keys};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use ssb::base::{ChunkId, SystemEntropy};
use ssb::crypto::MasterKeys;
use ssb::repo::ChunkKind;
use ssb::repo::pack::{FinishedPack, PackBuilder, read_pack};

const SMALL_BYTES: usize = 4 << 10;

/// The chunks of a pack, named beforehand.
fn chunks(keys: &MasterKeys, length: usize) -> Vec<(ChunkId, &'static [u8])> {
    NOISE.chunks_exact(length).map(|chunk| (keys.chunk_id(chunk), chunk)).collect()
}

fn fill(keys: &MasterKeys, chunks: &[(ChunkId, &[u8])], room: Vec<u8>) -> FinishedPack {
    let mut pack = PackBuilder::new(keys, &SystemEntropy, ChunkKind::Data, room).unwrap();
    chunks.iter().for_each(|(id, chunk)| pack.add(*id, chunk.len() as u32, chunk, false).unwrap());
    pack.finish().unwrap()
}

#[divan::bench(args = [SMALL_BYTES, CHUNK_BYTES])]
fn build(bencher: Bencher, length: usize) {
    let keys = keys();
    let chunks = chunks(&keys, length);
    let mut room = Vec::new();
    // Filled into the room of the one before, as the writer does it.
    bencher.counter(BytesCount::new(SAMPLE_BYTES)).counter(ItemsCount::new(chunks.len())).bench_local(|| {
        let pack = fill(&keys, &chunks, std::mem::take(&mut room));
        room = pack.bytes.try_into_mut().map(Vec::from).unwrap_or_default();
    });
}

#[divan::bench(args = [SMALL_BYTES, CHUNK_BYTES])]
fn read_listing(bencher: Bencher, length: usize) {
    let keys = keys();
    let chunks = chunks(&keys, length);
    let pack = fill(&keys, &chunks, Vec::new());
    let read = || read_pack(&keys, "pack", black_box(&pack.bytes)).map(|(_, listed)| listed).unwrap();
    bencher.counter(ItemsCount::new(chunks.len())).bench(read);
}
