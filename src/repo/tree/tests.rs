//! The tree against plain lists of entries: order, round trips, holes, stability under change.

mod diff;

use super::node::{Child, LeafWriter, encode_inner};
use super::*;
use crate::crypto::{MasterKeys, SecretKey};
use crate::repo::error::RepoError;
use crate::source::{FileTime, Kind, Metadata};
use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Default)]
struct Nodes {
    keys: Option<MasterKeys>,
    kept: HashMap<ChunkId, Vec<u8>>,
}

impl NodeSink for Nodes {
    fn put_node(&mut self, plain: &[u8]) -> Result<ChunkId> {
        let id = self.keys.get_or_insert_with(keys).chunk_id(plain);
        self.kept.insert(id, plain.to_vec());
        Ok(id)
    }
}

impl NodeSource for Nodes {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.kept.get(id).cloned().ok_or_else(|| RepoError::Missing { object: id.to_string() })
    }
}

fn keys() -> MasterKeys {
    MasterKeys::new(SecretKey::from_bytes([5; 32]))
}

fn entry(path: &[u8], n: u64) -> Entry {
    let place = Path::split(path);
    let kind = [Kind::File, Kind::Directory, Kind::Symlink, Kind::CharDevice, Kind::Fifo][(n % 5) as usize];
    let is_file = kind == Kind::File;
    Entry {
        directory: place.directory.into(),
        name: place.name.into(),
        metadata: Metadata {
            kind,
            mode: 0o644,
            uid: n as u32,
            gid: 7,
            mtime: FileTime { seconds: 1_700_000_000 - (n as i64) * 1000, nanoseconds: (n % 1_000_000_000) as u32 },
            ctime: FileTime { seconds: n as i64, nanoseconds: 5 },
            inode: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            size: if is_file { n } else { 0 },
            sparse: is_file && n.is_multiple_of(3),
            rdev: if kind == Kind::CharDevice { n } else { 0 },
            target: if kind == Kind::Symlink { b"../t\xff".to_vec() } else { Vec::new() },
        },
        content: Content {
            depth: 0,
            ids: (0..if is_file { n % 4 } else { 0 }).map(|i| ChunkId::from_bytes([i as u8; 32])).collect(),
        },
        extensions: if n.is_multiple_of(7) { vec![(n, b"later".to_vec())] } else { Vec::new() },
    }
}

fn build(entries: &[Entry]) -> (Nodes, ChunkId) {
    let (mut nodes, keys) = (Nodes::default(), keys());
    let mut builder = TreeBuilder::new(&keys);
    entries.iter().for_each(|e| builder.push(e, &mut nodes).unwrap());
    let root = builder.finish(&mut nodes).unwrap();
    (nodes, root)
}

fn read_all(reader: &mut TreeReader<'_>) -> Vec<Entry> {
    std::iter::from_fn(|| reader.next_whole().unwrap()).collect()
}

/// Random paths in the order that the plain definition gives: component by component, then name.
fn ordered(paths: BTreeSet<Vec<u8>>) -> Vec<Entry> {
    let key = |path: &[u8]| -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut parts: Vec<Vec<u8>> = path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
        let name = parts.pop().unwrap();
        (parts, name)
    };
    let sorted: BTreeMap<_, _> = paths.iter().map(|p| (key(p), p.clone())).collect();
    sorted.values().enumerate().map(|(n, p)| entry(p, n as u64)).collect()
}

fn paths(most: usize) -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
    let part = prop::collection::vec(prop_oneof![Just(b'a'), Just(b'.'), Just(b'b'), Just(0xff), Just(b'!')], 1..4)
        .prop_filter("not a name", |p| p != b"." && p != b"..");
    prop::collection::btree_set(prop::collection::vec(part, 1..5).prop_map(|parts| parts.join(&b'/')), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn entries_come_back_in_order_from_any_place(paths in paths(300), start in 0usize..300) {
        let entries = ordered(paths);
        let (nodes, root) = build(&entries);
        prop_assert_eq!(&read_all(&mut TreeReader::new(&nodes, root)), &entries);
        let start = start.min(entries.len());
        if let Some(first) = entries.get(start) {
            let mut reader = TreeReader::starting_at(&nodes, root, first.place());
            prop_assert_eq!(&read_all(&mut reader)[..], &entries[start..]);
        }
    }

    #[test]
    fn any_bytes_as_a_node_give_a_result(bytes: Vec<u8>, kind in 1u8..3) {
        let mut nodes = Nodes::default();
        let id = nodes.put_node(&[&[kind], &bytes[..]].concat()).unwrap();
        let mut reader = TreeReader::new(&nodes, id);
        while let Some(Ok(_)) = reader.next_entry() {}
    }

    #[test]
    fn long_contents_come_back(count in 0usize..40_000, seed: u64) {
        let mut nodes = Nodes::default();
        let ids: Vec<ChunkId> = (0..count as u64)
            .map(|n| ChunkId::from_bytes(*blake3::hash(&(n ^ seed).to_le_bytes()).as_bytes()))
            .collect();
        let mut builder = ContentBuilder::default();
        ids.iter().for_each(|id| builder.push(*id, &mut nodes).unwrap());
        let content = builder.finish(&mut nodes).unwrap();
        prop_assert!(content.ids.len() <= 32);
        prop_assert_eq!(content.depth > 0, count > 32);
        let mut read = Vec::new();
        each_chunk(&content, &nodes, &mut |_| {}, &mut |id| { read.push(id); Ok(()) }).unwrap();
        prop_assert_eq!(read, ids);
    }
}

fn many(count: u64) -> Vec<Entry> {
    ordered((0..count).map(|n| format!("d{}/e{}/file{n}", n % 13, n % 7).into_bytes()).collect())
}

#[test]
fn one_changed_entry_changes_one_node_per_level() {
    let mut entries = many(30_000);
    let (before, root) = build(&entries);
    entries[12_345].metadata.uid += 1;
    let (after, other) = build(&entries);
    assert_ne!(root, other);
    let new = after.kept.keys().filter(|id| !before.kept.contains_key(id)).count();
    assert!((2..=4).contains(&new), "{new} new nodes");
    entries.remove(777);
    let (removed, _) = build(&entries);
    let new = removed.kept.keys().filter(|id| !after.kept.contains_key(id)).count();
    assert!(new <= 12, "{new} new nodes");
}

#[test]
fn a_lost_leaf_is_a_hole_with_its_bounds_and_the_rest_is_read() {
    let entries = many(5_000);
    let (mut nodes, root) = build(&entries);
    let leaves: Vec<ChunkId> = nodes.kept.iter().filter(|(_, n)| n[0] == 1).map(|(id, _)| *id).collect();
    nodes.kept.remove(&leaves[leaves.len() / 2]);
    let mut reader = TreeReader::new(&nodes, root);
    let (mut read, mut holes) = (Vec::new(), Vec::new());
    while let Some(next) = reader.next_entry() {
        match next {
            Ok(entry) => read.push(entry),
            Err(hole) => holes.push(hole),
        }
    }
    let [hole] = &holes[..] else { panic!("{holes:?}") };
    let missing: Vec<&Entry> = entries.iter().filter(|e| !read.contains(e)).collect();
    assert!(!missing.is_empty() && read.len() + missing.len() == entries.len());
    assert_eq!(hole.from, missing[0].display());
    let next = entries.iter().position(|e| e == missing[missing.len() - 1]).map(|n| &entries[n + 1]);
    assert_eq!(hole.until, next.map(Entry::display));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["..", ".", "", "a/b", "a\0"] {
        let mut bad = entry(b"x", 1);
        bad.name = name.as_bytes().into();
        let (nodes, root) = build(&[bad]);
        assert!(TreeReader::new(&nodes, root).next_whole().is_err(), "{name:?}");
    }
}

/// What is met of a forged tree: entries, and what is wrong.
fn met(nodes: &Nodes, root: ChunkId) -> (Vec<Entry>, Vec<String>) {
    let mut reader = TreeReader::new(nodes, root);
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    while let Some(next) = reader.next_entry() {
        match next {
            Ok(entry) => entries.push(entry),
            Err(hole) => wrong.push(hole.error.to_string()),
        }
    }
    (entries, wrong)
}

fn put_leaf(nodes: &mut Nodes, paths: &[&str]) -> ChunkId {
    let mut leaf = LeafWriter::default();
    paths.iter().for_each(|path| leaf.add(&entry(path.as_bytes(), 1)));
    nodes.put_node(&leaf.finish().0).unwrap()
}

fn put_inner(nodes: &mut Nodes, level: u32, children: &[(&str, ChunkId)]) -> ChunkId {
    let child = |(path, id): &(&str, ChunkId)| {
        let place = Path::split(path.as_bytes());
        Child { directory: place.directory.into(), name: place.name.into(), id: *id }
    };
    nodes.put_node(&encode_inner(level, &children.iter().map(child).collect::<Vec<_>>())).unwrap()
}

#[test]
fn nodes_that_are_not_in_order_are_refused() {
    for paths in [["b", "a"], ["a", "a"], ["a/b", "a"], ["b/a", "a/b"]] {
        let mut nodes = Nodes::default();
        let leaf = put_leaf(&mut nodes, &paths);
        let (entries, wrong) = met(&nodes, leaf);
        assert!(entries.is_empty() && wrong[0].contains("out of order"), "{paths:?}: {wrong:?}");
        let children = [put_leaf(&mut nodes, &[]), put_leaf(&mut nodes, &[])];
        let inner = put_inner(&mut nodes, 1, &[(paths[0], children[0]), (paths[1], children[1])]);
        let (_, wrong) = met(&nodes, inner);
        assert!(wrong[0].contains("out of order"), "{paths:?}: {wrong:?}");
    }
}

#[test]
fn a_node_that_holds_what_belongs_elsewhere_is_a_hole() {
    let mut nodes = Nodes::default();
    let [early, fitting, late] = [&["a", "c"][..], &["c", "d"], &["c", "e"]].map(|paths| put_leaf(&mut nodes, paths));
    let after = put_leaf(&mut nodes, &["e", "f"]);
    for (leaf, is_sound) in [(early, false), (fitting, true), (late, false)] {
        let root = put_inner(&mut nodes, 1, &[("b", leaf), ("e", after)]);
        let (entries, wrong) = met(&nodes, root);
        assert_eq!((entries.len(), wrong.is_empty()), if is_sound { (4, true) } else { (2, false) }, "{wrong:?}");
        let below = put_inner(&mut nodes, 1, &[("c", leaf)]);
        let beside = put_inner(&mut nodes, 1, &[("e", after)]);
        let root = put_inner(&mut nodes, 2, &[("b", below), ("e", beside)]);
        let (entries, wrong) = met(&nodes, root);
        assert_eq!((entries.len(), wrong.is_empty()), if is_sound { (4, true) } else { (2, false) }, "{wrong:?}");
    }
}

#[test]
fn every_node_stands_one_level_below_its_parent() {
    let mut nodes = Nodes::default();
    let leaf = put_leaf(&mut nodes, &["a"]);
    let one = put_inner(&mut nodes, 1, &[("a", leaf)]);
    for (level, child, is_sound) in
        [(1, leaf, true), (2, one, true), (0, leaf, false), (2, leaf, false), (1, one, false), (3, one, false)]
    {
        let root = put_inner(&mut nodes, level, &[("a", child)]);
        assert_eq!(met(&nodes, root).1.is_empty(), is_sound, "level {level}");
    }
    let mut tree = leaf;
    for level in 1..=32 {
        tree = put_inner(&mut nodes, level, &[("a", tree)]);
    }
    assert_eq!(met(&nodes, tree).0.len(), 1);
    tree = put_inner(&mut nodes, 33, &[("a", tree)]);
    assert_eq!(met(&nodes, tree).0.len(), 0);
}

#[test]
fn entries_out_of_order_are_refused() {
    let (mut nodes, keys) = (Nodes::default(), keys());
    let mut builder = TreeBuilder::new(&keys);
    builder.push(&entry(b"b", 1), &mut nodes).unwrap();
    assert!(builder.push(&entry(b"a", 1), &mut nodes).is_err());
    assert!(builder.push(&entry(b"b", 1), &mut nodes).is_err());
}
