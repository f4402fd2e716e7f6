//! Differences of two trees against differences of two maps; how few nodes that takes, and what a hole leaves.

use super::{Nodes, build, entry, many, ordered, paths};
use crate::base::ChunkId;
use crate::repo::error::Result;
use crate::repo::tree::{
    DiffHole, Difference, Entry, NodeSink, NodeSource, Path, Side, Subtree, TreeDiff, compare_paths,
};
use crate::source::Kind;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

/// Two trees in one store, which counts what is read.
struct Pair {
    nodes: Nodes,
    roots: [ChunkId; 2],
    /// The nodes that only one of them has.
    unshared: HashSet<ChunkId>,
    reads: Cell<usize>,
}

impl NodeSource for Pair {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        self.nodes.node(id)
    }
}

impl Pair {
    fn new(before: &[Entry], after: &[Entry]) -> Self {
        let ((mut nodes, first), (other, second)) = (build(before), build(after));
        let ids = |nodes: &Nodes| nodes.kept.keys().copied().collect::<HashSet<ChunkId>>();
        let unshared = ids(&nodes).symmetric_difference(&ids(&other)).copied().collect();
        nodes.kept.extend(other.kept);
        Self { nodes, roots: [first, second], unshared, reads: Cell::new(0) }
    }

    fn diff(&self, directories: [&[u8]; 2]) -> (Vec<Difference>, Vec<DiffHole>) {
        let side = |n: usize| Subtree { root: self.roots[n], directory: directories[n].to_vec() };
        let mut diff = TreeDiff::new(self, side(0), side(1));
        let (mut found, mut holes) = (Vec::new(), Vec::new());
        while let Some(next) = diff.next_difference() {
            match next {
                Ok(difference) => found.push(difference),
                Err(hole) => holes.push(*hole),
            }
        }
        (found, holes)
    }

    /// All differences of trees that can be read.
    fn differences(&self) -> Vec<Difference> {
        let (found, holes) = self.diff([b"", b""]);
        assert!(holes.is_empty(), "{holes:?}");
        found
    }
}

/// What is below a directory, by its path from there.
fn below(entries: &[Entry], directory: &[u8]) -> BTreeMap<Vec<u8>, Entry> {
    let prefix = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
    entries.iter().filter_map(|e| Some((e.path().strip_prefix(&prefix[..])?.to_vec(), e.clone()))).collect()
}

/// The plain definition.
fn model(before: &[Entry], after: &[Entry], directories: [&[u8]; 2]) -> BTreeMap<Vec<u8>, Difference> {
    let (before, after) = (below(before, directories[0]), below(after, directories[1]));
    let mut differences = BTreeMap::new();
    for path in before.keys().chain(after.keys()) {
        let (was, is) = (before.get(path), after.get(path));
        let is_same = was.zip(is).is_some_and(|(was, is)| {
            (&was.metadata, &was.content, &was.extensions) == (&is.metadata, &is.content, &is.extensions)
        });
        if !is_same {
            differences.insert(path.clone(), Difference { before: was.cloned(), after: is.cloned() });
        }
    }
    differences
}

fn relative(difference: &Difference, directories: [&[u8]; 2]) -> Vec<u8> {
    let (entry, directory) = match difference {
        Difference { before: Some(entry), .. } => (entry, directories[0]),
        Difference { after, .. } => (after.as_ref().unwrap(), directories[1]),
    };
    let path = entry.path();
    let path = path.strip_prefix(directory).unwrap();
    path.strip_prefix(b"/").unwrap_or(path).to_vec()
}

/// Fails unless these are the model's differences, each once and in the order of the tree.
fn assert_agrees(found: &[Difference], before: &[Entry], after: &[Entry], directories: [&[u8]; 2]) {
    let places: Vec<Vec<u8>> = found.iter().map(|difference| relative(difference, directories)).collect();
    let is_ordered = |pair: &[Vec<u8>]| compare_paths(Path::split(&pair[0]), Path::split(&pair[1])) == Ordering::Less;
    assert!(places.windows(2).all(is_ordered), "out of order: {places:?}");
    let found: BTreeMap<Vec<u8>, Difference> = places.into_iter().zip(found.iter().cloned()).collect();
    assert_eq!(found, model(before, after, directories));
}

/// Entries before and after: of some one is missing, of others the metadata or the content changes.
fn changed(all: &[Entry], actions: &[u8]) -> (Vec<Entry>, Vec<Entry>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (entry, action) in all.iter().zip(actions) {
        let mut other = entry.clone();
        match action {
            2 => other.metadata.mode ^= 0o100,
            3 if other.metadata.kind == Kind::File => other.content.ids.push(ChunkId::from_bytes([9; 32])),
            3 => other.metadata.uid += 1,
            4 => other.extensions.push((900, b"new".to_vec())),
            _ => {}
        }
        if *action != 0 {
            before.push(entry.clone());
        }
        if *action != 1 {
            after.push(other);
        }
    }
    (before, after)
}

/// What happens to each of up to 400 entries: much, little or hardly anything.
fn actions() -> impl Strategy<Value = Vec<u8>> {
    let most = prop_oneof![Just(6u16), Just(40), Just(600)];
    most.prop_flat_map(|most| prop::collection::vec((0..most).prop_map(|n| n.min(100) as u8), 400))
}

/// Below `directory` instead of the root.
fn moved(entries: &[Entry], directory: &str) -> Vec<Entry> {
    let move_one = |e: &Entry| {
        let path = [directory.as_bytes(), b"/", &e.path()[..]].concat();
        Entry { directory: Path::split(&path).directory.into(), ..e.clone() }
    };
    entries.iter().map(move_one).collect()
}

/// Beside entries of the neighbourhood, which are not the same in both trees.
fn among(entries: Vec<Entry>, places: &[&[u8]], n: u64) -> Vec<Entry> {
    let mut all: Vec<Entry> = entries.into_iter().chain(places.iter().map(|path| entry(path, n))).collect();
    all.sort_by(|a, b| compare_paths(a.place(), b.place()));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn differences_are_those_of_two_maps(paths in paths(400), actions in actions()) {
        let (before, after) = changed(&ordered(paths), &actions);
        let pair = Pair::new(&before, &after);
        assert_agrees(&pair.differences(), &before, &after, [b"", b""]);
        // A tree that is a node of the other is read once as that and once for itself.
        let (reads, unshared) = (pair.reads.get(), pair.unshared.len());
        prop_assert!(reads <= unshared + 2, "{reads} reads, {unshared} nodes that are not shared");
    }

    #[test]
    fn two_directories_are_compared_by_what_is_in_them(paths in paths(300), actions in actions()) {
        let (before, after) = changed(&ordered(paths), &actions);
        let around: [&[u8]; 5] = [b"m", b"l/x", b"m.d/x", b"m!", b"n/deep"];
        let before = among(moved(&before, "m"), &around, 10);
        for to in ["m", "n/deep"] {
            let after = among(moved(&after, to), &around, 15);
            let pair = Pair::new(&before, &after);
            let asked: [[&[u8]; 2]; 4] = [[b"m", to.as_bytes()], [b"m", b"m"], [b"", b"n"], [b"l", b"none"]];
            for directories in asked {
                let (found, holes) = pair.diff(directories);
                prop_assert!(holes.is_empty());
                assert_agrees(&found, &before, &after, directories);
            }
        }
    }

    #[test]
    fn what_lies_in_a_hole_is_not_told_of(paths in paths(400), actions in actions(), lost: prop::sample::Index) {
        let (before, after) = changed(&ordered(paths), &actions);
        let mut pair = Pair::new(&before, &after);
        let mut ids: Vec<ChunkId> = pair.unshared.iter().copied().collect();
        ids.sort();
        if ids.is_empty() {
            return Ok(());
        }
        pair.nodes.kept.remove(lost.get(&ids));
        let (found, holes) = pair.diff([b"", b""]);
        prop_assert_eq!(holes.len(), 1);
        let place = |shown: &String| crate::base::text::unescape(&shown[1..]);
        let (from, until) = (place(&holes[0].hole.from), holes[0].hole.until.as_ref().map(place));
        let is_lost = |path: &[u8]| {
            let order = |other: &[u8]| compare_paths(Path::split(path), Path::split(other));
            order(&from) != Ordering::Less && until.as_ref().is_none_or(|until| order(until) == Ordering::Less)
        };
        let mut wanted = model(&before, &after, [b"", b""]);
        wanted.retain(|path, _| !is_lost(path));
        let found: BTreeMap<_, _> = found.into_iter().map(|one| (relative(&one, [b"", b""]), one)).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn any_bytes_as_a_node_end(bytes: Vec<u8>, kind in 1u8..3, paths in paths(100)) {
        let entries = ordered(paths);
        let mut pair = Pair::new(&entries, &entries);
        pair.roots[1] = pair.nodes.put_node(&[&[kind], &bytes[..]].concat()).unwrap();
        pair.diff([b"", b""]);
        pair.diff([b"a", b"b"]);
    }
}

#[test]
fn one_changed_entry_in_a_large_tree_reads_a_path_to_it() {
    let before = many(30_000);
    let mut after = before.clone();
    after[12_345].metadata.mode = 0o600;
    let pair = Pair::new(&before, &after);
    let found = pair.differences();
    assert_eq!(found, [Difference { before: Some(before[12_345].clone()), after: Some(after[12_345].clone()) }]);
    let reads = pair.reads.get();
    assert!(reads == pair.unshared.len() && reads <= 8, "{reads} reads");
}

#[test]
fn the_same_tree_is_not_read() {
    let pair = Pair::new(&many(1000), &many(1000));
    assert_eq!(pair.differences(), []);
    assert_eq!(pair.reads.get(), 0);
}

#[test]
fn what_trees_of_unequal_height_share_is_found() {
    let after = many(30_000);
    for count in [20, 600, 6000] {
        let pair = Pair::new(&after[..count], &after);
        assert_eq!(pair.differences().len(), after.len() - count);
        let (reads, unshared) = (pair.reads.get(), pair.unshared.len());
        assert!(reads <= unshared + 2, "{count} of {}: {reads} reads, {unshared} nodes", after.len());
    }
}

#[test]
fn a_lost_leaf_hides_nothing_else() {
    let before = many(5_000);
    let mut after = before.clone();
    after.iter_mut().step_by(10).for_each(|entry| entry.metadata.uid ^= 1);
    for (n, side) in [Side::Before, Side::After].into_iter().enumerate() {
        let mut pair = Pair::new(&before, &after);
        let own: HashSet<ChunkId> = build([&before, &after][n]).0.kept.into_keys().collect();
        let is_leaf = |id: &&ChunkId| own.contains(id) && pair.nodes.kept[*id][0] == 1;
        let lost = *pair.unshared.iter().filter(is_leaf).min().unwrap();
        pair.nodes.kept.remove(&lost);
        let (found, holes) = pair.diff([b"", b""]);
        let [hole] = &holes[..] else { panic!("{holes:?}") };
        assert_eq!((hole.side, hole.hole.node), (side, lost));
        // A leaf holds at most 256 entries, and every tenth has changed.
        assert!((500 - 26..500).contains(&found.len()), "{} differences", found.len());
        assert!(found.iter().all(|difference| difference.before.is_some() && difference.after.is_some()));
    }
}
