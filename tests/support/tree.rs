//! Trees of files as values: what is there, byte for byte and with all metadata that a backup keeps, and where two
//! trees differ.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ssb::base::text;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub content: Content,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
}

#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>),
    Directory,
    Link(PathBuf),
    Other(u64),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "{} bytes {}", bytes.len(), &blake3::hash(bytes).to_hex()[..8]),
            Self::Directory => f.write_str("directory"),
            Self::Link(target) => write!(f, "-> {target:?}"),
            Self::Other(device) => write!(f, "special {device}"),
        }
    }
}

/// Everything below `top` by its path from there; `top` itself has the empty one.
pub type Tree = BTreeMap<Vec<u8>, Node>;

pub fn read_tree(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let full = top.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let kind = meta.file_type();
        let content = if kind.is_dir() {
            waiting.extend(fs::read_dir(&full).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
            Content::Directory
        } else if kind.is_file() {
            Content::File(fs::read(&full).unwrap())
        } else if kind.is_symlink() {
            Content::Link(fs::read_link(&full).unwrap())
        } else {
            Content::Other(if kind.is_fifo() { 0 } else { meta.rdev() })
        };
        let node = Node {
            content,
            mode: meta.permissions().mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
        };
        tree.insert(path.into_os_string().into_vec(), node);
    }
    tree
}

/// A line for every entry that is not the same.
pub fn differences(wanted: &Tree, got: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, node) in wanted {
        match got.get(path) {
            Some(other) if other == node => {}
            Some(other) => found.push(format!("{}: {other:?} instead of {node:?}", text::escape(path))),
            None => found.push(format!("{}: is missing", text::escape(path))),
        }
    }
    let extra = got.keys().filter(|path| !wanted.contains_key(*path));
    found.extend(extra.map(|path| format!("{}: should not be there", text::escape(path))));
    found
}

/// The path as the sources of a snapshot name it.
pub fn as_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}
