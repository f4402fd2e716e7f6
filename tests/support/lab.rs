//! A repository to experiment with: cheap key derivation, small chunks, and each command as one call of the library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ssb::base::{Cancel, Entropy, Observer, Pacer, PackId, Silent, SystemClock, SystemPacer};
use ssb::chunker::ChunkerParams;
use ssb::crypto::{KdfParams, SecretText};
use ssb::ops::backup::{self, BackupOptions, BackupOutcome, Source};
use ssb::ops::check::{self, CheckOutcome, ReadData};
use ssb::ops::prune::{self, PruneOptions, PruneSummary, Wait};
use ssb::ops::repair::index::{self, IndexOptions, IndexOutcome};
use ssb::ops::repair::packs::{self, PacksOptions, PacksOutcome};
use ssb::ops::repair::snapshots::{self, SnapshotsOptions, SnapshotsOutcome};
use ssb::repo::{Ahead, Edges, Repo, RepoError, Snapshot};
use ssb::source::WalkOptions;
use ssb::store::{MemoryStore, ObjectStore, list_all};

/// Bytes that are never drawn twice in one process: two clients of one repository must not share a session's name.
struct Drawn(AtomicU64);

static DRAWN: Drawn = Drawn(AtomicU64::new(0));

impl Entropy for &Drawn {
    fn fill(&self, buffer: &mut [u8]) {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        blake3::Hasher::new().update(&turn.to_le_bytes()).finalize_xof().fill(buffer);
    }
}

/// Does what another client does in the middle of a call of ours, on threads of its own: those of the common pool may be
/// waiting for that call.
pub fn elsewhere<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let done = std::thread::scope(|scope| scope.spawn(|| pool.install(work)).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Does what is interrupted by that, on workers of its own: the other's threads may need those of the common pool.
pub fn on_own_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(work)
}

fn edges(cache: Option<&Path>) -> Edges {
    Edges {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(&DRAWN),
        pacer: Arc::new(SystemPacer::new(Cancel::new())),
        host: "lab".to_owned(),
        user: "tester".to_owned(),
        cache_root: cache.map(PathBuf::from),
        observer: Arc::new(Silent),
    }
}

pub const PASSPHRASE: &str = "a-passphrase-that-no-output-may-show";

fn passphrase() -> SecretText {
    SecretText::new(PASSPHRASE.to_owned())
}

/// A new repository.
pub fn create(store: Arc<dyn ObjectStore>, cache: Option<&Path>) -> Result<Arc<Repo>, RepoError> {
    let kdf = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
    let chunker = ChunkerParams::new(256, 1024, 4096).unwrap();
    Repo::create(store, &passphrase(), kdf, chunker, edges(cache)).map(Arc::new)
}

/// A client that finds the repository and unlocks it.
pub fn open(store: Arc<dyn ObjectStore>, cache: Option<&Path>) -> Result<Arc<Repo>, RepoError> {
    Repo::find(store, cache, Ahead::Nothing)?.unlock(&passphrase(), edges(cache)).map(Arc::new)
}

/// Backs up one directory.
pub fn backup(repo: &Arc<Repo>, source: &Path) -> ssb::ops::Result<BackupOutcome> {
    let base = PathBuf::from("/");
    back_up(repo, Source::Paths { paths: vec![source.to_owned()], base, walk: WalkOptions::default() })
}

/// Backs up anything.
pub fn back_up(repo: &Arc<Repo>, source: Source) -> ssb::ops::Result<BackupOutcome> {
    let options = BackupOptions { zstd_level: 1, ..BackupOptions::new(source, "lab", "a test") };
    backup::run(repo, options, &Cancel::new())
}

/// Backs up one directory that must be wholly readable.
pub fn backed_up(repo: &Arc<Repo>, source: &Path) -> Snapshot {
    let outcome = backup(repo, source).unwrap();
    assert!(outcome.issues.is_empty(), "{:?}", outcome.issues);
    outcome.snapshot.unwrap()
}

/// A client that waits and reports as the test wants it.
pub fn open_with(store: Arc<dyn ObjectStore>, pacer: Arc<dyn Pacer>, observer: Arc<dyn Observer>) -> Arc<Repo> {
    let edges = Edges { pacer, observer, ..edges(None) };
    Arc::new(Repo::find(store, None, Ahead::Nothing).unwrap().unlock(&passphrase(), edges).unwrap())
}

/// Frees all that can be freed.
pub fn prune(repo: &Arc<Repo>) -> ssb::ops::Result<PruneSummary> {
    run_prune(repo, Wait::No, false)
}

/// The same; waits for writers.
pub fn prune_waiting(repo: &Arc<Repo>, at_most: Option<Duration>) -> ssb::ops::Result<PruneSummary> {
    run_prune(repo, Wait::ForWriters { at_most }, false)
}

/// Says what a prune would do.
pub fn plan_prune(repo: &Arc<Repo>) -> ssb::ops::Result<PruneSummary> {
    run_prune(repo, Wait::No, true)
}

fn run_prune(repo: &Arc<Repo>, wait: Wait, dry_run: bool) -> ssb::ops::Result<PruneSummary> {
    let fence_after = jiff::SignedDuration::from_hours(1);
    prune::run(repo, PruneOptions { max_unused_percent: 0.0, fence_after, wait, dry_run }, &Cancel::new())
}

/// Repairs the index; what is listed at its size is not read.
pub fn repair_index(repo: &Arc<Repo>, dry_run: bool) -> ssb::ops::Result<IndexOutcome> {
    index::run(repo, IndexOptions { read_all: false, dry_run }, &Cancel::new())
}

/// Repairs the index, reading all footers.
pub fn repair_index_reading_all(repo: &Arc<Repo>) -> ssb::ops::Result<IndexOutcome> {
    index::run(repo, IndexOptions { read_all: true, dry_run: false }, &Cancel::new())
}

pub fn repair_packs(repo: &Arc<Repo>, packs: &[PackId], dry_run: bool) -> ssb::ops::Result<PacksOutcome> {
    packs::run(repo, &PacksOptions { packs: packs.to_vec(), dry_run }, &Cancel::new())
}

pub fn repair_snapshots(repo: &Arc<Repo>, forget: bool, dry_run: bool) -> ssb::ops::Result<SnapshotsOutcome> {
    let options = SnapshotsOptions { forget, dry_run, program: "a test".to_owned() };
    snapshots::run(repo, &options, &Cancel::new())
}

/// Everything that a store holds.
pub fn objects(store: &MemoryStore) -> BTreeMap<String, Bytes> {
    let keys = list_all(store, "").unwrap().into_iter().map(|object| object.key);
    keys.map(|key| (key.clone(), store.get(&key).unwrap())).collect()
}

pub fn copy_of(store: &MemoryStore) -> Arc<MemoryStore> {
    let copy = MemoryStore::new();
    objects(store).into_iter().for_each(|(key, body)| copy.put(&key, body).unwrap());
    Arc::new(copy)
}

/// Reads and checks everything.
pub fn check(repo: &Arc<Repo>) -> ssb::ops::Result<CheckOutcome> {
    check::run(repo, ReadData::All, 0, &Cancel::new())
}

/// Everything is there and nothing is left over.
pub fn assert_sound(repo: &Arc<Repo>, when: &str) {
    let outcome = check(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
    assert!(
        outcome.findings.is_empty() && outcome.hits.is_empty(),
        "{when}: {:?} {:?}",
        outcome.findings,
        outcome.hits
    );
}

/// No pack is there that nothing needs.
pub fn assert_no_garbage(repo: &Arc<Repo>, when: &str) {
    let left = plan_prune(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
    let garbage = (left.packs_unused, left.packs_unlisted, left.packs_condemned_before, left.packs_repacked);
    assert_eq!(garbage, (0, 0, 0, 0), "{when}: {left:?}");
}
