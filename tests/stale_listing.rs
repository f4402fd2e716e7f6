//! A cluster of which a node comes back may go on listing what was deleted while that was away, for minutes, although every
//! read says that it is gone. Nobody may take that for damage, and nothing may be lost by it.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ssb::ops::forget::{Which, execute, plan};
use ssb::repo::Repo;
use ssb::store::{MemoryStore, ObjectMeta, ObjectStore, Result};
use support::chance::Chance;
use support::lab::{assert_sound, backed_up, create, open, prune};
use support::restored::assert_restores;
use support::tree::read_tree;

/// Lists everything that was ever there.
struct Haunted {
    inner: MemoryStore,
    ghosts: Mutex<BTreeMap<String, ObjectMeta>>,
}

impl Haunted {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(), ghosts: Mutex::default() })
    }

    fn is_haunted_by(&self, prefix: &str) -> bool {
        let ghosts = self.ghosts.lock().unwrap();
        ghosts.keys().any(|key| key.starts_with(prefix) && self.inner.head(key).unwrap().is_none())
    }
}

impl ObjectStore for Haunted {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.inner.put(key, body)
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.inner.put_new(key, body)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        self.inner.get(key)
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.inner.get_range(key, offset, len_bytes)
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.inner.head(key)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        let mut shown = self.ghosts.lock().unwrap().clone();
        shown.retain(|key, _| key.starts_with(prefix));
        self.inner.list(prefix, &mut |object| drop(shown.insert(object.key.clone(), object)))?;
        shown.into_values().for_each(each);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        let before = self.inner.head(key)?;
        self.ghosts.lock().unwrap().extend(before.map(|object| (key.to_owned(), object)));
        self.inner.delete(key)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn is_local(&self) -> bool {
        false
    }
}

fn forget_all_but_two(repo: &Arc<Repo>) {
    let snapshots = repo.snapshots().unwrap().snapshots;
    let old = snapshots[..snapshots.len() - 2].iter().map(|snapshot| snapshot.id.to_string()).collect();
    execute(repo, &plan(repo, Which::Ids(old, Default::default())).unwrap()).unwrap();
}

/// A client that keeps local copies, one that has kept them since before everything, and one that knows nothing.
fn clients(store: &Arc<Haunted>, caches: &Path) -> [(&'static str, Arc<Repo>); 3] {
    [
        ("the one who prunes", open(store.clone(), Some(&caches.join("pruner"))).unwrap()),
        ("one who was away", open(store.clone(), Some(&caches.join("away"))).unwrap()),
        ("one who knows nothing", open(store.clone(), None).unwrap()),
    ]
}

#[test]
fn what_is_listed_and_gone_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (top, caches) = (folder.path().join("top"), folder.path().join("caches"));
    fs::create_dir(&top).unwrap();
    let store = Haunted::new();
    create(store.clone(), None).unwrap();
    let mut chance = Chance::new(3);
    for round in 0..2 {
        for n in 0..20 {
            fs::write(top.join(format!("file-{n}")), chance.bytes(30_000)).unwrap();
            fs::write(top.join(format!("kept-{round}-{n}")), chance.bytes(10_000)).unwrap();
        }
        for (who, repo) in clients(&store, &caches) {
            let when = format!("round {round}, {who}");
            let before = backed_up(&repo, &top);
            let tree = read_tree(&top);
            fs::write(top.join("file-0"), chance.bytes(30_000)).unwrap();
            let last = backed_up(&repo, &top);
            let repo = open(store.clone(), Some(&caches.join("pruner"))).unwrap();
            forget_all_but_two(&repo);
            assert_eq!(repo.snapshots().unwrap().snapshots.len(), 2, "{when}: what was forgotten is gone");
            let pruned = prune(&repo).unwrap_or_else(|e| panic!("{when}: {e}"));
            assert_eq!(pruned.deferred, None, "{when}");
            for (reader, repo) in clients(&store, &caches) {
                let when = format!("{when}, read by {reader}");
                assert_sound(&repo, &when);
                assert_eq!(repo.snapshots().unwrap().snapshots.len(), 2, "{when}");
                assert_restores(&repo, &last, &top, &read_tree(&top), &when);
                assert_restores(&repo, &before, &top, &tree, &when);
            }
        }
    }
    for prefix in ["packs/", "index/", "snapshots/", "sessions/"] {
        assert!(store.is_haunted_by(prefix), "{prefix}");
    }
}
