//! Every kind of object damaged in every way, under every command: nothing panics, no wrong byte is ever restored, what is
//! lost is listed, the rest comes back whole, and a check names the object.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ssb::base::{Cancel, Issue, IssueCode, PackId};
use ssb::ops::check::CheckOutcome;
use ssb::ops::diff::{self, DiffSide};
use ssb::ops::restore::{self, RestoreOptions};
use ssb::ops::snapshots::{SnapshotFilter, list};
use ssb::repo::tree::{Path as Place, compare_paths};
use ssb::repo::{Repo, Session, Snapshot, layout};
use ssb::source::Filter;
use ssb::store::{MemoryStore, ObjectStore, list_all};
use support::chance::Chance;
use support::lab::{
    assert_sound, backed_up, backup, check, copy_of, create, open, plan_prune, prune, repair_index, repair_packs,
    repair_snapshots,
};
use support::restored::assert_restores;
use support::tree::{Content, Tree, read_tree};

/// What was backed up at once: a folder, and the objects that hold it and nothing else.
struct Group {
    top: PathBuf,
    tree: Tree,
    snapshot: Snapshot,
    objects: BTreeSet<String>,
}

struct Lab {
    store: Arc<MemoryStore>,
    groups: [Group; 2],
    _folder: tempfile::TempDir,
}

fn keys(store: &MemoryStore) -> BTreeSet<String> {
    list_all(store, "").unwrap().into_iter().map(|object| object.key).collect()
}

impl Lab {
    /// Two groups that have no object in common: as trees are cut by chance, they may share one that tells of `/tmp`.
    fn new() -> Self {
        loop {
            let lab = Self::draw();
            let store = copy_of(&lab.store);
            lab.groups[0].objects.iter().for_each(|key| store.delete(key).unwrap());
            let second = &lab.groups[1].snapshot;
            let listed =
                ssb::ops::list::run(&open(store, None).unwrap(), second, None, true, &Cancel::new(), &mut |_| {});
            if listed.is_ok_and(|issues| issues.is_empty()) {
                return lab;
            }
        }
    }

    /// Two condemned lists, then two groups of unequal size; the first has a tree of several leaves.
    fn draw() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let repo = create(store.clone(), None).unwrap();
        let mut chance = Chance::new(5);
        for name in ["old", "older"] {
            let top = folder.path().join(name);
            fs::create_dir(&top).unwrap();
            fs::write(top.join("x"), chance.bytes(5000)).unwrap();
            repo.delete_snapshots(&[backed_up(&repo, &top).id]).unwrap();
            prune(&repo).unwrap();
        }
        let groups = [("wide", 300), ("narrow", 8)].map(|(name, files)| {
            let top = folder.path().join(name);
            for n in 0..files {
                let inside = top.join(format!("d{}", n % 7));
                fs::create_dir_all(&inside).unwrap();
                fs::write(inside.join(format!("f{n}")), chance.bytes(20 + n)).unwrap();
            }
            fs::write(top.join("d3/large"), chance.bytes(100_000)).unwrap();
            let before = keys(&store);
            let snapshot = backed_up(&repo, &top);
            let objects = keys(&store).difference(&before).cloned().collect();
            Group { tree: read_tree(&top), top, snapshot, objects }
        });
        Self { store, groups, _folder: folder }
    }

    /// The objects below a prefix that belong to the groups, or all if none does.
    fn objects(&self, prefix: &str) -> Vec<String> {
        let all = keys(&self.store).into_iter().filter(|key| key.starts_with(prefix));
        all.filter(|key| !prefix.starts_with("packs") || self.owner(key).is_some()).collect()
    }

    fn owner(&self, key: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.objects.contains(key))
    }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// One bit, this many sixteenths into the object.
    Flip(usize),
    /// The last byte is missing, or the second half.
    ShortBy(usize),
    Half,
    Empty,
    Gone,
    /// Two objects have changed places.
    Swapped,
    /// An earlier object of its kind stands in its place, and in its own.
    Replaced,
}

const ALL: [Damage; 15] = [
    Damage::Flip(0),
    Damage::Flip(1),
    Damage::Flip(3),
    Damage::Flip(5),
    Damage::Flip(8),
    Damage::Flip(10),
    Damage::Flip(13),
    Damage::Flip(15),
    Damage::Flip(16),
    Damage::ShortBy(1),
    Damage::Half,
    Damage::Empty,
    Damage::Gone,
    Damage::Swapped,
    Damage::Replaced,
];

/// A copy of the store with the damage done; `None` if it cannot be done.
fn damaged(store: &MemoryStore, key: &str, others: &[String], damage: Damage) -> Option<Arc<MemoryStore>> {
    let store = copy_of(store);
    let mut bytes = store.get(key).unwrap().to_vec();
    let len = bytes.len();
    match damage {
        Damage::Flip(sixteenths) => {
            let at = (len * sixteenths / 16).min(len - 1);
            bytes[at] ^= 1 << (at % 8);
        }
        Damage::ShortBy(n) => bytes.truncate(len - n),
        Damage::Half => bytes.truncate(len / 2),
        Damage::Empty => bytes.clear(),
        Damage::Gone => {
            store.delete(key).unwrap();
            return Some(store);
        }
        Damage::Swapped => {
            let other = others.iter().find(|other| *other != key)?;
            store.put(key, store.get(other).unwrap()).unwrap();
            store.put(other, Bytes::from(bytes)).unwrap();
            return Some(store);
        }
        Damage::Replaced => bytes = store.get(others.iter().find(|other| *other != key)?).unwrap().into(),
    }
    store.put(key, bytes.into()).unwrap();
    Some(store)
}

/// The paths that came back right and what was told of the others; or why nothing came back.
type Restored = Result<(BTreeSet<Vec<u8>>, Vec<Issue>), String>;

/// What of a group comes back; panics if anything came back wrong without being listed.
fn restored(repo: &Arc<Repo>, group: &Group, when: &str) -> Restored {
    let target = tempfile::tempdir().unwrap();
    let options = RestoreOptions {
        path: None,
        target: target.path().to_owned(),
        include: Filter::default(),
        exclude: Filter::default(),
        set_owner: false,
    };
    let outcome = restore::run(repo, &group.snapshot, &options, &Cancel::new()).map_err(|e| e.to_string())?;
    let inside = target.path().join(group.top.strip_prefix("/").unwrap());
    let got = if inside.exists() { read_tree(&inside) } else { Tree::new() };
    let mut right = BTreeSet::new();
    for (path, wanted) in &group.tree {
        let back = got.get(path);
        if back.is_some_and(|back| *back == *wanted) {
            right.insert(path.clone());
            continue;
        }
        let full = group.top.join(std::str::from_utf8(path).unwrap());
        assert!(outcome.issues.iter().any(|issue| lists(issue, &full)), "{when}: {full:?} is not listed as lost");
        if let (Some(Content::File(back)), Content::File(wanted)) = (back.map(|node| &node.content), &wanted.content) {
            assert_eq!(back.len(), wanted.len(), "{when}: {full:?}");
            assert!(back.iter().zip(wanted).all(|(b, w)| b == w || *b == 0), "{when}: {full:?} has wrong bytes");
        }
    }
    assert!(got.keys().all(|path| group.tree.contains_key(path)), "{when}: things came back that never were");
    Ok((right, outcome.issues))
}

/// Whether an issue says that this path is lost, as a file with a hole or as part of a run of entries.
fn lists(issue: &Issue, path: &Path) -> bool {
    let path = path.to_str().unwrap();
    if issue.code != IssueCode::RestoreHole {
        return false;
    }
    let Some(rest) = issue.what.strip_prefix("everything from here to ") else {
        return issue.subject == path[1..];
    };
    let place = |text: &'static str| Place::split(text.as_bytes());
    let leak = |text: &str| -> &'static str { text.trim_start_matches('/').to_owned().leak() };
    let from = place(leak(&issue.subject));
    let until = rest.strip_prefix("before ").map(|rest| place(leak(rest.split(" is lost").next().unwrap())));
    let own = place(leak(path));
    compare_paths(from, own).is_le() && until.is_none_or(|until| compare_paths(own, until).is_lt())
}

/// Every command on one damaged repository.
fn examine(lab: &Lab, key: &str, others: &[String], damage: Damage) {
    let Some(store) = damaged(&lab.store, key, others, damage) else { return };
    let when = format!("{key} {damage:?}");
    let client = |store: &Arc<MemoryStore>| open(store.clone(), None).map_err(|e| e.to_string());
    let repo = match client(&store) {
        Ok(repo) => repo,
        Err(error) => return assert_named(&error, key, others, &when),
    };
    let is_hit =
        |n: usize| lab.owner(key) == Some(n) || (matches!(damage, Damage::Swapped) && lab.owner(key).is_some());

    if let Err(error) = list(&repo, &SnapshotFilter::default()) {
        assert_named(&error.to_string(), key, others, &when);
    }
    let mut before = Vec::new();
    for (n, group) in lab.groups.iter().enumerate() {
        let listed = ssb::ops::list::run(&repo, &group.snapshot, None, true, &Cancel::new(), &mut |_| {});
        let restored = restored(&repo, group, &when);
        if !is_hit(n) {
            assert_eq!(listed.unwrap(), [], "{when}");
            let (right, issues) = restored.clone().unwrap();
            assert!(issues.is_empty() && right.len() == group.tree.len(), "{when}: group {n}: {issues:?}");
        } else if let Err(error) = &restored {
            assert_named(error, key, others, &when);
        }
        before.push(restored);
    }
    let sides = [0, 1].map(|n| DiffSide { snapshot: &lab.groups[n].snapshot, path: None });
    match diff::run(&repo, sides[0], sides[1], &Cancel::new(), &mut |_| {}) {
        Ok(outcome) if !is_hit(0) && !is_hit(1) => assert_eq!(outcome.issues, [], "{when}"),
        Ok(_) => {}
        Err(error) => assert_named(&error.to_string(), key, others, &when),
    }
    match check(&repo) {
        Ok(outcome) => assert_found(lab, &outcome, key, others, damage, &when),
        Err(error) => assert_named(&error.to_string(), key, others, &when),
    }
    if let Err(error) = plan_prune(&repo) {
        assert!(!error.to_string().is_empty());
    }

    // A prune makes nothing worse, whether it refuses or not. What no snapshot names any more it may take away.
    let pruned = copy_of(&store);
    let refused = prune(&client(&pruned).unwrap()).is_err();
    let is_forgotten = key.starts_with("snapshots/") && matches!(damage, Damage::Gone);
    let repo = client(&pruned).unwrap();
    for (group, before) in lab.groups.iter().zip(&before).filter(|_| !is_forgotten && keys(&pruned) != keys(&store)) {
        let Ok((right, _)) = before else { continue };
        let after = restored(&repo, group, &format!("{when}, after a prune (refused: {refused})"));
        let still = after.is_ok_and(|(after, _)| after.is_superset(right));
        assert!(still, "{when}: the prune (refused: {refused}) made it worse");
    }

    // The other flips hit the same parts again.
    if !matches!(damage, Damage::Flip(1 | 3 | 5 | 10 | 13 | 15)) {
        mend(lab, &copy_of(&store), &before, &when);
    }

    // What a backup stores on top is whole, unless it builds upon packs that only a check would find damaged.
    let store = copy_of(&store);
    let repo = client(&store).unwrap();
    match backup(&repo, &lab.groups[0].top) {
        Ok(outcome) if !key.starts_with("packs/") => {
            let snapshot = outcome.snapshot.unwrap();
            assert_restores(&repo, &snapshot, &lab.groups[0].top, &lab.groups[0].tree, &when);
        }
        Ok(_) => {}
        Err(error) => assert_named(&error.to_string(), key, others, &when),
    }
}

/// What a check says to do about it, done: afterwards everything is whole.
fn mend(lab: &Lab, store: &Arc<MemoryStore>, before: &[Restored], when: &str) {
    let repo = open(store.clone(), None).unwrap();
    repair_index(&repo, false).unwrap_or_else(|e| panic!("{when}: {e}"));
    let found = |repo: &Arc<Repo>| -> Vec<String> {
        let outcome = check(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
        outcome.findings.into_iter().map(|finding| finding.object).collect()
    };
    let packs: Vec<PackId> = found(&repo).iter().filter_map(|object| layout::parse_pack(object)).collect();
    if !packs.is_empty() {
        repair_packs(&repo, &packs, false).unwrap_or_else(|e| panic!("{when}: {e}"));
    }
    for (group, before) in lab.groups.iter().zip(before) {
        let Ok((right, _)) = before else { continue };
        let after = restored(&repo, group, &format!("{when}, repaired"));
        assert!(after.is_ok_and(|(after, _)| after.is_superset(right)), "{when}: the repair made it worse");
    }
    for object in found(&repo) {
        // The only ones that are deleted by hand; the config is put back by who opens the repository next.
        if object.starts_with("gc/condemned/") || object == layout::CONFIG {
            store.delete(&object).unwrap();
        }
    }
    let repo = open(store.clone(), None).unwrap();
    let snapshots = lab.groups.each_ref().map(|group| backed_up(&repo, &group.top));
    repair_snapshots(&repo, true, false).unwrap_or_else(|e| panic!("{when}: {e}"));
    for session in list_all(&**store, layout::SESSIONS).unwrap() {
        store.delete(&session.key).unwrap();
    }
    assert_eq!(prune(&repo).unwrap_or_else(|e| panic!("{when}: {e}")).deferred, None, "{when}");
    // A slot that opens in spite of its damage is the only one.
    let left: Vec<String> = found(&repo).into_iter().filter(|object| !object.starts_with(layout::KEYS)).collect();
    assert!(left.is_empty(), "{when}: mended, and still there: {left:?}");
    for (group, snapshot) in lab.groups.iter().zip(&snapshots) {
        assert_restores(&repo, snapshot, &group.top, &group.tree, when);
    }
}

/// The words tell a person which object it is.
fn assert_named(error: &str, key: &str, others: &[String], when: &str) {
    let kind = key.split('/').next().unwrap();
    let general = match kind {
        "config" => error.contains("config") || error.contains("the repository"),
        "keys" => error.contains("key slot") || error.contains("keys/"),
        _ => false,
    };
    let named = general || error.contains(key) || others.iter().any(|other| error.contains(other.as_str()));
    assert!(named, "{when}: the object is not named in: {error}");
}

fn assert_found(lab: &Lab, outcome: &CheckOutcome, key: &str, others: &[String], damage: Damage, when: &str) {
    let text: Vec<String> = outcome.findings.iter().map(|f| format!("{}: {}", f.object, f.what)).collect();
    let text = text.join("\n");
    let kind = key.split('/').next().unwrap();
    match (kind, damage) {
        // A session is not part of what is kept, and of a snapshot or a condemned list that is gone nothing is left to tell.
        ("sessions", _) | ("snapshots" | "gc", Damage::Gone) => assert_eq!(text, "", "{when}"),
        // It was put back when the repository was opened.
        ("config", Damage::Gone) => assert_eq!(text, "", "{when}"),
        // Who made a slot, and when, are for people only: damage there hits nothing.
        ("keys", _) if text.is_empty() => {
            let store = damaged(&lab.store, key, others, damage).unwrap();
            store.delete(layout::CONFIG).unwrap();
            open(store, None).unwrap_or_else(|e| panic!("{when}: nothing was found, but {e}"));
        }
        // Its name is lost with it: what it listed is named instead.
        ("index", Damage::Gone) => assert!(text.contains("chunk "), "{when}: {text}"),
        _ => assert_named(&text, key, others, when),
    }
    let is_content = kind == "packs" || (kind == "index" && !outcome.hits.is_empty());
    if is_content && !matches!(damage, Damage::Swapped) {
        let hit = lab.groups[lab.owner(key).unwrap()].snapshot.id.to_string();
        assert!(outcome.hits.iter().all(|h| h.snapshot == hit), "{when}: {:?}", outcome.hits);
        assert!(!outcome.hits.is_empty() || !matches!(damage, Damage::Gone | Damage::Half), "{when}: nobody is hit");
    }
}

fn examine_all(prefix: &str) {
    let lab = Lab::new();
    let objects = lab.objects(prefix);
    assert!(!objects.is_empty());
    for key in &objects {
        ALL.into_iter().for_each(|damage| examine(&lab, key, &objects, damage));
    }
}

#[test]
fn config() {
    examine_all("config");
}

#[test]
fn key_slots() {
    examine_all("keys/");
}

#[test]
fn packs() {
    let lab = Lab::new();
    let objects = lab.objects("packs/");
    // Data packs change places with data packs, tree packs with tree packs.
    let is_data = |key: &String| lab.store.get(key).unwrap()[5] == 1;
    let (data, tree): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_data);
    assert!(data.len() >= 2 && tree.len() >= 2);
    for kind in [data, tree] {
        for key in &kind {
            ALL.into_iter().for_each(|damage| examine(&lab, key, &kind, damage));
        }
    }
}

#[test]
fn segments() {
    examine_all("index/");
}

#[test]
fn snapshots() {
    examine_all("snapshots/");
}

#[test]
fn condemned_lists() {
    examine_all("gc/condemned/");
}

#[test]
fn sessions() {
    let lab = Lab::new();
    let repo = open(lab.store.clone(), None).unwrap();
    for _ in 0..2 {
        // Its writer was killed.
        std::mem::forget(Session::open(&repo, "backup").unwrap());
    }
    let objects = lab.objects("sessions/");
    assert_eq!(objects.len(), 2);
    for key in &objects {
        ALL.into_iter().for_each(|damage| examine(&lab, key, &objects, damage));
    }
}

/// A machine that has copies of everything in its cache says what lies in the bucket, not what it remembers.
#[test]
fn a_check_does_not_believe_its_cache() {
    let lab = Lab::new();
    for prefix in ["index/", "snapshots/", "gc/condemned/", "packs/"] {
        let cache = tempfile::tempdir().unwrap();
        let repo = open(lab.store.clone(), Some(cache.path())).unwrap();
        assert!(check(&repo).unwrap().findings.is_empty());
        for key in lab.objects(prefix) {
            for damage in [Damage::Flip(8), Damage::Empty] {
                let when = format!("{key} {damage:?}");
                let store = damaged(&lab.store, &key, &[], damage).unwrap();
                let outcome = check(&open(store, Some(cache.path())).unwrap()).unwrap();
                let found = outcome.findings.iter().filter(|finding| finding.object == key).count();
                assert_eq!(found, 1, "{when}: {:?}", outcome.findings);
            }
        }
    }
}

/// The same chunk in two packs: damage to one of them hits nobody, damage to both hits everybody.
#[test]
fn a_second_copy_saves() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new());
    let repo = create(store.clone(), None).unwrap();
    fs::write(folder.path().join("x"), Chance::new(1).bytes(50_000)).unwrap();
    let snapshot = backed_up(&repo, folder.path());
    // Two machines that do not see each other's segments store the same twice.
    let other = Arc::new(MemoryStore::new());
    for key in keys(&store).iter().filter(|key| !key.starts_with("index/") && !key.starts_with("packs/")) {
        other.put(key, store.get(key).unwrap()).unwrap();
    }
    backed_up(&open(other.clone(), None).unwrap(), folder.path());
    for key in keys(&other) {
        store.put_new(&key, other.get(&key).unwrap()).unwrap();
    }
    let tree = read_tree(folder.path());
    let group = Group { top: folder.path().to_owned(), tree, snapshot, objects: BTreeSet::new() };
    let packs: Vec<String> = keys(&store).into_iter().filter(|key| key.starts_with("packs/")).collect();
    let is_data = |key: &&String| store.get(key).unwrap()[5] == 1;
    let data: Vec<&String> = packs.iter().filter(is_data).collect();
    assert_eq!(data.len(), 2);
    for lost in 0..2 {
        let store = copy_of(&store);
        let mut bytes = store.get(data[lost]).unwrap().to_vec();
        bytes[20_000] ^= 1;
        store.put(data[lost], bytes.into()).unwrap();
        let repo = open(store.clone(), None).unwrap();
        let (right, issues) = restored(&repo, &group, "one copy").unwrap();
        assert_eq!((right.len(), issues.len()), (group.tree.len(), 0));
        let outcome = check(&repo).unwrap();
        assert_eq!((outcome.findings.len(), outcome.hits.len()), (1, 0), "{:?}", outcome.hits);
        // Now the other one as well.
        let mut bytes = store.get(data[1 - lost]).unwrap().to_vec();
        bytes[20_000] ^= 1;
        store.put(data[1 - lost], bytes.into()).unwrap();
        let (right, issues) = restored(&repo, &group, "no copy").unwrap();
        assert_eq!((right.len() + 1, issues.len()), (group.tree.len(), 1));
        let outcome = check(&repo).unwrap();
        assert_eq!((outcome.findings.len(), outcome.hits.len()), (2, 2), "{:?}", outcome.hits);
    }
}

/// The way to mend what no copy brings back: who condemns the bad packs makes the next backup store them again, and a prune
/// takes them away.
#[test]
fn what_is_condemned_is_stored_again() {
    for damage in [Damage::Flip(8), Damage::Half, Damage::Gone] {
        let lab = Lab::new();
        let mut store = lab.store.clone();
        let mut bad = Vec::new();
        let is_data = |key: &&String| key.starts_with("packs/") && lab.store.get(key).unwrap()[5] == 1;
        for key in lab.groups[0].objects.iter().filter(is_data) {
            store = damaged(&store, key, &[], damage).unwrap();
            bad.extend(layout::parse_pack(key));
        }
        let repo = open(store, None).unwrap();
        assert!(!check(&repo).unwrap().findings.is_empty());
        repo.put_condemned(bad).unwrap();
        let snapshot = backed_up(&repo, &lab.groups[0].top);
        let when = format!("{damage:?}");
        assert_eq!(prune(&repo).unwrap_or_else(|e| panic!("{when}: {e}")).deferred, None);
        assert_sound(&repo, &when);
        for snapshot in [&lab.groups[0].snapshot, &snapshot] {
            assert_restores(&repo, snapshot, &lab.groups[0].top, &lab.groups[0].tree, &when);
        }
    }
}
