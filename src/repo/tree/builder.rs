//! Writes a tree from entries that come in order. Holds one leaf and one inner node per level.

use super::entry::{Entry, Place, compare_paths};
use super::node::{Child, LeafWriter, encode_inner};
use super::{NodeSink, Path};
use crate::base::ChunkId;
use crate::crypto::MasterKeys;
use crate::repo::error::{RepoError, Result};
use std::cmp::Ordering;
use std::sync::Arc;

/// One cut in this many entries, on average.
const LEAF_MEAN_ENTRIES: u64 = 32;
const LEAF_MOST_ENTRIES: usize = 256;
const LEAF_MOST_BYTES: usize = 512 << 10;
const INNER_MEAN_CHILDREN: u64 = 64;
const INNER_MOST_CHILDREN: usize = 512;

/// Builds one tree.
pub struct TreeBuilder<'a> {
    keys: &'a MasterKeys,
    leaf: LeafWriter,
    levels: Vec<Vec<Child>>,
    last: Option<Place>,
}

impl<'a> TreeBuilder<'a> {
    pub fn new(keys: &'a MasterKeys) -> Self {
        Self { keys, leaf: LeafWriter::default(), levels: Vec::new(), last: None }
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// If it does not stand after the one before it, or if `sink` fails.
    pub fn push(&mut self, entry: &Entry, sink: &mut dyn NodeSink) -> Result<()> {
        if let Some((directory, name)) = &self.last
            && compare_paths(Path { directory, name }, entry.place()) != Ordering::Less
        {
            return Err(RepoError::Seal(format!("{} was met out of order", entry.display())));
        }
        self.last = Some((entry.directory.clone(), entry.name.clone()));
        self.leaf.add(entry);
        let full = self.leaf.entries() >= LEAF_MOST_ENTRIES || self.leaf.size_bytes() >= LEAF_MOST_BYTES;
        if full || self.keys.tree_cut(&entry.path()).is_multiple_of(LEAF_MEAN_ENTRIES) {
            self.end_leaf(sink)?;
        }
        Ok(())
    }

    /// Writes what is left; gives the root.
    pub fn finish(mut self, sink: &mut dyn NodeSink) -> Result<ChunkId> {
        if self.leaf.entries() > 0 || self.levels.is_empty() {
            self.end_leaf(sink)?;
        }
        let mut level = 0;
        loop {
            let is_top = self.levels[level + 1..].iter().all(Vec::is_empty);
            match &self.levels[level][..] {
                [only] if is_top => return Ok(only.id),
                [] => {}
                _ => self.end_inner(level, sink)?,
            }
            level += 1;
        }
    }

    fn end_leaf(&mut self, sink: &mut dyn NodeSink) -> Result<()> {
        let (bytes, first) = self.leaf.finish();
        let (directory, name) = first.unwrap_or_else(|| (Arc::from(&b""[..]), Box::from(&b""[..])));
        let id = sink.put_node(&bytes)?;
        self.add_child(0, Child { directory, name, id }, sink)
    }

    fn add_child(&mut self, level: usize, child: Child, sink: &mut dyn NodeSink) -> Result<()> {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        // The level is mixed in so that a cut in one level does not force one in the next.
        let place = [&child.first().join()[..], b"/", &(level as u32).to_le_bytes()].concat();
        let cut = self.keys.tree_cut(&place).is_multiple_of(INNER_MEAN_CHILDREN);
        self.levels[level].push(child);
        if cut || self.levels[level].len() >= INNER_MOST_CHILDREN {
            self.end_inner(level, sink)?;
        }
        Ok(())
    }

    fn end_inner(&mut self, level: usize, sink: &mut dyn NodeSink) -> Result<()> {
        let children = std::mem::take(&mut self.levels[level]);
        let Some(first) = children.first().cloned() else { return Ok(()) };
        let id = sink.put_node(&encode_inner(level as u32 + 1, &children))?;
        self.add_child(level + 1, Child { id, ..first }, sink)
    }
}
