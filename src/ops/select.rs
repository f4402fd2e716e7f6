//! The part of a snapshot that a path means: a directory's whole subtree, or one entry.

use super::error::{OpsError, Result};
use crate::base::text;
use crate::repo::tree::{Entry, Hole, Path, TreeReader, is_below};
use crate::repo::{ChunkReader, Snapshot};

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
        let wanted: Vec<&[u8]> =
            path.unwrap_or_default().split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        let within = wanted.join(&b'/');
        if within.is_empty() {
            let reader = TreeReader::new(chunks, root);
            return Ok(Self { reader, within, top: None, single: None, done: false });
        }
        let place = Path::split(&within);
        let found = TreeReader::starting_at(chunks, root, place).next_whole()?.filter(|entry| entry.place() == place);
        let top = found.ok_or_else(|| OpsError::NoSuchPath {
            path: format!("/{}", text::escape(&within)),
            snapshot: snapshot.id.short(),
        })?;
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
