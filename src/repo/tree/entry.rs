//! One entry of a tree, its place in the order, and its encoding inside a leaf.

use crate::base::{ChunkId, text};
use crate::repo::codec::{Cursor, DecodeError, Result, put_bytes, put_varint, put_zigzag};
use crate::source::{FileTime, Kind, Metadata};
use std::cmp::Ordering;
use std::sync::Arc;

/// The ids of a file's content: of its chunks at depth 0, of lists of ids at a greater depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub depth: u32,
    pub ids: Vec<ChunkId>,
}

/// Lists of lists of lists of at least 33 ids: no file needs more.
const DEEPEST: u32 = 8;

/// One file, directory, link or special file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The directory's path relative to `/`, without slashes at its ends; empty for the root.
    pub directory: Arc<[u8]>,
    pub name: Box<[u8]>,
    pub metadata: Metadata,
    pub content: Content,
    /// Tagged values for what later versions remember; kept as they are.
    pub extensions: Vec<(u64, Vec<u8>)>,
}

impl Entry {
    /// The path relative to `/`.
    pub fn path(&self) -> Vec<u8> {
        Path { directory: &self.directory, name: &self.name }.join()
    }

    /// The absolute path in text form.
    pub fn display(&self) -> String {
        format!("/{}", text::escape(&self.path()))
    }

    pub fn place(&self) -> Path<'_> {
        Path { directory: &self.directory, name: &self.name }
    }
}

/// Directory and name of an entry, kept.
pub(super) type Place = (Arc<[u8]>, Box<[u8]>);

/// A place in the order of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    pub directory: &'a [u8],
    pub name: &'a [u8],
}

impl<'a> Path<'a> {
    /// Of a relative path without slashes at its ends.
    pub fn split(path: &'a [u8]) -> Self {
        match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => Self { directory: &path[..slash], name: &path[slash + 1..] },
            None => Self { directory: b"", name: path },
        }
    }

    pub fn join(&self) -> Vec<u8> {
        if self.directory.is_empty() { self.name.to_vec() } else { [self.directory, b"/", self.name].concat() }
    }
}

/// The order of the tree: by directory, component by component, then by name.
pub fn compare_paths(a: Path<'_>, b: Path<'_>) -> Ordering {
    compare_directories(a.directory, b.directory).then_with(|| a.name.cmp(b.name))
}

fn compare_directories(a: &[u8], b: &[u8]) -> Ordering {
    match a.iter().zip(b).position(|(x, y)| x != y) {
        None => a.len().cmp(&b.len()),
        // A slash ends a component, so it sorts before every other byte.
        Some(at) => (a[at] != b'/').cmp(&(b[at] != b'/')).then(a[at].cmp(&b[at])),
    }
}

/// Whether the directory `inner` is `outer` or lies below it.
pub fn is_below(inner: &[u8], outer: &[u8]) -> bool {
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Appends an entry to a leaf's body and its ids to the leaf's ids. `previous_inode` is the state of the leaf.
pub(super) fn encode(entry: &Entry, previous_inode: &mut u64, out: &mut Vec<u8>, ids: &mut Vec<u8>) {
    let m = &entry.metadata;
    out.push(m.kind as u8);
    put_bytes(out, &entry.name);
    [m.mode, m.uid, m.gid].into_iter().for_each(|n| put_varint(out, n.into()));
    put_zigzag(out, m.mtime.seconds);
    put_varint(out, m.mtime.nanoseconds.into());
    put_zigzag(out, m.ctime.seconds.wrapping_sub(m.mtime.seconds));
    put_varint(out, m.ctime.nanoseconds.into());
    put_zigzag(out, m.inode.wrapping_sub(*previous_inode) as i64);
    *previous_inode = m.inode;
    match m.kind {
        Kind::File => {
            put_varint(out, m.size);
            put_varint(out, m.sparse.into());
            put_varint(out, entry.content.depth.into());
            put_varint(out, entry.content.ids.len() as u64);
            entry.content.ids.iter().for_each(|id| ids.extend_from_slice(id.as_bytes()));
        }
        Kind::Symlink => put_bytes(out, &m.target),
        Kind::CharDevice | Kind::BlockDevice => put_varint(out, m.rdev),
        Kind::Directory | Kind::Fifo | Kind::Socket => {}
    }
    put_varint(out, entry.extensions.len() as u64);
    for (tag, value) in &entry.extensions {
        put_varint(out, *tag);
        put_bytes(out, value);
    }
}

/// Reads an entry; the number of its ids comes second, the ids themselves stand elsewhere.
pub(super) fn decode(cursor: &mut Cursor<'_>, directory: &Arc<[u8]>, inode: &mut u64) -> Result<(Entry, usize)> {
    let kind = Kind::from_number(cursor.byte()?).ok_or(DecodeError("an entry's kind is unknown"))?;
    let name = cursor.bytes()?;
    check_name(name)?;
    let mode = cursor.varint_u32()?;
    let (uid, gid) = (cursor.varint_u32()?, cursor.varint_u32()?);
    let mtime = FileTime { seconds: cursor.zigzag()?, nanoseconds: nanoseconds(cursor)? };
    let ctime_seconds = mtime.seconds.wrapping_add(cursor.zigzag()?);
    let ctime = FileTime { seconds: ctime_seconds, nanoseconds: nanoseconds(cursor)? };
    *inode = inode.wrapping_add(cursor.zigzag()? as u64);
    let mut metadata = Metadata {
        kind,
        mode: mode & 0o7777,
        uid,
        gid,
        mtime,
        ctime,
        inode: *inode,
        size: 0,
        sparse: false,
        rdev: 0,
        target: Vec::new(),
    };
    let mut content = Content::default();
    let mut id_count = 0;
    match kind {
        Kind::File => {
            metadata.size = cursor.varint()?;
            metadata.sparse = cursor.varint()? & 1 == 1;
            content.depth = cursor.varint_u32()?;
            if content.depth > DEEPEST {
                return Err(DecodeError("an entry's content is nested too deeply"));
            }
            id_count = usize::try_from(cursor.varint()?).map_err(|_| DecodeError("an entry has too many chunks"))?;
        }
        Kind::Symlink => metadata.target = cursor.bytes()?.to_vec(),
        Kind::CharDevice | Kind::BlockDevice => metadata.rdev = cursor.varint()?,
        Kind::Directory | Kind::Fifo | Kind::Socket => {}
    }
    let count = cursor.count(2)?;
    let extensions = (0..count).map(|_| Ok((cursor.varint()?, cursor.bytes()?.to_vec()))).collect::<Result<_>>()?;
    Ok((Entry { directory: directory.clone(), name: name.into(), metadata, content, extensions }, id_count))
}

fn nanoseconds(cursor: &mut Cursor<'_>) -> Result<u32> {
    let n = cursor.varint_u32()?;
    if n < 1_000_000_000 { Ok(n) } else { Err(DecodeError("a time has more nanoseconds than a second")) }
}

/// A name that could lead out of the directory that a restore is filling is refused before anything looks at it.
fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
        return Err(DecodeError("an entry's name is not a file name"));
    }
    Ok(())
}

pub(super) fn check_directory(directory: &[u8]) -> Result<()> {
    if directory.is_empty() { Ok(()) } else { directory.split(|&b| b == b'/').try_for_each(check_name) }
}
