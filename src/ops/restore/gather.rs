//! Gathering what the tree says into batches, while the batch before is being written. Looks nothing up and writes nothing.

use crate::base::ChunkId;
use crate::repo::{RepoError, Result};
use crate::source::Metadata;
use crossbeam_channel::Sender;

const MOST_FILES: usize = 16 << 10;
const MOST_CHUNKS: usize = 32 << 10;

/// A file, or the part of a long one that a batch holds.
pub(super) struct File {
    /// Relative to the target.
    pub path: Vec<u8>,
    pub metadata: Metadata,
    /// It has at most one chunk, so it is made, written and finished at once.
    pub is_small: bool,
    /// It began in an earlier batch.
    pub is_continued: bool,
    /// It ends in this batch.
    pub is_complete: bool,
    /// Why nobody knows the chunks that come after those of this batch.
    pub lost: Option<String>,
}

/// Files with their chunks, and directories that get their metadata when all of that is written.
#[derive(Default)]
pub(super) struct Batch {
    pub files: Vec<File>,
    /// In the order of the files, and of their bytes: the file's position in `files`, and the chunk.
    pub chunks: Vec<(usize, ChunkId)>,
    pub directories: Vec<(Vec<u8>, Metadata)>,
}

/// Fills batches, bounded by the number of files and of chunks. Fails with [`RepoError::Interrupted`] when nobody writes them
/// any more; whoever did knows why.
pub(super) struct Gatherer {
    batch: Batch,
    batches: Sender<Batch>,
}

impl Gatherer {
    pub fn new(batches: Sender<Batch>) -> Self {
        Self { batch: Batch::default(), batches }
    }

    /// Begins a file; its chunks follow, in order.
    pub fn begin_file(&mut self, path: Vec<u8>, metadata: &Metadata, is_small: bool) {
        let metadata = metadata.clone();
        let file = File { path, metadata, is_small, is_continued: false, is_complete: false, lost: None };
        self.batch.files.push(file);
    }

    /// Adds the next chunk of the file that was begun last.
    pub fn add_chunk(&mut self, id: ChunkId) -> Result<()> {
        let Some(last) = self.batch.files.len().checked_sub(1) else { return Ok(()) };
        self.batch.chunks.push((last, id));
        if self.batch.chunks.len() < MOST_CHUNKS {
            return Ok(());
        }
        let file = &self.batch.files[last];
        let (path, metadata) = (file.path.clone(), file.metadata.clone());
        let rest = File { path, metadata, is_small: false, is_continued: true, is_complete: false, lost: None };
        self.flush()?;
        self.batch.files.push(rest);
        Ok(())
    }

    /// Tells that the file at hand ends in a hole: without a chunk's length nobody knows where the next one belongs.
    pub fn lose_rest(&mut self, why: String) {
        self.batch.files.last_mut().into_iter().for_each(|file| file.lost = Some(why.clone()));
    }

    pub fn end_file(&mut self) -> Result<()> {
        self.batch.files.last_mut().into_iter().for_each(|file| file.is_complete = true);
        if self.batch.files.len() >= MOST_FILES { self.flush() } else { Ok(()) }
    }

    pub fn end_directories(&mut self, directories: Vec<(Vec<u8>, Metadata)>) {
        self.batch.directories.extend(directories);
    }

    /// Waits until all that was gathered is written.
    pub fn settle(&mut self) -> Result<()> {
        self.flush()?;
        // The next batch is taken only then.
        self.flush()
    }

    /// Hands the batch over; waits until the one before is written.
    pub fn flush(&mut self) -> Result<()> {
        self.batches.send(std::mem::take(&mut self.batch)).map_err(|_| RepoError::Interrupted)
    }
}
