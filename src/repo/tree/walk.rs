//! Every node of a tree once, on all threads and in no order. For what only counts or marks; who needs the order reads with
//! a [`super::TreeReader`].

use super::NodeSource;
use super::entry::Entry;
use super::node::Node;
use super::reader::{Hole, Pending};
use crate::base::ChunkId;
use crate::repo::error::RepoError;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// Is told what a walk meets; by several threads at a time.
pub trait NodeVisitor<E>: Sync {
    /// Told of every node before it is read; says whether to read it.
    fn enter(&self, id: &ChunkId) -> Result<bool, E>;
    /// The entries of a leaf.
    fn leaf(&self, entries: Vec<Entry>) -> Result<(), E>;
    /// A node that cannot be read.
    fn hole(&self, hole: Hole) -> Result<(), E>;
}

/// Walks the tree below `root`. The first error ends it.
pub fn walk<E: From<RepoError> + Send>(
    source: &(dyn NodeSource + Sync),
    root: ChunkId,
    visitor: &dyn NodeVisitor<E>,
) -> Result<(), E> {
    below(source, Pending::root(root), visitor)
}

fn below<E: From<RepoError> + Send>(
    source: &(dyn NodeSource + Sync),
    node: Pending,
    visitor: &dyn NodeVisitor<E>,
) -> Result<(), E> {
    if !visitor.enter(&node.child.id)? {
        return Ok(());
    }
    match node.read(source) {
        Ok(Node::Leaf(entries)) => visitor.leaf(entries),
        Ok(Node::Inner { level, children }) => {
            let children: Vec<Pending> = node.into_children(level, children).collect();
            children.into_par_iter().rev().try_for_each(|child| below(source, child, visitor))
        }
        Err(error) => visitor.hole(Hole::new(&node, error)),
    }
}
