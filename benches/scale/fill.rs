//! Segments of packs that do not exist, which is all that an index knows of a repository. The chunks' ids follow from their
//! numbers, so that any process can ask for them. Writes no packs.

use crate::support::Outcome;
use ssb::base::{ChunkId, PackId};
use ssb::index::{ListedChunk, PackListing};
use ssb::repo::Repo;
use ssb::repo::envelope::{Header, ObjectKind};

/// What a prune gathers into one segment.
const SEGMENT_PACKS: usize = 2048;
/// A pack is full when it is this long, as in a backup.
const PACK_BYTES: u32 = 16 << 20;
/// Chunks of 256 KiB to 1 MiB, every other of which shrinks to a half, make packs of about 35.
const SHORTEST_CHUNK_BYTES: u32 = 256 << 10;
const LONGEST_CHUNK_BYTES: u32 = 1 << 20;
const TAG_BYTES: u32 = 16;
/// What the footer takes of a pack, and for each chunk.
const FOOTER_BYTES: u64 = 60;
const FOOTER_CHUNK_BYTES: u64 = 37;

/// The id of the chunk with this number: evenly spread, as those of real chunks are.
pub fn chunk_id(number: u64) -> ChunkId {
    ChunkId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// Lists the chunks with the numbers below `chunks`.
pub fn fill(repo: &Repo, chunks: u64) -> Outcome<()> {
    let mut next = 0;
    while next < chunks {
        let mut packs = Vec::with_capacity(SEGMENT_PACKS);
        while next < chunks && packs.len() < SEGMENT_PACKS {
            packs.push(pack(repo, &mut next, chunks)?);
        }
        repo.put_segment(&packs)?;
    }
    Ok(())
}

/// The next full pack; the last one may be shorter.
fn pack(repo: &Repo, next: &mut u64, end: u64) -> Outcome<PackListing> {
    let header = Header::create(&repo.keys, &*repo.edges.entropy, ObjectKind::DataPack)?.bytes;
    let id = PackId::from_bytes(*blake3::hash(chunk_id(*next).as_bytes()).as_bytes());
    let mut chunks = Vec::new();
    let mut offset = header.len() as u32;
    while *next < end && offset < PACK_BYTES {
        let chunk = chunk(*next, offset);
        offset += chunk.sealed_len;
        chunks.push(chunk);
        *next += 1;
    }
    let size_bytes = u64::from(offset) + FOOTER_BYTES + FOOTER_CHUNK_BYTES * chunks.len() as u64;
    Ok(PackListing { id, header, size_bytes, chunks })
}

fn chunk(number: u64, offset: u32) -> ListedChunk {
    let id = chunk_id(number);
    let [a, b, c, d, ..] = *id.as_bytes();
    let range = LONGEST_CHUNK_BYTES - SHORTEST_CHUNK_BYTES;
    let plain_len = SHORTEST_CHUNK_BYTES + u32::from_le_bytes([a, b, c, d]) % range;
    let compressed = number.is_multiple_of(2);
    let packed_len = if compressed { plain_len / 2 } else { plain_len };
    ListedChunk { id, offset, sealed_len: packed_len + TAG_BYTES, plain_len, compressed }
}
