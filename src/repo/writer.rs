//! Storing chunks: known or not, compress, seal, pack, upload, list in a segment. Shared by everything that writes packs.
//!
//! ```text
//!  put() on any thread                          uploads x 2 or 4             whoever fills it up
//!  id -> claimed? -> known? -> compress -> lane: pack --[1]--> PUT pack -> listing ----------> PUT segment -> index
//! ```
//!
//! A lane is a pack being filled; there are as many as threads may seal side by side. It stays taken until its full pack is
//! taken by an upload, so that memory is bounded by lanes + uploads packs, however many threads there are. Their buffers
//! are used again and again.

use super::cache::CacheKind;
use super::compress::with_compressor;
use super::error::{RepoError, Result};
use super::layout;
use super::open::Repo;
use super::pack::{ChunkKind, FinishedPack, PackBuilder};
use super::tree::NodeSink;
use super::view::View;
use crate::base::{ChunkId, Counter, PackId};
use crate::index::PackListing;
use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::{SignedDuration, Timestamp};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A pack of data is full at this length.
const DATA_PACK_BYTES: usize = 16 << 20;
const TREE_PACK_BYTES: usize = 4 << 20;
/// Chunk ids and lengths after which a segment is written, so that a crash late in a long run loses little.
const SEGMENT_CHUNKS: usize = 32 << 10;
/// The same by time.
const SEGMENT_AGE: SignedDuration = SignedDuration::from_secs(180);
const CLAIM_SHARDS: usize = 64;
/// More uploads hide the latency of a remote store; a local one is as fast with two.
const UPLOADS_REMOTE: usize = 4;
const UPLOADS_LOCAL: usize = 2;
const MOST_LANES: usize = 4;

/// How long a pack is, about, if there is enough to fill it.
pub fn full_pack_bytes(kind: ChunkKind) -> usize {
    match kind {
        ChunkKind::Data => DATA_PACK_BYTES,
        ChunkKind::Tree => TREE_PACK_BYTES,
    }
}

/// How chunks are stored.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    pub zstd_level: i32,
    /// Packs that are filled side by side; at most 4.
    pub lanes: usize,
    /// Go through all the motions, but write nothing.
    pub dry_run: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub new_chunks: u64,
    /// Plaintext bytes of new chunks.
    pub new_bytes: u64,
    /// Bytes of packs.
    pub stored_bytes: u64,
    pub packs: Vec<PackId>,
}

/// Stores chunks until it is finished.
pub struct ChunkWriter {
    shared: Arc<Shared>,
    data: Vec<Mutex<Option<PackBuilder>>>,
    tree: Mutex<Option<PackBuilder>>,
    queue: Option<Sender<FinishedPack>>,
    /// Room of data packs that have been stored.
    spare: Receiver<Vec<u8>>,
    uploads: Vec<JoinHandle<()>>,
}

struct Shared {
    repo: Arc<Repo>,
    view: Arc<View>,
    options: WriterOptions,
    /// Chunks on their way into a segment; each is stored by whoever claimed it first.
    claims: Vec<Mutex<HashSet<ChunkId>>>,
    unlisted: Mutex<Unlisted>,
    new_chunks: AtomicU64,
    new_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    packs: Mutex<Vec<PackId>>,
    has_failed: AtomicBool,
    failure: Mutex<Option<RepoError>>,
}

/// Packs that are stored but in no segment yet.
struct Unlisted {
    packs: Vec<PackListing>,
    chunks: usize,
    since: Timestamp,
}

impl ChunkWriter {
    pub fn start(repo: Arc<Repo>, view: Arc<View>, options: WriterOptions) -> Self {
        let since = repo.edges.clock.now();
        let shared = Arc::new(Shared {
            repo,
            view,
            options,
            claims: (0..CLAIM_SHARDS).map(|_| Mutex::default()).collect(),
            unlisted: Mutex::new(Unlisted { packs: Vec::new(), chunks: 0, since }),
            new_chunks: AtomicU64::new(0),
            new_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            packs: Mutex::default(),
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
        });
        let uploads = if shared.repo.store.is_local() { UPLOADS_LOCAL } else { UPLOADS_REMOTE };
        let (queue, packs) = bounded(0);
        let (stored, spare) = bounded(uploads);
        let upload = |_| {
            let (shared, packs, stored) = (shared.clone(), packs.clone(), stored.clone());
            std::thread::spawn(move || shared.upload_all(&packs, &stored))
        };
        let uploads = (0..uploads).map(upload).collect();
        let data = (0..options.lanes.clamp(1, MOST_LANES)).map(|_| Mutex::default()).collect();
        Self { shared, data, tree: Mutex::default(), queue: Some(queue), spare, uploads }
    }

    /// Makes sure that the chunk is, or will be with [`ChunkWriter::finish`], stored.
    pub fn put(&self, kind: ChunkKind, plain: &[u8]) -> Result<ChunkId> {
        self.put_unless_in(&[], kind, plain)
    }

    /// The same; chunks of `trusted` can be counted on without being looked up.
    pub fn put_unless_in(&self, trusted: &[ChunkId], kind: ChunkKind, plain: &[u8]) -> Result<ChunkId> {
        let id = self.shared.repo.keys.chunk_id(plain);
        if !trusted.contains(&id) && self.claim(&id)? {
            with_compressor(self.shared.options.zstd_level, plain, |packed, compressed| {
                self.store(kind, id, plain.len() as u32, packed, compressed)
            })?;
        }
        Ok(id)
    }

    /// Stores a chunk again that another pack holds, whatever the index says, without unpacking it.
    pub fn copy(&self, kind: ChunkKind, id: ChunkId, plain_len: u32, packed: &[u8], compressed: bool) -> Result<()> {
        if lock(self.shared.shard(&id)).insert(id) {
            self.store(kind, id, plain_len, packed, compressed)
        } else {
            Ok(())
        }
    }

    /// Whether the chunk is already counted on: known and trusted, or on its way.
    pub fn is_known(&self, id: &ChunkId) -> Result<bool> {
        Ok(lock(self.shared.shard(id)).contains(id) || self.shared.view.is_trusted(id)?)
    }

    /// True if this caller has to store the chunk. The claim comes before the look-up: a chunk leaves the claims only
    /// after it has entered the index, so no moment is left in which it is in neither.
    fn claim(&self, id: &ChunkId) -> Result<bool> {
        self.shared.check()?;
        if !lock(self.shared.shard(id)).insert(*id) {
            return Ok(false);
        }
        if self.shared.view.is_trusted(id)? {
            lock(self.shared.shard(id)).remove(id);
            return Ok(false);
        }
        Ok(true)
    }

    fn store(&self, kind: ChunkKind, id: ChunkId, plain_len: u32, packed: &[u8], compressed: bool) -> Result<()> {
        let shared = &self.shared;
        shared.new_chunks.fetch_add(1, Relaxed);
        shared.new_bytes.fetch_add(plain_len.into(), Relaxed);
        if shared.options.dry_run {
            shared.stored_bytes.fetch_add(packed.len() as u64, Relaxed);
            return Ok(());
        }
        let mut lane = match kind {
            ChunkKind::Data => self.free_lane(),
            ChunkKind::Tree => lock(&self.tree),
        };
        let target_bytes = full_pack_bytes(kind);
        let mut pack = match lane.take() {
            Some(pack) => pack,
            None => {
                let mut room = match kind {
                    ChunkKind::Data => self.spare.try_recv().unwrap_or_default(),
                    ChunkKind::Tree => Vec::new(),
                };
                // Room that is never used costs nothing, and a pack that grows is never moved.
                room.reserve(target_bytes + target_bytes / 4);
                PackBuilder::new(&shared.repo.keys, &*shared.repo.edges.entropy, kind, room)?
            }
        };
        pack.add(id, plain_len, packed, compressed)?;
        if pack.size_bytes() < target_bytes {
            *lane = Some(pack);
            return Ok(());
        }
        self.enqueue(pack.finish()?);
        Ok(())
    }

    /// The first lane that nobody is sealing into, so that a small run fills one pack.
    fn free_lane(&self) -> MutexGuard<'_, Option<PackBuilder>> {
        let free = self.data.iter().find_map(|lane| lane.try_lock().ok());
        free.unwrap_or_else(|| lock(&self.data[rayon::current_thread_index().unwrap_or(0) % self.data.len()]))
    }

    /// Stores a pack whose chunks nobody puts or copies beside, on the caller's thread.
    pub fn put_pack(&self, pack: FinishedPack) -> Result<()> {
        self.shared.check()?;
        let plain_bytes = pack.listing.chunks.iter().map(|chunk| u64::from(chunk.plain_len)).sum();
        self.shared.new_chunks.fetch_add(pack.listing.chunks.len() as u64, Relaxed);
        self.shared.new_bytes.fetch_add(plain_bytes, Relaxed);
        self.shared.upload(pack)?;
        self.shared.write_segment(false)
    }

    fn enqueue(&self, pack: FinishedPack) {
        // The other end goes away only after this one.
        if let Some(queue) = &self.queue {
            queue.send(pack).ok();
        }
    }

    /// Stores what is in the lanes, waits for the uploads and writes the last segment; that also if an upload has failed, so
    /// that what the others have stored is of use.
    pub fn finish(mut self) -> Result<Written> {
        let lanes: Vec<_> = self.data.iter().chain([&self.tree]).filter_map(|lane| lock(lane).take()).collect();
        let queued = lanes.into_par_iter().try_for_each(|pack| -> Result<()> {
            self.enqueue(pack.finish()?);
            Ok(())
        });
        self.join();
        let shared = &self.shared;
        let listed = shared.write_segment(true);
        queued?;
        shared.check()?;
        listed?;
        Ok(Written {
            new_chunks: shared.new_chunks.load(Relaxed),
            new_bytes: shared.new_bytes.load(Relaxed),
            stored_bytes: shared.stored_bytes.load(Relaxed),
            packs: lock(&shared.packs).clone(),
        })
    }

    fn join(&mut self) {
        self.queue = None;
        self.uploads.drain(..).for_each(|upload| drop(upload.join()));
    }
}

impl Drop for ChunkWriter {
    /// A run that failed elsewhere still waits for what is in flight.
    fn drop(&mut self) {
        self.join();
    }
}

impl NodeSink for &ChunkWriter {
    fn put_node(&mut self, plain: &[u8]) -> Result<ChunkId> {
        self.put(ChunkKind::Tree, plain)
    }
}

impl Shared {
    fn shard(&self, id: &ChunkId) -> &Mutex<HashSet<ChunkId>> {
        &self.claims[usize::from(id.as_bytes()[0]) % CLAIM_SHARDS]
    }

    /// Passes on the failure of an upload to whoever asks: of many callers the first might not be the one that is heard.
    fn check(&self) -> Result<()> {
        if !self.has_failed.load(Relaxed) {
            return Ok(());
        }
        Err(lock(&self.failure).clone().unwrap_or(RepoError::Interrupted))
    }

    fn upload_all(&self, packs: &Receiver<FinishedPack>, stored: &Sender<Vec<u8>>) {
        for pack in packs {
            if self.has_failed.load(Relaxed) {
                continue;
            }
            // A store that still holds on to the bytes lets nobody write over them.
            let room = (pack.kind == ChunkKind::Data).then(|| pack.bytes.clone());
            if let Err(error) = self.upload(pack).and_then(|()| self.write_segment(false)) {
                lock(&self.failure).get_or_insert(error);
                self.has_failed.store(true, Relaxed);
            }
            if let Some(room) = room.and_then(|bytes| bytes.try_into_mut().ok()) {
                stored.try_send(room.into()).ok();
            }
        }
    }

    fn upload(&self, pack: FinishedPack) -> Result<()> {
        let FinishedPack { kind, listing, bytes } = pack;
        if kind == ChunkKind::Tree && !self.repo.store.is_local() {
            self.repo.cache.put(CacheKind::TreePacks, &listing.id.to_string(), &bytes);
        }
        self.repo.store.put_new(&layout::pack(&listing.id), bytes)?;
        self.stored_bytes.fetch_add(listing.size_bytes, Relaxed);
        self.repo.edges.observer.add(Counter::StoredBytes, listing.size_bytes);
        lock(&self.packs).push(listing.id);
        let mut unlisted = lock(&self.unlisted);
        unlisted.chunks += listing.chunks.len();
        unlisted.packs.push(listing);
        Ok(())
    }

    /// Writes a segment of the stored packs if there are enough, or if `all` are wanted in one.
    fn write_segment(&self, all: bool) -> Result<()> {
        let packs = {
            let mut unlisted = lock(&self.unlisted);
            let now = self.repo.edges.clock.now();
            let due = unlisted.chunks >= SEGMENT_CHUNKS || now.duration_since(unlisted.since) >= SEGMENT_AGE;
            if unlisted.packs.is_empty() || !(due || all) {
                return Ok(());
            }
            unlisted.chunks = 0;
            unlisted.since = now;
            std::mem::take(&mut unlisted.packs)
        };
        let id = match self.repo.put_segment(&packs) {
            Ok(id) => id,
            Err(error) => {
                let mut unlisted = lock(&self.unlisted);
                unlisted.chunks += packs.iter().map(|pack| pack.chunks.len()).sum::<usize>();
                unlisted.packs.extend(packs);
                return Err(error);
            }
        };
        self.view.index.absorb(id, &packs)?;
        for chunk in packs.iter().flat_map(|pack| &pack.chunks) {
            lock(self.shard(&chunk.id)).remove(&chunk.id);
        }
        if all { Ok(self.view.index.begin_flush()?) } else { Ok(()) }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
