//! The floor: a backup and a restore of one corpus with nothing but the kernels, on all cores. Walk, read, cut, name,
//! look up, compress, seal, write packs; then the same with everything known; then back; then all packs read and
//! compared, and written anew. There is no index on disk, no
//! tree, no listing, no metadata, no key derivation and no sync: whatever ssb takes beyond this is what those cost it.
//! It measures and checks little: what comes back is authentic, but nobody compares it with the corpus.
//!
//! `cargo bench --bench limit -- CORPUS FOLDER` prints one line of words and numbers, which `peers.py --limit` reads.
//! FOLDER must not have been used for this before; what was written there stays.

#[path = "limit/corpus.rs"]
mod corpus;

use corpus::{Corpus, Window};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelIterator};
use ssb::base::edge::random;
use ssb::base::{ChunkId, SystemEntropy};
use ssb::chunker::{Chunker, ChunkerParams, is_noise};
use ssb::crypto::{MasterKeys, Nonce, Sealer, SecretKey};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use zstd::bulk::{Compressor, Decompressor};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PACK_BYTES: usize = 16 << 20;
const ZSTD_LEVEL: i32 = 3;
/// Parts of the map of known chunks, so that threads seldom wait for each other.
const SHARDS: usize = 256;
/// Zeros in runs of this many bytes become holes in files that had holes.
const HOLE_BYTES: usize = 64 << 10;

fn main() -> Result<()> {
    // `cargo bench` adds a word for benchmarks with a harness.
    let words = std::env::args_os().skip(1).filter(|word| word != "--bench");
    let paths: Vec<PathBuf> = words.map(PathBuf::from).collect();
    let [corpus, folder] = &paths[..] else {
        eprintln!("usage: cargo bench --bench limit -- CORPUS FOLDER");
        // Without a corpus there is nothing to measure, which must not fail a run of all benchmarks.
        return if paths.is_empty() { Ok(()) } else { Err("two paths are wanted".into()) };
    };
    let root = fs::canonicalize(corpus)?;
    let (corpus, walk) = timed(|| Corpus::walk(root))?;
    let repository = Repository::create(folder)?;
    let (contents, cold) = timed(|| repository.store(&corpus))?;
    let (again, reread) = timed(|| repository.store(&corpus))?;
    if again != contents {
        return Err("the corpus was changed while it was read".into());
    }
    let ((), restore) = timed(|| repository.restore(&corpus, &contents))?;
    let packs = repository.packs();
    let ((), check) = timed(|| repository.check(&packs))?;
    let ((), rewrite) = timed(|| repository.rewrite(&packs))?;
    let (files, packs) = (corpus.files, packs.len());
    let size = repository.stored_bytes.load(Relaxed) as f64 / 1e6;
    let (cold, reread) = (walk + cold, walk + reread);
    print!("files {files} packs {packs} size {size:.1} MB | ");
    println!(
        "walk {walk:.2} cold {cold:.2} reread {reread:.2} restore {restore:.2} check {check:.2} prune {rewrite:.2} s"
    );
    Ok(())
}

/// What `work` gives, and the seconds it takes.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let began = Instant::now();
    let done = work()?;
    Ok((done, began.elapsed().as_secs_f64()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many bytes of a buffer that only ever grows, with whatever is left in them.
fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

/// Where a chunk lies.
#[derive(Clone, Copy)]
struct Place {
    pack: usize,
    offset: u64,
    sealed_len: usize,
    plain_len: usize,
    compressed: bool,
}

impl Place {
    /// One key seals everything here, so no two chunks may have the same.
    fn nonce(&self) -> Nonce {
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&((self.pack as u64) << 32 | self.offset).to_le_bytes());
        nonce
    }

    /// Its sealed bytes in those of the pack.
    fn of<'b>(&self, pack: &'b mut [u8]) -> &'b mut [u8] {
        &mut pack[self.offset as usize..][..self.sealed_len]
    }
}

/// What a chunk is bound to, as long as ssb makes it.
fn aad(id: &ChunkId) -> [u8; 64] {
    let mut aad = [0; 64];
    aad[..32].copy_from_slice(id.as_bytes());
    aad
}

fn unpack<'b>(
    decompressor: &mut Decompressor<'_>,
    buffer: &'b mut Vec<u8>,
    place: &Place,
    packed: &'b [u8],
) -> Result<&'b [u8]> {
    if !place.compressed {
        return Ok(packed);
    }
    let unpacked = room(buffer, place.plain_len);
    let length = decompressor.decompress_to_buffer(packed, unpacked)?;
    Ok(&unpacked[..length])
}

/// The packs in the folder, and in memory what is in them.
struct Repository {
    folder: PathBuf,
    keys: MasterKeys,
    chunker: Chunker,
    sealer: Sealer,
    /// Every chunk that somebody has taken on, with its place as soon as it has one.
    known: Vec<Mutex<HashMap<ChunkId, Option<Place>>>>,
    idle: Mutex<Vec<Worker>>,
    packs: AtomicUsize,
    stored_bytes: AtomicU64,
}

/// What one thread works with, and the pack it fills. All of it is used again and again.
struct Worker {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
    plain: Vec<u8>,
    packed: Vec<u8>,
    pack: Vec<u8>,
    pack_number: usize,
}

impl Worker {
    fn new() -> Result<Self> {
        let (compressor, decompressor) = (Compressor::new(ZSTD_LEVEL)?, Decompressor::new()?);
        let (plain, packed, pack) = Default::default();
        Ok(Self { compressor, decompressor, plain, packed, pack, pack_number: 0 })
    }
}

impl Repository {
    fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        fs::create_dir(folder.join("packs")).map_err(|error| format!("{} is not new: {error}", folder.display()))?;
        let keys = MasterKeys::new(SecretKey::from_bytes(random(&SystemEntropy)));
        Ok(Self {
            folder: folder.to_owned(),
            chunker: Chunker::new(ChunkerParams::default(), &keys.gear_bytes()),
            sealer: Sealer::new(&SecretKey::from_bytes(random(&SystemEntropy))),
            keys,
            known: (0..SHARDS).map(|_| Mutex::default()).collect(),
            idle: Mutex::default(),
            packs: AtomicUsize::new(0),
            stored_bytes: AtomicU64::new(0),
        })
    }

    fn shard(&self, id: &ChunkId) -> MutexGuard<'_, HashMap<ChunkId, Option<Place>>> {
        lock(&self.known[usize::from(id.as_bytes()[0]) % SHARDS])
    }

    fn pack_path(&self, number: usize) -> PathBuf {
        self.folder.join("packs").join(number.to_string())
    }

    /// Lends out a worker; there come to be as many as there are threads.
    fn with_worker<T>(&self, work: impl FnOnce(&mut Worker) -> Result<T>) -> Result<T> {
        let idle = lock(&self.idle).pop();
        let mut worker = idle.map_or_else(Worker::new, Ok)?;
        let done = work(&mut worker)?;
        lock(&self.idle).push(worker);
        Ok(done)
    }

    /// The same, for a part of the corpus that errors are to name.
    fn with_worker_on<T>(&self, window: &Window, work: impl FnOnce(&mut Worker) -> Result<T>) -> Result<T> {
        self.with_worker(work).map_err(|error| format!("{}: {error}", window.path.display()).into())
    }

    /// Stores what is not known yet; gives the chunks of each window.
    fn store(&self, corpus: &Corpus) -> Result<Vec<Vec<ChunkId>>> {
        let store = |window| self.with_worker_on(window, |worker| self.store_window(worker, &corpus.root, window));
        let contents = corpus.windows.par_iter().map(store).collect::<Result<_>>()?;
        lock(&self.idle).par_iter_mut().try_for_each(|worker| self.write_pack(worker))?;
        Ok(contents)
    }

    fn store_window(&self, worker: &mut Worker, root: &Path, window: &Window) -> Result<Vec<ChunkId>> {
        let mut buffer = std::mem::take(&mut worker.plain);
        let plain = room(&mut buffer, window.length);
        File::open(root.join(&window.path))?.read_exact_at(plain, window.offset)?;
        let mut ids = Vec::new();
        for chunk in self.chunker.chunks(plain) {
            let id = self.keys.chunk_id(chunk);
            ids.push(id);
            if let Entry::Vacant(unknown) = self.shard(&id).entry(id) {
                unknown.insert(None);
            } else {
                continue;
            }
            self.store_chunk(worker, id, chunk)?;
        }
        worker.plain = buffer;
        Ok(ids)
    }

    fn store_chunk(&self, worker: &mut Worker, id: ChunkId, chunk: &[u8]) -> Result<()> {
        if worker.pack.is_empty() {
            worker.pack_number = self.packs.fetch_add(1, Relaxed);
        }
        // As in ssb, what begins like noise or does not shrink is stored as it is; only ssb looks closer at noise.
        let packed = room(&mut worker.packed, chunk.len().saturating_sub(1));
        let shrunk = if is_noise(chunk) { None } else { worker.compressor.compress_to_buffer(chunk, packed).ok() };
        let offset = worker.pack.len();
        worker.pack.extend_from_slice(shrunk.map_or(chunk, |length| &packed[..length]));
        let (pack, plain_len, compressed) = (worker.pack_number, chunk.len(), shrunk.is_some());
        let mut place = Place { pack, offset: offset as u64, sealed_len: 0, plain_len, compressed };
        self.sealer.seal(&place.nonce(), &aad(&id), &mut worker.pack, offset)?;
        place.sealed_len = worker.pack.len() - offset;
        self.shard(&id).insert(id, Some(place));
        if worker.pack.len() < PACK_BYTES { Ok(()) } else { self.write_pack(worker) }
    }

    fn write_pack(&self, worker: &mut Worker) -> Result<()> {
        if !worker.pack.is_empty() {
            fs::write(self.pack_path(worker.pack_number), &worker.pack)?;
            self.stored_bytes.fetch_add(worker.pack.len() as u64, Relaxed);
            worker.pack.clear();
        }
        Ok(())
    }

    /// What each pack holds, in its order.
    fn packs(&self) -> Vec<Vec<(ChunkId, Place)>> {
        let mut packs = vec![Vec::new(); self.packs.load(Relaxed)];
        for shard in &self.known {
            for (id, place) in lock(shard).iter().filter_map(|(id, place)| Some((*id, (*place)?))) {
                packs[place.pack].push((id, place));
            }
        }
        packs.iter_mut().for_each(|chunks| chunks.sort_unstable_by_key(|(_, place)| place.offset));
        packs
    }

    /// Reads all packs, and compares every chunk with its id.
    fn check(&self, packs: &[Vec<(ChunkId, Place)>]) -> Result<()> {
        packs.par_iter().enumerate().try_for_each(|(number, chunks)| {
            let mut bytes = fs::read(self.pack_path(number))?;
            self.with_worker(|worker| {
                chunks.iter().try_for_each(|(id, place)| {
                    let packed = self.sealer.open(&place.nonce(), &aad(id), place.of(&mut bytes))?;
                    let plain = unpack(&mut worker.decompressor, &mut worker.plain, place, packed)?;
                    if self.keys.chunk_id(plain) == *id { Ok(()) } else { Err("a chunk is another one".into()) }
                })
            })
        })
    }

    /// Copies all packs with the seals that they have, as they are rewritten when few of their chunks are not needed any more.
    fn rewrite(&self, packs: &[Vec<(ChunkId, Place)>]) -> Result<()> {
        let folder = self.folder.join("rewritten");
        fs::create_dir(&folder)?;
        packs.par_iter().enumerate().try_for_each(|(number, chunks)| {
            let mut bytes = fs::read(self.pack_path(number))?;
            let before = blake3::hash(&bytes);
            let mut end = 0;
            for (_, place) in chunks {
                let begin = place.offset as usize;
                bytes.copy_within(begin..begin + place.sealed_len, end);
                end += place.sealed_len;
            }
            bytes.truncate(end);
            if blake3::hash(&bytes) != before {
                return Err("a pack of which all stays has changed".into());
            }
            Ok(fs::write(folder.join(number.to_string()), &bytes)?)
        })
    }

    /// Writes the windows with these chunks beside the packs.
    fn restore(&self, corpus: &Corpus, contents: &[Vec<ChunkId>]) -> Result<()> {
        let target = self.folder.join("out");
        corpus.directories.iter().try_for_each(|directory| fs::create_dir(target.join(directory)))?;
        let paths = (0..self.packs.load(Relaxed)).map(|number| self.pack_path(number));
        let packs: Vec<File> = paths.map(File::open).collect::<std::io::Result<_>>()?;
        corpus.windows.par_iter().zip(contents).try_for_each(|(window, ids)| {
            self.with_worker_on(window, |worker| self.restore_window(worker, &packs, &target, window, ids))
        })
    }

    fn restore_window(
        &self,
        worker: &mut Worker,
        packs: &[File],
        target: &Path,
        window: &Window,
        ids: &[ChunkId],
    ) -> Result<()> {
        let file = File::options().create(true).write(true).truncate(false).open(target.join(&window.path))?;
        if window.sparse {
            file.set_len(window.size)?;
        }
        let mut offset = window.offset;
        for id in ids {
            let place = self.shard(id).get(id).copied().flatten().ok_or("a chunk was not stored")?;
            let sealed = room(&mut worker.packed, place.sealed_len);
            packs[place.pack].read_exact_at(sealed, place.offset)?;
            let packed = self.sealer.open(&place.nonce(), &aad(id), sealed)?;
            let plain = unpack(&mut worker.decompressor, &mut worker.plain, &place, packed)?;
            for part in plain.chunks(if window.sparse { HOLE_BYTES } else { place.plain_len }) {
                if !window.sparse || part.iter().any(|&byte| byte != 0) {
                    file.write_all_at(part, offset)?;
                }
                offset += part.len() as u64;
            }
        }
        Ok(())
    }
}
