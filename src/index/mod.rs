//! "Have we this chunk, and where?" A local, disposable picture of the bucket's segments: deleting it costs time, never
//! results. Knows nothing of stores, keys or formats; whoever syncs it hands over decoded listings.

mod memory;
pub mod record;
mod rocks;

pub use memory::MemoryIndex;
pub use rocks::RocksIndex;

use crate::base::{ChunkId, PackId, SegmentId, SnapshotId};

/// A pack's local number. It is also the number of its first chunk: chunk number = pack number + ordinal, so that sets of
/// chunks are dense bitmaps.
pub type PackNumber = u64;

/// One chunk as a pack lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedChunk {
    pub id: ChunkId,
    /// Where its sealed bytes begin in the pack.
    pub offset: u32,
    /// Sealed bytes, with the tag.
    pub sealed_len: u32,
    /// Plaintext bytes.
    pub plain_len: u32,
    pub compressed: bool,
}

/// One pack as a segment lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackListing {
    pub id: PackId,
    /// The pack's envelope header, which holds its wrapped key.
    pub header: Vec<u8>,
    /// The whole object.
    pub size_bytes: u64,
    pub chunks: Vec<ListedChunk>,
}

impl PackListing {
    /// How many chunk numbers the pack takes; one that is empty has a number too.
    fn numbers(&self) -> u64 {
        self.chunks.len().max(1) as u64
    }
}

/// A pack without its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRecord {
    pub number: PackNumber,
    pub id: PackId,
    pub header: Vec<u8>,
    pub size_bytes: u64,
    pub chunk_count: u32,
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub pack: PackNumber,
    /// Its position among the pack's chunks.
    pub ordinal: u32,
    pub offset: u32,
    pub sealed_len: u32,
    pub plain_len: u32,
    pub compressed: bool,
}

impl Location {
    /// The chunk's dense number, for bitmaps.
    pub fn chunk_number(&self) -> u64 {
        self.pack + u64::from(self.ordinal)
    }
}

/// The local index cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the local index in {place} failed: {message}; deleting that folder is safe, it is built again from the bucket"
)]
pub struct IndexError {
    pub place: String,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, IndexError>;

/// The index; shared by many threads.
pub trait Index: Send + Sync {
    /// Every place of the chunk in a pack that a present segment lists; empty if unknown.
    fn locate(&self, id: &ChunkId) -> Result<Vec<Location>>;

    /// [`Index::locate`] for many chunks, which costs less than one by one; `ids` ascend.
    fn locate_all(&self, ids: &[ChunkId]) -> Result<Vec<Vec<Location>>> {
        ids.iter().map(|id| self.locate(id)).collect()
    }

    /// `None` if no present segment lists such a pack.
    fn pack(&self, number: PackNumber) -> Result<Option<PackRecord>>;

    fn pack_number(&self, id: &PackId) -> Result<Option<PackNumber>>;

    /// All packs that present segments list, by ascending number.
    fn each_pack(&self, each: &mut dyn FnMut(PackRecord)) -> Result<()>;

    /// The segments taken in so far.
    fn segments(&self) -> Result<Vec<SegmentId>>;

    /// The numbers of the packs that a present segment lists, ascending.
    fn packs_of(&self, segment: &SegmentId) -> Result<Vec<PackNumber>>;

    /// Takes a segment in. A pack that another segment listed already keeps its number.
    fn absorb(&self, segment: SegmentId, packs: &[PackListing]) -> Result<()>;

    /// For taking in segments of about so many bytes together; many cost far less than one by one.
    fn load(&self, segment_bytes: u64) -> Result<Box<dyn Load + '_>>;

    /// Drops segments that have vanished, and with them the packs that no other segment lists.
    fn retire(&self, segments: &[SegmentId]) -> Result<()>;

    /// How often segments were retired since the index was opened.
    fn retirements(&self) -> u64;

    /// Notes, until segments are retired, that every chunk of a snapshot lies in a pack that a present segment lists. It may
    /// be forgotten at any time, and is for the snapshot `instead_of`.
    fn set_whole(&self, snapshot: &SnapshotId, instead_of: Option<&SnapshotId>) -> Result<()>;

    /// Whether that was noted and still holds.
    fn is_whole(&self, snapshot: &SnapshotId) -> Result<bool>;

    /// One more than the highest chunk number in use.
    fn chunk_numbers_end(&self) -> u64;

    /// Begins to make what was absorbed outlive the process, beside whatever is done next. Closing the index waits for it;
    /// what a crash loses is absorbed again.
    fn begin_flush(&self) -> Result<()>;
}

/// Segments on their way into an index; dropping it without [`Load::finish`] may leave them out.
pub trait Load: Sync {
    /// [`Index::absorb`], but the index may not know of it before the end.
    fn add(&self, segment: SegmentId, packs: &[PackListing]) -> Result<()>;

    /// Afterwards all that was added is in the index. Called once.
    fn finish(&self) -> Result<()>;
}

/// Segments that go into the index as they come.
struct OneByOne<'a>(&'a dyn Index);

impl Load for OneByOne<'_> {
    fn add(&self, segment: SegmentId, packs: &[PackListing]) -> Result<()> {
        self.0.absorb(segment, packs)
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
