//! Every node of a tree once, on all threads and in no order. For what only counts or marks; who needs the order reads with
//! a [`super::TreeReader`].

use super::NodeSource;
use super::entry::{Entry, Path, Place};
use super::node::{Child, Node};
use super::reader::{Hole, read_node};
use crate::base::ChunkId;
use crate::repo::error::RepoError;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

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
    below(source, &Child::root(root), None, visitor)
}

fn below<E: From<RepoError> + Send>(
    source: &(dyn NodeSource + Sync),
    child: &Child,
    end: Option<&Place>,
    visitor: &dyn NodeVisitor<E>,
) -> Result<(), E> {
    if !visitor.enter(&child.id)? {
        return Ok(());
    }
    match read_node(source, &child.id) {
        Ok(Node::Leaf(entries)) => visitor.leaf(entries),
        Ok(Node::Inner { children, .. }) => {
            let firsts: Vec<Place> = children.iter().map(|c| (c.directory.clone(), c.name.clone())).collect();
            let ends = firsts.iter().skip(1).map(Some).chain([end]);
            let children: Vec<_> = children.iter().zip(ends).collect();
            children.into_par_iter().try_for_each(|(child, end)| below(source, child, end, visitor))
        }
        Err(error) => {
            let end = end.map(|(directory, name)| Path { directory, name });
            visitor.hole(Hole::new(child, end, error))
        }
    }
}
