//! Restoring trees that somebody with the passphrase has forged. The first byte of the input are the options, every further three
//! are an entry of the root leaf; entries may come in any order, twice, below what is no directory, and links lead anywhere.
//! Besides: whatever the tree says, nothing outside of the target is made, changed or removed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::{Cancel, ChunkId};
use ssb::ops::restore::{self, RestoreOptions};
use ssb::repo::pack::PackBuilder;
use ssb::repo::tree::node::{Child, LeafWriter, encode_inner};
use ssb::repo::tree::{Content, Entry};
use ssb::repo::{ChunkKind, Repo, layout};
use ssb::source::{FileTime, Filter, Kind, Metadata};
use ssb::store::{MemoryStore, ObjectStore};
use ssb_fuzz::{manifest, repository};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

const DIRECTORIES: [&str; 8] = ["", "a", "b", "a/a", "a/b", "b/a", "a/b/c", "outside"];
const NAMES: [&str; 6] = ["a", "b", "c", "inside", "kept", "outside"];
const KINDS: [Kind; 4] = [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo];
/// What every file holds.
const CONTENT: &[u8] = b"forged";

struct Lab {
    store: Arc<MemoryStore>,
    repo: Arc<Repo>,
    folder: TempDir,
}

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let (store, repo) = repository();
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir_all(outside.join("inside")).unwrap();
    fs::write(outside.join("kept"), "as it was").unwrap();
    Lab { store, repo, folder }
});

fuzz_target!(|input: &[u8]| {
    let Some((options, forged)) = input.split_first() else { return };
    let lab = &*LAB;
    let before = look(&lab.folder.path().join("outside"));
    let target = lab.folder.path().join("target");
    let objects = lab.restore(*options, forged, &target);
    assert_eq!(look(&lab.folder.path().join("outside")), before);
    assert_eq!(fs::read_dir(lab.folder.path()).unwrap().count(), 1 + usize::from(target.exists()));
    if target.exists() {
        remove(&target);
    }
    lab.store.delete_many(&objects).unwrap();
});

impl Lab {
    /// Gives the names of the objects that it has stored for it.
    fn restore(&self, options: u8, forged: &[u8], target: &Path) -> Vec<String> {
        let mut leaf = LeafWriter::default();
        forged.chunks_exact(3).for_each(|bytes| leaf.add(&self.entry(bytes)));
        let (leaf, _) = leaf.finish();
        let mut packs = vec![(ChunkKind::Data, CONTENT.to_vec()), (ChunkKind::Tree, leaf.clone())];
        let mut tree = self.repo.keys.chunk_id(&leaf);
        if options & 1 == 1 {
            // A hole in front.
            let child = |name: &str, id| Child { directory: b""[..].into(), name: name.as_bytes().into(), id };
            let root = encode_inner(1, &[child("!", ChunkId::from_bytes([9; 32])), child("a", tree)]);
            tree = self.repo.keys.chunk_id(&root);
            packs.push((ChunkKind::Tree, root));
        }
        let mut objects = Vec::new();
        for (kind, chunk) in packs {
            let mut pack = PackBuilder::new(&self.repo.keys, &*self.repo.edges.entropy, kind, Vec::new()).unwrap();
            pack.add(self.repo.keys.chunk_id(&chunk), chunk.len() as u32, &chunk, false).unwrap();
            let pack = pack.finish().unwrap();
            objects.push(layout::pack(&pack.listing.id));
            self.store.put(&layout::pack(&pack.listing.id), pack.bytes).unwrap();
            objects.push(layout::segment(&self.repo.put_segment(&[pack.listing]).unwrap()));
        }
        let snapshot = self.repo.put_snapshot(manifest(tree)).unwrap();
        objects.push(layout::snapshot(&snapshot.id));
        let filter = |is_given: bool, pattern: &str| {
            let patterns: Vec<String> = is_given.then(|| pattern.to_owned()).into_iter().collect();
            Filter::new(&patterns).unwrap()
        };
        let options = RestoreOptions {
            path: (options & 2 == 2).then(|| b"/a".to_vec()),
            target: target.to_owned(),
            include: filter(options & 4 == 4, "kept"),
            exclude: filter(options & 8 == 8, "b"),
            set_owner: options & 16 == 16 && self.folder.path().metadata().unwrap().uid() == 0,
        };
        // Whether it succeeds is not the question.
        restore::run(&self.repo, &snapshot, &options, &Cancel::new()).ok();
        objects
    }

    fn entry(&self, bytes: &[u8]) -> Entry {
        let pick = |byte: u8, count: usize| usize::from(byte) % count;
        let outside = self.folder.path().join("outside");
        let targets = [b"../outside", outside.as_os_str().as_bytes(), b"..", b"a", b"../outside/kept", b"/nowhere"];
        let kind = KINDS[pick(bytes[0], KINDS.len())];
        let detail = bytes[0] / KINDS.len() as u8;
        let is_file = kind == Kind::File;
        // Two of the larger ones are together more than a number holds.
        let size = if detail & 2 == 2 { u64::MAX } else { CONTENT.len() as u64 };
        Entry {
            directory: DIRECTORIES[pick(bytes[1], DIRECTORIES.len())].as_bytes().into(),
            name: NAMES[pick(bytes[2], NAMES.len())].as_bytes().into(),
            metadata: Metadata {
                kind,
                mode: 0o700 | u32::from(detail) << 3,
                uid: 1,
                gid: 1,
                mtime: FileTime { seconds: 1, nanoseconds: 2 },
                ctime: FileTime::default(),
                inode: 0,
                size: if is_file { size } else { 0 },
                sparse: is_file && detail & 1 == 1,
                rdev: 0,
                target: if kind == Kind::Symlink { targets[pick(detail, targets.len())].to_vec() } else { Vec::new() },
            },
            content: Content {
                depth: 0,
                ids: if is_file && detail & 4 == 4 { vec![self.repo.keys.chunk_id(CONTENT)] } else { Vec::new() },
            },
            extensions: Vec::new(),
        }
    }
}

/// All that can be told of a folder: path, mode, owner, time, content.
fn look(folder: &Path) -> Vec<(String, u32, u32, i64, i64, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let name = path.display().to_string();
        seen.push((name, about.mode(), about.uid(), about.mtime(), about.mtime_nsec(), content));
    }
    seen.sort();
    seen
}

/// Directories may have lost their owner's right to enter them.
fn remove(folder: &Path) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.symlink_metadata().unwrap().is_dir() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    fs::remove_dir_all(folder).unwrap();
}
