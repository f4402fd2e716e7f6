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
    pub(super) fn new(node: &Pending, error: RepoError) -> Self {
        let text_of = |place: Path<'_>| format!("/{}", text::escape(&place.join()));
        let Pending { child, .. } = node;
        Self { from: text_of(child.first()), until: node.end().map(text_of), node: child.id, error }
    }
}

/// A root may stand above everything; how high it is shows when it is read.
const ROOT_LEVEL: u64 = u64::MAX;

/// A node that is still to be read, and what the node above says of it.
pub(super) struct Pending {
    pub child: Child,
    /// How many levels stand below it.
    pub level: u64,
    /// Where its range ends: the first path of what follows.
    pub end: Option<Place>,
}

impl Pending {
    pub fn root(id: ChunkId) -> Self {
        Self { child: Child::root(id), level: ROOT_LEVEL, end: None }
    }

    pub fn end(&self) -> Option<Path<'_>> {
        self.end.as_ref().map(|(directory, name)| Path { directory, name })
    }

    /// The node, if it is what the node above says: as high, and with nothing in it that stands elsewhere in the order. So
    /// no walk is deeper than a node can tell, and nothing is met twice or out of order in a whole tree.
    pub fn read(&self, source: &dyn NodeSource) -> Result<Node> {
        let id = &self.child.id;
        let damaged = |what: &str| RepoError::damaged(format!("the tree node {id}"), what);
        let node = decode(&source.node(id)?).map_err(|e| damaged(e.0))?;
        let (level, first, last) = match &node {
            Node::Leaf(entries) => (0, entries.first().map(Entry::place), entries.last().map(Entry::place)),
            Node::Inner { level, children } => {
                (*level, children.first().map(Child::first), children.last().map(Child::first))
            }
        };
        if self.level != ROOT_LEVEL && self.level != level {
            return Err(damaged("it stands at another level than the node above it says"));
        }
        let is_ahead = first.is_some_and(|first| compare_paths(first, self.child.first()) == Ordering::Less);
        let is_behind = last.zip(self.end()).is_some_and(|(last, end)| compare_paths(last, end) != Ordering::Less);
        if is_ahead || is_behind {
            return Err(damaged("it holds what belongs elsewhere in the tree"));
        }
        Ok(node)
    }

    /// The children of an inner node that was read here, the last one first.
    pub fn into_children(self, level: u64, children: Vec<Child>) -> impl Iterator<Item = Self> {
        let mut end = self.end;
        children.into_iter().rev().map(move |child| {
            let end = end.replace((child.directory.clone(), child.name.clone()));
            Self { child, level: level.saturating_sub(1), end }
        })
    }
}

/// A cursor over the entries of a tree; holds one node per level.
pub struct TreeReader<'a> {
    source: &'a dyn NodeSource,
    /// The next one last.
    stack: Vec<Pending>,
    leaf: std::vec::IntoIter<Entry>,
    /// Entries before this place are passed over.
    from: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'a> TreeReader<'a> {
    /// All entries.
    pub fn new(source: &'a dyn NodeSource, root: ChunkId) -> Self {
        Self { source, stack: vec![Pending::root(root)], leaf: Vec::new().into_iter(), from: None }
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
            let node = self.stack.pop()?;
            match node.read(self.source) {
                Ok(Node::Leaf(entries)) => self.leaf = entries.into_iter(),
                Ok(Node::Inner { level, children }) => self.push_children(node.into_children(level, children)),
                Err(error) => return Some(Err(Box::new(Hole::new(&node, error)))),
            }
        }
    }

    /// The next entry; a hole is an error.
    pub fn next_whole(&mut self) -> Result<Option<Entry>> {
        self.next_entry().transpose().map_err(|hole| hole.error)
    }

    fn push_children(&mut self, children: impl Iterator<Item = Pending>) {
        let from = self.from.as_ref().map(|(directory, name)| Path { directory, name });
        let ends_before_start = |node: &Pending| {
            node.end().zip(from).is_some_and(|(end, from)| compare_paths(end, from) != Ordering::Greater)
        };
        self.stack.extend(children.filter(|node| !ends_before_start(node)));
    }

    fn is_before_start(&self, place: Path<'_>) -> bool {
        self.from.as_ref().is_some_and(|(d, n)| compare_paths(place, Path { directory: d, name: n }) == Ordering::Less)
    }
}
