//! Writing batches: their chunks are looked up, sorted by where they lie, fetched in few ranged requests, and written
//! wherever they belong.

use super::display;
use super::gather::{Batch, File};
use super::place::Placer;
use crate::base::{Cancel, ChunkId, Counter, Issue, IssueCode, parallel};
use crate::index::Location;
use crate::ops::error::Result;
use crate::repo::{ChunkReader, RepoError};
use crossbeam_channel::Receiver;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Requests are made longer up to this many bytes, unless one chunk is longer still.
const RANGE_BYTES: u64 = 4 << 20;
/// A gap that is cheaper to read than to begin another request.
const GAP_BYTES_REMOTE: u64 = 128 << 10;
const GAP_BYTES_LOCAL: u64 = 4 << 10;
const WIDTH_REMOTE: usize = 8;
/// Chunks that are looked up at a time.
const LOOK_UP_CHUNKS: usize = 4096;

/// A chunk, where it lies, and where it belongs.
struct Piece {
    id: ChunkId,
    place: Location,
    file: usize,
    offset: u64,
}

/// A file of the batch at hand.
struct Open {
    file: File,
    /// It stands in the target, at its full size.
    is_made: bool,
    is_finished: AtomicBool,
}

/// Writes one batch after the other.
pub(super) struct BatchWriter<'a> {
    chunks: &'a ChunkReader,
    placer: &'a Placer,
    cancel: &'a Cancel,
    width: usize,
    issues: Mutex<Vec<Issue>>,
}

impl<'a> BatchWriter<'a> {
    pub fn new(chunks: &'a ChunkReader, placer: &'a Placer, cancel: &'a Cancel) -> Self {
        let width = if chunks.repo.store.is_local() { rayon::current_num_threads() } else { WIDTH_REMOTE };
        Self { chunks, placer, cancel, width, issues: Mutex::default() }
    }

    /// Writes all batches; gives the holes and what could not be set.
    pub fn run(self, batches: Receiver<Batch>) -> Result<Vec<Issue>> {
        // Where the file goes on that does not end in the batch.
        let mut offset = Some(0);
        for batch in batches {
            offset = self.write_batch(batch, offset)?;
        }
        Ok(self.issues.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, issue: Option<Issue>) {
        if let Some(issue) = issue {
            self.chunks.repo.edges.observer.issue(&issue);
            self.issues.lock().unwrap_or_else(PoisonError::into_inner).push(issue);
        }
    }

    /// `offset` is where the first file goes on, if it is continued; gives the same of the last file, `None` if its rest is
    /// lost.
    fn write_batch(&self, batch: Batch, offset: Option<u64>) -> Result<Option<u64>> {
        let Batch { files, chunks, mut directories } = batch;
        let (mut pieces, offset) = self.place(&files, &chunks, offset)?;
        let mut has_piece = vec![false; files.len()];
        pieces.iter().for_each(|piece| has_piece[piece.file] = true);
        // Files of several chunks are made at full size first; those of one come into being with it.
        let open = |(file, has_piece): (File, bool)| {
            let is_made = !(file.is_small && has_piece);
            Open { file, is_made, is_finished: AtomicBool::new(false) }
        };
        let files: Vec<Open> = files.into_iter().zip(has_piece).map(open).collect();
        let to_make = files.iter().filter(|open| open.is_made && !open.file.is_continued);
        parallel::for_each(to_make, self.width, self.cancel, |open| self.make(&open.file))?;
        pieces.sort_unstable_by_key(|p| (p.place.pack, p.place.offset));
        let gap = if self.chunks.repo.store.is_local() { GAP_BYTES_LOCAL } else { GAP_BYTES_REMOTE };
        parallel::for_each(ranges(&pieces, gap), self.width, self.cancel, |range| self.fetch(&files, range))?;
        if self.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        let complete = || files.iter().filter(|open| open.file.is_complete);
        parallel::for_each(complete(), self.width, self.cancel, |open| self.finish(open))?;
        self.chunks.repo.edges.observer.add(Counter::FilesDone, complete().count() as u64);
        // Innermost first, which are those of longer paths: a directory may lose its owner's right to enter it.
        directories.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, metadata) in directories {
            self.tell(self.placer.finish_path(&path, &metadata));
        }
        Ok(offset)
    }

    /// Finds out where all chunks lie and where they belong.
    fn place(
        &self,
        files: &[File],
        chunks: &[(usize, ChunkId)],
        continued_at: Option<u64>,
    ) -> Result<(Vec<Piece>, Option<u64>)> {
        let mut ids: Vec<ChunkId> = chunks.iter().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let (mut places, mut is_settled) = (self.look_up(&ids)?, false);
        while places.iter().any(Option::is_none) && !is_settled {
            is_settled = self.chunks.sync_for_unlisted()?;
            places = self.look_up(&ids)?;
        }
        let mut pieces = Vec::with_capacity(chunks.len());
        let mut rest = chunks;
        let mut offset = continued_at;
        for (number, file) in files.iter().enumerate() {
            offset = if file.is_continued { offset } else { Some(0) };
            let own = rest.iter().take_while(|(of, _)| *of == number).count();
            let (own, others) = rest.split_at(own);
            rest = others;
            for (_, id) in own {
                let Some(at) = offset else { break };
                let place = ids.binary_search(id).ok().and_then(|n| places[n]);
                offset = place.map(|place| at + u64::from(place.plain_len));
                match place {
                    Some(place) => pieces.push(Piece { id: *id, place, file: number, offset: at }),
                    None => self.tell_lost(file, at, &format!("chunk {} is in no pack", id.short())),
                }
            }
            if let (Some(at), Some(why)) = (offset, &file.lost) {
                self.tell_lost(file, at, why);
                offset = None;
            }
        }
        Ok((pieces, offset))
    }

    /// Where each chunk lies; `ids` ascend.
    fn look_up(&self, ids: &[ChunkId]) -> Result<Vec<Option<Location>>> {
        let found: Mutex<Vec<(usize, Vec<Option<Location>>)>> = Mutex::default();
        let runs = ids.chunks(LOOK_UP_CHUNKS).enumerate();
        parallel::for_each(runs, rayon::current_num_threads(), self.cancel, |(n, run)| -> Result<()> {
            let places = run.iter().zip(self.chunks.view.locate_all(run)?);
            let places = places.map(|(id, places)| self.choose(id, &places)).collect::<Result<_>>()?;
            found.lock().unwrap_or_else(PoisonError::into_inner).push((n, places));
            Ok(())
        })?;
        if self.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable_by_key(|(n, _)| *n);
        Ok(found.into_iter().flat_map(|(_, places)| places).collect())
    }

    /// Where to fetch a chunk from. Its length there decides where the next one belongs, so if not all say the same the chunk
    /// itself is asked.
    fn choose(&self, id: &ChunkId, places: &[Location]) -> Result<Option<Location>> {
        let Some(first) = places.first() else { return Ok(None) };
        if places.iter().all(|place| place.plain_len == first.plain_len) {
            return Ok(Some(*first));
        }
        match self.chunks.read(id) {
            Ok(plain) => Ok(places.iter().find(|place| place.plain_len as usize == plain.len()).copied()),
            Err(error) if error.is_damage() => Ok(Some(*first)),
            Err(error) => Err(error.into()),
        }
    }

    fn tell_lost(&self, file: &File, from: u64, why: &str) {
        let what = format!("its bytes from {from} on are lost and were left as zeros: {why}");
        self.tell(Some(Issue::new(IssueCode::RestoreHole, display(&file.path), what, "")));
    }

    fn make(&self, file: &File) -> Result<()> {
        let made = self.placer.create_file(&file.path)?;
        self.placer.set_size(&file.path, &made, file.metadata.size)
    }

    fn finish(&self, open: &Open) -> Result<()> {
        if !open.is_finished.load(Relaxed) {
            if !open.is_made {
                // Its only chunk was damaged: what is left of it is its name and size.
                self.make(&open.file)?;
            }
            self.tell(self.placer.finish_path(&open.file.path, &open.file.metadata));
        }
        Ok(())
    }

    /// Reads a run of pieces that lie close together, and writes each to its file.
    fn fetch(&self, files: &[Open], pieces: &[Piece]) -> Result<()> {
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
                return by_chunk(pieces).try_for_each(|run| self.write_from_anywhere(files, run));
            }
            Err(error) => return Err(error.into()),
        };
        let mut buffer = Vec::new();
        by_chunk(pieces).try_for_each(|run| {
            let Piece { id, place, .. } = &run[0];
            let begin = (u64::from(place.offset) - from) as usize;
            let sealed = &mut bytes[begin..begin + place.sealed_len as usize];
            match self.chunks.open_chunk(&pack, id, place, sealed, &mut buffer) {
                Err(error) if error.is_damage() => self.write_from_anywhere(files, run),
                opened => self.write(files, run, opened),
            }
        })
    }

    /// Writes a chunk that could not be had from where the others lie.
    fn write_from_anywhere(&self, files: &[Open], run: &[Piece]) -> Result<()> {
        match self.chunks.read(&run[0].id) {
            Ok(plain) => self.write(files, run, Ok(&plain)),
            Err(error) => self.write(files, run, Err(error)),
        }
    }

    /// Writes one chunk wherever it belongs, or tells the holes that it leaves.
    fn write(&self, files: &[Open], run: &[Piece], plain: crate::repo::Result<&[u8]>) -> Result<()> {
        let plain = match plain {
            Err(error) if !error.is_damage() => return Err(error.into()),
            other => other,
        };
        for piece in run {
            let open = &files[piece.file];
            let file = &open.file;
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
            if open.is_made {
                let made = self.placer.open_file(&file.path)?;
                self.placer.write(&file.path, &made, piece.offset, plain, sparse)?;
            } else {
                let made = self.placer.create_file(&file.path)?;
                if sparse {
                    self.placer.set_size(&file.path, &made, file.metadata.size)?;
                }
                self.placer.write(&file.path, &made, 0, plain, sparse)?;
                self.tell(self.placer.finish_file(&file.path, &made, &file.metadata));
                open.is_finished.store(true, Relaxed);
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
