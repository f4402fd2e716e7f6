//! The backup pipeline, drawn once:
//!
//! ```text
//!  walker (this thread)                     rayon workers                     tree writer (1 thread)
//!  walk, compare with parent -> batches ==> read, cut, id, store ==> slots -> entries in order -> leaves, nodes
//!        |                                        ^   |                            ^
//!        +--[LARGE_QUEUE]--> large-file threads --+   +--> ChunkWriter (lanes, uploads, segments)
//!        +--[ORDER_QUEUE]-- one slot per batch, in order --------------------------+
//! ```
//!
//! Everything is bounded: batches in flight by ORDER_QUEUE, bytes per batch by BATCH_BYTES and LARGE_BYTES, large files by
//! their threads and windows, packs by the ChunkWriter. Nothing grows with the number of files.

use super::Gathered;
use super::batch::{self, Item, Outcome};
use super::commit::Contents;
use super::large;
use super::parent::{self, ParentCursor};
use crate::base::{Cancel, Counter, Issue, IssueCode, Observer, Stage};
use crate::ops::error::{OpsError, Result};
use crate::repo::tree::{Content, Entry, Path, TreeBuilder};
use crate::repo::{ChunkReader, ChunkWriter, Repo, RepoError, Snapshot, Totals};
use crate::source::{FileTime, Found, Kind, Metadata, Roots, WalkOptions, Walker};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::Read;
use std::sync::Arc;

/// Batches between the walker and the tree writer.
const ORDER_QUEUE: usize = 64;
const BATCH_ENTRIES: usize = 256;
/// Bytes to be read in one batch; a single file may exceed it up to LARGE_BYTES.
const BATCH_BYTES: u64 = 2 << 20;
/// Files beyond this are read in windows and shared between the workers.
pub(super) const LARGE_BYTES: u64 = 8 << 20;
const LARGE_QUEUE: usize = 1;
const LARGE_THREADS: usize = 2;

/// What every stage needs.
#[derive(Clone)]
pub(super) struct Context {
    pub repo: Arc<Repo>,
    pub writer: Arc<ChunkWriter>,
    /// For the parent's tree and id lists.
    pub nodes: Arc<ChunkReader>,
    /// Every chunk of the parent can be counted on.
    pub is_parent_trusted: bool,
    /// Names and contents are wanted in short.
    pub wants_contents: bool,
    pub cancel: Cancel,
}

impl Context {
    pub fn observer(&self) -> &dyn Observer {
        &*self.repo.edges.observer
    }
}

/// Where a batch's outcome will come from.
type Slot = Receiver<Outcome>;

/// Walks, reads and stores everything; gives the tree.
pub(super) fn run(
    context: Context,
    roots: &Roots,
    walk: &WalkOptions,
    parent: Option<&Snapshot>,
    count_ahead: bool,
) -> Result<Gathered> {
    context.observer().stage(Stage::BackingUp);
    // Stops the walk when a later stage has failed; the caller's flag is left alone.
    let abort = Cancel::new();
    let (order, slots) = bounded::<Slot>(ORDER_QUEUE);
    let (large, large_files) = bounded::<(Item, Sender<Outcome>)>(LARGE_QUEUE);
    std::thread::scope(|scope| {
        let tree_writer = scope.spawn(|| write_tree(&context, slots, &abort));
        for _ in 0..LARGE_THREADS {
            let (files, context) = (large_files.clone(), &context);
            scope.spawn(move || {
                for (item, slot) in files {
                    // The tree writer hangs up only when it has failed.
                    slot.send(batch::process_large(context, item)).ok();
                }
            });
        }
        drop(large_files);
        if count_ahead {
            scope.spawn(|| count(&context, roots, walk, &abort));
        }
        let mut feeder = Feeder { context: &context, order, large, batch: Vec::new(), bytes: 0 };
        let mut cursor = parent.map(|parent| ParentCursor::new(&context.nodes, parent));
        let mut issues = Vec::new();
        let mut entry = |found: Found| !abort.is_cancelled() && feeder.add(found, cursor.as_mut());
        Walker::run(roots, walk, &context.cancel, &mut entry, &mut |issue| {
            context.observer().issue(&issue);
            issues.push(issue);
        });
        feeder.flush();
        drop(feeder);
        let written = tree_writer.join().map_err(|_| RepoError::Seal("the tree writer broke off".to_owned()))?;
        abort.cancel();
        if context.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        let mut gathered = written?;
        issues.append(&mut gathered.issues);
        Ok(Gathered { issues, ..gathered })
    })
}

/// Collects what the walker meets into batches and sends each to its workers and, in order, to the tree writer.
struct Feeder<'a> {
    context: &'a Context,
    order: Sender<Slot>,
    large: Sender<(Item, Sender<Outcome>)>,
    batch: Vec<Item>,
    bytes: u64,
}

impl Feeder<'_> {
    /// `false` if nobody is listening any more.
    fn add(&mut self, mut found: Found, parent: Option<&mut ParentCursor<'_>>) -> bool {
        let (known, before) = match parent {
            Some(cursor) => {
                let before = cursor.find(&found);
                if let Some(before) = before.as_ref().filter(|_| found.is_waypoint) {
                    parent::keep_times(&mut found.metadata, &before.metadata);
                }
                (before.as_ref().is_some_and(|b| cursor.is_unchanged(&found.metadata, &b.metadata)), before)
            }
            None => (false, None),
        };
        let is_file = found.metadata.kind == Kind::File;
        let to_read = if is_file && !known { found.metadata.size } else { 0 };
        let item = Item { found, unchanged: known, before: before.map(|b| b.content) };
        if to_read > LARGE_BYTES {
            if !self.flush() {
                return false;
            }
            let (sender, slot) = bounded(1);
            return self.order.send(slot).is_ok() && self.large.send((item, sender)).is_ok();
        }
        self.bytes += to_read;
        self.batch.push(item);
        if self.bytes >= BATCH_BYTES || self.batch.len() >= BATCH_ENTRIES { self.flush() } else { true }
    }

    fn flush(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let items = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let (sender, slot) = bounded(1);
        let context = self.context.clone();
        rayon::spawn_fifo(move || {
            let outcome = batch::process(&context, items);
            // The writer must be free when the tree writer has the last outcome.
            drop(context);
            sender.send(outcome).ok();
        });
        self.order.send(slot).is_ok()
    }
}

/// Puts the entries, which come in order, into the tree.
fn write_tree(context: &Context, slots: Receiver<Slot>, abort: &Cancel) -> Result<Gathered> {
    let mut builder = TreeBuilder::new(&context.repo.keys);
    let mut totals = Totals::default();
    let mut contents = context.wants_contents.then(Contents::default);
    let mut issues = Vec::new();
    let mut sink = &*context.writer;
    let mut failure = None;
    for slot in slots {
        // All slots are waited for, so that no worker holds the writer after this.
        let outcome = slot.recv().unwrap_or_else(|_| Outcome::failed(RepoError::Interrupted));
        let pushed = outcome.result.and_then(|entries| {
            entries.into_iter().try_for_each(|entry| {
                count_entry(&mut totals, &entry);
                contents.iter_mut().for_each(|contents| contents.add(&entry));
                builder.push(&entry, &mut sink)
            })
        });
        if let Err(error) = pushed {
            abort.cancel();
            // Interruptions follow from a failure that another worker has.
            if failure.as_ref().is_none_or(|f| matches!(f, RepoError::Interrupted)) {
                failure = Some(error);
            }
        }
        totals.files_new += outcome.files_new;
        totals.files_changed += outcome.files_changed;
        totals.files_unchanged += outcome.files_unchanged;
        issues.extend(outcome.issues);
    }
    match failure {
        Some(error) => Err(error.into()),
        None => {
            let contents = contents.map(Contents::finish);
            Ok(Gathered { tree: builder.finish(&mut sink)?, contents, totals, issues })
        }
    }
}

fn count_entry(totals: &mut Totals, entry: &Entry) {
    match entry.metadata.kind {
        Kind::File => {
            totals.files += 1;
            totals.bytes += entry.metadata.size;
        }
        Kind::Directory => totals.directories += 1,
        _ => totals.others += 1,
    }
}

/// Walks ahead of everybody and tells how much there is.
fn count(context: &Context, roots: &Roots, walk: &WalkOptions, abort: &Cancel) {
    let mut entry = |found: Found| {
        if found.metadata.kind == Kind::File {
            context.observer().add(Counter::FilesTotal, 1);
            context.observer().add(Counter::BytesTotal, found.metadata.size);
        }
        !abort.is_cancelled()
    };
    Walker::run(roots, walk, &context.cancel, &mut entry, &mut |_| {});
}

/// Stores one stream as one file, with the directories that lead to it.
pub(super) fn run_stream(
    context: Context,
    roots: &Roots,
    path: &std::path::Path,
    content: &mut (dyn Read + Send),
    (uid, gid): (u32, u32),
) -> Result<Gathered> {
    context.observer().stage(Stage::BackingUp);
    let read =
        large::store_stream(&context, &mut |buffer| read_full(content, buffer)).map_err(|error| match error {
            // Its reader has heeded the flag.
            large::LargeError::Read(_) if context.cancel.is_cancelled() => RepoError::Interrupted.into(),
            large::LargeError::Read(source) => {
                OpsError::Io { action: "reading", subject: format!("the content of {}", path.display()), source }
            }
            large::LargeError::Repo(error) => error.into(),
        })?;
    if context.cancel.is_cancelled() {
        return Err(RepoError::Interrupted.into());
    }
    let now = context.repo.edges.clock.now();
    let time = FileTime { seconds: now.as_second(), nanoseconds: now.subsec_nanosecond().unsigned_abs() };
    let metadata = |kind, mode, size| Metadata {
        kind,
        mode,
        uid,
        gid,
        mtime: time,
        ctime: time,
        inode: 0,
        size,
        sparse: false,
        rdev: 0,
        target: Vec::new(),
    };
    let full = roots.paths().concat();
    let full = &full[1..];
    let mut sink = &*context.writer;
    let mut builder = TreeBuilder::new(&context.repo.keys);
    let mut totals = Totals { files_new: 1, ..Totals::default() };
    let mut contents = context.wants_contents.then(Contents::default);
    let ends = full.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).chain([full.len()]);
    for end in ends {
        let place = Path::split(&full[..end]);
        let is_file = end == full.len();
        let entry = Entry {
            directory: place.directory.into(),
            name: place.name.into(),
            metadata: if is_file {
                metadata(Kind::File, 0o600, read.size)
            } else {
                metadata(Kind::Directory, 0o700, 0)
            },
            content: if is_file { read.content.clone() } else { Content::default() },
            extensions: Vec::new(),
        };
        count_entry(&mut totals, &entry);
        contents.iter_mut().for_each(|contents| contents.add(&entry));
        builder.push(&entry, &mut sink)?;
    }
    let tree = builder.finish(&mut sink)?;
    Ok(Gathered { tree, contents: contents.map(Contents::finish), totals, issues: Vec::new() })
}

/// Fills the buffer unless the stream ends.
fn read_full(content: &mut (dyn Read + Send), buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The issue of a file that could not be read.
pub(super) fn unreadable(path: &[u8], what: impl std::fmt::Display) -> Issue {
    let next = "its content is not in this snapshot; check its permissions and the disk";
    let subject = crate::base::text::escape(path);
    Issue::new(IssueCode::SourceUnreadable, subject, format!("cannot be read: {what}"), next)
}
