//! What changed from one snapshot to another: every change with its kind, and their sums. Reads trees only: contents are
//! the same if their chunks are, and no chunk of a file is fetched.

use super::error::Result;
use super::select::{look_up, no_such_path, relative};
use crate::base::{Cancel, ChunkId, Issue, IssueCode};
use crate::repo::tree::{DiffHole, Difference, Entry, NodeSource, Side, Subtree, TreeDiff};
use crate::repo::{ChunkReader, Repo, RepoError, Snapshot};
use crate::source::Kind;
use serde::Serialize;
use std::sync::Arc;

/// A snapshot, or what it has at and below a path.
#[derive(Clone, Copy, Debug)]
pub struct DiffSide<'a> {
    pub snapshot: &'a Snapshot,
    /// Absolute. If only one side names a path, both are meant.
    pub path: Option<&'a [u8]>,
}

/// How an entry changed. The words are those of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Removed,
    /// The bytes of a file, where a link points, or which device is meant.
    Modified,
    /// Nothing but mode, owner, modification time or what extensions remember.
    Metadata,
    /// A file became a directory, a directory a link, ...
    Type,
}

/// One entry that changed, as it was and as it is.
#[derive(Debug)]
pub struct Change {
    pub kind: ChangeKind,
    pub entries: Difference,
}

impl Change {
    /// Where the entry is, or was if it was removed: the absolute path in text form.
    pub fn display(&self) -> String {
        let entry = self.entries.after.as_ref().or(self.entries.before.as_ref());
        entry.map(Entry::display).unwrap_or_default()
    }
}

/// How many entries changed in one way, by what they are or, if they were removed, have been.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub files: u64,
    pub directories: u64,
    pub others: u64,
}

impl Counts {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::File => self.files += 1,
            Kind::Directory => self.directories += 1,
            _ => self.others += 1,
        }
    }

    pub fn total(&self) -> u64 {
        self.files + self.directories + self.others
    }
}

/// Sums of all changes, and what could not be compared.
#[derive(Debug, Default, Serialize)]
pub struct DiffOutcome {
    pub added: Counts,
    pub removed: Counts,
    pub modified: Counts,
    pub metadata: Counts,
    #[serde(rename = "type")]
    pub retyped: Counts,
    /// Sizes, as they are, of all files that changed in more than their metadata; whole files, not what is new in them.
    pub added_bytes: u64,
    /// Their sizes as they were.
    pub removed_bytes: u64,
    pub issues: Vec<Issue>,
}

impl DiffOutcome {
    /// Passes a change on and adds it up.
    fn take(&mut self, entries: Difference, each: &mut dyn FnMut(&Change)) {
        let Some(kind) = classify(&entries) else { return };
        let change = Change { kind, entries };
        each(&change);
        let counts = match kind {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Removed => &mut self.removed,
            ChangeKind::Modified => &mut self.modified,
            ChangeKind::Metadata => &mut self.metadata,
            ChangeKind::Type => &mut self.retyped,
        };
        let Difference { before, after } = &change.entries;
        if let Some(entry) = after.as_ref().or(before.as_ref()) {
            counts.add(entry.metadata.kind);
        }
        if kind != ChangeKind::Metadata {
            let size_bytes = |entry: &Option<Entry>| entry.as_ref().map_or(0, |entry| entry.metadata.size);
            self.added_bytes = self.added_bytes.saturating_add(size_bytes(after));
            self.removed_bytes = self.removed_bytes.saturating_add(size_bytes(before));
        }
    }
}

/// How an entry changed; `None` if what a restore would bring back is the same. The change time, the inode and whether
/// the file had holes say how it lay on its disk, and change when a disk is copied.
fn classify(entries: &Difference) -> Option<ChangeKind> {
    let (before, after) = match (&entries.before, &entries.after) {
        (Some(before), Some(after)) => (before, after),
        (None, Some(_)) => return Some(ChangeKind::Added),
        (Some(_), None) => return Some(ChangeKind::Removed),
        (None, None) => return None,
    };
    let (was, is) = (&before.metadata, &after.metadata);
    if was.kind != is.kind {
        Some(ChangeKind::Type)
    } else if before.content != after.content || (was.size, was.rdev, &was.target) != (is.size, is.rdev, &is.target) {
        Some(ChangeKind::Modified)
    } else if (was.mode, was.uid, was.gid, was.mtime) != (is.mode, is.uid, is.gid, is.mtime)
        || before.extensions != after.extensions
    {
        Some(ChangeKind::Metadata)
    } else {
        None
    }
}

/// Calls `each` for every change, in the order of the tree. Paths that differ are compared by what is in them, and must
/// both be there; one path for both must be there once. What is unreadable in one of the trees is an issue, and what the
/// other has in its place is left out.
///
/// # Errors
/// If a path is not there, or the store fails.
pub fn run(
    repo: &Arc<Repo>,
    before: DiffSide<'_>,
    after: DiffSide<'_>,
    cancel: &Cancel,
    each: &mut dyn FnMut(&Change),
) -> Result<DiffOutcome> {
    let view = Arc::new(repo.sync(cancel)?);
    let nodes = Cancellable { chunks: ChunkReader::new(repo.clone(), view), cancel };
    let path = |own: DiffSide<'_>, other: DiffSide<'_>| relative(own.path.or(other.path).unwrap_or_default());
    let paths = (path(before, after), path(after, before));
    let mut outcome = DiffOutcome::default();
    if let Some(tops) = tops(&nodes, (before.snapshot, after.snapshot), (&paths.0, &paths.1))? {
        outcome.take(tops, each);
    }
    let subtree = |snapshot: &Snapshot, directory| Subtree { root: snapshot.manifest.tree, directory };
    let mut diff = TreeDiff::new(&nodes, subtree(before.snapshot, paths.0), subtree(after.snapshot, paths.1));
    while let Some(next) = diff.next_difference() {
        match next {
            Ok(difference) => outcome.take(difference, each),
            Err(lost) if lost.hole.error.is_damage() => {
                let snapshot = if lost.side == Side::Before { before.snapshot } else { after.snapshot };
                let issue = issue(*lost, snapshot);
                repo.edges.observer.issue(&issue);
                outcome.issues.push(issue);
            }
            Err(lost) => return Err(lost.hole.error.into()),
        }
    }
    Ok(outcome)
}

/// The two entries that the paths name; `None` if one of them is the root, which has no entry.
fn tops(nodes: &dyn NodeSource, of: (&Snapshot, &Snapshot), paths: (&[u8], &[u8])) -> Result<Option<Difference>> {
    let top = |snapshot: &Snapshot, path: &[u8]| {
        if path.is_empty() { Ok(None) } else { look_up(nodes, snapshot.manifest.tree, path) }
    };
    let (before, after) = (top(of.0, paths.0)?, top(of.1, paths.1)?);
    let lacks_before = before.is_none() && !paths.0.is_empty();
    let lacks_after = after.is_none() && !paths.1.is_empty();
    // What only one snapshot has at one and the same path came or went; of two paths one must have been mistyped.
    let must_both = paths.0 != paths.1;
    if lacks_before && (lacks_after || must_both) {
        return Err(no_such_path(of.0, paths.0));
    }
    if lacks_after && must_both {
        return Err(no_such_path(of.1, paths.1));
    }
    let has_root = paths.0.is_empty() || paths.1.is_empty();
    Ok((!has_root).then_some(Difference { before, after }))
}

fn issue(lost: DiffHole, snapshot: &Snapshot) -> Issue {
    let DiffHole { hole, .. } = lost;
    let until = hole.until.map_or("the end".to_owned(), |until| format!("before {until}"));
    let what =
        format!("snapshot {} cannot be compared from here to {until}, because {}", snapshot.id.short(), hole.error);
    Issue::new(IssueCode::DamagedObject, hole.from, what, "run 'ssb check'")
}

/// Tree nodes, until somebody interrupts: two large trees may have little to tell for long.
struct Cancellable<'a> {
    chunks: ChunkReader,
    cancel: &'a Cancel,
}

impl NodeSource for Cancellable<'_> {
    fn node(&self, id: &ChunkId) -> crate::repo::Result<Vec<u8>> {
        if self.cancel.is_cancelled() { Err(RepoError::Interrupted) } else { self.chunks.node(id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::tree::Content;
    use crate::source::{FileTime, Metadata};

    fn entry() -> Entry {
        Entry {
            directory: b"etc".as_slice().into(),
            name: b"hosts".as_slice().into(),
            metadata: Metadata {
                kind: Kind::File,
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: FileTime::default(),
                ctime: FileTime::default(),
                inode: 7,
                size: 3,
                sparse: false,
                rdev: 0,
                target: Vec::new(),
            },
            content: Content { depth: 0, ids: vec![ChunkId::from_bytes([1; 32])] },
            extensions: Vec::new(),
        }
    }

    fn kind_of(change: impl Fn(&mut Entry)) -> Option<ChangeKind> {
        let (before, mut after) = (entry(), entry());
        change(&mut after);
        classify(&Difference { before: Some(before), after: Some(after) })
    }

    #[test]
    fn the_strongest_change_counts() {
        assert_eq!(kind_of(|e| e.metadata.mode = 0o600), Some(ChangeKind::Metadata));
        assert_eq!(kind_of(|e| e.metadata.mtime.nanoseconds = 1), Some(ChangeKind::Metadata));
        assert_eq!(kind_of(|e| e.extensions.push((2, vec![1]))), Some(ChangeKind::Metadata));
        let rewrite = |e: &mut Entry| e.content.ids[0] = ChunkId::from_bytes([2; 32]);
        assert_eq!(kind_of(rewrite), Some(ChangeKind::Modified));
        let rewrite_and_give_away = |e: &mut Entry| {
            rewrite(e);
            e.metadata.uid = 5;
        };
        assert_eq!(kind_of(rewrite_and_give_away), Some(ChangeKind::Modified));
        assert_eq!(kind_of(|e| e.metadata.kind = Kind::Directory), Some(ChangeKind::Type));
    }

    #[test]
    fn where_it_lay_on_the_disk_is_no_change() {
        assert_eq!(kind_of(|e| e.metadata.inode = 8), None);
        assert_eq!(kind_of(|e| e.metadata.ctime.seconds = 8), None);
        assert_eq!(kind_of(|e| e.metadata.sparse = true), None);
    }
}
