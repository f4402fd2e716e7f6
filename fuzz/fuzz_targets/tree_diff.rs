//! The difference of two nodes, from any bytes; the first two bytes of the input say where the second begins. Besides: a tree
//! does not differ from itself, and leaves differ as two maps do.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::ChunkId;
use ssb::repo::RepoError;
use ssb::repo::tree::node::{Node, decode};
use ssb::repo::tree::{Difference, Entry, NodeSource, Subtree, TreeDiff, compare_paths};
use std::cell::Cell;
use std::cmp::Ordering;

const ROOTS: [ChunkId; 2] = [ChunkId::from_bytes([1; 32]), ChunkId::from_bytes([2; 32])];

/// Two roots, each of which is given out once: an id is a hash, so no node is below itself.
struct Roots<'a>([Cell<Option<&'a [u8]>>; 2]);

impl NodeSource for Roots<'_> {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let bytes = ROOTS.iter().position(|root| root == id).and_then(|n| self.0[n].take());
        bytes.map(<[u8]>::to_vec).ok_or_else(|| RepoError::Missing { object: id.to_string() })
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((length, nodes)) = input.split_first_chunk() else { return };
    let Some((before, after)) = nodes.split_at_checked(u16::from_le_bytes(*length).into()) else { return };
    assert_eq!(differences([before, after], [ROOTS[0], ROOTS[0]]), []);
    let found = differences([before, after], ROOTS);
    if let (Ok(Node::Leaf(before)), Ok(Node::Leaf(after))) = (decode(before), decode(after)) {
        assert_eq!(found, model(before, after));
    }
});

/// All that are found; holes are passed over.
fn differences(nodes: [&[u8]; 2], roots: [ChunkId; 2]) -> Vec<Difference> {
    let source = Roots(nodes.map(|node| Cell::new(Some(node))));
    let [before, after] = roots.map(|root| Subtree { root, directory: Vec::new() });
    let mut diff = TreeDiff::new(&source, before, after);
    std::iter::from_fn(|| diff.next_difference()).filter_map(Result::ok).collect()
}

/// The plain definition.
fn model(before: Vec<Entry>, after: Vec<Entry>) -> Vec<Difference> {
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => compare_paths(before.place(), after.place()),
        };
        let before = if order == Ordering::Greater { None } else { before.next() };
        let after = if order == Ordering::Less { None } else { after.next() };
        if before != after {
            found.push(Difference { before, after });
        }
    }
}
