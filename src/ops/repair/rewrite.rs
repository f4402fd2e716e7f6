//! One snapshot's tree without what is lost: which entries cannot be restored whole, and the tree of all others. Decides
//! nothing about snapshots and writes nothing itself.

use super::{reason, stop_if};
use crate::base::{Cancel, ChunkId, Issue, IssueCode, text};
use crate::crypto::MasterKeys;
use crate::ops::error::Result;
use crate::repo::tree::{Content, Entry, Hole, NodeSink, Path, TreeBuilder, TreeReader, each_chunk};
use crate::repo::{ChunkReader, Snapshot, Totals};
use crate::source::{FileTime, Kind, Metadata};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What is told one by one of a snapshot, and written into its manifest, which every command reads.
const MOST_ISSUES: usize = 1000;
/// Directories whose own mode is lost are their owner's alone.
const LOST_MODE: u32 = 0o700;

/// What a snapshot has lost.
#[derive(Default)]
pub(super) struct Lost {
    /// Paths of files, and runs of entries as `FIRST to before NEXT`; at most [`MOST_ISSUES`], in the order of the tree.
    pub files: Vec<String>,
    /// The same for a manifest.
    pub issues: Vec<Issue>,
    /// All of them.
    pub count: u64,
    /// Directories whose own entries are lost and below which something is left, in the order of the tree.
    directories: BTreeMap<PlaceKey, LostDirectory>,
}

impl Lost {
    fn add(&mut self, file: String, subject: String, what: String) {
        self.count += 1;
        if self.issues.len() < MOST_ISSUES {
            self.files.push(file);
            self.issues.push(Issue::new(IssueCode::RepairLeftOut, subject, what, ""));
        }
    }

    fn add_hole(&mut self, hole: Hole) {
        let until = hole.until.map_or("the end".to_owned(), |path| format!("before {path}"));
        let what = format!("everything from here to {until} is lost: {}", reason(&hole.error));
        self.add(format!("{} to {until}", hole.from), hole.from, what);
    }

    /// What the manifest of the repaired snapshot tells.
    pub fn into_issues(mut self) -> Vec<Issue> {
        let more = self.count - self.issues.len() as u64;
        if more > 0 {
            let what = format!("{more} more were left out and are not named here");
            self.issues.push(Issue::new(IssueCode::RepairLeftOut, "files", what, ""));
        }
        for directory in self.directories.values().take(MOST_ISSUES) {
            let subject = format!("/{}", text::escape(&directory.path));
            let what = format!("its own entry is lost and was made anew, with mode {LOST_MODE:04o}");
            self.issues.push(Issue::new(IssueCode::RepairLeftOut, subject, what, ""));
        }
        self.issues
    }
}

/// A place whose plain order is that of the tree.
type PlaceKey = (Vec<u8>, Vec<u8>);

struct LostDirectory {
    path: Vec<u8>,
    /// Those of the first entry that is left below it.
    owner: (u32, u32),
}

/// A directory's path with its slashes as zeros, so that plain byte order is the order of the tree.
fn order_key(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&b| if b == b'/' { 0 } else { b }).collect()
}

fn place_key(path: &[u8]) -> PlaceKey {
    let place = Path::split(path);
    (order_key(place.directory), place.name.to_vec())
}

/// A tree as it is, or would be, without what is lost.
pub(super) struct Rewritten {
    pub tree: ChunkId,
    /// The original's, but for what is counted in the tree.
    pub totals: Totals,
    /// Entries of the original that are left.
    pub entries: u64,
}

/// Looks at trees and writes them anew.
pub(super) struct Rewriter<'a> {
    pub chunks: &'a ChunkReader,
    /// Chunks that no pack gives.
    pub lost: &'a HashSet<ChunkId>,
    pub cancel: &'a Cancel,
}

impl Rewriter<'_> {
    /// Reads the whole tree.
    pub fn look(&self, snapshot: &Snapshot) -> Result<Lost> {
        let mut lost = Lost::default();
        let mut ahead = Ahead::default();
        let mut reader = TreeReader::new(self.chunks, snapshot.manifest.tree);
        while let Some(next) = reader.next_entry() {
            stop_if(self.cancel)?;
            match next {
                Ok(entry) => match self.loss_of(&entry)? {
                    Some(what) => lost.add(entry.display(), entry.display(), what),
                    None => ahead.pass(&entry, &mut lost.directories),
                },
                Err(hole) if hole.error.is_damage() => lost.add_hole(*hole),
                Err(hole) => return Err(hole.error.into()),
            }
        }
        Ok(lost)
    }

    /// Puts the nodes of the tree without what is lost into `sink`. `keep` is told of every entry that is left.
    pub fn rewrite(
        &self,
        snapshot: &Snapshot,
        lost: &Lost,
        sink: &mut dyn NodeSink,
        keep: &mut dyn FnMut(&Content) -> Result<()>,
    ) -> Result<Rewritten> {
        let before = &snapshot.manifest;
        let totals = Totals { files: 0, directories: 0, others: 0, bytes: 0, ..before.totals.clone() };
        let mut made = Rewritten { tree: before.tree, totals, entries: 0 };
        let mut builder = TreeBuilder::new(&self.chunks.repo.keys);
        let mut add = |entry: &Entry, totals: &mut Totals| {
            count(totals, &entry.metadata);
            builder.push(entry, sink)
        };
        let mut directories = lost.directories.iter().peekable();
        let mut reader = TreeReader::new(self.chunks, before.tree);
        while let Some(next) = reader.next_entry() {
            stop_if(self.cancel)?;
            let entry = match next {
                Ok(entry) => entry,
                Err(hole) if hole.error.is_damage() => continue,
                Err(hole) => return Err(hole.error.into()),
            };
            if self.loss_of(&entry)?.is_some() {
                continue;
            }
            let place = place_key(&entry.path());
            while let Some((_, directory)) = directories.next_if(|(at, _)| **at < place) {
                add(&directory.entry(snapshot), &mut made.totals)?;
            }
            keep(&entry.content)?;
            made.entries += 1;
            add(&entry, &mut made.totals)?;
        }
        made.tree = builder.finish(sink)?;
        Ok(made)
    }

    /// Why an entry cannot be restored whole; `None` if it can.
    fn loss_of(&self, entry: &Entry) -> Result<Option<String>> {
        let (mut lost, mut all) = (0_u64, 0_u64);
        let read = each_chunk(&entry.content, self.chunks, &mut |_| {}, &mut |id| {
            all += 1;
            lost += u64::from(self.lost.contains(&id));
            Ok(())
        });
        match read {
            Err(error) if error.is_damage() => Ok(Some(format!("the list of its chunks is lost: {}", reason(&error)))),
            Err(error) => Err(error.into()),
            Ok(()) if lost > 0 => Ok(Some(format!("{lost} of its {all} chunks are lost"))),
            Ok(()) => Ok(None),
        }
    }
}

fn count(totals: &mut Totals, metadata: &Metadata) {
    match metadata.kind {
        Kind::File => {
            totals.files += 1;
            totals.bytes = totals.bytes.saturating_add(metadata.size);
        }
        Kind::Directory => totals.directories += 1,
        _ => totals.others += 1,
    }
}

impl LostDirectory {
    fn entry(&self, snapshot: &Snapshot) -> Entry {
        let place = Path::split(&self.path);
        let time = snapshot.manifest.time;
        let time = FileTime { seconds: time.as_second(), nanoseconds: time.subsec_nanosecond().unsigned_abs() };
        let metadata = Metadata {
            kind: Kind::Directory,
            mode: LOST_MODE,
            uid: self.owner.0,
            gid: self.owner.1,
            mtime: time,
            ctime: time,
            inode: 0,
            size: 0,
            sparse: false,
            rdev: 0,
            target: Vec::new(),
        };
        let (directory, name) = (place.directory.into(), place.name.into());
        Entry { directory, name, metadata, content: Content::default(), extensions: Vec::new() }
    }
}

/// The directories that were met and whose contents are still ahead, or at hand.
#[derive(Default)]
struct Ahead {
    known: BTreeSet<Vec<u8>>,
    now: Option<Arc<[u8]>>,
}

impl Ahead {
    /// An entry that is left; what it lies in and was not met is lost.
    fn pass(&mut self, entry: &Entry, lost: &mut BTreeMap<PlaceKey, LostDirectory>) {
        if self.now.as_ref() != Some(&entry.directory) {
            self.enter(entry, lost);
            self.now = Some(entry.directory.clone());
        }
        if entry.metadata.kind == Kind::Directory {
            self.known.insert(order_key(&entry.path()));
        }
    }

    fn enter(&mut self, entry: &Entry, lost: &mut BTreeMap<PlaceKey, LostDirectory>) {
        let directory = &entry.directory[..];
        let slashes = directory.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in slashes.chain([directory.len()]).filter(|&end| end > 0) {
            let path = &directory[..end];
            if self.known.insert(order_key(path)) {
                let owner = (entry.metadata.uid, entry.metadata.gid);
                lost.insert(place_key(path), LostDirectory { path: path.to_vec(), owner });
            }
        }
        let now = order_key(directory);
        let is_above = |key: &[u8]| now.strip_prefix(key).is_some_and(|rest| rest.first().is_none_or(|&b| b == 0));
        let before: Vec<Vec<u8>> = self.known.range(..now.clone()).filter(|key| !is_above(key)).cloned().collect();
        for passed in before {
            self.known.remove(&passed);
        }
    }
}

/// Names nodes and keeps none.
pub(super) struct Namer<'a>(pub &'a MasterKeys);

impl NodeSink for Namer<'_> {
    fn put_node(&mut self, plain: &[u8]) -> crate::repo::Result<ChunkId> {
        Ok(self.0.chunk_id(plain))
    }
}
