//! A long content: read in windows on one thread, cut on the next, hashed, compressed and sealed by all.

use super::pipeline::Context;
use crate::base::{ChunkId, Counter};
use crate::chunker::Search;
use crate::repo::tree::{Content, ContentBuilder};
use crate::repo::{ChunkKind, RepoError};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at a time.
const WINDOW_BYTES: usize = 4 << 20;
/// Windows of one content at a time: one is read, one is cut, one is stored.
const WINDOWS: usize = 3;

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

/// Bytes that were read, behind room for what the window before leaves uncut.
struct Window {
    bytes: Vec<u8>,
    /// Where the bytes begin that are not stored yet, and where they end.
    filled: Range<usize>,
}

/// A window whose chunks are on their way.
struct Stored {
    bytes: Arc<Vec<u8>>,
    /// Bytes after the last chunk that could be cut.
    uncut: Range<usize>,
    ids: Receiver<(usize, Result<ChunkId, RepoError>)>,
}

/// Fills its buffer unless the content ends.
type ReadWindow<'a> = &'a mut (dyn FnMut(&mut [u8]) -> io::Result<usize> + Send);

/// Stores what `read` gives.
pub(super) fn store_stream(context: &Context, read: ReadWindow<'_>) -> Result<Read, LargeError> {
    let room = room_bytes(context);
    let (give, spare) = bounded(WINDOWS);
    (0..WINDOWS).for_each(|_| give.send(Vec::new()).unwrap_or(()));
    let (filled, windows) = bounded(0);
    std::thread::scope(|scope| {
        scope.spawn(move || read_windows(read, room, &spare, &filled));
        let mut in_flight = VecDeque::new();
        let stored = pump(context, windows, give, &mut in_flight);
        // After a failure too, nothing of this content is running any more when it is given up.
        in_flight.into_iter().for_each(|window: Stored| window.ids.into_iter().for_each(drop));
        stored
    })
}

/// The same on the calling thread alone.
pub(super) fn store_alone(context: &Context, read: ReadWindow<'_>) -> Result<Read, LargeError> {
    let room = room_bytes(context);
    let mut content = ContentBuilder::default();
    let mut search = Search::default();
    let mut window = Window { bytes: vec![0; room + WINDOW_BYTES], filled: room..room };
    let mut size = 0;
    loop {
        let got = read(&mut window.bytes[room..]).map_err(LargeError::Read)?;
        window.filled.end = room + got;
        size += got as u64;
        let at_end = got < WINDOW_BYTES;
        for range in cut(context, &mut search, &mut window, at_end) {
            let id = context.writer.put(ChunkKind::Data, &window.bytes[range])?;
            content.push(id, &mut &*context.writer)?;
        }
        let uncut = window.filled.len();
        window.bytes.copy_within(window.filled, room - uncut);
        window.filled = room - uncut..room;
        context.observer().add(Counter::BytesDone, got as u64);
        if context.cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        if at_end {
            return Ok(Read { content: content.finish(&mut &*context.writer)?, size });
        }
    }
}

/// What is left uncut is always shorter.
fn room_bytes(context: &Context) -> usize {
    context.repo.chunker.params().maximum_bytes() as usize
}

/// Reads one window after the other into spare buffers, until the content ends or nobody wants more.
fn read_windows(read: ReadWindow<'_>, room: usize, spare: &Receiver<Vec<u8>>, filled: &Sender<io::Result<Window>>) {
    for mut bytes in spare {
        bytes.resize(room + WINDOW_BYTES, 0);
        let got = read(&mut bytes[room..]);
        let at_end = !matches!(got, Ok(WINDOW_BYTES));
        if filled.send(got.map(|got| Window { bytes, filled: room..room + got })).is_err() || at_end {
            return;
        }
    }
}

/// Cuts one window while the one before it is being stored and the next is read.
fn pump(
    context: &Context,
    windows: Receiver<io::Result<Window>>,
    spare: Sender<Vec<u8>>,
    in_flight: &mut VecDeque<Stored>,
) -> Result<Read, LargeError> {
    let mut content = ContentBuilder::default();
    let mut search = Search::default();
    let mut size = 0;
    for window in windows {
        let mut window = window.map_err(LargeError::Read)?;
        let got = window.filled.len();
        let at_end = got < WINDOW_BYTES;
        size += got as u64;
        if let Some(before) = in_flight.back() {
            let begin = window.filled.start - before.uncut.len();
            window.bytes[begin..window.filled.start].copy_from_slice(&before.bytes[before.uncut.clone()]);
            window.filled.start = begin;
        }
        let chunks = cut(context, &mut search, &mut window, at_end);
        in_flight.push_back(store(context, window, chunks));
        if in_flight.len() > 1 {
            let bytes = collect(context, in_flight, &mut content)?;
            // One for each that was read, or the reader would wait for ever; after the last nobody reads any more.
            spare.send(bytes.unwrap_or_default()).unwrap_or(());
        }
        context.observer().add(Counter::BytesDone, got as u64);
        if context.cancel.is_cancelled() {
            break;
        }
    }
    while !in_flight.is_empty() {
        collect(context, in_flight, &mut content)?;
    }
    if context.cancel.is_cancelled() {
        return Err(RepoError::Interrupted.into());
    }
    Ok(Read { content: content.finish(&mut &*context.writer)?, size })
}

/// Takes the chunks that end in a window off its front; at the end of the content all that is left.
fn cut(context: &Context, search: &mut Search, window: &mut Window, at_end: bool) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    while !window.filled.is_empty() {
        let rest = &window.bytes[window.filled.clone()];
        let chunker = &context.repo.chunker;
        let found = if at_end { Some(chunker.cut(rest)) } else { chunker.search(search, rest) };
        let Some(length) = found else { break };
        let end = window.filled.start + length;
        chunks.push(window.filled.start..end);
        window.filled.start = end;
    }
    chunks
}

fn store(context: &Context, window: Window, chunks: Vec<Range<usize>>) -> Stored {
    let (sender, ids) = unbounded();
    let bytes = Arc::new(window.bytes);
    for (n, range) in chunks.into_iter().enumerate() {
        let (context, bytes, sender) = (context.clone(), bytes.clone(), sender.clone());
        rayon::spawn_fifo(move || {
            let stored = context.writer.put(ChunkKind::Data, &bytes[range]);
            // Both are free again before the result is seen: the window is reused, the writer finished.
            drop((context, bytes));
            sender.send((n, stored)).ok();
        });
    }
    Stored { bytes, uncut: window.filled, ids }
}

/// Waits for the oldest window's chunks and adds their ids in order; gives the buffer back.
fn collect(
    context: &Context,
    in_flight: &mut VecDeque<Stored>,
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
