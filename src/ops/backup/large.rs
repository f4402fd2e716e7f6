//! A long content: read and cut on one thread in windows, hashed, compressed and sealed by all.

use super::pipeline::Context;
use crate::base::{ChunkId, Counter};
use crate::repo::tree::{Content, ContentBuilder};
use crate::repo::{ChunkKind, RepoError};
use crossbeam_channel::{Receiver, unbounded};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at a time; at least the largest chunk is added to it, so that a cut never depends on where a window ends.
const WINDOW_BYTES: usize = 8 << 20;
/// Windows of one file that are being stored while the next is read.
const WINDOWS_IN_FLIGHT: usize = 2;

/// Why a content could not be stored.
pub(super) enum LargeError {
    /// The source broke off.
    Read(io::Error),
    Repo(RepoError),
}

impl From<RepoError> for LargeError {
    fn from(error: RepoError) -> Self {
        Self::Repo(error)
    }
}

/// A content that is stored.
pub(super) struct Read {
    pub content: Content,
    pub size: u64,
}

/// A window whose chunks are on their way.
struct Window {
    bytes: Arc<Vec<u8>>,
    ids: Receiver<(usize, Result<ChunkId, RepoError>)>,
}

/// Stores what `read` gives; it fills its buffer unless the content ends.
pub(super) fn store_stream(context: &Context, read: ReadWindow<'_>) -> Result<Read, LargeError> {
    let mut in_flight = VecDeque::new();
    let stored = pump(context, read, &mut in_flight);
    // After a failure too, nothing of this file is running any more when it is given up.
    in_flight.into_iter().for_each(|window| window.ids.into_iter().for_each(drop));
    stored
}

/// The same on the calling thread alone.
pub(super) fn store_alone(context: &Context, read: ReadWindow<'_>) -> Result<Read, LargeError> {
    let largest = context.repo.chunker.params().maximum_bytes() as usize;
    let mut content = ContentBuilder::default();
    let mut bytes = vec![0; WINDOW_BYTES + largest];
    let (mut filled, mut size) = (0, 0);
    loop {
        let got = read(&mut bytes[filled..]).map_err(LargeError::Read)?;
        filled += got;
        size += got as u64;
        let at_end = filled < bytes.len();
        let (ranges, cut_to) = cut(context, &bytes[..filled], largest, at_end);
        for range in ranges {
            let (id, _) = context.writer.put(ChunkKind::Data, &bytes[range])?;
            content.push(id, &mut &*context.writer)?;
        }
        bytes.copy_within(cut_to..filled, 0);
        filled -= cut_to;
        context.observer().add(Counter::BytesDone, got as u64);
        if context.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        if at_end {
            return Ok(Read { content: content.finish(&mut &*context.writer)?, size });
        }
    }
}

type ReadWindow<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<usize>;

fn pump(context: &Context, read: ReadWindow<'_>, in_flight: &mut VecDeque<Window>) -> Result<Read, LargeError> {
    let largest = context.repo.chunker.params().maximum_bytes() as usize;
    let mut content = ContentBuilder::default();
    let mut spare: Vec<Vec<u8>> = Vec::new();
    let mut carry: Vec<u8> = Vec::new();
    let mut size = 0;
    let mut at_end = false;
    while !at_end && !context.cancel.is_cancelled() {
        let mut bytes = spare.pop().unwrap_or_default();
        bytes.resize(WINDOW_BYTES + largest, 0);
        bytes[..carry.len()].copy_from_slice(&carry);
        let got = read(&mut bytes[carry.len()..]).map_err(LargeError::Read)?;
        let filled = carry.len() + got;
        at_end = filled < bytes.len();
        bytes.truncate(filled);
        size += got as u64;
        let (ranges, cut_to) = cut(context, &bytes, largest, at_end);
        carry.clear();
        carry.extend_from_slice(&bytes[cut_to..]);
        in_flight.push_back(spawn(context, bytes, ranges));
        if in_flight.len() > WINDOWS_IN_FLIGHT {
            spare.extend(collect(context, in_flight, &mut content)?);
        }
        context.observer().add(Counter::BytesDone, got as u64);
    }
    while !in_flight.is_empty() {
        collect(context, in_flight, &mut content)?;
    }
    if context.cancel.is_cancelled() {
        return Err(RepoError::Interrupted.into());
    }
    Ok(Read { content: content.finish(&mut &*context.writer)?, size })
}

/// The chunks that can be cut from a window, and where the last one ends.
fn cut(context: &Context, bytes: &[u8], largest: usize, at_end: bool) -> (Vec<Range<usize>>, usize) {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bytes.len() && (at_end || bytes.len() - at >= largest) {
        let end = at + context.repo.chunker.cut(&bytes[at..]);
        ranges.push(at..end);
        at = end;
    }
    (ranges, at)
}

fn spawn(context: &Context, bytes: Vec<u8>, ranges: Vec<Range<usize>>) -> Window {
    let (sender, ids) = unbounded();
    let bytes = Arc::new(bytes);
    for (n, range) in ranges.into_iter().enumerate() {
        let (context, bytes, sender) = (context.clone(), bytes.clone(), sender.clone());
        rayon::spawn_fifo(move || {
            let stored = context.writer.put(ChunkKind::Data, &bytes[range]).map(|(id, _)| id);
            // Both are free again before the result is seen: the window is reused, the writer finished.
            drop((context, bytes));
            sender.send((n, stored)).ok();
        });
    }
    Window { bytes, ids }
}

/// Waits for the oldest window's chunks and adds their ids in order; gives the buffer back.
fn collect(
    context: &Context,
    in_flight: &mut VecDeque<Window>,
    content: &mut ContentBuilder,
) -> Result<Option<Vec<u8>>, LargeError> {
    let Some(window) = in_flight.pop_front() else { return Ok(None) };
    let mut ids: Vec<_> = window.ids.into_iter().collect();
    ids.sort_unstable_by_key(|(n, _)| *n);
    for (_, stored) in ids {
        content.push(stored?, &mut &*context.writer)?;
    }
    Ok(Arc::try_unwrap(window.bytes).ok())
}
