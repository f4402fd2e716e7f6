//! Writing a tree, reading it, and walking two of them side by side as a backup does with its parent snapshot.

use crate::data::{Chance, keys};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ssb::base::ChunkId;
use ssb::crypto::MasterKeys;
use ssb::repo::tree::{Content, Entry, NodeSink, NodeSource, TreeBuilder, TreeReader, compare_paths};
use ssb::repo::{RepoError, Result};
use ssb::source::{FileTime, Kind, Metadata};
use std::sync::Arc;

const ENTRIES: usize = 10_000;
const DIRECTORY_ENTRIES: usize = 20;

/// Keeps nodes under numbers, so that the time is the tree's and nobody's who names and stores nodes.
#[derive(Default)]
struct Nodes(Vec<Vec<u8>>);

impl NodeSink for Nodes {
    fn put_node(&mut self, plain: &[u8]) -> Result<ChunkId> {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(self.0.len() as u64).to_le_bytes());
        self.0.push(plain.to_vec());
        Ok(ChunkId::from_bytes(id))
    }
}

impl NodeSource for Nodes {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>> {
        let number = id.as_bytes().first_chunk().map(|number| u64::from_le_bytes(*number));
        let node = number.and_then(|number| self.0.get(number as usize));
        node.cloned().ok_or_else(|| RepoError::Missing { object: id.to_string() })
    }
}

/// Small files in many directories, in the order of the tree.
fn entries() -> Vec<Entry> {
    let mut chance = Chance::new("entries");
    let mut directory: Arc<[u8]> = Arc::from(&b""[..]);
    let entry = |number: usize| {
        if number.is_multiple_of(DIRECTORY_ENTRIES) {
            directory = format!("home/project/part{:03}", number / DIRECTORY_ENTRIES).into_bytes().into();
        }
        let mut time = || FileTime {
            seconds: 1_700_000_000 + chance.below(30_000_000) as i64,
            nanoseconds: chance.below(1_000_000_000) as u32,
        };
        let (mtime, ctime) = (time(), time());
        let metadata = Metadata {
            kind: Kind::File,
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            mtime,
            ctime,
            inode: (number + chance.below(8)) as u64,
            size: chance.below(20_000) as u64,
            sparse: false,
            rdev: 0,
            target: Vec::new(),
        };
        let id = ChunkId::from_slice(&chance.bytes(ChunkId::LEN));
        Entry {
            directory: directory.clone(),
            name: format!("module{number:05}.rs").into_bytes().into(),
            metadata,
            content: Content { depth: 0, ids: id.into_iter().collect() },
            extensions: Vec::new(),
        }
    };
    (0..ENTRIES).map(entry).collect()
}

fn build(keys: &MasterKeys, entries: &[Entry]) -> (Nodes, ChunkId) {
    let mut nodes = Nodes::default();
    let mut builder = TreeBuilder::new(keys);
    entries.iter().for_each(|entry| builder.push(entry, &mut nodes).unwrap());
    let root = builder.finish(&mut nodes).unwrap();
    (nodes, root)
}

#[divan::bench]
fn encode(bencher: Bencher) {
    let (keys, entries) = (keys(), entries());
    bencher.counter(ItemsCount::new(ENTRIES)).bench(|| build(&keys, black_box(&entries)));
}

#[divan::bench]
fn decode(bencher: Bencher) {
    let (nodes, root) = build(&keys(), &entries());
    bencher.counter(ItemsCount::new(ENTRIES)).bench(|| {
        let mut reader = TreeReader::new(&nodes, root);
        std::iter::from_fn(|| reader.next_whole().unwrap()).count()
    });
}

/// One file in a hundred has changed.
#[divan::bench]
fn merge(bencher: Bencher) {
    let mut entries = entries();
    let before = build(&keys(), &entries);
    entries.iter_mut().step_by(100).for_each(|entry| entry.metadata.mtime.seconds += 1);
    let now = build(&keys(), &entries);
    bencher.counter(ItemsCount::new(ENTRIES)).bench(|| unchanged(&before, &now));
}

/// How many files have the content that they had before.
fn unchanged(before: &(Nodes, ChunkId), now: &(Nodes, ChunkId)) -> usize {
    let [mut before, mut now] = [before, now].map(|(nodes, root)| TreeReader::new(nodes, *root));
    let next = |reader: &mut TreeReader<'_>| reader.next_whole().unwrap();
    let (mut old, mut new) = (next(&mut before), next(&mut now));
    let mut unchanged = 0;
    while let (Some(a), Some(b)) = (&old, &new) {
        let order = compare_paths(a.place(), b.place());
        unchanged += usize::from(order.is_eq() && b.metadata.same_content_as(&a.metadata));
        if order.is_le() {
            old = next(&mut before);
        }
        if order.is_ge() {
            new = next(&mut now);
        }
    }
    unchanged
}
