//! What the targets and their seeds share: keys that are the same in every run, so that an input means the same in every run,
//! chance and time that repeat themselves, and a repository in memory. Holds no property of its own.

use jiff::Timestamp;
use serde_json::Value;
use ssb::base::{Cancel, ChunkId, Clock, Entropy, Silent, SystemPacer};
use ssb::chunker::ChunkerParams;
use ssb::crypto::{KdfParams, MasterKeys, SecretKey, SecretText};
use ssb::ops::backup::{self, BackupOptions, BackupOutcome, Source};
use ssb::repo::envelope::{Header, ObjectKind};
use ssb::repo::{Edges, Label, Manifest, Repo, Totals};
use ssb::source::WalkOptions;
use ssb::store::MemoryStore;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// The key of everything that is sealed here.
pub const MASTER: [u8; 32] = [1; 32];
/// What every key slot opens with.
pub const PASSPHRASE: &str = "a passphrase";
/// The cheapest derivation there is.
pub const KDF: KdfParams = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };

/// Every kind of object that has an envelope.
pub const KINDS: [ObjectKind; 6] = [
    ObjectKind::DataPack,
    ObjectKind::TreePack,
    ObjectKind::Segment,
    ObjectKind::Snapshot,
    ObjectKind::Session,
    ObjectKind::Condemned,
];

/// The sub-keys of [`MASTER`].
pub fn keys() -> &'static MasterKeys {
    static KEYS: LazyLock<MasterKeys> = LazyLock::new(|| MasterKeys::new(SecretKey::from_bytes(MASTER)));
    &KEYS
}

/// Keys that nothing was sealed with.
pub fn other_keys() -> &'static MasterKeys {
    static KEYS: LazyLock<MasterKeys> = LazyLock::new(|| MasterKeys::new(SecretKey::from_bytes([2; 32])));
    &KEYS
}

pub fn passphrase() -> SecretText {
    SecretText::new(PASSPHRASE.to_owned())
}

/// Draws [`MASTER`] first, which makes it the key of a new repository, and then nothing twice.
#[derive(Default)]
pub struct Chance(AtomicU64);

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 if buffer.len() == MASTER.len() => buffer.copy_from_slice(&MASTER),
            turn => blake3::Hasher::new().update(&turn.to_le_bytes()).finalize_xof().fill(buffer),
        }
    }
}

/// A moment of 2026, for ever.
pub struct Standstill;

impl Clock for Standstill {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_780_000_000, 0)
    }
}

/// Of a client that remembers nothing.
pub fn edges() -> Edges {
    Edges {
        clock: Arc::new(Standstill),
        entropy: Arc::new(Chance::default()),
        pacer: Arc::new(SystemPacer::new(Cancel::new())),
        host: "host".to_owned(),
        user: "user".to_owned(),
        cache_root: None,
        observer: Arc::new(Silent),
    }
}

/// A new repository whose keys are [`keys`], and the store that it is in.
pub fn repository() -> (Arc<MemoryStore>, Arc<Repo>) {
    let store = Arc::new(MemoryStore::with_clock(Arc::new(Standstill)));
    let chunker = ChunkerParams::new(256, 1024, 4096).unwrap();
    let repo = Repo::create(store.clone(), &passphrase(), KDF, chunker, edges()).unwrap();
    assert_eq!(repo.keys.master(), keys().master());
    (store, Arc::new(repo))
}

/// Backs up a folder.
pub fn back_up(repo: &Arc<Repo>, folder: &Path) -> ssb::ops::Result<BackupOutcome> {
    let (paths, base) = (vec![folder.to_owned()], PathBuf::from("/"));
    let source = Source::Paths { paths, base, walk: WalkOptions::default() };
    let options = BackupOptions { tags: vec!["tag".to_owned()], ..BackupOptions::new(source, "host", "ssb") };
    backup::run(repo, options, &Cancel::new())
}

/// Whether a key slot's derivation takes no time to speak of. They are bounded, but four GiB are too many for one input.
pub fn is_cheap(slot: &[u8]) -> bool {
    let Ok(slot) = serde_json::from_slice::<Value>(slot) else { return true };
    let is_below = |name: &str, end: u64| slot["kdf"][name].as_u64().is_some_and(|n| n < end);
    is_below("memory_kib", 300) && is_below("passes", 3) && is_below("lanes", 5)
}

/// The header of an object of [`keys`], the same in every run.
pub fn header(kind: ObjectKind) -> Header {
    Header::create(keys(), &Chance::default(), kind).unwrap()
}

/// A pack of [`header`] with this footer's plaintext, whatever lies before it.
pub fn pack_with_footer(header: &Header, body_bytes: usize, footer: &[u8]) -> Vec<u8> {
    let nonce = [9; 24];
    let mut pack = header.bytes.clone();
    pack.resize(body_bytes, 0);
    pack.extend_from_slice(&nonce);
    let footer_at = pack.len();
    pack.extend_from_slice(footer);
    header.sealer.seal(&nonce, &header.bytes, &mut pack, footer_at).unwrap();
    let length = (pack.len() - body_bytes) as u32;
    pack.extend_from_slice(&length.to_le_bytes());
    pack
}

/// The manifest of a tree.
pub fn manifest(tree: ChunkId) -> Manifest {
    Manifest {
        format: 1,
        time: Standstill.now(),
        host: "host".to_owned(),
        user: "user".to_owned(),
        sources: vec!["/".to_owned()],
        tags: Vec::new(),
        label: Label::default(),
        contents: None,
        parent: None,
        original: None,
        tree,
        totals: Totals::default(),
        program: "fuzz".to_owned(),
        issues: Vec::new(),
        other: serde_json::Map::new(),
    }
}
