//! Repairing: after every kind of loss what is there is listed again, what is whole is saved, what stays lost is named, and
//! snapshots that lost nothing come back bit for bit. A dry run changes nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ssb::base::{IssueCode, PackId, SegmentId};
use ssb::index::PackListing;
use ssb::ops::OpsError;
use ssb::ops::check::CheckOutcome;
use ssb::ops::repair::packs::PacksOutcome;
use ssb::ops::repair::snapshots::SnapshotRepair;
use ssb::repo::{Repo, Snapshot, layout};
use ssb::store::{MemoryStore, ObjectStore, RecordStore};
use support::chance::Chance;
use support::lab::{
    assert_no_garbage, assert_sound, backed_up, check, copy_of, create, objects, open, prune, repair_index,
    repair_index_reading_all, repair_packs, repair_snapshots,
};
use support::restored::{assert_restores, restore};
use support::tree::{Content, Tree, read_tree};

/// What was backed up at once: a folder, and the objects that hold it and nothing else.
struct Group {
    top: PathBuf,
    tree: Tree,
    snapshot: Snapshot,
    objects: BTreeSet<String>,
}

impl Group {
    fn segment(&self) -> String {
        let found = self.objects.iter().find(|key| key.starts_with(layout::SEGMENTS));
        found.unwrap().clone()
    }

    fn packs(&self) -> Vec<&String> {
        self.objects.iter().filter(|key| key.starts_with(layout::PACKS)).collect()
    }

    /// The tree pack, or the largest data pack: several threads may have filled more than one.
    fn pack(&self, store: &MemoryStore, is_tree: bool) -> PackId {
        let is_wanted = |key: &&String| (store.get(key).unwrap()[5] == 2) == is_tree;
        let packs = self.packs().into_iter().filter(is_wanted);
        layout::parse_pack(packs.max_by_key(|key| store.get(key).unwrap().len()).unwrap()).unwrap()
    }
}

/// A wide tree of several leaves; and a narrow one whose data pack has a footer that is not read at once.
struct Lab {
    store: Arc<MemoryStore>,
    groups: [Group; 2],
    _folder: tempfile::TempDir,
}

const WIDE: usize = 0;
const NARROW: usize = 1;

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let repo = create(store.clone(), None).unwrap();
        let mut chance = Chance::new(7);
        let tops = [("wide", 500, 100_000), ("narrow", 8, 2_000_000)].map(|(name, files, large)| {
            let top = folder.path().join(name);
            for n in 0..files {
                let inside = top.join(format!("d{}/e{}", n % 7, n % 3));
                fs::create_dir_all(&inside).unwrap();
                fs::write(inside.join(format!("f{n}")), chance.bytes(20 + n)).unwrap();
            }
            fs::write(top.join("d3/large"), chance.bytes(large)).unwrap();
            top
        });
        // What was changed just before a backup is read again anyway, which would heal without a repair.
        std::thread::sleep(Duration::from_millis(60));
        let groups = tops.map(|top| {
            let before: BTreeSet<String> = objects(&store).into_keys().collect();
            let snapshot = backed_up(&repo, &top);
            let objects = objects(&store).into_keys().filter(|key| !before.contains(key)).collect();
            Group { tree: read_tree(&top), top, snapshot, objects }
        });
        Self { store, groups, _folder: folder }
    }

    fn assert_restores(&self, repo: &Arc<Repo>, group: usize, when: &str) {
        let Group { top, tree, snapshot, .. } = &self.groups[group];
        assert_restores(repo, snapshot, top, tree, when);
    }

    /// The groups' files are still there and whole, whatever is backed up again.
    fn assert_heals(&self, store: &Arc<MemoryStore>, group: usize, when: &str) {
        let Group { top, tree, .. } = &self.groups[group];
        let repo = open(store.clone(), None).unwrap();
        let again = backed_up(&repo, top);
        assert_sound(&repo, &format!("{when}, healed"));
        assert_restores(&repo, &again, top, tree, when);
        (0..2).for_each(|group| self.assert_restores(&repo, group, when));
        assert_eq!(prune(&repo).unwrap().deferred, None, "{when}");
        assert_no_garbage(&repo, when);
        assert_sound(&repo, when);
    }

    fn assert_hits_only(&self, outcome: &CheckOutcome, group: usize, when: &str) {
        let id = self.groups[group].snapshot.id.to_string();
        assert!(!outcome.hits.is_empty() && outcome.hits.iter().all(|hit| hit.snapshot == id), "{when}: {outcome:?}");
    }
}

fn change(store: &MemoryStore, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = store.get(key).unwrap().to_vec();
    change(&mut bytes);
    store.put(key, bytes.into()).unwrap();
}

fn client(store: &Arc<MemoryStore>) -> Arc<Repo> {
    open(store.clone(), None).unwrap()
}

/// What the group's segment says of a pack.
fn listing(store: &Arc<MemoryStore>, group: &Group, pack: &PackId) -> PackListing {
    let segment: SegmentId = layout::parse_segment(&group.segment()).unwrap();
    let packs = client(store).read_segment(&segment).unwrap();
    packs.into_iter().find(|listed| listed.id == *pack).unwrap()
}

/// Flips a bit in the middle of a chunk.
fn flip_chunk(store: &MemoryStore, listing: &PackListing, ordinal: usize) {
    let chunk = listing.chunks[ordinal];
    change(store, &layout::pack(&listing.id), |bytes| {
        bytes[chunk.offset as usize + chunk.sealed_len as usize / 2] ^= 4;
    });
}

#[test]
fn lost_and_damaged_segments_are_written_again() {
    let lab = Lab::new();
    let segments = [lab.groups[WIDE].segment(), lab.groups[NARROW].segment()];
    let [wide, narrow] = [WIDE, NARROW].map(|group| lab.groups[group].packs().len());
    type Damage<'a> = &'a dyn Fn(&MemoryStore);
    let damages: [(&str, usize, Damage<'_>); 4] = [
        ("one lost", wide, &|store| store.delete(&segments[0]).unwrap()),
        ("all lost", wide + narrow, &|store| segments.iter().for_each(|segment| store.delete(segment).unwrap())),
        ("one flipped", wide, &|store| change(store, &segments[0], |bytes| bytes[100] ^= 1)),
        ("one of another version", wide, &|store| change(store, &segments[0], |bytes| bytes[4] = 9)),
    ];
    for (when, hit, damage) in damages {
        let store = copy_of(&lab.store);
        damage(&store);
        let repo = client(&store);
        assert!(!check(&repo).unwrap().findings.is_empty(), "{when}");
        let before = objects(&store);
        let planned = repair_index(&repo, true).unwrap();
        assert_eq!(objects(&store), before, "{when}: the dry run changed something");
        let done = repair_index(&repo, false).unwrap();
        assert_eq!((done.packs, done.packs_added), ((wide + narrow) as u64, hit as u64), "{when}: {done:?}");
        assert!(done.findings.is_empty() && done.segments_written == 1, "{when}: {done:?}");
        assert_eq!(done.segments_replaced, done.segments_damaged, "{when}: {done:?}");
        assert_eq!(format!("{planned:?}"), format!("{done:?}"), "{when}");
        assert_sound(&repo, when);
        (0..2).for_each(|group| lab.assert_restores(&client(&store), group, when));
        // A right index is left alone.
        let before = objects(&store);
        let again = repair_index_reading_all(&repo).unwrap();
        assert_eq!((again.segments_written, again.segments_replaced), (0, 0), "{when}: {again:?}");
        assert_eq!(again.footers_read, again.packs, "{when}");
        assert_eq!(objects(&store), before, "{when}");
    }
}

/// Its local index still knows what a damaged segment listed; what lies in the bucket is repaired all the same.
#[test]
fn a_client_that_remembers_repairs_what_lies_in_the_bucket() {
    let lab = Lab::new();
    let cache = tempfile::tempdir().unwrap();
    let repo = open(lab.store.clone(), Some(cache.path())).unwrap();
    assert_sound(&repo, "before");
    change(&lab.store, &lab.groups[WIDE].segment(), |bytes| bytes[100] ^= 1);
    let done = repair_index(&repo, false).unwrap();
    let packs = lab.groups[WIDE].packs().len() as u64;
    assert_eq!((done.segments_damaged, done.packs_added, done.segments_kept), (1, packs, 1), "{done:?}");
    assert_sound(&repo, "after, with its cache");
    assert_sound(&client(&lab.store), "after, without one");
}

#[test]
fn a_lost_pack_is_listed_no_more_and_stored_again() {
    let lab = Lab::new();
    for group in [WIDE, NARROW] {
        let when = format!("group {group}");
        let store = copy_of(&lab.store);
        let pack = layout::pack(&lab.groups[group].pack(&store, false));
        store.delete(&pack).unwrap();
        let repo = client(&store);
        let before = objects(&store);
        repair_index(&repo, true).unwrap();
        assert_eq!(objects(&store), before, "{when}");
        let done = repair_index(&repo, false).unwrap();
        assert_eq!((done.packs_missing, done.segments_replaced, done.segments_written), (1, 1, 1), "{when}: {done:?}");
        assert_eq!(done.findings.len(), 1, "{when}: {done:?}");
        assert!(done.findings[0].object == pack && done.findings[0].next.contains("backups"), "{when}: {done:?}");
        let left = check(&repo).unwrap();
        assert!(
            left.findings.iter().all(|finding| finding.object.starts_with("chunk ")),
            "{when}: {:?}",
            left.findings
        );
        lab.assert_hits_only(&left, group, &when);
        lab.assert_restores(&client(&store), 1 - group, &when);
        lab.assert_heals(&store, group, &when);
    }
}

/// A backup by a client that noted its last snapshot as whole, after somebody else has repaired the index.
#[test]
fn a_client_that_remembers_does_not_trust_what_is_lost() {
    let lab = Lab::new();
    let Group { top, tree, .. } = &lab.groups[WIDE];
    let cache = tempfile::tempdir().unwrap();
    let repo = open(lab.store.clone(), Some(cache.path())).unwrap();
    let noted = backed_up(&repo, top);
    lab.store.delete(&layout::pack(&lab.groups[WIDE].pack(&lab.store, false))).unwrap();
    assert_eq!(repair_index(&client(&lab.store), false).unwrap().packs_missing, 1);
    let healed = backed_up(&open(lab.store.clone(), Some(cache.path())).unwrap(), top);
    assert_sound(&repo, "healed");
    for snapshot in [&noted, &healed] {
        assert_restores(&client(&lab.store), snapshot, top, tree, "healed");
    }
}

#[test]
fn a_lost_tree_pack() {
    let lab = Lab::new();
    let store = copy_of(&lab.store);
    let Group { top, tree, snapshot, .. } = &lab.groups[WIDE];
    store.delete(&layout::pack(&lab.groups[WIDE].pack(&store, true))).unwrap();
    let repo = client(&store);
    assert_eq!(repair_index(&repo, false).unwrap().packs_missing, 1);
    lab.assert_hits_only(&check(&repo).unwrap(), WIDE, "after the index");
    lab.assert_restores(&repo, NARROW, "after the index");
    let again = backed_up(&repo, top);
    assert_restores(&client(&store), &again, top, tree, "backed up again");
    // Nothing of the first can be read, unless the second has stored the very same nodes.
    let done = repair_snapshots(&repo, true, false).unwrap();
    assert!(done.damaged.iter().all(|damaged| damaged.snapshot == snapshot.id && damaged.forgotten), "{done:?}");
    assert_sound(&repo, "after the snapshots");
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert_restores(&client(&store), &again, top, tree, "pruned");
}

/// A tree pack that this machine has a copy of is brought back as it was.
#[test]
fn a_tree_pack_comes_back_from_the_cache() {
    let lab = Lab::new();
    let distant = Arc::new(RecordStore::distant(lab.store.clone()));
    let cache = tempfile::tempdir().unwrap();
    let repo = open(distant.clone(), Some(cache.path())).unwrap();
    assert_sound(&repo, "before");
    let before = objects(&lab.store);
    let pack = lab.groups[WIDE].pack(&lab.store, true);
    lab.store.delete(&layout::pack(&pack)).unwrap();
    let done = repair_index(&repo, false).unwrap();
    assert_eq!((done.packs_put_back, done.packs_missing, done.segments_replaced), (1, 0, 0), "{done:?}");
    assert_eq!(objects(&lab.store), before);
    // A damaged one is saved whole by the copy.
    let listing = listing(&lab.store, &lab.groups[WIDE], &pack);
    flip_chunk(&lab.store, &listing, 0);
    let done = repair_packs(&repo, &[pack], false).unwrap();
    assert_eq!((done.packs[0].saved, done.packs[0].lost), (listing.chunks.len() as u64, 0), "{done:?}");
    assert_sound(&client(&lab.store), "after the pack");
}

/// Damages the wide group's pack, repairs it, and gives what came of it, the next check and the store.
fn repaired_pack(
    lab: &Lab,
    is_tree: bool,
    when: &str,
    damage: impl FnOnce(&MemoryStore, &PackListing),
) -> (PacksOutcome, CheckOutcome, Arc<MemoryStore>) {
    let store = copy_of(&lab.store);
    let pack = lab.groups[WIDE].pack(&store, is_tree);
    damage(&store, &listing(&store, &lab.groups[WIDE], &pack));
    let repo = client(&store);
    let before = objects(&store);
    let planned = repair_packs(&repo, &[pack], true).unwrap();
    assert_eq!(objects(&store), before, "{when}: the dry run changed something");
    let done = repair_packs(&repo, &[pack, pack], false).unwrap();
    let told = |outcome: &PacksOutcome| format!("{:?} {}", outcome.packs, outcome.hits.len());
    assert_eq!(told(&planned), told(&done), "{when}");
    assert_eq!((done.packs.len(), done.packs[0].whole), (1, false), "{when}");
    // It is listed no more, condemned, and still there.
    let view = repo.sync(&ssb::base::Cancel::new()).unwrap();
    assert!(view.index.pack_number(&pack).unwrap().is_none() && view.condemned_ids().contains(&pack), "{when}");
    assert_eq!(
        store.head(&layout::pack(&pack)).unwrap().is_some(),
        before.contains_key(&layout::pack(&pack)),
        "{when}"
    );
    lab.assert_restores(&client(&store), NARROW, when);
    let left = check(&client(&store)).unwrap();
    // Repairing the index afterwards does not bring it back.
    let index = repair_index(&repo, false).unwrap();
    assert_eq!((index.packs_added, index.segments_written), (0, 0), "{when}: {index:?}");
    (done, left, store)
}

fn chunks_end(listing: &PackListing) -> usize {
    listing.chunks.last().map(|chunk| (chunk.offset + chunk.sealed_len) as usize).unwrap()
}

#[test]
fn a_damaged_frame_loses_nothing() {
    let lab = Lab::new();
    type Break = fn(&mut Vec<u8>, usize);
    let frames: [(&str, Break); 5] = [
        ("flipped header", |bytes, _| bytes[40] ^= 1),
        ("flipped footer", |bytes, end| bytes[end + 20] ^= 1),
        ("flipped trailer", |bytes, _| *bytes.last_mut().unwrap() ^= 1),
        ("short by one byte", |bytes, _| bytes.truncate(bytes.len() - 1)),
        ("footer gone", |bytes, end| bytes.truncate(end)),
    ];
    for (when, damage) in frames {
        for is_tree in [false, true] {
            let (done, left, store) = repaired_pack(&lab, is_tree, when, |store, listing| {
                change(store, &layout::pack(&listing.id), |bytes| damage(bytes, chunks_end(listing)));
            });
            let pack = &done.packs[0];
            assert!(pack.saved == pack.chunks && pack.lost == 0 && done.hits.is_empty(), "{when}: {done:?}");
            assert!(left.findings.is_empty() && left.hits.is_empty(), "{when}: {left:?}");
            lab.assert_restores(&client(&store), WIDE, when);
            lab.assert_heals(&store, WIDE, when);
        }
    }
}

#[test]
fn what_is_whole_in_a_damaged_pack_is_saved() {
    let lab = Lab::new();
    let (done, left, store) =
        repaired_pack(&lab, false, "flipped chunk", |store, listing| flip_chunk(store, listing, 20));
    let pack = &done.packs[0];
    assert_eq!((pack.saved, pack.lost), (pack.chunks - 1, 1), "{done:?}");
    assert_eq!((done.hits.len(), done.hits[0].file_count), (1, 1), "{done:?}");
    assert_eq!((left.findings.len(), &left.hits[0].files), (1, &done.hits[0].files), "{left:?}");
    lab.assert_hits_only(&left, WIDE, "flipped chunk");
    lab.assert_heals(&store, WIDE, "flipped chunk");

    let (done, left, store) = repaired_pack(&lab, false, "half", |store, listing| {
        change(store, &layout::pack(&listing.id), |bytes| bytes.truncate(bytes.len() / 2));
    });
    let pack = &done.packs[0];
    assert!(pack.saved > 10 && pack.lost > 10 && pack.saved + pack.lost == pack.chunks, "{done:?}");
    lab.assert_hits_only(&left, WIDE, "half");
    lab.assert_heals(&store, WIDE, "half");

    let (done, left, store) =
        repaired_pack(&lab, false, "gone", |store, listing| store.delete(&layout::pack(&listing.id)).unwrap());
    assert_eq!((done.packs[0].saved, done.packs[0].lost), (0, done.packs[0].chunks), "{done:?}");
    lab.assert_hits_only(&left, WIDE, "gone");
    lab.assert_heals(&store, WIDE, "gone");
}

#[test]
fn a_whole_pack_is_left_alone_and_an_unknown_one_refused() {
    let lab = Lab::new();
    let repo = client(&lab.store);
    let pack = lab.groups[NARROW].pack(&lab.store, false);
    let before = objects(&lab.store);
    let done = repair_packs(&repo, &[pack], false).unwrap();
    assert!(done.packs[0].whole && done.segments_replaced == 0, "{done:?}");
    let unknown = PackId::from_bytes([0xab; 32]);
    let error = repair_packs(&repo, &[pack, unknown], false).unwrap_err();
    assert!(matches!(error, OpsError::Usage(_)) && error.to_string().contains(&unknown.to_string()), "{error}");
    assert_eq!(objects(&lab.store), before);
}

/// Whoever takes a damaged pack out of the segments first could save nothing of it any more.
#[test]
fn a_damaged_pack_that_is_listed_stays_listed_until_it_is_repaired() {
    let lab = Lab::new();
    type Break = fn(&mut Vec<u8>);
    let frames: [(&str, Break, bool); 2] = [
        ("short", |bytes| bytes.truncate(bytes.len() - 9), false),
        ("flipped", |bytes| *bytes.last_mut().unwrap() ^= 1, true),
    ];
    for (when, damage, needs_reading) in frames {
        let store = copy_of(&lab.store);
        let pack = lab.groups[WIDE].pack(&store, false);
        change(&store, &layout::pack(&pack), damage);
        let before = objects(&store);
        let repo = client(&store);
        assert_eq!(repair_index(&repo, false).unwrap().findings.len(), usize::from(!needs_reading), "{when}");
        let done = repair_index_reading_all(&repo).unwrap();
        assert_eq!((done.packs_damaged, done.segments_replaced), (1, 0), "{when}: {done:?}");
        assert!(done.findings[0].next.contains(&format!("ssb repair packs {pack}")), "{when}: {done:?}");
        assert_eq!(objects(&store), before, "{when}");
        let done = repair_packs(&repo, &[pack], false).unwrap();
        assert_eq!(done.packs[0].lost, 0, "{when}: {done:?}");
        assert_sound(&repo, when);
    }
}

/// Neither its footer nor a segment says what the pack holds: it is named, listed nowhere, and given up when it is said to.
#[test]
fn a_pack_that_nothing_tells_of() {
    let lab = Lab::new();
    let store = copy_of(&lab.store);
    let pack = lab.groups[WIDE].pack(&store, false);
    change(&store, &layout::pack(&pack), |bytes| *bytes.last_mut().unwrap() ^= 1);
    store.delete(&lab.groups[WIDE].segment()).unwrap();
    let repo = client(&store);
    let done = repair_index(&repo, false).unwrap();
    let others = lab.groups[WIDE].packs().len() as u64 - 1;
    assert_eq!((done.packs_added, done.packs_damaged), (others, 1), "{done:?}");
    assert_eq!(done.findings[0].object, layout::pack(&pack));
    lab.assert_hits_only(&check(&repo).unwrap(), WIDE, "after the index");
    let error = repair_snapshots(&repo, false, true).unwrap_err();
    assert!(matches!(error, OpsError::RepairFirst(_)), "{error}");
    let done = repair_packs(&repo, &[pack], false).unwrap();
    assert_eq!((done.packs[0].chunks, done.packs[0].saved), (0, 0), "{done:?}");
    repair_snapshots(&repo, false, true).unwrap();
    lab.assert_heals(&store, WIDE, "given up");
}

/// What is left of a snapshot's folder: of the one that lost something, and of its repair.
fn restored_files(repo: &Arc<Repo>, snapshot: &Snapshot, top: &Path, when: &str) -> Tree {
    let target = tempfile::tempdir().unwrap();
    let options = ssb::ops::restore::RestoreOptions {
        path: None,
        target: target.path().to_owned(),
        include: Default::default(),
        exclude: Default::default(),
        set_owner: rustix::process::geteuid().is_root(),
    };
    let outcome = ssb::ops::restore::run(repo, snapshot, &options, &ssb::base::Cancel::new()).unwrap();
    let is_repaired = snapshot.manifest.original.is_some();
    assert_eq!(outcome.issues.is_empty(), is_repaired, "{when}: {:?}", outcome.issues);
    let inside = target.path().join(top.strip_prefix("/").unwrap());
    let mut tree = if inside.exists() { read_tree(&inside) } else { Tree::new() };
    tree.retain(|_, node| matches!(node.content, Content::File(_)));
    tree
}

/// The one snapshot that was damaged, and what was written in its place.
fn only(repo: &Arc<Repo>, damaged: &[SnapshotRepair]) -> Option<Snapshot> {
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    let all = repo.snapshots().unwrap().snapshots;
    damaged[0].repaired.map(|id| all.into_iter().find(|snapshot| snapshot.id == id).unwrap())
}

#[test]
fn a_snapshot_is_written_anew_without_a_lost_file() {
    let lab = Lab::new();
    let (done, _, store) = repaired_pack(&lab, false, "flipped chunk", |store, listing| flip_chunk(store, listing, 20));
    let Group { top, tree, snapshot, .. } = &lab.groups[WIDE];
    let lost = done.hits[0].files[0].clone();
    let repo = client(&store);
    let before = objects(&store);
    let planned = repair_snapshots(&repo, true, true).unwrap();
    assert_eq!((planned.damaged.len(), planned.damaged[0].repaired, planned.damaged[0].forgotten), (1, None, false));
    assert_eq!(objects(&store), before, "the dry run changed something");

    let done = repair_snapshots(&repo, false, false).unwrap();
    assert_eq!((done.snapshots, &done.damaged[0].files, done.damaged[0].file_count), (2, &vec![lost.clone()], 1));
    let repaired = only(&repo, &done.damaged).unwrap();
    let (new, old) = (&repaired.manifest, &snapshot.manifest);
    assert_eq!((new.time, &new.host, &new.sources, &new.user), (old.time, &old.host, &old.sources, &old.user));
    assert_eq!((new.original, &new.tags[..]), (Some(snapshot.id), &["repaired".to_owned()][..]));
    assert_eq!((new.totals.files + 1, new.totals.directories), (old.totals.files, old.totals.directories));
    assert_eq!((new.issues.len(), new.issues[0].code, &new.issues[0].subject), (1, IssueCode::RepairLeftOut, &lost));
    let mut wanted = tree.clone();
    let inside = Path::new(&lost).strip_prefix(top).unwrap().to_str().unwrap();
    assert!(wanted.remove(inside.as_bytes()).is_some());
    assert_restores(&client(&store), &repaired, top, &wanted, "repaired");

    // Once is enough; the damaged one goes when it is said to.
    let again = repair_snapshots(&repo, false, false).unwrap();
    assert_eq!(only(&repo, &again.damaged).unwrap().id, repaired.id);
    assert_eq!(repo.snapshots().unwrap().snapshots.len(), 3);
    assert!(prune(&repo).is_err());
    let last = repair_snapshots(&repo, true, false).unwrap();
    assert!(last.damaged[0].forgotten && last.damaged[0].repaired == Some(repaired.id), "{last:?}");
    assert_eq!(repo.snapshots().unwrap().snapshots.len(), 2);
    assert!(repair_snapshots(&repo, true, false).unwrap().damaged.is_empty());
    assert_sound(&repo, "forgotten");
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert_no_garbage(&repo, "pruned");
    assert_restores(&client(&store), &repaired, top, &wanted, "pruned");
    lab.assert_restores(&client(&store), NARROW, "pruned");
}

/// Every node of the tree lost in turn: what could be restored before comes back from the repaired snapshot without a word,
/// also where the entries of its directories are among what is lost.
#[test]
fn a_snapshot_is_written_anew_without_a_lost_node() {
    let lab = Lab::new();
    let Group { top, tree, snapshot, .. } = &lab.groups[WIDE];
    let pack = lab.groups[WIDE].pack(&lab.store, true);
    let nodes = listing(&lab.store, &lab.groups[WIDE], &pack).chunks.len();
    assert!(nodes > 3);
    let mut made_directories = 0;
    for n in 0..nodes {
        let when = format!("node {n}");
        let (_, _, store) = repaired_pack(&lab, true, &when, |store, listing| flip_chunk(store, listing, n));
        let repo = client(&store);
        let mut left = restored_files(&repo, snapshot, top, &when);
        // What is left of a file with holes is no file.
        left.retain(|path, node| tree.get(path) == Some(node));
        let done = repair_snapshots(&repo, true, false).unwrap();
        assert!(done.damaged[0].forgotten && done.damaged[0].file_count == 1, "{when}: {done:?}");
        match only(&repo, &done.damaged) {
            None => assert!(left.is_empty(), "{when}"),
            Some(repaired) => {
                assert_eq!(restored_files(&repo, &repaired, top, &when), left, "{when}");
                assert_eq!(repaired.manifest.totals.files, left.len() as u64, "{when}");
                made_directories += repaired.manifest.issues.len() - 1;
                // Whatever is left stands in its directory.
                let target = tempfile::tempdir().unwrap();
                if !left.is_empty() {
                    assert!(restore(&repo, &repaired, top, target.path()).unwrap().issues.is_empty(), "{when}");
                }
            }
        }
        assert_sound(&repo, &when);
        assert_eq!(prune(&repo).unwrap().deferred, None, "{when}");
        assert_no_garbage(&repo, &when);
    }
    assert!(made_directories > 0, "no lost node held the entry of a directory");
}

#[test]
fn nothing_is_given_up_that_the_index_may_bring_back() {
    let lab = Lab::new();
    let refused = |damage: &dyn Fn(&MemoryStore), next: &str| {
        let store = copy_of(&lab.store);
        damage(&store);
        let before = objects(&store);
        for dry_run in [true, false] {
            let error = repair_snapshots(&client(&store), true, dry_run).unwrap_err();
            assert!(matches!(error, OpsError::RepairFirst(_)) && error.to_string().contains(next), "{error}");
        }
        assert_eq!(objects(&store), before);
    };
    let group = &lab.groups[WIDE];
    let pack = group.pack(&lab.store, false);
    refused(&|store| store.delete(&group.segment()).unwrap(), "ssb repair index");
    refused(&|store| change(store, &group.segment(), |bytes| bytes[90] ^= 1), "ssb repair index");
    refused(&|store| store.delete(&layout::pack(&pack)).unwrap(), "ssb repair index");
    let short = |store: &MemoryStore| change(store, &layout::pack(&pack), |bytes| bytes.truncate(5000));
    refused(&short, &format!("ssb repair packs {pack}"));
}

#[test]
fn manifests_that_cannot_be_read() {
    let lab = Lab::new();
    let cache = tempfile::tempdir().unwrap();
    let remembers = open(lab.store.clone(), Some(cache.path())).unwrap();
    assert_eq!(remembers.snapshots().unwrap().snapshots.len(), 2);
    let sound = objects(&lab.store);
    let key = layout::snapshot(&lab.groups[WIDE].snapshot.id);
    change(&lab.store, &key, |bytes| bytes[60] ^= 1);
    let store = copy_of(&lab.store);
    let repo = client(&store);
    let before = objects(&store);
    let done = repair_snapshots(&repo, false, false).unwrap();
    assert!(done.damaged.len() == 1 && done.damaged[0].unreadable.is_some() && !done.damaged[0].forgotten, "{done:?}");
    assert_eq!(objects(&store), before);
    let done = repair_snapshots(&repo, true, false).unwrap();
    assert!(done.damaged[0].forgotten, "{done:?}");
    assert_sound(&repo, "forgotten");
    lab.assert_restores(&repo, NARROW, "forgotten");

    // Who has a copy puts it back.
    assert_eq!(repair_snapshots(&remembers, true, true).unwrap().manifests_put_back, 1);
    let done = repair_snapshots(&remembers, true, false).unwrap();
    assert!(done.manifests_put_back == 1 && done.damaged.is_empty(), "{done:?}");
    assert_eq!(objects(&lab.store), sound);
}

/// A chunk that lies in a condemned pack only is stored again for the repaired snapshot.
#[test]
fn what_is_condemned_is_not_built_upon() {
    let lab = Lab::new();
    let (_, _, store) = repaired_pack(&lab, true, "one node", |store, listing| flip_chunk(store, listing, 0));
    let repo = client(&store);
    let data = lab.groups[WIDE].pack(&store, false);
    repo.put_condemned(vec![data]).unwrap();
    let done = repair_snapshots(&repo, true, false).unwrap();
    let repaired = only(&repo, &done.damaged).unwrap();
    let top = &lab.groups[WIDE].top;
    let left = restored_files(&repo, &repaired, top, "before the prune");
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert!(store.head(&layout::pack(&data)).unwrap().is_none());
    assert_eq!(restored_files(&client(&store), &repaired, top, "after the prune"), left);
    assert!(!left.is_empty());
    assert_sound(&repo, "after the prune");
}
