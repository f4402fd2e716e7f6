//! A window of files: their chunks are gathered, sorted by where they lie, fetched in few ranged requests, and written
//! wherever they belong. Bounded by the number of files and of chunks.

use super::display;
use super::place::Placer;
use crate::base::{Cancel, ChunkId, Counter, Issue, IssueCode, parallel};
use crate::index::Location;
use crate::ops::error::Result;
use crate::repo::{ChunkReader, RepoError};
use crate::source::Metadata;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

const MOST_FILES: usize = 4096;
const MOST_CHUNKS: usize = 32 << 10;
/// Requests are made longer up to this many bytes, unless one chunk is longer still.
const RANGE_BYTES: u64 = 4 << 20;
/// A gap that is cheaper to read than to begin another request.
const GAP_BYTES_REMOTE: u64 = 128 << 10;
const GAP_BYTES_LOCAL: u64 = 4 << 10;
const WIDTH_REMOTE: usize = 8;

/// The offset of what belongs nowhere any more.
const LOST: u64 = u64::MAX;

/// A file that is being restored.
struct File {
    /// Relative to the target.
    path: Vec<u8>,
    metadata: Metadata,
    /// It has at most one chunk, so it is made, written and finished at once.
    is_small: bool,
    was_created: bool,
    /// All of its chunks have been added.
    is_complete: bool,
    /// Where the next chunk belongs.
    next_offset: u64,
    is_finished: AtomicBool,
}

/// A chunk, where it lies, and where it belongs.
struct Piece {
    id: ChunkId,
    place: Location,
    file: usize,
    offset: u64,
}

pub(super) struct Window<'a> {
    chunks: &'a ChunkReader,
    placer: &'a Placer,
    cancel: &'a Cancel,
    files: Vec<File>,
    pieces: Vec<Piece>,
    /// Directories that get their metadata when all files of the window are written.
    directories: Vec<(Vec<u8>, Metadata)>,
    issues: Mutex<Vec<Issue>>,
}

impl<'a> Window<'a> {
    pub fn new(chunks: &'a ChunkReader, placer: &'a Placer, cancel: &'a Cancel) -> Self {
        let (files, pieces, directories) = (Vec::new(), Vec::new(), Vec::new());
        Self { chunks, placer, cancel, files, pieces, directories, issues: Mutex::default() }
    }

    /// Begins a file; its chunks follow, in order.
    pub fn begin_file(&mut self, path: Vec<u8>, metadata: &Metadata, is_small: bool) {
        self.files.push(File {
            path,
            metadata: metadata.clone(),
            is_small,
            was_created: false,
            is_complete: false,
            next_offset: 0,
            is_finished: AtomicBool::new(false),
        });
    }

    /// Adds the next chunk of the file that was begun last. A full window is written; that file stays in it.
    pub fn add_chunk(&mut self, id: ChunkId) -> Result<()> {
        let Some(number) = self.files.len().checked_sub(1) else { return Ok(()) };
        let file = &mut self.files[number];
        let offset = file.next_offset;
        if offset == LOST {
            return Ok(());
        }
        let Some(place) = self.chunks.view.locate(&id)?.into_iter().next() else {
            self.lose_rest(format!("chunk {} is in no pack", id.short()));
            return Ok(());
        };
        file.next_offset = offset + u64::from(place.plain_len);
        self.pieces.push(Piece { id, place, file: number, offset });
        if self.pieces.len() >= MOST_CHUNKS { self.run() } else { Ok(()) }
    }

    /// Tells that the file at hand ends in a hole: without a chunk's length nobody knows where the next one belongs.
    pub fn lose_rest(&mut self, why: String) {
        let Some(file) = self.files.last_mut() else { return };
        let what = format!("its bytes from {} on are lost and were left as zeros: {why}", file.next_offset);
        let issue = Issue::new(IssueCode::RestoreHole, display(&file.path), what, "");
        file.next_offset = LOST;
        self.tell(Some(issue));
    }

    pub fn end_file(&mut self) -> Result<()> {
        self.files.last_mut().into_iter().for_each(|file| file.is_complete = true);
        if self.files.len() >= MOST_FILES { self.run() } else { Ok(()) }
    }

    pub fn end_directories(&mut self, directories: Vec<(Vec<u8>, Metadata)>) {
        self.directories.extend(directories);
    }

    pub fn take_issues(&mut self) -> Vec<Issue> {
        std::mem::take(self.issues.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes everything that was added. A file that is not complete stays, as the only one.
    pub fn run(&mut self) -> Result<()> {
        for file in &mut self.files {
            // Files of several chunks are made at full size first; those of one come into being with it.
            let has_no_piece = file.next_offset == 0 || file.next_offset == LOST;
            if !file.was_created && (!file.is_small || has_no_piece) {
                let made = self.placer.create_file(&file.path)?;
                self.placer.set_size(&file.path, &made, file.metadata.size)?;
                file.was_created = true;
            }
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_unstable_by_key(|p| (p.place.pack, p.place.offset));
        let is_local = self.chunks.repo.store.is_local();
        let width = if is_local { rayon::current_num_threads() } else { WIDTH_REMOTE };
        let gap = if is_local { GAP_BYTES_LOCAL } else { GAP_BYTES_REMOTE };
        parallel::for_each(ranges(&pieces, gap), width, self.cancel, |range| self.fetch(range))?;
        if self.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        parallel::for_each(self.files.iter(), width, self.cancel, |file| self.finish(file))?;
        let count = self.files.iter().filter(|f| f.is_complete).count() as u64;
        self.chunks.repo.edges.observer.add(Counter::FilesDone, count);
        self.files.retain(|file| !file.is_complete);
        // Innermost first, which are those of longer paths: a directory may lose its owner's right to enter it.
        let mut directories = std::mem::take(&mut self.directories);
        directories.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, metadata) in directories {
            let issue = self.placer.finish_path(&path, &metadata);
            self.tell(issue);
        }
        Ok(())
    }

    fn tell(&self, issue: Option<Issue>) {
        self.issues.lock().unwrap_or_else(PoisonError::into_inner).extend(issue);
    }

    fn finish(&self, file: &File) -> Result<()> {
        if file.is_complete && !file.is_finished.load(Relaxed) {
            if !file.was_created {
                // Its only chunk was damaged: what is left of it is its name and size.
                let made = self.placer.create_file(&file.path)?;
                self.placer.set_size(&file.path, &made, file.metadata.size)?;
            }
            self.tell(self.placer.finish_path(&file.path, &file.metadata));
        }
        Ok(())
    }

    /// Reads a run of pieces that lie close together, and writes each to its file.
    fn fetch(&self, pieces: &[Piece]) -> Result<()> {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Ok(()) };
        let from = u64::from(first.place.offset);
        let until = u64::from(last.place.offset) + u64::from(last.place.sealed_len);
        let read = self.chunks.pack(first.place.pack).and_then(|pack| {
            let bytes = self.chunks.fetch(&pack.id, from, until - from)?;
            Ok((pack, Vec::from(bytes)))
        });
        let (pack, mut bytes) = match read {
            Ok(read) => read,
            // One by one, each from wherever else it may lie.
            Err(error) if error.is_damage() => {
                return by_chunk(pieces).try_for_each(|run| self.write_from_anywhere(run));
            }
            Err(error) => return Err(error.into()),
        };
        let mut buffer = Vec::new();
        by_chunk(pieces).try_for_each(|run| {
            let Piece { id, place, .. } = &run[0];
            let begin = (u64::from(place.offset) - from) as usize;
            let sealed = &mut bytes[begin..begin + place.sealed_len as usize];
            match self.chunks.open_chunk(&pack, id, place, sealed, &mut buffer) {
                Err(error) if error.is_damage() => self.write_from_anywhere(run),
                opened => self.write(run, opened),
            }
        })
    }

    /// Writes a chunk that could not be had from where the others lie.
    fn write_from_anywhere(&self, run: &[Piece]) -> Result<()> {
        match self.chunks.read(&run[0].id) {
            Ok(plain) => self.write(run, Ok(&plain)),
            Err(error) => self.write(run, Err(error)),
        }
    }

    /// Writes one chunk wherever it belongs, or tells the holes that it leaves.
    fn write(&self, run: &[Piece], plain: crate::repo::Result<&[u8]>) -> Result<()> {
        let plain = match plain {
            Err(error) if !error.is_damage() => return Err(error.into()),
            other => other,
        };
        for piece in run {
            let file = &self.files[piece.file];
            let plain = match &plain {
                Ok(plain) => plain,
                Err(error) => {
                    let end = piece.offset + u64::from(piece.place.plain_len);
                    let what = format!("its bytes {} to {end} are lost and were left as zeros: {error}", piece.offset);
                    self.tell(Some(Issue::new(IssueCode::RestoreHole, display(&file.path), what, "")));
                    continue;
                }
            };
            self.chunks.repo.edges.observer.add(Counter::BytesDone, plain.len() as u64);
            let sparse = file.metadata.sparse;
            if file.was_created {
                let open = self.placer.open_file(&file.path)?;
                self.placer.write(&file.path, &open, piece.offset, plain, sparse)?;
            } else {
                let made = self.placer.create_file(&file.path)?;
                if sparse {
                    self.placer.set_size(&file.path, &made, file.metadata.size)?;
                }
                self.placer.write(&file.path, &made, 0, plain, sparse)?;
                self.tell(self.placer.finish_file(&file.path, &made, &file.metadata));
                file.is_finished.store(true, Relaxed);
            }
        }
        Ok(())
    }
}

/// Cuts sorted pieces where the pack changes, the gap is wide, or the range grows long.
fn ranges(pieces: &[Piece], gap_bytes: u64) -> impl Iterator<Item = &[Piece]> + Send {
    let mut rest = pieces;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let begin = u64::from(first.place.offset);
        let mut end = begin + u64::from(first.place.sealed_len);
        let mut length = 1;
        for piece in &rest[1..] {
            let from = u64::from(piece.place.offset);
            let until = from + u64::from(piece.place.sealed_len);
            let is_near = piece.place.pack == first.place.pack && from <= end + gap_bytes;
            // The same chunk again costs nothing, however long the range is.
            if !is_near || (from >= end && until - begin > RANGE_BYTES) {
                break;
            }
            end = end.max(until);
            length += 1;
        }
        let (range, after) = rest.split_at(length);
        rest = after;
        Some(range)
    })
}

/// Runs of pieces of one chunk.
fn by_chunk(pieces: &[Piece]) -> impl Iterator<Item = &[Piece]> {
    pieces.chunk_by(|a, b| a.place.ordinal == b.place.ordinal && a.id == b.id)
}
