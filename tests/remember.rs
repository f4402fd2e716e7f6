//! Condemned lists after their time has begun: for how long they are remembered, from when that counts, and where chunks are
//! copied from that lie in condemned packs only.

mod support;

use jiff::{SignedDuration, Timestamp};
use ssb::base::{Cancel, Clock, PackId};
use ssb::repo::{Repo, layout};
use ssb::store::{Fault, FaultStore, MemoryStore, ObjectStore, Operation, RecordStore};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::lab::{
    assert_no_garbage, assert_sound, backed_up, copy_of, create, elsewhere, on_own_workers, open, prune,
};

/// The store's clock, that goes on only when it is told to.
struct Calendar(Mutex<Timestamp>);

impl Calendar {
    fn wait_days(&self, days: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_hours(24 * days);
    }
}

impl Clock for Calendar {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A repository in which a pack was condemned 91 days ago that nobody has deleted yet.
struct Lab {
    calendar: Arc<Calendar>,
    store: Arc<RecordStore<MemoryStore>>,
    pack: String,
    list: String,
}

impl Lab {
    fn new() -> Self {
        let calendar = Arc::new(Calendar(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
        let store = Arc::new(RecordStore::new(MemoryStore::with_clock(calendar.clone())));
        let repo = create(store.clone(), None).unwrap();
        let id = PackId::from_bytes([7; 32]);
        let pack = layout::pack(&id);
        store.put(&pack, "left by a run that was interrupted".into()).unwrap();
        let list = repo.put_condemned(vec![id]).unwrap();
        let lab = Self { calendar, store, pack, list };
        lab.wait_days(91);
        lab
    }

    /// Lets days pass, and something be written: the store's clock shows in nothing else.
    fn wait_days(&self, days: i64) {
        self.calendar.wait_days(days);
        self.store.put(&layout::pack(&PackId::from_bytes([8; 32])), "left by another".into()).unwrap();
    }

    fn repo(&self) -> Arc<Repo> {
        open(self.store.clone(), None).unwrap()
    }

    fn is_there(&self, key: &str) -> bool {
        self.store.head(key).unwrap().is_some()
    }
}

#[test]
fn a_list_counts_its_days_anew_before_its_packs_go() {
    let lab = Lab::new();
    lab.store.take();
    prune(&lab.repo()).unwrap();
    let calls = lab.store.take();
    let renewed = calls.iter().find(|call| call.operation == Operation::Put && call.key == lab.list).unwrap();
    let deletes = |operation| matches!(operation, Operation::Delete | Operation::DeleteMany);
    let deleted = calls.iter().find(|call| deletes(call.operation) && call.key.starts_with(layout::PACKS)).unwrap();
    assert!(renewed.finished < deleted.started, "packs were gone while their list was old");
    assert!(!lab.is_there(&lab.pack));
    for (days, is_remembered) in [(89, true), (2, false)] {
        lab.wait_days(days);
        prune(&lab.repo()).unwrap();
        assert_eq!(lab.is_there(&lab.list), is_remembered);
    }
}

/// A prune has seen that the list is old; before it looks for the packs, another renews the list and deletes them.
#[test]
fn a_list_that_another_prune_has_renewed_is_kept() {
    let lab = Lab::new();
    let (other, mut looks) = (lab.repo(), 0);
    let faulty = FaultStore::new(lab.store.clone(), move |call| {
        looks += usize::from(call.operation == Operation::List && call.key == layout::PACKS);
        if looks == 2 {
            looks += 1;
            elsewhere(|| prune(&other)).unwrap();
        }
        Fault::None
    });
    let mine = open(Arc::new(faulty), None).unwrap();
    on_own_workers(|| prune(&mine)).unwrap();
    assert!(!lab.is_there(&lab.pack));
    assert!(lab.is_there(&lab.list), "the list was dropped, though its packs have only just gone");
}

/// Two runs have stored the same, each in packs of its own. All of these are condemned, and before any call of a prune those
/// of one run are deleted, which segments list still.
#[test]
fn what_lies_in_condemned_packs_only_is_copied_from_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "as good as new".repeat(1_000)).unwrap();
    let (store, packs) = stored_twice_and_condemned(folder.path());
    for (gone, n) in [0, 1].into_iter().flat_map(|gone| (0..40).map(move |n| (gone, n))) {
        let when = format!("with the packs of segment {gone} gone at call {n}");
        let store = copy_of(&store);
        let (other, packs) = (store.clone(), packs[gone].clone());
        let faulty = FaultStore::new(store.clone(), move |call| {
            if call.index == n {
                other.delete_many(&packs).unwrap();
            }
            Fault::None
        });
        let faulty = Arc::new(faulty);
        let pruned = prune(&open(faulty.clone(), None).unwrap()).unwrap_or_else(|e| panic!("{when}: {e}"));
        assert_eq!(pruned.deferred, None, "{when}");
        let repo = open(store, None).unwrap();
        assert_sound(&repo, &when);
        assert_no_garbage(&repo, &when);
    }
}

/// Gives the packs of each run.
fn stored_twice_and_condemned(source: &Path) -> (Arc<MemoryStore>, Vec<Vec<String>>) {
    let store = Arc::new(MemoryStore::new());
    create(store.clone(), None).unwrap();
    let (other, folder) = (open(store.clone(), None).unwrap(), source.to_owned());
    let mut has_run = false;
    let faulty = FaultStore::new(store.clone(), move |call| {
        if call.operation == Operation::PutNew && call.key.starts_with(layout::PACKS) && !has_run {
            has_run = true;
            elsewhere(|| backed_up(&other, &folder));
        }
        Fault::None
    });
    let first = open(Arc::new(faulty), None).unwrap();
    on_own_workers(|| backed_up(&first, source));
    let repo = open(store.clone(), None).unwrap();
    let packs = packs_by_segment(&repo);
    assert_eq!(packs.len(), 2, "one run has found what the other stored");
    repo.put_condemned(packs.concat()).unwrap();
    let names = packs.iter().map(|packs| packs.iter().map(layout::pack).collect());
    (store, names.collect())
}

fn packs_by_segment(repo: &Repo) -> Vec<Vec<PackId>> {
    let index = repo.sync(&Cancel::new()).unwrap().index;
    let id = |number| index.pack(number).unwrap().unwrap().id;
    let packs = |segment| index.packs_of(segment).unwrap().into_iter().map(id).collect();
    index.segments().unwrap().iter().map(packs).collect()
}
