//! The order in which a repository changes, seen by recording every call: what the format's safety without locks rests on.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ssb::repo::{Session, layout};
use ssb::store::Operation::{Delete, DeleteMany, Get, Head, List, PutNew};
use ssb::store::{MemoryStore, Operation, RecordStore, RecordedCall, list_all};
use support::lab::{assert_no_garbage, assert_sound, backed_up, backup, create, open, plan_prune, prune};

type Recorded = Arc<RecordStore<Arc<MemoryStore>>>;

/// A recorded client of a repository that holds some snapshots: what they differ in makes packs of every fate.
struct Lab {
    store: Recorded,
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            store: Arc::new(RecordStore::new(Arc::new(MemoryStore::new()))),
            folder: tempfile::tempdir().unwrap(),
        };
        create(lab.store.clone(), None).unwrap();
        lab.store.take();
        lab
    }

    fn write(&self, name: &str, content: &str) -> &Path {
        fs::write(self.folder.path().join(name), content.repeat(10_000)).unwrap();
        self.folder.path()
    }

    /// Three snapshots; the first has something of its own in a pack that the others need too.
    fn with_garbage() -> Self {
        let lab = Self::new();
        let repo = open(lab.store.clone(), None).unwrap();
        lab.write("stays", "stays as it is");
        let first = backed_up(&repo, lab.write("goes", "goes away"));
        fs::remove_file(lab.folder.path().join("goes")).unwrap();
        backed_up(&repo, lab.write("second", "second"));
        backed_up(&repo, lab.write("third", "third"));
        repo.delete_snapshots(&[first.id]).unwrap();
        lab.store.take();
        lab
    }
}

fn is(call: &RecordedCall, operations: &[Operation], prefix: &str) -> bool {
    operations.contains(&call.operation) && call.key.starts_with(prefix)
}

/// Some calls were of the first kind and some of the second, and all of the first were over before any of the second began.
fn assert_before(calls: &[RecordedCall], first: (&[Operation], &str), second: (&[Operation], &str)) {
    let ended = calls.iter().filter(|call| is(call, first.0, first.1)).map(|call| call.finished).max();
    let began = calls.iter().filter(|call| is(call, second.0, second.1)).map(|call| call.started).min();
    let shown = || calls.iter().map(|call| format!("{:?} {}", call.operation, call.key)).collect::<Vec<_>>().join("\n");
    match (ended, began) {
        (Some(ended), Some(began)) => assert!(ended < began, "{first:?} is not before {second:?} in\n{}", shown()),
        _ => panic!("{first:?} or {second:?} is not in\n{}", shown()),
    }
}

const DELETES: &[Operation] = &[Delete, DeleteMany];

#[test]
fn a_backup_announces_itself_reads_writes_commits_and_leaves() {
    let lab = Lab::new();
    let repo = open(lab.store.clone(), None).unwrap();
    backed_up(&repo, lab.write("a", "first"));
    lab.store.take();
    backed_up(&repo, lab.write("b", "second"));
    let calls = lab.store.take();
    let open_put: (&[Operation], &str) = (&[PutNew], "sessions/");

    // (w1) before (w2), and before the parent is looked for
    assert_before(&calls, open_put, (&[List, Get], "gc/condemned/"));
    assert_before(&calls, open_put, (&[List, Get], "index/"));
    assert_before(&calls, open_put, (&[List, Get], "snapshots/"));
    // (w2) before (w3)
    assert_before(&calls, (&[List], "gc/condemned/"), (&[PutNew], "packs/"));
    assert_before(&calls, (&[List, Get], "index/"), (&[PutNew], "packs/"));
    // packs, segment, snapshot
    assert_before(&calls, (&[PutNew], "packs/"), (&[PutNew], "index/"));
    assert_before(&calls, (&[PutNew], "index/"), (&[PutNew], "snapshots/"));
    // (w4), (w5), (w6)
    assert_before(&calls, (&[PutNew], "snapshots/"), (&[Head], "sessions/"));
    assert_before(&calls, (&[Head], "sessions/"), (DELETES, "sessions/"));
    assert_before(&calls, (&[PutNew, Get, List, Head], ""), (DELETES, ""));
    assert!(calls.iter().all(|call| call.ok && (!DELETES.contains(&call.operation) || is(call, DELETES, "sessions/"))));
}

#[test]
fn a_fenced_backup_withdraws_its_snapshot() {
    let memory = Arc::new(MemoryStore::new());
    create(memory.clone(), None).unwrap();
    // Whoever prunes takes this writer for dead just before it commits.
    let (store, fenced) = (memory.clone(), std::sync::atomic::AtomicBool::new(false));
    let faulty = ssb::store::FaultStore::new(memory.clone(), move |call| {
        if call.key.starts_with("snapshots/") && call.operation == PutNew {
            let sessions = ssb::store::list_all(&*store, "sessions/").unwrap();
            let keys: Vec<String> = sessions.into_iter().map(|object| object.key).collect();
            ssb::store::ObjectStore::delete_many(&*store, &keys).unwrap();
            fenced.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        ssb::store::Fault::None
    });
    let lab = Lab::new();
    let repo = open(Arc::new(faulty), None).unwrap();
    let error = backup(&repo, lab.write("a", "never")).unwrap_err().to_string();
    assert!(error.contains("snapshot was withdrawn"), "{error}");
    let repo = open(memory, None).unwrap();
    assert!(repo.snapshots().unwrap().snapshots.is_empty());
    backed_up(&repo, lab.write("a", "never"));
    assert_sound(&repo, "after a fence");
}

/// A snapshot that is committed stays committed, whatever becomes of the session.
#[test]
fn a_session_that_cannot_be_removed_is_no_failure() {
    let memory = Arc::new(MemoryStore::new());
    create(memory.clone(), None).unwrap();
    let faulty = ssb::store::FaultStore::new(memory.clone(), |call| {
        if call.key.starts_with("sessions/") && DELETES.contains(&call.operation) {
            ssb::store::Fault::FailBefore(ssb::store::ErrorKind::Permanent)
        } else {
            ssb::store::Fault::None
        }
    });
    let lab = Lab::new();
    let outcome = backup(&open(Arc::new(faulty), None).unwrap(), lab.write("a", "stays")).unwrap();
    let issues: Vec<_> = outcome.issues.iter().map(|issue| (issue.code, issue.subject.as_str())).collect();
    let open_key = list_all(&*memory, "sessions/").unwrap().remove(0).key;
    assert_eq!(issues, [(ssb::base::IssueCode::SessionLeft, open_key.as_str())]);
    assert!(issues[0].0.is_notice() && !issues[0].0.is_remark());
    let repo = open(memory, None).unwrap();
    assert_eq!(repo.snapshots().unwrap().snapshots, [outcome.snapshot.unwrap()]);
    let reason = prune(&repo).unwrap().deferred.unwrap();
    assert!(reason.contains("backup by tester on lab"), "{reason}");
}

#[test]
fn a_dry_run_and_a_forget_touch_little() {
    let lab = Lab::with_garbage();
    let repo = open(lab.store.clone(), None).unwrap();
    plan_prune(&repo).unwrap();
    assert!(lab.store.take().iter().all(|call| !call.operation.is_write()));

    let newest = repo.snapshots().unwrap().snapshots.pop().unwrap();
    lab.store.take();
    let which = ssb::ops::forget::Which::Ids(vec![newest.id.to_string()], Default::default());
    let plan = ssb::ops::forget::plan(&repo, which).unwrap();
    assert!(lab.store.take().iter().all(|call| !call.operation.is_write()));
    ssb::ops::forget::execute(&repo, &plan).unwrap();
    let calls = lab.store.take();
    assert_eq!(calls.len(), 1);
    assert!(is(&calls[0], DELETES, &format!("snapshots/{}", newest.id)));
}

#[test]
fn a_prune_writes_condemns_looks_and_deletes() {
    let lab = Lab::with_garbage();
    let repo = open(lab.store.clone(), None).unwrap();
    lab.store.take();
    let summary = prune(&repo).unwrap();
    assert_eq!(summary.deferred, None);
    assert!(summary.packs_repacked > 0 && summary.segments_replaced > 0, "{summary:?}");
    let calls = lab.store.take();
    let condemn: (&[Operation], &str) = (&[PutNew], "gc/condemned/");
    let at = calls.iter().position(|call| is(call, condemn.0, condemn.1)).unwrap();
    let (before, after) = calls.split_at(at + 1);

    // (p2) before (p3)
    assert_before(before, (&[PutNew], "packs/"), (&[PutNew], "index/"));
    assert_before(before, (&[PutNew], "index/"), condemn);
    assert!(after.iter().all(|call| call.operation != PutNew), "something is written after the packs were condemned");
    // (p3), (p4), (p5), (p6)
    let looks: [(&[Operation], &str); 4] =
        [(&[List], "sessions/"), (&[List], "snapshots/"), (DELETES, "index/"), (DELETES, "packs/")];
    assert_before(&calls[at..], condemn, looks[0]);
    looks.windows(2).for_each(|pair| assert_before(after, pair[0], pair[1]));
    let deletes = after.iter().position(|call| DELETES.contains(&call.operation)).unwrap();
    assert_before(&after[..deletes], (&[List], "sessions/"), (&[List], "gc/condemned/"));
    assert!(before.iter().all(|call| !DELETES.contains(&call.operation)), "something is deleted too early");
    assert_sound(&repo, "after the prune");
}

#[test]
fn a_prune_beside_a_writer_deletes_nothing_and_says_who_it_is() {
    let lab = Lab::with_garbage();
    let repo = open(lab.store.clone(), None).unwrap();
    let session = Session::open(&repo, "backup").unwrap();
    lab.store.take();
    let reason = prune(&repo).unwrap().deferred.unwrap();
    let pid = std::process::id().to_string();
    ["backup", "tester", "lab", &pid].iter().for_each(|word| assert!(reason.contains(word), "{reason}"));
    assert!(lab.store.take().iter().all(|call| !DELETES.contains(&call.operation)));
    assert_sound(&repo, "beside a writer");

    // Once the writer has gone, the next prune ends what this one began.
    session.close().unwrap();
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert_no_garbage(&repo, "after both prunes");
    assert_sound(&repo, "after both prunes");
}

/// What a writer at work has stored and listed, and no snapshot names yet, is not condemned: it would have to be written
/// again as soon as it is committed.
#[test]
fn a_prune_leaves_the_packs_of_a_writer_alone() {
    let lab = Lab::new();
    let repo = open(lab.store.clone(), None).unwrap();
    let session = Session::open(&repo, "backup").unwrap();
    let snapshot = backed_up(&repo, lab.write("a", "half done"));
    repo.delete_snapshots(&[snapshot.id]).unwrap();
    lab.store.take();
    let summary = prune(&repo).unwrap();
    assert_eq!((summary.packs_unused, summary.packs_unlisted), (0, 0), "{summary:?}");
    assert!(lab.store.take().iter().all(|call| !call.key.starts_with("gc/condemned/") || call.operation != PutNew));
    session.close().unwrap();
    assert!(prune(&repo).unwrap().packs_unused > 0);
    assert_no_garbage(&repo, "after the writer has gone");
}

#[test]
fn a_prune_gathers_small_segments_and_the_next_one_leaves_them_alone() {
    let lab = Lab::new();
    let repo = open(lab.store.clone(), None).unwrap();
    for n in 0..20 {
        backed_up(&repo, lab.write(&format!("file-{n}"), &format!("content {n} ")));
    }
    let segments = || list_all(&*lab.store, layout::SEGMENTS).unwrap().len();
    assert_eq!(segments(), 20);
    assert_eq!(prune(&repo).unwrap().segments_replaced, 20);
    assert_eq!(segments(), 1);
    assert_eq!(prune(&repo).unwrap().segments_replaced, 0);
    assert_sound(&repo, "after two prunes");
}
