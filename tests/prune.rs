//! Prune and long packs: what stays of one keeps its seals, and damage is neither copied nor lost by it.

mod support;

use ssb::base::ChunkId;
use ssb::index::{ListedChunk, PackListing};
use ssb::ops::OpsError;
use ssb::repo::{Repo, Snapshot, layout};
use ssb::store::{MemoryStore, ObjectStore, list_all};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use support::chance::Chance;
use support::lab::{assert_no_garbage, assert_sound, backed_up, create, objects, prune, repair_index_reading_all};
use support::restored::assert_restores;
use support::tree::read_tree;

/// Whatever threads fill packs side by side, some are as long as packs become.
const FILES: usize = 16;
const LONG_BYTES: u64 = 15 << 20;

/// A repository with one snapshot that needs most of what lies in its packs.
struct Lab {
    store: Arc<MemoryStore>,
    repo: Arc<Repo>,
    folder: tempfile::TempDir,
    snapshot: Snapshot,
    /// Chunks that nobody needs.
    unneeded: HashSet<ChunkId>,
}

impl Lab {
    fn new() -> Self {
        let (store, folder) = (Arc::new(MemoryStore::new()), tempfile::tempdir().unwrap());
        let repo = create(store.clone(), None).unwrap();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        let (mut chance, mut unneeded, mut going) = (Chance::new(5), HashSet::new(), Vec::new());
        for n in 0..FILES {
            fs::write(top.join(format!("{n:02} stays")), chance.bytes(3 << 20)).unwrap();
            let goes = chance.bytes(20_000);
            unneeded.extend(repo.chunker.chunks(&goes).map(|chunk| repo.keys.chunk_id(chunk)));
            going.push(top.join(format!("{n:02} goes")));
            fs::write(&going[n], goes).unwrap();
        }
        let first = backed_up(&repo, &top);
        going.iter().for_each(|path| fs::remove_file(path).unwrap());
        let snapshot = backed_up(&repo, &top);
        repo.delete_snapshots(&[first.id]).unwrap();
        Self { store, repo, folder, snapshot, unneeded }
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }

    fn packs(&self) -> Vec<PackListing> {
        let segments = list_all(&*self.store, layout::SEGMENTS).unwrap();
        let ids = segments.iter().filter_map(|object| layout::parse_segment(&object.key));
        ids.flat_map(|id| self.repo.read_segment(&id).unwrap()).collect()
    }

    /// Long packs that are needed in part.
    fn long(&self) -> Vec<PackListing> {
        let is_part_used = |pack: &PackListing| pack.chunks.iter().any(|chunk| self.unneeded.contains(&chunk.id));
        let is_long = |pack: &PackListing| pack.size_bytes > LONG_BYTES;
        let long: Vec<_> = self.packs().into_iter().filter(|pack| is_long(pack) && is_part_used(pack)).collect();
        assert!(!long.is_empty());
        long
    }

    /// Damages a chunk of a long pack.
    fn flip(&self, which: impl Fn(&ListedChunk) -> bool) {
        let pack = &self.long()[0];
        let chunk = pack.chunks.iter().find(|chunk| which(chunk)).unwrap();
        let key = layout::pack(&pack.id);
        let mut bytes = self.store.get(&key).unwrap().to_vec();
        bytes[chunk.offset as usize] ^= 1;
        self.store.put(&key, bytes.into()).unwrap();
    }

    fn assert_pruned(&self) {
        assert_sound(&self.repo, "pruned");
        assert_no_garbage(&self.repo, "pruned");
        assert!(self.packs().iter().flat_map(|pack| &pack.chunks).all(|chunk| !self.unneeded.contains(&chunk.id)));
        assert_restores(&self.repo, &self.snapshot, &self.top(), &read_tree(&self.top()), "pruned");
    }
}

#[test]
fn what_stays_of_a_long_pack_keeps_its_seals() {
    let lab = Lab::new();
    let before = lab.long();
    prune(&lab.repo).unwrap();
    let after = lab.packs();
    for old in before {
        let new = after.iter().find(|new| new.header == old.header).unwrap();
        let (was, is) = (old.chunks.iter().map(|c| c.id), new.chunks.iter().map(|c| c.id));
        assert!(is.eq(was.filter(|id| !lab.unneeded.contains(id))));
        assert_ne!(new.id, old.id);
    }
    lab.assert_pruned();
    let repaired = repair_index_reading_all(&lab.repo).unwrap();
    assert!(repaired.findings.is_empty() && repaired.segments_written == 0, "{repaired:?}");
}

#[test]
fn damage_that_nobody_needs_goes() {
    let lab = Lab::new();
    lab.flip(|chunk| lab.unneeded.contains(&chunk.id));
    prune(&lab.repo).unwrap();
    lab.assert_pruned();
}

#[test]
fn damage_that_is_needed_stops_it() {
    let lab = Lab::new();
    lab.flip(|chunk| !lab.unneeded.contains(&chunk.id));
    let before = objects(&lab.store);
    let refused = prune(&lab.repo).unwrap_err();
    assert!(matches!(&refused, OpsError::Unsafe(why) if why.contains("does not open")), "{refused}");
    let after = objects(&lab.store);
    assert!(before.iter().all(|(key, bytes)| after.get(key) == Some(bytes)));
}
