//! A prune that waits for writers: for whom, for how long, and that nothing is lost meanwhile. No test waits for real time.

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ssb::base::{Cancel, Clock, Observer, Pacer, Silent};
use ssb::repo::{Session, View, layout};
use ssb::store::Operation::{Delete, DeleteMany, List, PutNew};
use ssb::store::{Fault, FaultStore, MemoryStore, ObjectStore, Operation, RecordStore, RecordedCall};
use support::chance::Chance;
use support::lab::{assert_no_garbage, assert_sound, backed_up, backup, create, open, open_with, prune, prune_waiting};
use support::restored::assert_restores;
use support::tree::read_tree;

/// Something happens at each pause instead of time passing.
struct Pauses {
    taken: Mutex<Vec<Duration>>,
    /// Is told which pause it is, from 1; `false` interrupts.
    during: Mutex<Box<dyn FnMut(usize) -> bool + Send>>,
}

impl Pauses {
    fn new(during: impl FnMut(usize) -> bool + Send + 'static) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), during: Mutex::new(Box::new(during)) })
    }

    fn seconds(&self) -> Vec<u64> {
        self.taken.lock().unwrap().iter().map(Duration::as_secs).collect()
    }
}

impl Pacer for Pauses {
    fn now(&self) -> Duration {
        self.taken.lock().unwrap().iter().sum()
    }

    fn sleep(&self, time: Duration) -> bool {
        let mut taken = self.taken.lock().unwrap();
        taken.push(time);
        let count = taken.len();
        drop(taken);
        assert!(count < 100, "it waits for ever");
        (self.during.lock().unwrap())(count)
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn note(&self, sentence: &str) {
        self.0.lock().unwrap().push(sentence.to_owned());
    }
}

/// A repository of which a part is garbage: whole packs and parts of packs.
struct Lab {
    store: Arc<RecordStore<MemoryStore>>,
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self::on(MemoryStore::new())
    }

    fn on(store: MemoryStore) -> Self {
        let lab = Self { store: Arc::new(RecordStore::new(store)), folder: tempfile::tempdir().unwrap() };
        let repo = create(lab.store.clone(), None).unwrap();
        let mut chance = Chance::new(3);
        fs::create_dir(lab.top()).unwrap();
        fs::write(lab.top().join("stays"), chance.bytes(30_000)).unwrap();
        fs::write(lab.top().join("goes"), chance.bytes(30_000)).unwrap();
        let first = backed_up(&repo, &lab.top());
        fs::write(lab.top().join("passes"), chance.bytes(30_000)).unwrap();
        let second = backed_up(&repo, &lab.top());
        ["goes", "passes"].iter().for_each(|name| fs::remove_file(lab.top().join(name)).unwrap());
        backed_up(&repo, &lab.top());
        repo.delete_snapshots(&[first.id, second.id]).unwrap();
        lab.store.take();
        lab
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }

    fn writer(&self, command: &str) -> Session {
        let session = Session::open(&open(self.store.clone(), None).unwrap(), command).unwrap();
        self.store.take();
        session
    }
}

fn is(call: &RecordedCall, operations: &[Operation], prefix: &str) -> bool {
    operations.contains(&call.operation) && call.key.starts_with(prefix)
}

const DELETES: &[Operation] = &[Delete, DeleteMany];

#[test]
fn it_deletes_once_the_writer_has_gone_and_looks_at_snapshots_in_between() {
    let lab = Lab::new();
    let mut writer = Some(lab.writer("backup"));
    let pauses = Pauses::new(move |n| {
        if n == 7 {
            writer.take().unwrap().close().unwrap();
        }
        true
    });
    let repo = open_with(lab.store.clone(), pauses.clone(), Arc::new(Silent));
    lab.store.take();
    assert_eq!(prune_waiting(&repo, None).unwrap().deferred, None);
    assert_eq!(pauses.seconds(), [2, 4, 8, 16, 32, 60, 60]);

    let calls = lab.store.take();
    let first = |operations: &[Operation], prefix: &str, from: usize| {
        let found = calls[from..].iter().position(|call| is(call, operations, prefix));
        from + found.unwrap_or_else(|| panic!("no {operations:?} {prefix} after call {from}"))
    };
    // (p3), (p4) and each further look, (p5), (p6)
    let condemned = first(&[PutNew], layout::CONDEMNED, 0);
    let looks = calls[condemned..].iter().filter(|call| is(call, &[List], layout::SESSIONS)).count();
    assert_eq!(looks, 8);
    let gone = first(DELETES, layout::SESSIONS, condemned);
    let last_look = first(&[List], layout::SESSIONS, gone);
    let second_look = first(&[List], layout::SNAPSHOTS, condemned);
    assert!(second_look > last_look, "the second look came before the waiting was over");
    assert!(first(DELETES, layout::SEGMENTS, 0) > second_look);
    assert!(first(DELETES, layout::PACKS, 0) > first(DELETES, layout::SEGMENTS, 0));
    assert_no_garbage(&repo, "after the wait");
    assert_sound(&repo, "after the wait");
}

/// What a writer sees that begins while a prune waits.
struct Late {
    session: Session,
    view: View,
}

#[test]
fn who_begins_while_it_waits_is_not_waited_for_and_loses_nothing() {
    let lab = Lab::new();
    let mut early = Some(lab.writer("backup"));
    let late: Arc<Mutex<Option<Late>>> = Arc::default();
    let (begun, other) = (late.clone(), open(lab.store.clone(), None).unwrap());
    let pauses = Pauses::new(move |n| {
        match n {
            1 => {
                let session = Session::open(&other, "backup").unwrap();
                let view = other.sync(&Cancel::new()).unwrap();
                *begun.lock().unwrap() = Some(Late { session, view });
            }
            2 => early.take().unwrap().close().unwrap(),
            _ => panic!("it waits for the late writer"),
        }
        true
    });
    let repo = open_with(lab.store.clone(), pauses, Arc::new(Silent));
    assert_eq!(prune_waiting(&repo, None).unwrap().deferred, None);

    let Late { session, view } = late.lock().unwrap().take().unwrap();
    assert!(session.is_still_open().unwrap());
    let (mut trusted, mut condemned) = (Vec::new(), Vec::new());
    view.index
        .each_pack(&mut |pack| {
            let list = if view.is_condemned(pack.number) { &mut condemned } else { &mut trusted };
            list.push(layout::pack(&pack.id));
        })
        .unwrap();
    assert!(!condemned.is_empty() && !trusted.is_empty());
    trusted.iter().for_each(|pack| assert!(lab.store.head(pack).unwrap().is_some(), "{pack} is gone"));
    condemned.iter().for_each(|pack| assert!(lab.store.head(pack).unwrap().is_none(), "{pack} is still there"));
    session.close().unwrap();
    assert_sound(&repo, "beside a late writer");
}

/// A backup has compared everything with the repository and is about to commit a snapshot that needs only what is there,
/// when all of that becomes garbage and is condemned. The prune waits for it, and then finds what it has come to need.
#[test]
fn what_the_writer_commits_meanwhile_is_kept() {
    let lab = Lab::new();
    let (arrive, arrived) = channel();
    let (go, gone) = channel();
    let mut waits = Some((arrive, gone));
    let faulty = FaultStore::new(lab.store.clone(), move |call| {
        // (w4)
        if call.operation == PutNew && call.key.starts_with(layout::SNAPSHOTS) {
            let (arrive, gone) = waits.take().unwrap();
            arrive.send(()).unwrap();
            gone.recv().unwrap();
        }
        Fault::None
    });
    let (writer, top) = (open(Arc::new(faulty), None).unwrap(), lab.top());
    let backup = std::thread::spawn(move || backup(&writer, &top).unwrap().snapshot.unwrap());
    arrived.recv().unwrap();

    let mut running = Some(backup);
    let committed = Arc::new(Mutex::new(None));
    let outcome = committed.clone();
    let pauses = Pauses::new(move |_| {
        go.send(()).unwrap();
        *outcome.lock().unwrap() = Some(running.take().unwrap().join().unwrap());
        true
    });
    let repo = open_with(lab.store.clone(), pauses.clone(), Arc::new(Silent));
    let before: Vec<_> = repo.snapshots().unwrap().snapshots.iter().map(|s| s.id).collect();
    repo.delete_snapshots(&before).unwrap();
    let summary = prune_waiting(&repo, None).unwrap();
    assert_eq!(summary.deferred, None);
    assert!(summary.packs_unused > 0, "{summary:?}");
    assert_eq!(pauses.seconds(), [2]);

    let snapshot = committed.lock().unwrap().take().unwrap();
    assert_sound(&repo, "after the writer");
    let repo = open(lab.store.clone(), None).unwrap();
    assert_restores(&repo, &snapshot, &lab.top(), &read_tree(&lab.top()), "after the writer");
    assert_no_garbage(&repo, "after the writer");
}

#[test]
fn it_gives_up_in_time_and_leaves_the_rest_to_the_next_one() {
    let lab = Lab::new();
    let writer = lab.writer("backup");
    let pauses = Pauses::new(|_| true);
    let repo = open_with(lab.store.clone(), pauses.clone(), Arc::new(Silent));
    lab.store.take();
    let reason = prune_waiting(&repo, Some(Duration::from_secs(45))).unwrap().deferred.unwrap();
    assert!(reason.contains("backup by tester on lab") && reason.contains("a later prune"), "{reason}");
    assert_eq!(pauses.seconds(), [2, 4, 8, 16, 15]);
    assert!(lab.store.take().iter().all(|call| !DELETES.contains(&call.operation)));
    assert_sound(&repo, "beside a writer");

    // No wait at all is one look.
    assert!(prune_waiting(&repo, Some(Duration::ZERO)).unwrap().deferred.is_some());
    assert_eq!(pauses.seconds().len(), 5);
    writer.close().unwrap();
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert_no_garbage(&repo, "after all");
    assert_sound(&repo, "after all");
}

#[test]
fn an_interrupt_ends_the_waiting_and_nothing_is_deleted() {
    let lab = Lab::new();
    let _writer = lab.writer("backup");
    let repo = open_with(lab.store.clone(), Pauses::new(|n| n < 3), Arc::new(Silent));
    lab.store.take();
    assert_eq!(prune_waiting(&repo, None).unwrap_err().to_string(), "interrupted");
    assert!(lab.store.take().iter().all(|call| !DELETES.contains(&call.operation)));
    assert_sound(&repo, "after an interrupt");
}

#[test]
fn it_says_once_per_change_who_is_waited_for() {
    let lab = Lab::new();
    let mut writers = vec![lab.writer("second"), lab.writer("first")];
    let pauses = Pauses::new(move |n| {
        if n % 3 == 0 {
            writers.pop().unwrap().close().unwrap();
        }
        true
    });
    let notes = Arc::new(Notes::default());
    let repo = open_with(lab.store.clone(), pauses.clone(), notes.clone());
    prune_waiting(&repo, None).unwrap();
    assert_eq!(pauses.seconds().len(), 6);
    let said = notes.0.lock().unwrap().clone();
    assert_eq!(said.len(), 2, "{said:?}");
    let (first, second) = (clause("first"), clause("second"));
    assert!(said[0].starts_with("waiting for ") && said[0].ends_with("Z to end"), "{said:?}");
    assert!(said[0].contains(&first) && said[0].contains(&second) && said[0].matches("last heard of 2").count() == 2);
    assert!(said[1].contains(&second) && !said[1].contains(&first), "{said:?}");
}

/// How a session of this process is told of.
fn clause(command: &str) -> String {
    format!("{command} by tester on lab (process {}, since 2", std::process::id())
}

#[test]
fn many_writers_are_counted() {
    let lab = Lab::new();
    let _writers: Vec<Session> = (0..5).map(|_| lab.writer("backup")).collect();
    let reason = prune(&open(lab.store.clone(), None).unwrap()).unwrap().deferred.unwrap();
    assert!(
        reason.starts_with("5 writers are at work: ") && reason.contains("2 more, which 'ssb sessions'"),
        "{reason}"
    );
    assert_eq!((reason.matches(&clause("backup")).count(), reason.matches("last heard of 2").count()), (3, 3));
}

/// The store's clock, moved by hand.
struct Hands(Mutex<Timestamp>);

impl Hands {
    fn forward(&self, minutes: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_mins(minutes);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The lab's prunes take writers for dead that are silent for an hour.
#[test]
fn who_falls_silent_is_taken_for_dead_in_the_end() {
    let clock = Arc::new(Hands(Mutex::new(Timestamp::from_second(1_800_000_000).unwrap())));
    let lab = Lab::on(MemoryStore::with_clock(clock.clone()));
    clock.forward(1);
    let writer = lab.writer("backup");
    let hands = clock.clone();
    let pauses = Pauses::new(move |_| {
        hands.forward(10);
        true
    });
    let notes = Arc::new(Notes::default());
    let repo = open_with(lab.store.clone(), pauses.clone(), notes.clone());
    assert_eq!(prune_waiting(&repo, None).unwrap().deferred, None);
    assert_eq!(pauses.seconds().len(), 7);
    let said = notes.0.lock().unwrap().clone();
    assert!(said.len() == 2 && said[1].contains("taken for dead"), "{said:?}");
    assert!(!writer.is_still_open().unwrap());
    assert_no_garbage(&repo, "after a fence");
    assert_sound(&repo, "after a fence");
}
