//! A client dies, or an answer is lost, at every single call of the store: what was committed stays whole, and what is left
//! lying about is garbage that the next runs use or free.

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ssb::base::Pacer;
use ssb::ops::forget::{Which, execute, plan};
use ssb::repo::{Repo, Snapshot, layout};
use ssb::store::{ErrorKind, Fault, FaultStore, MemoryStore, ObjectStore, RetryPolicy, RetryStore, list_all};
use support::chance::Chance;
use support::lab::{assert_no_garbage, assert_sound, backed_up, backup, copy_of, create, open, prune};
use support::restored::assert_restores;
use support::tree::{Tree, read_tree};

/// Waits for nothing.
struct Impatient;

impl Pacer for Impatient {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _time: Duration) -> bool {
        true
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}

/// A repository with snapshots of a folder that has changed since.
struct Lab {
    store: Arc<MemoryStore>,
    folder: tempfile::TempDir,
    known: Vec<(Snapshot, Tree)>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let mut lab = Self { store, folder, known: Vec::new() };
        let repo = create(lab.store.clone(), None).unwrap();
        let mut chance = Chance::new(1);
        fs::create_dir(lab.top()).unwrap();
        for name in ["stays", "goes", "grows"] {
            fs::write(lab.top().join(name), chance.bytes(60_000)).unwrap();
        }
        lab.commit(&repo);
        fs::remove_file(lab.top().join("goes")).unwrap();
        fs::write(lab.top().join("comes"), chance.bytes(100)).unwrap();
        lab.commit(&repo);
        let mut grown = fs::read(lab.top().join("grows")).unwrap();
        grown.extend(chance.bytes(30_000));
        fs::write(lab.top().join("grows"), grown).unwrap();
        lab
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }

    fn commit(&mut self, repo: &Arc<Repo>) {
        self.known.push((backed_up(repo, &self.top()), read_tree(&self.top())));
    }

    /// A machine that knows nothing looks at what is there now: all of `kept` and any new snapshots come back whole, the
    /// next backup and the next prune work, and nothing is left over.
    fn assert_survived(&self, store: &Arc<MemoryStore>, kept: &[(Snapshot, Tree)], when: &str) {
        let repo = open(store.clone(), None).unwrap_or_else(|e| panic!("{when}: {e}"));
        assert_sound(&repo, when);
        let found = repo.snapshots().unwrap();
        assert!(found.damaged.is_empty(), "{when}: {:?}", found.damaged);
        for (snapshot, tree) in kept {
            assert!(found.snapshots.contains(snapshot), "{when}: a snapshot is gone");
            assert_restores(&repo, snapshot, &self.top(), tree, when);
        }
        let now = read_tree(&self.top());
        let new = found.snapshots.iter().filter(|s| self.known.iter().all(|(known, _)| known.id != s.id));
        new.for_each(|snapshot| assert_restores(&repo, snapshot, &self.top(), &now, when));

        // The dead cannot leave; here nobody waits until they are taken for dead.
        for object in list_all(&**store, layout::SESSIONS).unwrap() {
            store.delete(&object.key).unwrap();
        }
        let next = backed_up(&repo, &self.top());
        assert_eq!(prune(&repo).unwrap_or_else(|e| panic!("{when}: {e}")).deferred, None);
        assert_no_garbage(&repo, when);
        assert_sound(&repo, when);
        assert_restores(&repo, &next, &self.top(), &now, when);
        kept.iter().for_each(|(snapshot, tree)| assert_restores(&repo, snapshot, &self.top(), tree, when));
    }
}

/// Forgets the oldest snapshot and prunes.
fn forget_and_prune(repo: &Arc<Repo>) -> ssb::ops::Result<()> {
    let listing = repo.snapshots()?;
    let oldest = listing.snapshots.first().unwrap().id.to_string();
    execute(repo, &plan(repo, Which::Ids(vec![oldest], Default::default()))?)?;
    assert_eq!(prune(repo)?.deferred, None);
    Ok(())
}

/// Runs `work` again and again, each time with a store that is hit by a fault at a later call, until none is hit any more.
fn at_every_call(
    lab: &Lab,
    faulty: impl Fn(Arc<MemoryStore>, u64) -> FaultStore<Arc<MemoryStore>>,
    decorate: impl Fn(Arc<FaultStore<Arc<MemoryStore>>>) -> Arc<dyn ObjectStore>,
    work: impl Fn(Arc<dyn ObjectStore>) -> Result<(), String>,
    mut after: impl FnMut(&Arc<MemoryStore>, Result<(), String>, u64),
) {
    for n in 0.. {
        let store = copy_of(&lab.store);
        let fault = Arc::new(faulty(store.clone(), n));
        let result = work(decorate(fault.clone()));
        let was_hit = fault.calls() > n;
        assert!(was_hit || result.is_ok(), "{result:?}");
        after(&store, result, n);
        if !was_hit {
            assert!(n > 10, "only {n} calls");
            return;
        }
    }
}

fn run_backup(lab: &Lab) -> impl Fn(Arc<dyn ObjectStore>) -> Result<(), String> {
    let top = lab.top();
    move |store| {
        let repo = open(store, None).map_err(|e| e.to_string())?;
        backup(&repo, &top).map(drop).map_err(|e| e.to_string())
    }
}

fn run_forget_and_prune(store: Arc<dyn ObjectStore>) -> Result<(), String> {
    let repo = open(store, None).map_err(|e| e.to_string())?;
    forget_and_prune(&repo).map_err(|e| e.to_string())
}

fn bare(store: Arc<FaultStore<Arc<MemoryStore>>>) -> Arc<dyn ObjectStore> {
    store
}

fn retrying(store: Arc<FaultStore<Arc<MemoryStore>>>) -> Arc<dyn ObjectStore> {
    Arc::new(RetryStore::new(store, RetryPolicy::default(), Arc::new(Impatient)))
}

#[test]
fn a_backup_that_dies() {
    let lab = Lab::new();
    at_every_call(&lab, FaultStore::dead_from, bare, run_backup(&lab), |store, _, n| {
        lab.assert_survived(store, &lab.known, &format!("a backup that died at call {n}"));
    });
}

#[test]
fn a_forget_and_prune_that_dies() {
    let lab = Lab::new();
    at_every_call(&lab, FaultStore::dead_from, bare, run_forget_and_prune, |store, _, n| {
        lab.assert_survived(store, &lab.known[1..], &format!("a forget and prune that died at call {n}"));
    });
}

/// One call fails for good, and whoever made it goes on as it sees fit.
#[test]
fn one_call_fails() {
    let lab = Lab::new();
    let faulty = |store, n| FaultStore::nth(store, n, Fault::FailBefore(ErrorKind::Permanent));
    at_every_call(&lab, faulty, bare, run_backup(&lab), |store, _, n| {
        lab.assert_survived(store, &lab.known, &format!("a backup whose call {n} failed"));
    });
    at_every_call(&lab, faulty, bare, run_forget_and_prune, |store, _, n| {
        lab.assert_survived(store, &lab.known[1..], &format!("a forget and prune whose call {n} failed"));
    });
}

/// What a single passing failure, or a single lost answer, does where calls are tried again: nothing.
#[test]
fn one_call_fails_and_is_tried_again() {
    let lab = Lab::new();
    for fault in [Fault::FailBefore(ErrorKind::Transient), Fault::LoseAnswer(ErrorKind::Transient)] {
        let faulty = move |store, n| FaultStore::nth(store, n, fault);
        at_every_call(&lab, faulty, retrying, run_backup(&lab), |store, result, n| {
            result.unwrap_or_else(|e| panic!("{fault:?} at call {n} of a backup: {e}"));
            lab.assert_survived(store, &lab.known, &format!("{fault:?} at call {n} of a backup"));
        });
        at_every_call(&lab, faulty, retrying, run_forget_and_prune, |store, result, n| {
            result.unwrap_or_else(|e| panic!("{fault:?} at call {n} of a prune: {e}"));
            lab.assert_survived(store, &lab.known[1..], &format!("{fault:?} at call {n} of a forget and prune"));
        });
    }
}

/// A creation that dies leaves nothing, or something that opens.
#[test]
fn a_creation_that_dies() {
    for n in 0.. {
        let store = Arc::new(MemoryStore::new());
        let fault = Arc::new(FaultStore::dead_from(store.clone(), n));
        let created = create(fault.clone(), None).is_ok();
        if open(store.clone(), None).is_err() {
            create(store.clone(), None).unwrap_or_else(|e| panic!("after a death at call {n}: {e}"));
        }
        assert_sound(&open(store, None).unwrap(), &format!("after a death at call {n}"));
        if created {
            return assert!(n >= 4, "only {n} calls");
        }
    }
}

#[test]
fn a_creation_is_tried_again() {
    for fault in [Fault::FailBefore(ErrorKind::Transient), Fault::LoseAnswer(ErrorKind::Transient)] {
        for n in 0..4 {
            let store = Arc::new(MemoryStore::new());
            let faulty = Arc::new(FaultStore::nth(store.clone(), n, fault));
            create(retrying(faulty), None).unwrap_or_else(|e| panic!("{fault:?} at call {n}: {e}"));
            open(store, None).unwrap_or_else(|e| panic!("{fault:?} at call {n}: {e}"));
        }
    }
}

/// Several packs and segments, sealed and uploaded side by side.
#[test]
fn a_large_backup_that_dies() {
    let mut lab = Lab::new();
    lab.known.truncate(0);
    lab.store = Arc::new(MemoryStore::new());
    create(lab.store.clone(), None).unwrap();
    fs::write(lab.top().join("large"), Chance::new(9).bytes(36 << 20)).unwrap();
    let now = read_tree(&lab.top());
    at_every_call(&lab, FaultStore::dead_from, bare, run_backup(&lab), |store, result, n| {
        let when = format!("a large backup that died at call {n}");
        let repo = open(store.clone(), None).unwrap();
        assert_sound(&repo, &when);
        let listed = !list_all(&**store, layout::SEGMENTS).unwrap().is_empty();
        let outcome = backup(&repo, &lab.top()).unwrap();
        // What was listed before the death is not stored again.
        assert!(!listed || outcome.totals.new_bytes < 36 << 20, "{when}: {:?}", outcome.totals);
        if result.is_ok() {
            assert_restores(&repo, &outcome.snapshot.unwrap(), &lab.top(), &now, &when);
        }
    });
}
