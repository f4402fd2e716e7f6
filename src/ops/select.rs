//! The part of a snapshot that a path means: a directory's whole subtree, or one entry.

use super::error::{OpsError, Result};
use crate::base::{ChunkId, text};
use crate::repo::tree::{Entry, Hole, NodeSource, Path, TreeReader, is_below};
use crate::repo::{ChunkReader, Snapshot};

/// An absolute path as entries have it: relative to the root, without slashes at its ends; empty for the root.
pub fn relative(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}

/// The entry at a path that is relative to the root.
pub fn look_up(nodes: &dyn NodeSource, tree: ChunkId, path: &[u8]) -> Result<Option<Entry>> {
    let place = Path::split(path);
    Ok(TreeReader::starting_at(nodes, tree, place).next_whole()?.filter(|entry| entry.place() == place))
}

pub fn no_such_path(snapshot: &Snapshot, path: &[u8]) -> OpsError {
    OpsError::NoSuchPath { path: format!("/{}", text::escape(path)), snapshot: snapshot.id.short() }
}

/// Walks the selected entries in the order of the tree.
pub struct Selection<'a> {
    reader: TreeReader<'a>,
    /// The selected directory, relative to the root; empty for everything.
    within: Vec<u8>,
    top: Option<Entry>,
    /// A single selected entry that is no directory.
    single: Option<Entry>,
    done: bool,
}

impl<'a> Selection<'a> {
    /// `path` is absolute, as is everything in a snapshot.
    pub fn open(chunks: &'a ChunkReader, snapshot: &Snapshot, path: Option<&[u8]>) -> Result<Self> {
        let root = snapshot.manifest.tree;
        let within = relative(path.unwrap_or_default());
        if within.is_empty() {
            let reader = TreeReader::new(chunks, root);
            return Ok(Self { reader, within, top: None, single: None, done: false });
        }
        let top = look_up(chunks, root, &within)?.ok_or_else(|| no_such_path(snapshot, &within))?;
        let reader = TreeReader::starting_at(chunks, root, Path { directory: &within, name: b"" });
        if top.metadata.kind == crate::source::Kind::Directory {
            Ok(Self { reader, within, top: Some(top), single: None, done: false })
        } else {
            Ok(Self { reader, within, top: None, single: Some(top), done: true })
        }
    }

    /// The selected directory itself, if one was named.
    pub fn top(&self) -> Option<&Entry> {
        self.top.as_ref()
    }

    /// What to take off the front of paths so that they are relative to the selection.
    pub fn strip(&self) -> &[u8] {
        match &self.single {
            Some(entry) => &entry.directory,
            None => &self.within,
        }
    }

    pub fn next_entry(&mut self) -> Option<std::result::Result<Entry, Box<Hole>>> {
        if let Some(entry) = self.single.take() {
            return Some(Ok(entry));
        }
        if self.done {
            return None;
        }
        match self.reader.next_entry() {
            Some(Ok(entry)) if !is_below(&entry.directory, &self.within) => {
                self.done = true;
                None
            }
            other => other,
        }
    }
}
