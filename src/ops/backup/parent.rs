//! Comparing with the parent snapshot: a merge of two sorted streams.

use crate::repo::tree::{Entry, Path, TreeReader, compare_paths};
use crate::repo::{ChunkReader, Snapshot};
use crate::source::{FileTime, Found, Metadata};
use jiff::Timestamp;
use std::cmp::Ordering;

/// A file that was changed this shortly before the parent began, or later, is read again: the file system's clock is
/// coarse, so a second change may have left no trace in its times.
pub(super) const CLOCK_GRAIN_NANOS: i128 = 20_000_000;

/// Walks the parent's tree beside the source.
pub struct ParentCursor<'a> {
    reader: TreeReader<'a>,
    next: Option<Entry>,
    began: Timestamp,
}

impl<'a> ParentCursor<'a> {
    pub fn new(chunks: &'a ChunkReader, parent: &Snapshot) -> Self {
        let mut cursor =
            Self { reader: TreeReader::new(chunks, parent.manifest.tree), next: None, began: parent.manifest.time };
        cursor.advance();
        cursor
    }

    /// Holes in the parent's tree are passed over: what they hid is read from the source again.
    fn advance(&mut self) {
        self.next = std::iter::from_fn(|| self.reader.next_entry()).find_map(Result::ok);
    }

    /// The parent's entry of the same path. Must be asked in the order of the tree.
    pub fn find(&mut self, found: &Found) -> Option<Entry> {
        let place = Path { directory: &found.directory, name: &found.name };
        while let Some(entry) = &self.next {
            match compare_paths(entry.place(), place) {
                Ordering::Less => self.advance(),
                Ordering::Greater => return None,
                Ordering::Equal => {
                    let entry = self.next.take();
                    self.advance();
                    return entry;
                }
            }
        }
        None
    }

    /// Whether the content can be taken from the parent's entry without reading.
    pub fn is_unchanged(&self, now: &Metadata, before: &Metadata) -> bool {
        let newest = now.mtime.max(now.ctime);
        now.same_content_as(before) && nanoseconds(newest) < self.began.as_nanosecond() - CLOCK_GRAIN_NANOS
    }
}

/// Takes the times of a directory that only leads to a source from the parent: what comes and goes beside the sources is no
/// change of theirs, and must not make an unchanged backup write.
pub fn keep_times(now: &mut Metadata, before: &Metadata) {
    if (now.kind, now.mode, now.uid, now.gid) == (before.kind, before.mode, before.uid, before.gid) {
        *now = before.clone();
    }
}

fn nanoseconds(time: FileTime) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds)
}
