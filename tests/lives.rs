//! Lives of a repository by chance: two folders change; two clients back them up, forget, prune and repair, lose their caches,
//! and die at any call. Beside it a plain model: which snapshots there are, and what each of them held.

mod support;

use ssb::base::{Issue, IssueCode};
use ssb::ops::forget::{Which, execute, plan};
use ssb::repo::{Repo, Snapshot, layout};
use ssb::store::{FaultStore, MemoryStore, ObjectStore, list_all};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use support::chance::Chance;
use support::lab::{assert_no_garbage, assert_sound, backup, create, open, prune, repair_index, repair_snapshots};
use support::restored::assert_restores;
use support::tree::{Tree, read_tree};
use support::world::World;

const STEPS: usize = 30;
/// A backup, a forget or a repair of so little makes fewer calls than this, and a prune not many more.
const MOST_CALLS: usize = 40;

struct Known {
    snapshot: Snapshot,
    world: usize,
    tree: Tree,
}

/// A machine: what it remembers, and a process that goes on.
struct Machine {
    cache: tempfile::TempDir,
    process: Option<Arc<Repo>>,
}

struct Life {
    seed: u64,
    step: usize,
    chance: Chance,
    store: Arc<MemoryStore>,
    worlds: [World; 2],
    machines: [Machine; 2],
    /// The model.
    known: Vec<Known>,
    _folder: tempfile::TempDir,
}

impl Life {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        create(store.clone(), None).unwrap();
        let worlds = [0, 1].map(|n| {
            let world = World::new(&folder.path().join(format!("world {n}")), 2 * seed + n);
            ["a/b", "a-b", "z"].iter().for_each(|inside| fs::create_dir_all(world.top.join(inside)).unwrap());
            world
        });
        let machines = [0, 1].map(|_| Machine { cache: tempfile::tempdir().unwrap(), process: None });
        let chance = Chance::new(seed);
        Self { seed, step: 0, chance, store, worlds, machines, known: Vec::new(), _folder: folder }
    }

    fn when(&self) -> String {
        format!("seed {}, step {}", self.seed, self.step)
    }

    /// The machine's process, or a new one.
    fn client(&mut self) -> Arc<Repo> {
        let machine = &mut self.machines[self.chance.below(2)];
        if self.chance.below(3) == 0 {
            machine.process = None;
        }
        let start = || open(self.store.clone(), Some(machine.cache.path())).unwrap();
        machine.process.get_or_insert_with(start).clone()
    }

    /// Does that on some machine, in a process that may die on the way; `None` if it did.
    fn attempt<T>(&mut self, work: impl Fn(&Arc<Repo>) -> ssb::ops::Result<T>) -> Option<T> {
        if self.chance.below(3) > 0 {
            let repo = self.client();
            return Some(work(&repo).unwrap_or_else(|error| panic!("{}: {error}", self.when())));
        }
        let dying = FaultStore::dead_from(self.store.clone(), self.chance.below(MOST_CALLS) as u64);
        let cache = self.machines[self.chance.below(2)].cache.path();
        work(&open(Arc::new(dying), Some(cache)).ok()?).ok()
    }

    fn listed(&self) -> Vec<Snapshot> {
        let found = open(self.store.clone(), None).unwrap().snapshots().unwrap();
        assert!(found.damaged.is_empty(), "{}: {:?}", self.when(), found.damaged);
        found.snapshots
    }

    fn live(&mut self) {
        match self.chance.below(12) {
            0..=1 => {
                let world = &mut self.worlds[self.chance.below(2)];
                (0..self.chance.below(12)).for_each(|_| world.change());
            }
            2..=5 => self.back_up(),
            6..=7 => self.forget(),
            8..=9 => self.prune(),
            10 => self.repair(),
            _ => {
                let machine = &mut self.machines[self.chance.below(2)];
                *machine = Machine { cache: tempfile::tempdir().unwrap(), process: None };
            }
        }
    }

    fn back_up(&mut self) {
        let world = self.chance.below(2);
        let top = self.worlds[world].top.clone();
        let outcome = self.attempt(|repo| backup(repo, &top));
        // It may have died when it had only to leave.
        let is_harmless = |issue: &Issue| issue.code == IssueCode::SessionLeft;
        assert!(outcome.iter().all(|o| o.issues.iter().all(is_harmless)), "{}: {outcome:?}", self.when());
        let tree = read_tree(&top);
        // Of a process that died nobody knows whether it had got so far.
        let came = match outcome {
            Some(outcome) => outcome.snapshot,
            None => self.listed().into_iter().find(|s| self.known.iter().all(|known| known.snapshot.id != s.id)),
        };
        self.known.extend(came.map(|snapshot| Known { snapshot, world, tree }));
    }

    fn forget(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let victim = self.known.remove(self.chance.below(self.known.len()));
        let id = victim.snapshot.id.to_string();
        let which = || Which::Ids(vec![id.clone()], Default::default());
        self.attempt(|repo| execute(repo, &plan(repo, which())?));
        if self.listed().contains(&victim.snapshot) {
            self.known.push(victim);
        }
    }

    /// Everybody else is dead by now; sometimes that is known.
    fn prune(&mut self) {
        let dead = list_all(&*self.store, layout::SESSIONS).unwrap();
        let is_known = self.chance.below(2) == 0;
        if is_known {
            dead.iter().for_each(|object| self.store.delete(&object.key).unwrap());
        }
        let is_deferred = !is_known && dead.iter().any(|object| object.key.ends_with("/open"));
        if let Some(summary) = self.attempt(prune) {
            assert_eq!(summary.deferred.is_some(), is_deferred, "{}", self.when());
        }
    }

    /// Nothing is damaged, so nothing may be given up.
    fn repair(&mut self) {
        let index = self.attempt(|repo| repair_index(repo, false));
        assert!(index.iter().all(|outcome| outcome.findings.is_empty()), "{}: {index:?}", self.when());
        let snapshots = self.attempt(|repo| repair_snapshots(repo, true, false));
        assert!(snapshots.iter().all(|outcome| outcome.damaged.is_empty()), "{}: {snapshots:?}", self.when());
    }

    fn assert_as_modelled(&mut self) {
        let ids = |snapshots: &mut dyn Iterator<Item = &Snapshot>| snapshots.map(|s| s.id).collect::<BTreeSet<_>>();
        let wanted = ids(&mut self.known.iter().map(|known| &known.snapshot));
        assert_eq!(ids(&mut self.listed().iter()), wanted, "{}", self.when());
        if !self.known.is_empty() {
            let (repo, which) = (self.client(), self.chance.below(self.known.len()));
            self.assert_restored(&repo, which);
        }
    }

    fn assert_restored(&self, repo: &Arc<Repo>, which: usize) {
        let Known { snapshot, world, tree } = &self.known[which];
        assert_restores(repo, snapshot, &self.worlds[*world].top, tree, &self.when());
    }
}

/// Lives to the end; then everything is there, and one prune leaves nothing else.
fn live(seed: u64) {
    let mut life = Life::new(seed);
    for step in 0..STEPS {
        life.step = step;
        life.live();
        life.assert_as_modelled();
    }
    let repo = open(life.store.clone(), None).unwrap();
    assert_sound(&repo, &life.when());
    for object in list_all(&*life.store, layout::SESSIONS).unwrap() {
        life.store.delete(&object.key).unwrap();
    }
    assert_eq!(prune(&repo).unwrap().deferred, None);
    assert_no_garbage(&repo, &life.when());
    assert_sound(&repo, &life.when());
    (0..life.known.len()).for_each(|which| life.assert_restored(&repo, which));
}

#[test]
fn of_many_kinds() {
    (0..6).for_each(live);
}

#[test]
fn of_many_more_kinds() {
    (100..106).for_each(live);
}
