//! What snapshots need: a walk over their trees that marks every chunk once. Shared by check and prune.

use super::error::Result;
use crate::base::{Cancel, ChunkId, SnapshotId};
use crate::repo::tree::{Entry, Hole, TreeReader, each_chunk};
use crate::repo::{ChunkReader, RepoError, Snapshot};
use std::collections::HashSet;

/// Is told what the walk meets.
pub trait Visitor {
    /// A chunk of contents, or a tree node or id list. Told once per entry that refers to it, but entries below a node that
    /// was met before are not walked again.
    fn chunk(&mut self, id: &ChunkId) -> Result<()>;
    /// A run of entries whose node cannot be read.
    fn hole(&mut self, snapshot: &SnapshotId, hole: Hole) -> Result<()>;
    /// An entry one of whose id lists cannot be read.
    fn broken_entry(&mut self, snapshot: &SnapshotId, entry: &Entry, error: RepoError) -> Result<()>;
}

/// Walks the trees of all snapshots; nodes that several share are walked once.
pub fn walk(chunks: &ChunkReader, snapshots: &[Snapshot], cancel: &Cancel, visitor: &mut dyn Visitor) -> Result<()> {
    let mut seen: HashSet<ChunkId> = HashSet::new();
    for snapshot in snapshots {
        let mut nodes = Vec::new();
        let mut met = Vec::new();
        let mut reader = TreeReader::new(chunks, snapshot.manifest.tree).visiting(|id| {
            let is_new = seen.insert(*id);
            if is_new {
                nodes.push(*id);
            }
            is_new
        });
        while let Some(next) = reader.next_entry() {
            if cancel.is_cancelled() {
                return Err(RepoError::Interrupted.into());
            }
            match next {
                Err(hole) if hole.error.is_damage() => visitor.hole(&snapshot.id, *hole)?,
                Err(hole) => return Err(hole.error.into()),
                Ok(entry) => {
                    met.clear();
                    let mut lists = Vec::new();
                    let read = each_chunk(&entry.content, chunks, &mut |list| lists.push(*list), &mut |id| {
                        met.push(id);
                        Ok(())
                    });
                    for id in lists.iter().chain(&met) {
                        visitor.chunk(id)?;
                    }
                    match read {
                        Err(error) if error.is_damage() => visitor.broken_entry(&snapshot.id, &entry, error)?,
                        other => other?,
                    }
                }
            }
        }
        drop(reader);
        for id in &nodes {
            visitor.chunk(id)?;
        }
    }
    Ok(())
}
