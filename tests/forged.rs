//! Objects that somebody with the passphrase has forged: authentic and well-formed, but lying. No command breaks off because
//! of one, and a restore, perhaps as root and on another machine, stays in its target and gives no wrong bytes.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ssb::base::edge::random;
use ssb::base::{Cancel, ChunkId, PackId};
use ssb::index::{ListedChunk, PackListing};
use ssb::ops::check::{self, ReadData};
use ssb::ops::repair::{self, snapshots::SnapshotsOptions};
use ssb::ops::restore::{self, RestoreOptions, RestoreOutcome};
use ssb::repo::envelope::{ObjectKind, open};
use ssb::repo::pack::PackBuilder;
use ssb::repo::tree::node::{Child, LeafWriter, encode_inner};
use ssb::repo::tree::{Content, Entry, Path as Place};
use ssb::repo::{ChunkKind, Manifest, Repo, Snapshot, Totals, layout, segment};
use ssb::source::{FileTime, Filter, Kind, Metadata};
use ssb::store::{MemoryStore, ObjectStore, list_all};
use support::lab::{backed_up, create};

fn entry(path: &str, kind: Kind) -> Entry {
    let place = Place::split(path.as_bytes());
    Entry {
        directory: place.directory.into(),
        name: place.name.into(),
        metadata: Metadata {
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: FileTime { seconds: 1, nanoseconds: 0 },
            ctime: FileTime::default(),
            inode: 0,
            size: 0,
            sparse: false,
            rdev: 0,
            target: if kind == Kind::Symlink { b"../outside".to_vec() } else { Vec::new() },
        },
        content: Content::default(),
        extensions: Vec::new(),
    }
}

struct Lab {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    repo: Arc<Repo>,
    /// An honest one, for its manifest.
    snapshot: Snapshot,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let repo = create(store.clone(), None).unwrap();
        fs::create_dir_all(folder.path().join("outside/below")).unwrap();
        fs::write(folder.path().join("outside/kept"), "as it was").unwrap();
        let snapshot = backed_up(&repo, &folder.path().join("outside"));
        Self { folder, store, repo, snapshot }
    }

    fn put_node(&self, node: &[u8]) -> ChunkId {
        let (keys, entropy) = (&self.repo.keys, &*self.repo.edges.entropy);
        let mut pack = PackBuilder::new(keys, entropy, ChunkKind::Tree, Vec::new()).unwrap();
        pack.add(keys.chunk_id(node), node.len() as u32, node, false).unwrap();
        let pack = pack.finish().unwrap();
        self.store.put(&layout::pack(&pack.listing.id), pack.bytes).unwrap();
        self.repo.put_segment(&[pack.listing]).unwrap();
        keys.chunk_id(node)
    }

    fn put_leaf(&self, entries: &[Entry]) -> ChunkId {
        let mut leaf = LeafWriter::default();
        entries.iter().for_each(|entry| leaf.add(entry));
        self.put_node(&leaf.finish().0)
    }

    fn put_inner(&self, level: u32, children: &[(&str, ChunkId)]) -> ChunkId {
        let child = |(path, id): &(&str, ChunkId)| {
            let place = Place::split(path.as_bytes());
            Child { directory: place.directory.into(), name: place.name.into(), id: *id }
        };
        self.put_node(&encode_inner(level, &children.iter().map(child).collect::<Vec<_>>()))
    }

    fn snapshot_of(&self, tree: ChunkId) -> Snapshot {
        self.repo.put_snapshot(Manifest { tree, ..self.snapshot.manifest.clone() }).unwrap()
    }

    fn restore(&self, tree: ChunkId, include: &[&str]) -> ssb::ops::Result<RestoreOutcome> {
        let include: Vec<String> = include.iter().map(|pattern| (*pattern).to_owned()).collect();
        let options = RestoreOptions {
            path: None,
            target: self.target(),
            include: Filter::new(&include).unwrap(),
            exclude: Filter::default(),
            set_owner: false,
        };
        restore::run(&self.repo, &self.snapshot_of(tree), &options, &Cancel::new())
    }

    fn target(&self) -> std::path::PathBuf {
        self.folder.path().join("target")
    }

    /// Everything beside the target is as it was made.
    fn assert_untouched(&self) {
        let outside = self.folder.path().join("outside");
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"as it was");
        let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((names(&outside), names(&outside.join("below"))), (2, 0));
        use std::os::unix::fs::MetadataExt;
        assert_ne!(outside.metadata().unwrap().mtime(), 1);
        assert_ne!(outside.join("below").metadata().unwrap().mtime(), 1);
    }
}

#[test]
fn nothing_is_restored_through_a_link() {
    let lab = Lab::new();
    let below = [
        entry("b", Kind::Directory),
        entry("l", Kind::Symlink),
        entry("b/honest", Kind::File),
        entry("l/below", Kind::Directory),
        entry("l/file", Kind::File),
        entry("l/link", Kind::Symlink),
        entry("l/pipe", Kind::Fifo),
        entry("l/below/file", Kind::File),
    ];
    let outcome = lab.restore(lab.put_leaf(&below), &[]).unwrap();
    lab.assert_untouched();
    assert!(lab.target().join("b/honest").exists());
    let subjects: Vec<&str> = outcome.issues.iter().map(|issue| issue.subject.as_str()).collect();
    assert_eq!(subjects, ["l", "l/below"]);
}

#[test]
fn nothing_is_restored_through_a_link_where_directories_are_made_that_were_lost() {
    let lab = Lab::new();
    // The first child is a hole, after which every directory may have to be made.
    let leaf = lab.put_leaf(&[
        entry("l", Kind::Symlink),
        entry("l/below", Kind::Directory),
        entry("l/file", Kind::File),
        entry("l/new/file", Kind::File),
        entry("lost/file", Kind::File),
    ]);
    let root = lab.put_inner(1, &[("a", ChunkId::from_bytes([9; 32])), ("l", leaf)]);
    let outcome = lab.restore(root, &[]).unwrap();
    lab.assert_untouched();
    assert!(lab.target().join("lost/file").exists());
    let subjects: Vec<&str> = outcome.issues.iter().map(|issue| issue.subject.as_str()).collect();
    assert_eq!(subjects, ["/a", "l", "l/new"]);
}

#[test]
fn nothing_is_restored_through_a_link_that_is_a_directory_too() {
    // Twice in one leaf, out of order, and in two leaves of which the second does not stand where its parent says.
    let (link, directory) = (entry("l", Kind::Symlink), entry("l", Kind::Directory));
    let file = entry("l/file", Kind::File);
    let twice = |lab: &Lab| lab.put_leaf(&[link.clone(), directory.clone(), file.clone()]);
    let unordered = |lab: &Lab| lab.put_leaf(&[directory.clone(), file.clone(), link.clone(), file.clone()]);
    let misplaced = |lab: &Lab| {
        let (first, second) =
            (lab.put_leaf(std::slice::from_ref(&link)), lab.put_leaf(&[directory.clone(), file.clone()]));
        lab.put_inner(1, &[("l", first), ("l/file", second)])
    };
    let overlong = |lab: &Lab| {
        let (first, second) = (lab.put_leaf(&[link.clone(), file.clone()]), lab.put_leaf(std::slice::from_ref(&file)));
        lab.put_inner(1, &[("l", first), ("l/file", second)])
    };
    let forgeries: [&dyn Fn(&Lab) -> ChunkId; 4] = [&twice, &unordered, &misplaced, &overlong];
    for (n, forge) in forgeries.iter().enumerate() {
        for include in [&[][..], &["file"]] {
            let lab = Lab::new();
            let outcome = lab.restore(forge(&lab), include).unwrap();
            lab.assert_untouched();
            assert!(!outcome.issues.is_empty(), "forgery {n}");
        }
    }
}

#[test]
fn a_file_is_no_directory() {
    let lab = Lab::new();
    let tree = lab.put_leaf(&[entry("f", Kind::File), entry("g", Kind::File), entry("f/a", Kind::File)]);
    let outcome = lab.restore(tree, &[]).unwrap();
    assert!(lab.target().join("f").is_file() && lab.target().join("g").is_file());
    let subjects: Vec<&str> = outcome.issues.iter().map(|issue| issue.subject.as_str()).collect();
    assert_eq!(subjects, ["f"]);
}

#[test]
fn a_file_is_no_directory_either_where_directories_are_made_that_were_lost() {
    let lab = Lab::new();
    let leaf = lab.put_leaf(&[entry("f", Kind::File), entry("g", Kind::File), entry("f/a", Kind::File)]);
    let outcome = lab.restore(lab.put_inner(1, &[("a", ChunkId::from_bytes([9; 32])), ("f", leaf)]), &[]).unwrap();
    assert!(lab.target().join("f").is_file() && lab.target().join("g").is_file());
    let subjects: Vec<&str> = outcome.issues.iter().map(|issue| issue.subject.as_str()).collect();
    assert_eq!(subjects, ["/a", "f"]);
}

/// Where a chunk belongs in a file follows from the lengths of those before it.
#[test]
fn false_lengths_of_chunks_move_no_bytes() {
    let lab = Lab::new();
    let mut content = vec![0; 20_000];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let source = lab.folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), &content).unwrap();
    let snapshot = backed_up(&lab.repo, &source);
    let view = lab.repo.sync(&Cancel::new()).unwrap();
    let listed = list_all(&*lab.store, layout::SEGMENTS).unwrap().into_iter().flat_map(|object| {
        let payload = open(&lab.repo.keys, ObjectKind::Segment, "segment", &lab.store.get(&object.key).unwrap());
        segment::decode(&payload.unwrap()).unwrap()
    });
    let chunks: Vec<ListedChunk> = listed.flat_map(|pack| pack.chunks).filter(|c| c.plain_len < 5000).collect();
    assert!(chunks.len() > 5);
    // One of many is met before the honest one, in whatever order they are read.
    for _ in 0..16 {
        let (keys, entropy) = (&lab.repo.keys, &*lab.repo.edges.entropy);
        let mut pack = PackBuilder::new(keys, entropy, ChunkKind::Data, Vec::new()).unwrap();
        for c in &chunks {
            pack.add(c.id, c.plain_len + 1, b"no zstd", true).unwrap();
        }
        let pack = pack.finish().unwrap();
        lab.store.put(&layout::pack(&pack.listing.id), pack.bytes).unwrap();
        lab.repo.put_segment(&[pack.listing]).unwrap();
    }
    lab.repo.refresh(&view, &Cancel::new()).unwrap();
    let outcome = support::restored::restore(&lab.repo, &snapshot, &source, &lab.target()).unwrap();
    assert!(outcome.issues.is_empty(), "{:?}", outcome.issues);
    assert_eq!(fs::read(lab.target().join("file")).unwrap(), content);
}

#[test]
fn sums_that_no_number_holds_are_no_reason_to_break_off() {
    let lab = Lab::new();
    for _ in 0..2 {
        let totals = Totals { bytes: u64::MAX, files: u64::MAX, ..Totals::default() };
        lab.repo.put_snapshot(Manifest { totals, ..lab.snapshot.manifest.clone() }).unwrap();
        let size_bytes = u32::MAX.into();
        let id = PackId::from_bytes(random(&*lab.repo.edges.entropy));
        lab.repo.put_segment(&[PackListing { id, header: b"x".to_vec(), size_bytes, chunks: Vec::new() }]).unwrap();
    }
    assert_eq!(ssb::ops::stats::run(&lab.repo, &Cancel::new()).unwrap().source_bytes, u64::MAX);
    for read_data in [ReadData::All, ReadData::Percent(50.0)] {
        assert_eq!(check::run(&lab.repo, read_data, 0, &Cancel::new()).unwrap().findings.len(), 2);
    }
    support::lab::plan_prune(&lab.repo).unwrap();
}

#[test]
fn sizes_that_no_number_holds_are_no_reason_to_break_off() {
    let lab = Lab::new();
    let huge = |path| Entry {
        metadata: Metadata { size: u64::MAX, ..entry(path, Kind::File).metadata },
        ..entry(path, Kind::File)
    };
    // No file system has room for one of them.
    let leaf = lab.put_leaf(&[huge("a"), huge("b")]);
    assert!(lab.restore(leaf, &[]).is_err());
    lab.snapshot_of(lab.put_inner(1, &[("a", leaf), ("c", ChunkId::from_bytes([9; 32]))]));
    let options = SnapshotsOptions { forget: false, dry_run: true, program: "a test".to_owned() };
    assert_eq!(repair::snapshots::run(&lab.repo, &options, &Cancel::new()).unwrap().damaged.len(), 1);
}

/// Deep enough to use up the stack of any thread.
#[test]
fn a_tree_of_very_many_levels_is_damaged() {
    let lab = Lab::new();
    let mut tree = lab.put_leaf(&[entry("a", Kind::File)]);
    for _ in 0..100 {
        tree = lab.put_inner(1, &[("a", tree)]);
    }
    let outcome = lab.restore(tree, &[]).unwrap();
    assert_eq!(outcome.issues.len(), 1, "{:?}", outcome.issues);
    let snapshot = lab.snapshot_of(tree);
    let outcome = support::lab::check(&lab.repo).unwrap();
    assert!(outcome.hits.iter().any(|hit| format!("{hit:?}").contains(&snapshot.id.short())), "{:?}", outcome.hits);
}
