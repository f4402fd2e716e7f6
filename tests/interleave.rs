//! Two machines at one repository: before every single call of the one, the other does a whole piece of work. Neither
//! harms the other, and nobody raises a false alarm.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ssb::base::Cancel;
use ssb::repo::{Repo, Session, Snapshot, View, layout};
use ssb::store::{Fault, FaultStore, MemoryStore, ObjectStore, Operation, list_all};
use support::chance::Chance;
use support::lab::{
    assert_no_garbage, assert_sound, backed_up, backup, check, copy_of, create, elsewhere, on_own_workers, open, prune,
};
use support::restored::assert_restores;
use support::tree::{Tree, read_tree};

/// Snapshots of a folder, the first of which has something of its own; the folder has changed since.
struct Lab {
    store: Arc<MemoryStore>,
    folder: tempfile::TempDir,
    known: Vec<(Snapshot, Tree)>,
}

impl Lab {
    fn new() -> Self {
        let mut lab =
            Self { store: Arc::new(MemoryStore::new()), folder: tempfile::tempdir().unwrap(), known: Vec::new() };
        let repo = create(lab.store.clone(), None).unwrap();
        let mut chance = Chance::new(2);
        fs::create_dir(lab.top()).unwrap();
        fs::write(lab.top().join("stays"), chance.bytes(40_000)).unwrap();
        fs::write(lab.top().join("goes"), chance.bytes(40_000)).unwrap();
        lab.known.push((backed_up(&repo, &lab.top()), read_tree(&lab.top())));
        fs::remove_file(lab.top().join("goes")).unwrap();
        lab.known.push((backed_up(&repo, &lab.top()), read_tree(&lab.top())));
        fs::write(lab.top().join("comes"), chance.bytes(9_000)).unwrap();
        lab
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }
}

/// Deletes the oldest snapshot and prunes; a writer at work may put the deleting off.
fn forget_and_prune(repo: &Arc<Repo>) {
    let oldest = repo.snapshots().unwrap().snapshots.first().unwrap().id;
    repo.delete_snapshots(&[oldest]).unwrap();
    prune(repo).unwrap();
}

/// Does `mine`, and before its n-th call `theirs`, for every n; afterwards all is sound, what is there restores, and one
/// more prune leaves nothing over.
fn beside(theirs: fn(&Arc<Repo>, &Path), mine: impl Fn(&Lab, &Arc<Repo>, &str) + Sync) {
    let lab = Lab::new();
    for n in 0.. {
        let when = format!("at call {n}");
        let store = copy_of(&lab.store);
        let (other, top) = (open(store.clone(), None).unwrap(), lab.top());
        let faulty = FaultStore::new(store.clone(), move |call| {
            if call.index == n {
                elsewhere(|| theirs(&other, &top));
            }
            Fault::None
        });
        let faulty = Arc::new(faulty);
        on_own_workers(|| mine(&lab, &open(faulty.clone(), None).unwrap(), &when));
        let repo = open(store, None).unwrap();
        assert_sound(&repo, &when);
        let now = read_tree(&lab.top());
        for snapshot in repo.snapshots().unwrap().snapshots {
            let known = lab.known.iter().find(|(known, _)| known.id == snapshot.id);
            assert_restores(&repo, &snapshot, &lab.top(), known.map_or(&now, |(_, tree)| tree), &when);
        }
        assert_eq!(prune(&repo).unwrap().deferred, None, "{when}");
        assert_no_garbage(&repo, &when);
        assert_sound(&repo, &when);
        if faulty.calls() <= n {
            return assert!(n > 8, "only {n} calls");
        }
    }
}

fn back_up(repo: &Arc<Repo>, top: &Path) {
    backed_up(repo, top);
}

fn clean_up(repo: &Arc<Repo>, _top: &Path) {
    forget_and_prune(repo);
}

#[test]
fn a_restore_beside_a_prune() {
    beside(clean_up, |lab, repo, when| {
        let (snapshot, tree) = &lab.known[1];
        assert_restores(repo, snapshot, &lab.top(), tree, when);
    });
}

/// A listing of several pages is no picture of one moment: while a prune puts a segment in place of others, it may give
/// neither. What is missed lists the tree, or contents only, or both.
#[test]
fn a_restore_whose_listing_missed_a_segment() {
    let lab = Lab::new();
    let listed = list_all(&*lab.store, layout::SEGMENTS).unwrap();
    assert_eq!(listed.len(), 2);
    for missed in [&listed[..1], &listed[1..], &listed] {
        let store = copy_of(&lab.store);
        missed.iter().for_each(|segment| store.delete(&segment.key).unwrap());
        let bodies: Vec<_> = missed.iter().map(|segment| lab.store.get(&segment.key).unwrap()).collect();
        let (other, missed, mut has_listed) = (store.clone(), missed.to_vec(), false);
        let faulty = FaultStore::new(store, move |call| {
            if has_listed {
                for (segment, body) in missed.iter().zip(&bodies) {
                    other.put(&segment.key, body.clone()).unwrap();
                }
            }
            // What comes next comes after the listing.
            has_listed |= call.operation == Operation::List && call.key == layout::SEGMENTS;
            Fault::None
        });
        let (snapshot, tree) = &lab.known[1];
        let when = "after a listing that did not give all segments";
        assert_restores(&open(Arc::new(faulty), None).unwrap(), snapshot, &lab.top(), tree, when);
    }
}

#[test]
fn a_backup_beside_a_prune() {
    beside(clean_up, |lab, repo, when| {
        let outcome = backup(repo, &lab.top()).unwrap_or_else(|e| panic!("{when}: {e}"));
        assert_restores(repo, &outcome.snapshot.unwrap(), &lab.top(), &read_tree(&lab.top()), when);
    });
}

#[test]
fn a_backup_beside_a_backup() {
    beside(back_up, |lab, repo, when| {
        backup(repo, &lab.top()).unwrap_or_else(|e| panic!("{when}: {e}"));
    });
}

#[test]
fn a_prune_beside_a_backup() {
    beside(back_up, |lab, repo, when| {
        repo.delete_snapshots(&[lab.known[0].0.id]).unwrap();
        prune(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
    });
}

#[test]
fn a_prune_beside_a_prune() {
    beside(clean_up, |_, repo, when| {
        prune(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
    });
}

/// Both set out to copy the same packs and to replace the same segments.
#[test]
fn a_prune_beside_a_prune_with_the_same_plan() {
    let theirs: fn(&Arc<Repo>, &Path) = |repo, _| drop(prune(repo).unwrap());
    beside(theirs, |lab, repo, when| {
        repo.delete_snapshots(&[lab.known[0].0.id]).unwrap();
        prune(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
    });
}

/// A prune marks what it finds where it lies, and while it does so another moves all of it. What was marked before is not
/// garbage where it lies now.
#[test]
fn a_prune_beside_a_prune_that_moves_what_was_marked() {
    let lab = Lab::new();
    let repo = open(lab.store.clone(), None).unwrap();
    let many = lab.folder.path().join("many");
    fs::create_dir(&many).unwrap();
    for n in 0..4_000 {
        fs::write(many.join(format!("file {n}")), "").unwrap();
    }
    let passing = [lab.known[0].0.id, backed_up(&repo, &many).id];
    fs::write(many.join("one more"), "").unwrap();
    // Of both folders, a pack of leaves and one of contents hold something that stays and something that goes.
    backed_up(&repo, &many);
    repo.delete_snapshots(&passing).unwrap();
    for n in 0.. {
        let when = format!("at call {n}");
        let store = copy_of(&lab.store);
        let other = open(store.clone(), None).unwrap();
        let faulty = FaultStore::new(store.clone(), move |call| {
            if call.index == n {
                assert_eq!(elsewhere(|| prune(&other)).unwrap().deferred, None);
            }
            Fault::None
        });
        let faulty = Arc::new(faulty);
        let mine = open(faulty.clone(), None).unwrap();
        on_own_workers(|| prune(&mine)).unwrap_or_else(|e| panic!("{when}: {e}"));
        let repo = open(store, None).unwrap();
        assert_sound(&repo, &when);
        assert_eq!(prune(&repo).unwrap().deferred, None, "{when}");
        assert_no_garbage(&repo, &when);
        assert_sound(&repo, &when);
        if faulty.calls() <= n {
            return assert!(n > 8, "only {n} calls");
        }
    }
}

/// Does `mine` with an empty repository. Before its n-th call another backs up; before a later one, the k-th, that snapshot
/// is forgotten and freed. So what is looked at has come and gone again before the end.
fn beside_what_comes_and_goes(mine: impl Fn(&Arc<Repo>, &str) + Sync) {
    let lab = Lab::new();
    for n in 0.. {
        for k in n + 1.. {
            let when = format!("beside a backup at call {n} that is freed at call {k}");
            let store = Arc::new(MemoryStore::new());
            let (other, top) = (create(store.clone(), None).unwrap(), lab.top());
            let faulty = FaultStore::new(store.clone(), move |call| {
                if call.index == n {
                    elsewhere(|| back_up(&other, &top));
                } else if call.index == k {
                    elsewhere(|| forget_and_prune(&other));
                }
                Fault::None
            });
            let faulty = Arc::new(faulty);
            let repo = open(faulty.clone(), None).unwrap();
            on_own_workers(|| mine(&repo, &when));
            assert_sound(&repo, &when);
            let calls = faulty.calls();
            if calls <= n {
                return assert!(n > 8, "only {n} calls");
            }
            if calls <= k {
                break;
            }
        }
    }
}

#[test]
fn a_prune_beside_what_comes_and_goes() {
    beside_what_comes_and_goes(|repo, when| drop(prune(repo).unwrap_or_else(|e| panic!("{when}: {e}"))));
}

#[test]
fn a_check_beside_what_comes_and_goes() {
    beside_what_comes_and_goes(assert_sound);
}

/// What a writer sees when it begins, and what another prune then condemns.
struct Begun {
    session: Session,
    view: View,
    condemned_since: usize,
}

/// A prune has looked for sessions and found none. Then a writer begins, and a second prune condemns what the writer
/// counts on. The second prune meets the writer and defers; the first must not carry out what the second may not.
#[test]
fn a_prune_leaves_alone_what_another_condemns_beside_a_writer() {
    let lab = Lab::new();
    let other = open(lab.store.clone(), None).unwrap();
    let passing = backed_up(&other, &lab.top());
    other.delete_snapshots(&[lab.known[0].0.id]).unwrap();
    let begun: Arc<Mutex<Option<Begun>>> = Arc::default();
    let (seen, mut has_condemned) = (begun.clone(), false);
    let faulty = FaultStore::new(lab.store.clone(), move |call| {
        has_condemned |= call.operation == Operation::PutNew && call.key.starts_with(layout::CONDEMNED);
        let mut seen = seen.lock().unwrap();
        // (p5) begins with the snapshots.
        if has_condemned && seen.is_none() && call.operation == Operation::List && call.key == layout::SNAPSHOTS {
            let session = Session::open(&other, "backup").unwrap();
            let view = other.sync(&Cancel::new()).unwrap();
            other.delete_snapshots(&[passing.id]).unwrap();
            assert!(elsewhere(|| prune(&other)).unwrap().deferred.is_some());
            let now = other.sync(&Cancel::new()).unwrap().condemned_ids();
            let condemned_since = now.difference(&view.condemned_ids()).count();
            *seen = Some(Begun { session, view, condemned_since });
        }
        Fault::None
    });
    assert_eq!(prune(&open(Arc::new(faulty), None).unwrap()).unwrap().deferred, None);

    let Begun { session, view, condemned_since } = begun.lock().unwrap().take().unwrap();
    assert!(condemned_since > 0, "the second prune condemned nothing");
    let mut trusted = Vec::new();
    view.index.each_pack(&mut |pack| trusted.extend((!view.is_condemned(pack.number)).then_some(pack.id))).unwrap();
    for pack in trusted {
        assert!(lab.store.head(&layout::pack(&pack)).unwrap().is_some(), "{pack} is gone, which the writer counts on");
    }
    session.close().unwrap();
    let repo = open(lab.store.clone(), None).unwrap();
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert_no_garbage(&repo, "after all");
    assert_sound(&repo, "after all");
}

#[test]
fn a_check_beside_a_backup() {
    beside(back_up, |_, repo, when| {
        let outcome = check(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
        assert!(outcome.findings.is_empty() && outcome.hits.is_empty(), "{when}: {:?}", outcome.findings);
    });
}

#[test]
fn a_check_beside_a_prune() {
    beside(clean_up, |_, repo, when| {
        let outcome = check(repo).unwrap_or_else(|e| panic!("{when}: {e}"));
        assert!(outcome.findings.is_empty() && outcome.hits.is_empty(), "{when}: {:?}", outcome.findings);
    });
}
