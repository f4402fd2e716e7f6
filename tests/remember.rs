//! Condemned lists after their time has begun: for how long they are remembered, and from when that counts.

mod support;

use jiff::{SignedDuration, Timestamp};
use ssb::base::{Clock, PackId};
use ssb::repo::{Repo, layout};
use ssb::store::{Fault, FaultStore, MemoryStore, ObjectStore, Operation, RecordStore};
use std::sync::{Arc, Mutex};
use support::lab::{create, elsewhere, on_own_workers, open, prune};

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
