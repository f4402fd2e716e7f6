//! Reads a tree front to back, from any place in its order. A node that cannot be read leaves a hole; the rest goes on.

use super::NodeSource;
use super::entry::{Entry, Path, Place, compare_paths};
use super::node::{Child, Node, decode};
use crate::base::{ChunkId, text};
use crate::repo::error::{RepoError, Result};
use std::cmp::Ordering;

/// A run of entries that could not be read.
#[derive(Debug)]
pub struct Hole {
    /// The first entry that is missing, and the first that is there again, as absolute paths in text form.
    pub from: String,
    pub until: Option<String>,
    pub node: ChunkId,
    pub error: RepoError,
}

impl Hole {
    pub(super) fn new(child: &Child, end: Option<Path<'_>>, error: RepoError) -> Self {
        let text_of = |place: Path<'_>| format!("/{}", text::escape(&place.join()));
        Self { from: text_of(child.first()), until: end.map(text_of), node: child.id, error }
    }
}

pub(super) fn read_node(source: &dyn NodeSource, id: &ChunkId) -> Result<Node> {
    let bytes = source.node(id)?;
    decode(&bytes).map_err(|e| RepoError::damaged(format!("the tree node {id}"), e.0))
}

/// Where a node's range ends: the first path of what follows.
pub(super) type End = Option<Place>;

/// A cursor over the entries of a tree; holds one node per level.
pub struct TreeReader<'a> {
    source: &'a dyn NodeSource,
    /// Nodes still to be read, the next one last, each with the end of its range.
    stack: Vec<(Child, End)>,
    leaf: std::vec::IntoIter<Entry>,
    /// Entries before this place are passed over.
    from: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'a> TreeReader<'a> {
    /// All entries.
    pub fn new(source: &'a dyn NodeSource, root: ChunkId) -> Self {
        Self { source, stack: vec![(Child::root(root), None)], leaf: Vec::new().into_iter(), from: None }
    }

    /// The entries from `place` on.
    pub fn starting_at(source: &'a dyn NodeSource, root: ChunkId, place: Path<'_>) -> Self {
        let from = Some((place.directory.to_vec(), place.name.to_vec()));
        Self { from, ..Self::new(source, root) }
    }

    /// The next entry, or the next hole; `None` at the end.
    pub fn next_entry(&mut self) -> Option<std::result::Result<Entry, Box<Hole>>> {
        loop {
            while let Some(entry) = self.leaf.next() {
                if !self.is_before_start(entry.place()) {
                    return Some(Ok(entry));
                }
            }
            let (child, end) = self.stack.pop()?;
            match read_node(self.source, &child.id) {
                Ok(Node::Leaf(entries)) => self.leaf = entries.into_iter(),
                Ok(Node::Inner { children, .. }) => self.push_children(children, end),
                Err(error) => {
                    let end = end.as_ref().map(|(directory, name)| Path { directory, name });
                    return Some(Err(Box::new(Hole::new(&child, end, error))));
                }
            }
        }
    }

    /// The next entry; a hole is an error.
    pub fn next_whole(&mut self) -> Result<Option<Entry>> {
        self.next_entry().transpose().map_err(|hole| hole.error)
    }

    fn push_children(&mut self, children: Vec<Child>, mut end: End) {
        for child in children.into_iter().rev() {
            let first = (child.directory.clone(), child.name.clone());
            let ends_before_start = end.as_ref().is_some_and(|(directory, name)| {
                let end = Path { directory, name };
                self.from
                    .as_ref()
                    .is_some_and(|(d, n)| compare_paths(end, Path { directory: d, name: n }) != Ordering::Greater)
            });
            if !ends_before_start {
                self.stack.push((child, end));
            }
            end = Some(first);
        }
    }

    fn is_before_start(&self, place: Path<'_>) -> bool {
        self.from.as_ref().is_some_and(|(d, n)| compare_paths(place, Path { directory: d, name: n }) == Ordering::Less)
    }
}
