//! Repairs that die at every single call of the store, and repairs beside backups, prunes and each other: whatever was
//! committed can be restored at every moment, nobody breaks anybody, and the next repair ends what was begun.

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ssb::base::PackId;
use ssb::ops::OpsError;
use ssb::repo::{Repo, Session, Snapshot, layout, open_sessions};
use ssb::store::Operation::{Delete, DeleteMany, Get, Head, List, PutNew};
use ssb::store::{ErrorKind, Fault, FaultStore, MemoryStore, ObjectStore, Operation, RecordStore, list_all};
use support::chance::Chance;
use support::lab::{
    assert_no_garbage, assert_sound, backed_up, backup, copy_of, create, elsewhere, on_own_workers, open, prune,
    repair_index, repair_packs, repair_snapshots,
};
use support::restored::assert_restores;
use support::tree::{Tree, read_tree};

/// What there is to repair.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    /// A segment lists, among packs that are needed, one that nobody needs and that is gone; and nobody lists one that is
    /// needed by nobody.
    Index,
    /// The frame of a needed pack is damaged, and all of its chunks are whole.
    Packs,
    /// The first snapshot has lost a file that its source has not any more.
    Snapshots,
}

const ALL: [Damage; 3] = [Damage::Index, Damage::Packs, Damage::Snapshots];

/// A repository with two snapshots of a folder that has changed since, and its damage.
struct Lab {
    damage: Damage,
    store: Arc<MemoryStore>,
    folder: tempfile::TempDir,
    /// With what each can be restored to.
    known: Vec<(Snapshot, Tree)>,
    pack: PackId,
}

fn delete_all(store: &MemoryStore, keys: impl IntoIterator<Item = String>) {
    keys.into_iter().for_each(|key| store.delete(&key).unwrap());
}

fn keys(store: &MemoryStore, prefix: &str) -> Vec<String> {
    list_all(store, prefix).unwrap().into_iter().map(|object| object.key).collect()
}

impl Lab {
    fn new(damage: Damage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let mut lab = Self { damage, store, folder, known: Vec::new(), pack: PackId::from_bytes([0; 32]) };
        let repo = create(lab.store.clone(), None).unwrap();
        let mut chance = Chance::new(3);
        fs::create_dir(lab.top()).unwrap();
        let lost = chance.bytes(9_000);
        fs::write(lab.top().join("lost"), &lost).unwrap();
        fs::write(lab.top().join("stays"), chance.bytes(40_000)).unwrap();
        lab.commit(&repo);
        let is_data = |key: &String| lab.store.get(key).unwrap()[5] == 1;
        let first: Vec<String> = keys(&lab.store, layout::PACKS).into_iter().filter(is_data).collect();
        lab.pack = layout::parse_pack(&first[0]).unwrap();
        fs::remove_file(lab.top().join("lost")).unwrap();
        fs::write(lab.top().join("second"), chance.bytes(5_000)).unwrap();
        lab.commit(&repo);
        match damage {
            Damage::Index => lab.damage_index(&repo, &mut chance),
            Damage::Packs => lab.change_pack(|bytes| *bytes.last_mut().unwrap() ^= 1),
            Damage::Snapshots => lab.lose_file(&repo, &lost),
        }
        fs::write(lab.top().join("comes"), chance.bytes(3_000)).unwrap();
        lab
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }

    fn commit(&mut self, repo: &Arc<Repo>) {
        self.known.push((backed_up(repo, &self.top()), read_tree(&self.top())));
    }

    fn change_pack(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let key = layout::pack(&self.pack);
        let mut bytes = self.store.get(&key).unwrap().to_vec();
        change(&mut bytes);
        self.store.put(&key, bytes.into()).unwrap();
    }

    fn damage_index(&self, repo: &Arc<Repo>, chance: &mut Chance) {
        let needed = keys(&self.store, layout::PACKS);
        let other = self.folder.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("garbage"), chance.bytes(8_000)).unwrap();
        repo.delete_snapshots(&[backed_up(repo, &other).id]).unwrap();
        let segments = keys(&self.store, layout::SEGMENTS);
        let mut packs = Vec::new();
        for segment in &segments {
            packs.extend(repo.read_segment(&layout::parse_segment(segment).unwrap()).unwrap());
        }
        let garbage: Vec<String> =
            keys(&self.store, layout::PACKS).into_iter().filter(|key| !needed.contains(key)).collect();
        assert_eq!(garbage.len(), 2);
        packs.retain(|pack| layout::pack(&pack.id) != garbage[1]);
        repo.put_segment(&packs).unwrap();
        delete_all(&self.store, segments);
        self.store.delete(&garbage[0]).unwrap();
    }

    fn lose_file(&mut self, repo: &Arc<Repo>, content: &[u8]) {
        let ids: Vec<_> = repo.chunker.chunks(content).map(|chunk| repo.keys.chunk_id(chunk)).collect();
        let mut places = Vec::new();
        for segment in keys(&self.store, layout::SEGMENTS) {
            let packs = repo.read_segment(&layout::parse_segment(&segment).unwrap()).unwrap();
            let own = packs.into_iter().filter(|pack| pack.id == self.pack);
            places.extend(own.flat_map(|pack| pack.chunks).filter(|chunk| ids.contains(&chunk.id)));
        }
        assert_eq!(places.len(), ids.len());
        self.change_pack(|bytes| bytes[places[0].offset as usize] ^= 1);
        let done = repair_packs(repo, &[self.pack], false).unwrap();
        assert_eq!((done.packs[0].lost, done.hits.len()), (1, 1), "{done:?}");
        assert!(self.known[0].1.remove(&b"lost"[..]).is_some());
    }

    fn repair(&self, repo: &Arc<Repo>) -> ssb::ops::Result<()> {
        match self.damage {
            Damage::Index => repair_index(repo, false).map(drop),
            Damage::Packs => repair_packs(repo, &[self.pack], false).map(drop),
            Damage::Snapshots => repair_snapshots(repo, true, false).map(drop),
        }
    }

    /// Ends what was begun: afterwards nothing is damaged, and everything is there that was committed.
    fn assert_repairs(&self, store: &Arc<MemoryStore>, when: &str) {
        let repo = open(store.clone(), None).unwrap_or_else(|e| panic!("{when}: {e}"));
        let mut repaired = self.repair(&repo);
        if matches!(repaired, Err(OpsError::RepairFirst(_))) {
            // The one before has left a pack that it could not list any more.
            repair_index(&repo, false).unwrap_or_else(|e| panic!("{when}: {e}"));
            repaired = self.repair(&repo);
        }
        match repaired {
            // Given up and deleted by now.
            Err(OpsError::Usage(_)) if self.damage == Damage::Packs => {}
            other => other.unwrap_or_else(|e| panic!("{when}: {e}")),
        }
        assert_sound(&repo, when);
        self.assert_restores_all(&repo, when);
        // The dead cannot leave; here nobody waits until they are taken for dead.
        delete_all(store, keys(store, layout::SESSIONS));
        let next = backed_up(&repo, &self.top());
        assert_eq!(prune(&repo).unwrap_or_else(|e| panic!("{when}: {e}")).deferred, None, "{when}");
        assert_no_garbage(&repo, when);
        assert_sound(&repo, when);
        self.assert_restores_all(&open(store.clone(), None).unwrap(), when);
        assert_restores(&repo, &next, &self.top(), &read_tree(&self.top()), when);
    }

    /// Of each snapshot either itself or exactly one repair of it.
    fn assert_restores_all(&self, repo: &Arc<Repo>, when: &str) {
        let all = repo.snapshots().unwrap().snapshots;
        for (known, tree) in &self.known {
            let is_it = |s: &&Snapshot| s.id == known.id || s.manifest.original == Some(known.id);
            let found: Vec<&Snapshot> = all.iter().filter(is_it).collect();
            assert_eq!(found.len(), 1, "{when}: {found:?}");
            assert_restores(repo, found[0], &self.top(), tree, when);
        }
    }

    /// The same while the repair may be half done: there may be both, and the damaged one has its hole.
    fn assert_keeps_all(&self, repo: &Arc<Repo>, when: &str) {
        let all = repo.snapshots().unwrap();
        assert!(all.damaged.is_empty(), "{when}: {:?}", all.damaged);
        for (n, (known, tree)) in self.known.iter().enumerate() {
            let is_original = |s: &&Snapshot| s.id == known.id;
            let is_repair = |s: &&Snapshot| s.manifest.original == Some(known.id);
            let (original, repair) = (all.snapshots.iter().find(is_original), all.snapshots.iter().find(is_repair));
            assert!(original.is_some() || repair.is_some(), "{when}: a snapshot is gone");
            repair.iter().for_each(|repair| assert_restores(repo, repair, &self.top(), tree, when));
            let Some(original) = original else { continue };
            if n > 0 || self.damage != Damage::Snapshots {
                assert_restores(repo, original, &self.top(), tree, when);
                continue;
            }
            let target = tempfile::tempdir().unwrap();
            let outcome = support::restored::restore(repo, original, &self.top(), target.path()).unwrap();
            assert!(outcome.issues.iter().all(|issue| issue.subject == "lost"), "{when}: {:?}", outcome.issues);
        }
    }
}

/// Runs the repair again and again, each time with a store that is hit by a fault at a later call.
fn at_every_call(damage: Damage, faulty: impl Fn(Arc<MemoryStore>, u64) -> FaultStore<Arc<MemoryStore>>) {
    let lab = Lab::new(damage);
    for n in 0.. {
        let when = format!("{damage:?} at call {n}");
        let store = copy_of(&lab.store);
        let fault = Arc::new(faulty(store.clone(), n));
        let result = open(fault.clone(), None).map_err(OpsError::from).and_then(|repo| lab.repair(&repo));
        let was_hit = fault.calls() > n;
        assert!(was_hit || result.is_ok(), "{when}: {result:?}");
        lab.assert_keeps_all(&open(store.clone(), None).unwrap(), &when);
        lab.assert_repairs(&store, &when);
        if !was_hit {
            return assert!(n > 10, "{damage:?}: only {n} calls");
        }
    }
}

#[test]
fn a_repair_of_the_index_that_dies() {
    at_every_call(Damage::Index, FaultStore::dead_from);
}

#[test]
fn a_repair_of_packs_that_dies() {
    at_every_call(Damage::Packs, FaultStore::dead_from);
}

#[test]
fn a_repair_of_snapshots_that_dies() {
    at_every_call(Damage::Snapshots, FaultStore::dead_from);
}

/// One call fails for good, or its answer is lost, and the repair goes on as it sees fit.
#[test]
fn one_call_fails() {
    for damage in ALL {
        for fault in [Fault::FailBefore(ErrorKind::Permanent), Fault::LoseAnswer(ErrorKind::Permanent)] {
            at_every_call(damage, move |store, n| FaultStore::nth(store, n, fault));
        }
    }
}

/// Does `mine`, and before its n-th call `theirs`, for every n; afterwards the repair leaves everything whole.
fn beside(
    damage: Damage,
    mine: impl Fn(&Lab, &Arc<Repo>, &str) + Sync,
    theirs: impl Fn(&Lab, &Arc<Repo>) + Copy + Send + Sync + 'static,
) {
    let lab = Arc::new(Lab::new(damage));
    for n in 0.. {
        let when = format!("{damage:?} at call {n}");
        let store = copy_of(&lab.store);
        let (other, their_lab) = (open(store.clone(), None).unwrap(), lab.clone());
        let faulty = Arc::new(FaultStore::new(store.clone(), move |call| {
            if call.index == n {
                elsewhere(|| theirs(&their_lab, &other));
            }
            Fault::None
        }));
        on_own_workers(|| mine(&lab, &open(faulty.clone(), None).unwrap(), &when));
        assert!(open_sessions(&open(store.clone(), None).unwrap()).unwrap().is_empty(), "{when}");
        lab.assert_repairs(&store, &when);
        if faulty.calls() <= n {
            return assert!(n > 5, "{damage:?}: only {n} calls");
        }
    }
}

fn repair_theirs(lab: &Lab, repo: &Arc<Repo>) {
    lab.repair(repo).unwrap();
}

/// A repair, whoever else is there. What another repair, or a prune, has ended is gone.
fn repair_mine(lab: &Lab, repo: &Arc<Repo>, when: &str) {
    match lab.repair(repo) {
        Err(OpsError::Usage(_)) if lab.damage == Damage::Packs => {}
        other => other.unwrap_or_else(|e| panic!("{when}: {e}")),
    }
}

#[test]
fn a_backup_beside_a_repair() {
    for damage in ALL {
        beside(
            damage,
            |lab, repo, when| {
                let outcome = backup(repo, &lab.top()).unwrap_or_else(|e| panic!("{when}: {e}"));
                assert_restores(repo, &outcome.snapshot.unwrap(), &lab.top(), &read_tree(&lab.top()), when);
            },
            repair_theirs,
        );
    }
}

#[test]
fn a_repair_beside_a_backup() {
    for damage in ALL {
        beside(damage, repair_mine, |lab, repo| drop(backed_up(repo, &lab.top())));
    }
}

#[test]
fn a_prune_beside_a_repair() {
    for damage in ALL {
        beside(
            damage,
            |_, repo, when| match prune(repo) {
                // Until the damaged snapshot is gone nobody knows what it needs.
                Err(OpsError::Unsafe(_)) if damage == Damage::Snapshots => {}
                other => drop(other.unwrap_or_else(|e| panic!("{when}: {e}"))),
            },
            repair_theirs,
        );
    }
}

#[test]
fn a_repair_beside_a_prune() {
    for damage in ALL {
        beside(damage, repair_mine, move |_, repo| match prune(repo) {
            Err(OpsError::Unsafe(_)) if damage == Damage::Snapshots => {}
            other => drop(other.unwrap()),
        });
    }
}

#[test]
fn a_repair_beside_a_repair() {
    for damage in [Damage::Index, Damage::Packs] {
        beside(damage, repair_mine, repair_theirs);
    }
}

#[test]
fn a_restore_beside_a_repair() {
    for damage in [Damage::Index, Damage::Packs] {
        beside(
            damage,
            |lab, repo, when| {
                let (snapshot, tree) = &lab.known[0];
                assert_restores(repo, snapshot, &lab.top(), tree, when);
            },
            repair_theirs,
        );
    }
}

/// What a writer at work has stored, listed or not, stays; and it stays listed.
#[test]
fn a_repair_leaves_the_packs_of_a_writer_alone() {
    for damage in ALL {
        let when = format!("{damage:?}");
        let lab = Lab::new(damage);
        let repo = open(lab.store.clone(), None).unwrap();
        let session = Session::open(&repo, "backup").unwrap();
        // A writer that has listed its packs and not come to its snapshot yet.
        let half_done = backed_up(&repo, &lab.top());
        let manifest = half_done.manifest.clone();
        repo.delete_snapshots(&[half_done.id]).unwrap();
        lab.repair(&open(lab.store.clone(), None).unwrap()).unwrap();
        assert_eq!(open_sessions(&repo).unwrap().len(), 1, "{when}");
        let snapshot = repo.put_snapshot(manifest).unwrap();
        assert!(session.is_still_open().unwrap(), "{when}");
        session.close().unwrap();
        assert_restores(&open(lab.store.clone(), None).unwrap(), &snapshot, &lab.top(), &read_tree(&lab.top()), &when);
        lab.assert_repairs(&lab.store, &when);
    }
}

/// A repair that a prune takes for dead deletes nothing and condemns nothing, and withdraws what it has committed.
#[test]
fn a_fenced_repair_gives_up() {
    for damage in ALL {
        let when = format!("{damage:?}");
        let lab = Lab::new(damage);
        let store = lab.store.clone();
        let before = keys(&lab.store, "");
        let faulty = FaultStore::new(lab.store.clone(), move |call| {
            // As soon as it begins to write.
            if call.operation == PutNew && !call.key.starts_with(layout::SESSIONS) {
                delete_all(&store, keys(&store, layout::SESSIONS));
            }
            Fault::None
        });
        let error = lab.repair(&open(Arc::new(faulty), None).unwrap()).unwrap_err();
        assert!(matches!(error, OpsError::Fenced) && error.to_string().contains("run it again"), "{when}: {error}");
        let after = keys(&lab.store, "");
        assert!(before.iter().all(|key| after.contains(key)), "{when}: something was deleted");
        let is_new = |key: &&String| !before.contains(key);
        let mut new = after.iter().filter(is_new);
        assert!(new.all(|key| key.starts_with("packs/") || key.starts_with("index/")), "{when}: {after:?}");
        lab.assert_repairs(&lab.store, &when);
    }
}

type Calls<'a> = (&'a [Operation], &'a str);

/// The order that the safety of repairs rests on, seen by recording every call.
#[test]
fn repairs_announce_themselves_read_write_look_and_delete() {
    let deletes: &[Operation] = &[Delete, DeleteMany];
    let orders: [(Damage, &[Calls<'_>]); 3] = [
        (
            Damage::Index,
            &[
                (&[PutNew], "sessions/"),
                (&[List], "index/"),
                (&[PutNew], "index/"),
                (&[Head], "sessions/"),
                (deletes, "index/"),
            ],
        ),
        (
            Damage::Packs,
            &[
                (&[PutNew], "sessions/"),
                (&[List], "gc/condemned/"),
                (&[PutNew], "packs/"),
                (&[PutNew], "index/"),
                (&[Head], "sessions/"),
                (&[PutNew], "gc/condemned/"),
                (deletes, "index/"),
                (deletes, "sessions/"),
            ],
        ),
        (
            Damage::Snapshots,
            &[
                (&[PutNew], "sessions/"),
                (&[List, Get], "snapshots/"),
                (&[PutNew], "packs/"),
                (&[PutNew], "index/"),
                (&[PutNew], "snapshots/"),
                (&[Head], "sessions/"),
                (deletes, "snapshots/"),
                (deletes, "sessions/"),
            ],
        ),
    ];
    for (damage, order) in orders {
        let lab = Lab::new(damage);
        let recorded = Arc::new(RecordStore::new(lab.store.clone()));
        let repo = open(recorded.clone(), None).unwrap();
        recorded.take();
        lab.repair(&repo).unwrap();
        let calls = recorded.take();
        let is = |operation, key: &str, step: &Calls<'_>| step.0.contains(&operation) && key.starts_with(step.1);
        let first = |step: &Calls<'_>| calls.iter().position(|call| is(call.operation, &call.key, step));
        let places: Vec<Option<usize>> = order.iter().map(first).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{damage:?}: {places:?} of {calls:#?}");
        let begun = places.last().copied().flatten().unwrap_or_default();
        let is_delete = |step: &&Calls<'_>| step.0.contains(&Delete) && step.1 != "sessions/";
        for step in order.iter().filter(is_delete) {
            let at = first(step).unwrap();
            let writes = calls[at..].iter().filter(|call| call.operation == PutNew);
            assert_eq!(writes.count(), 0, "{damage:?}: something is written after the first delete");
        }
        assert!(
            begun > 0 && calls.iter().all(|call| !is(call.operation, &call.key, &(deletes, "packs/"))),
            "{damage:?}"
        );
    }
}
