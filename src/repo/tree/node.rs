//! Leaves and inner nodes: bytes to entries or children, and back.

use super::entry::{self, Entry, Path, Place, compare_paths};
use crate::base::ChunkId;
use crate::repo::codec::{Cursor, DecodeError, Result, put_bytes, put_varint};
use std::cmp::Ordering;
use std::sync::Arc;

const LEAF: u8 = 1;
const INNER: u8 = 2;
/// Far more than the entries of any file system need; whoever walks a tree may count on it, and on its stack.
const MOST_LEVELS: u64 = 32;

/// A child of an inner node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Where the child's first entry stands in the order.
    pub directory: Arc<[u8]>,
    pub name: Box<[u8]>,
    pub id: ChunkId,
}

impl Child {
    pub fn root(id: ChunkId) -> Self {
        Self { directory: Arc::from(&b""[..]), name: Box::from(&b""[..]), id }
    }

    pub fn first(&self) -> Path<'_> {
        Path { directory: &self.directory, name: &self.name }
    }
}

/// What the bytes of a node say.
pub enum Node {
    Leaf(Vec<Entry>),
    /// `level` counts the levels below it.
    Inner {
        level: u64,
        children: Vec<Child>,
    },
}

/// A leaf being filled.
#[derive(Default)]
pub struct LeafWriter {
    /// Finished runs, encoded.
    runs: Vec<u8>,
    run_count: u64,
    run: Vec<u8>,
    run_entries: u64,
    directory: Option<Arc<[u8]>>,
    ids: Vec<u8>,
    inode: u64,
    entries: usize,
    first: Option<Place>,
}

impl LeafWriter {
    pub fn add(&mut self, entry: &Entry) {
        if self.directory.as_ref().is_none_or(|open| *open != entry.directory) {
            self.end_run();
            self.directory = Some(entry.directory.clone());
        }
        self.first.get_or_insert_with(|| (entry.directory.clone(), entry.name.clone()));
        entry::encode(entry, &mut self.inode, &mut self.run, &mut self.ids);
        self.run_entries += 1;
        self.entries += 1;
    }

    fn end_run(&mut self) {
        if let Some(directory) = self.directory.take() {
            put_bytes(&mut self.runs, &directory);
            put_varint(&mut self.runs, self.run_entries);
            self.runs.append(&mut self.run);
            self.run_count += 1;
            self.run_entries = 0;
        }
    }

    pub fn entries(&self) -> usize {
        self.entries
    }

    pub fn size_bytes(&self) -> usize {
        self.runs.len() + self.run.len() + self.ids.len()
    }

    /// The encoded leaf and the place of its first entry; the writer is empty afterwards.
    pub fn finish(&mut self) -> (Vec<u8>, Option<Place>) {
        self.end_run();
        let done = std::mem::take(self);
        let mut out = Vec::with_capacity(done.size_bytes() + 8);
        out.push(LEAF);
        put_varint(&mut out, done.run_count);
        out.extend_from_slice(&done.runs);
        out.extend_from_slice(&done.ids);
        (out, done.first)
    }
}

/// The bytes of an inner node.
pub fn encode_inner(level: u32, children: &[Child]) -> Vec<u8> {
    let mut out = vec![INNER];
    put_varint(&mut out, level.into());
    put_varint(&mut out, children.len() as u64);
    for child in children {
        put_bytes(&mut out, &child.directory);
        put_bytes(&mut out, &child.name);
    }
    children.iter().for_each(|child| out.extend_from_slice(child.id.as_bytes()));
    out
}

/// Reads a leaf or an inner node. Every name in an entry is that of a file, so no path leads out of a folder it is joined to.
/// Entries and children stand in the order of the tree, none twice; whether they are those that the node above speaks of is
/// for whoever reads it from there.
pub fn decode(bytes: &[u8]) -> Result<Node> {
    let mut cursor = Cursor::new(bytes);
    match cursor.byte()? {
        LEAF => decode_leaf(cursor).map(Node::Leaf),
        INNER => decode_inner(cursor),
        _ => Err(DecodeError("it is no tree node")),
    }
}

fn decode_leaf(mut cursor: Cursor<'_>) -> Result<Vec<Entry>> {
    let runs = cursor.count(2)?;
    let mut entries = Vec::new();
    let mut id_counts = Vec::new();
    let mut inode = 0;
    for _ in 0..runs {
        let directory: Arc<[u8]> = cursor.bytes()?.into();
        entry::check_directory(&directory)?;
        for _ in 0..cursor.count(10)? {
            let (entry, id_count) = entry::decode(&mut cursor, &directory, &mut inode)?;
            check_order(entries.last().map(Entry::place), entry.place())?;
            entries.push(entry);
            id_counts.push(id_count);
        }
    }
    for (entry, id_count) in entries.iter_mut().zip(id_counts) {
        let length = id_count.checked_mul(ChunkId::LEN).ok_or(DecodeError("an entry has too many chunks"))?;
        let ids = cursor.take(length)?;
        entry.content.ids = ids.chunks_exact(ChunkId::LEN).filter_map(ChunkId::from_slice).collect();
    }
    cursor.finish()?;
    Ok(entries)
}

fn decode_inner(mut cursor: Cursor<'_>) -> Result<Node> {
    let level = cursor.varint()?;
    if !(1..=MOST_LEVELS).contains(&level) {
        return Err(DecodeError("it stands at a level that no tree has"));
    }
    let count = cursor.count(2 + ChunkId::LEN)?;
    let mut places: Vec<Path<'_>> = Vec::with_capacity(count);
    for _ in 0..count {
        let place = Path { directory: cursor.bytes()?, name: cursor.bytes()? };
        check_order(places.last().copied(), place)?;
        places.push(place);
    }
    let mut children = Vec::with_capacity(count);
    for Path { directory, name } in places {
        let id = ChunkId::from_bytes(cursor.array()?);
        children.push(Child { directory: directory.into(), name: name.into(), id });
    }
    cursor.finish()?;
    Ok(Node::Inner { level, children })
}

/// What stands twice could be a link first and then a directory that leads through it.
fn check_order(before: Option<Path<'_>>, place: Path<'_>) -> Result<()> {
    if before.is_some_and(|before| compare_paths(before, place) != Ordering::Less) {
        return Err(DecodeError("what it lists is out of order"));
    }
    Ok(())
}
