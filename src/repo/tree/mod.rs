//! The tree: a snapshot's entries as one sorted sequence, cut into leaves at places that depend on paths only, with
//! inner nodes above. See FORMAT.md. Knows no packs: nodes go to, and come from, whoever keeps chunks.

mod builder;
mod content;
mod diff;
mod entry;
pub mod node;
mod reader;
mod walk;

pub use builder::TreeBuilder;
pub use content::{ContentBuilder, each_chunk};
pub use diff::{DiffHole, Difference, Side, Subtree, TreeDiff};
pub use entry::{Content, Entry, Path, compare_paths, is_below};
pub use reader::{Hole, TreeReader};
pub use walk::{NodeVisitor, walk};

use super::error::Result;
use crate::base::ChunkId;

/// Keeps tree chunks: nodes and id lists.
pub trait NodeSink {
    fn put_node(&mut self, plain: &[u8]) -> Result<ChunkId>;
}

/// Gives tree chunks back.
pub trait NodeSource {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>>;
}

#[cfg(test)]
mod tests;
