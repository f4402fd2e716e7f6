//! A whole repository with one more object in it. The first byte of the input says of which kind, and whether the rest is the
//! object itself, put there by somebody who has no key, or what somebody with the key has sealed in it; a tree node or a pack's
//! footer comes with all that leads to it. The second byte says what is done with the repository. Besides: every command gives a result, and what is restored of an honest snapshot are
//! the bytes that were backed up; only if a segment lies of the packs that these are in may it be less, and that is told.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ssb::base::{Cancel, IssueCode, text};
use ssb::index::PackListing;
use ssb::ops::check::{self, ReadData};
use ssb::ops::prune::{self, PruneOptions, Wait};
use ssb::ops::repair::{self, snapshots::SnapshotsOptions};
use ssb::ops::restore::{self, RestoreOptions};
use ssb::ops::{diff, list, stats};
use ssb::repo::envelope::{HEADER_BYTES, ObjectKind, open, seal};
use ssb::repo::pack::{PackBuilder, decode_footer, pack_id};
use ssb::repo::{Ahead, ChunkKind, Repo, Snapshot, layout, open_sessions, segment};
use ssb::source::Filter;
use ssb::store::{MemoryStore, ObjectStore, list_all};
use ssb_fuzz::{Chance, back_up, edges, header, is_cheap, keys, manifest, pack_with_footer, passphrase, repository};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Longer packs are all the same, only slow.
const MOST_BYTES: u64 = 1 << 18;

type Files = BTreeMap<Vec<u8>, Vec<u8>>;

struct Lab {
    objects: BTreeMap<String, Bytes>,
    honest: Snapshot,
    /// The payload of its segment.
    segment: Vec<u8>,
    source: Vec<u8>,
    files: Files,
}

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let (store, repo) = repository();
    let source = tempfile::tempdir().unwrap();
    fs::create_dir(source.path().join("a")).unwrap();
    let mut noise = vec![0; 9000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for (name, content) in [("a/noise", &noise[..]), ("a/empty", b""), ("text", &b"text ".repeat(300))] {
        fs::write(source.path().join(name), content).unwrap();
    }
    let honest = back_up(&repo, source.path()).unwrap().snapshot.unwrap();
    let objects = list_all(&*store, "").unwrap().into_iter();
    let objects: BTreeMap<String, Bytes> =
        objects.map(|object| (object.key.clone(), store.get(&object.key).unwrap())).collect();
    let (_, segment) = objects.iter().find(|(key, _)| key.starts_with(layout::SEGMENTS)).unwrap();
    let segment = open(keys(), ObjectKind::Segment, "segment", segment).unwrap();
    let files = files_below(source.path());
    Lab { objects, honest, segment, source: source.path().as_os_str().as_bytes().to_vec(), files }
});

fuzz_target!(|input: &[u8]| {
    let Some(([how, what], bytes)) = input.split_first_chunk() else { return };
    let lab = &*LAB;
    let store = Arc::new(MemoryStore::new());
    for (key, body) in &lab.objects {
        store.put(key, body.clone()).unwrap();
    }
    if !forge(&*store, *how, bytes) {
        return;
    }
    let Ok(found) = Repo::find(store, None, Ahead::Snapshots) else { return };
    let repo = Arc::new(found.unlock(&passphrase(), edges()).unwrap());
    work_with(&repo, &lab.honest, *what);
    lab.restore(&repo, matches!(how % 8, 1 | 7));
});

/// Puts what the input says into the store; `false` if it is nothing.
fn forge(store: &dyn ObjectStore, how: u8, bytes: &[u8]) -> bool {
    let put = |key: &str, body: &[u8]| store.put(key, body.to_vec().into()).unwrap();
    let named = |prefix: &str, body: &[u8]| put(&format!("{prefix}{}", blake3::hash(body)), body);
    let sealed = |prefix: &str, kind| named(prefix, &seal(keys(), &Chance::default(), kind, bytes).unwrap());
    match how % 8 {
        0 => match how / 8 % 6 {
            0 => put(layout::CONFIG, bytes),
            1 if !is_cheap(bytes) => return false,
            1 => put(&layout::slot("0"), bytes),
            2 => named(layout::SEGMENTS, bytes),
            3 => named(layout::SNAPSHOTS, bytes),
            4 => named(layout::CONDEMNED, bytes),
            _ => put(&layout::pack(&pack_id(bytes)), bytes),
        },
        1 => sealed(layout::SEGMENTS, ObjectKind::Segment),
        2 => sealed(layout::SNAPSHOTS, ObjectKind::Snapshot),
        3 => sealed(layout::CONDEMNED, ObjectKind::Condemned),
        4 => put("sessions/05050505050505050505050505050505/open", &{
            seal(keys(), &Chance::default(), ObjectKind::Session, bytes).unwrap()
        }),
        5 => {
            let mut pack = PackBuilder::new(keys(), &Chance::default(), ChunkKind::Tree, Vec::new()).unwrap();
            let id = keys().chunk_id(bytes);
            pack.add(id, bytes.len() as u32, bytes, false).unwrap();
            let pack = pack.finish().unwrap();
            put(&layout::pack(&pack.listing.id), &pack.bytes);
            put_listing(store, pack.listing);
            let payload = manifest(id).encode().unwrap();
            named(layout::SNAPSHOTS, &seal(keys(), &Chance::default(), ObjectKind::Snapshot, &payload).unwrap());
        }
        6 => {
            let Ok(chunks) = decode_footer(HEADER_BYTES, bytes) else { return false };
            let end = chunks.last().map_or(HEADER_BYTES as u64, |c| u64::from(c.offset) + u64::from(c.sealed_len));
            let header = header(if (how / 8).is_multiple_of(2) { ObjectKind::DataPack } else { ObjectKind::TreePack });
            let pack = pack_with_footer(&header, end.min(MOST_BYTES) as usize, bytes);
            let id = pack_id(&pack);
            put(&layout::pack(&id), &pack);
            put_listing(store, PackListing { id, header: header.bytes, size_bytes: pack.len() as u64, chunks });
        }
        _ => {
            // What the honest segment says, with single bytes changed.
            let mut payload = LAB.segment.clone();
            for edit in bytes.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % payload.len();
                payload[at] ^= edit[2];
            }
            named(layout::SEGMENTS, &seal(keys(), &Chance::default(), ObjectKind::Segment, &payload).unwrap());
        }
    }
    true
}

fn put_listing(store: &dyn ObjectStore, listing: PackListing) {
    let payload = segment::encode(&[listing]);
    let object = seal(keys(), &Chance::default(), ObjectKind::Segment, &payload).unwrap();
    store.put(&format!("{}{}", layout::SEGMENTS, blake3::hash(&object)), object.into()).unwrap();
}

/// Whether it succeeds is not the question.
fn work_with(repo: &Arc<Repo>, honest: &Snapshot, what: u8) {
    let cancel = Cancel::new();
    let dry_run = true;
    match what % 7 {
        0 => drop(check::run(repo, ReadData::All, 0, &cancel)),
        1 => drop(check::run(repo, ReadData::Percent(50.0), 0, &cancel)),
        2 => {
            let fence_after = jiff::SignedDuration::from_hours(1);
            prune::run(repo, PruneOptions { max_unused_percent: 0.0, fence_after, wait: Wait::No, dry_run }, &cancel)
                .ok();
        }
        3 => {
            drop(repair::index::run(repo, repair::index::IndexOptions { read_all: what & 128 != 0, dry_run }, &cancel))
        }
        4 => {
            let options = SnapshotsOptions { forget: true, dry_run, program: "fuzz".to_owned() };
            repair::snapshots::run(repo, &options, &cancel).ok();
        }
        5 => {
            stats::run(repo, &cancel).ok();
            open_sessions(repo).unwrap().iter().for_each(|session| assert!(!session.describe().is_empty()));
        }
        _ => {
            for snapshot in repo.snapshots().unwrap().snapshots {
                list::run(repo, &snapshot, None, true, &cancel, &mut |entry| drop(entry.display())).ok();
                let [before, after] = [honest, &snapshot].map(|snapshot| diff::DiffSide { snapshot, path: None });
                diff::run(repo, before, after, &cancel, &mut |_| {}).ok();
            }
        }
    }
}

impl Lab {
    fn restore(&self, repo: &Arc<Repo>, has_lying_segment: bool) {
        let target = tempfile::tempdir().unwrap();
        let options = RestoreOptions {
            path: Some(self.source.clone()),
            target: target.path().to_owned(),
            include: Filter::default(),
            exclude: Filter::default(),
            set_owner: false,
        };
        let outcome = restore::run(repo, &self.honest, &options, &Cancel::new());
        if !has_lying_segment {
            assert_eq!(outcome.unwrap().issues, []);
            assert!(files_below(target.path()) == self.files);
            return;
        }
        let Ok(outcome) = outcome else { return };
        let holes = outcome.issues.iter().filter(|issue| issue.code == IssueCode::RestoreHole);
        let holes: Vec<&str> = holes.map(|issue| issue.subject.as_str()).collect();
        let restored = files_below(target.path());
        for (path, content) in &self.files {
            let is_told = holes.iter().any(|hole| *hole == text::escape(path) || hole.starts_with('/'));
            assert!(is_told || restored.get(path) == Some(content), "{path:?}");
        }
    }
}

/// By their paths from there.
fn files_below(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut waiting = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let full = folder.join(OsStr::from_bytes(&path));
        if full.is_file() {
            files.insert(path, fs::read(full).unwrap());
            continue;
        }
        for entry in fs::read_dir(full).unwrap() {
            let name = entry.unwrap().file_name();
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            waiting.push([&path, slash, name.as_bytes()].concat());
        }
    }
    files
}
