//! One batch of entries on a worker: small files are read whole, cut and stored; everything else is passed through.

use super::large::{self, LargeError};
use super::pipeline::{Context, LARGE_BYTES, unreadable};
use crate::base::{ChunkId, Counter, Issue, IssueCode, text};
use crate::repo::tree::{Content, ContentBuilder, Entry, each_chunk};
use crate::repo::{ChunkKind, RepoError};
use crate::source::{FileReader, Found, Kind, Metadata};
use std::cell::RefCell;
use std::io;

/// Something that the walker met, with what the parent has of it.
pub(super) struct Item {
    pub found: Found,
    /// The metadata says that the content is still the parent's.
    pub unchanged: bool,
    /// The parent's content at this path.
    pub before: Option<Content>,
}

/// What became of a batch.
pub(super) struct Outcome {
    /// The entries in the order of the items.
    pub result: Result<Vec<Entry>, RepoError>,
    pub issues: Vec<Issue>,
    pub files_new: u64,
    pub files_changed: u64,
    pub files_unchanged: u64,
}

impl Outcome {
    fn new() -> Self {
        Self { result: Ok(Vec::new()), issues: Vec::new(), files_new: 0, files_changed: 0, files_unchanged: 0 }
    }

    pub fn failed(error: RepoError) -> Self {
        Self { result: Err(error), ..Self::new() }
    }

    fn issue(&mut self, context: &Context, issue: Issue) {
        context.observer().issue(&issue);
        self.issues.push(issue);
    }

    fn count(&mut self, before: Option<&Content>, now: &Content) {
        match before {
            None => self.files_new += 1,
            Some(content) if content == now => self.files_unchanged += 1,
            Some(_) => self.files_changed += 1,
        }
    }
}

/// A file's content in chunks, and its metadata as of when it was read.
struct Stored {
    content: Content,
    metadata: Metadata,
}

/// Stores the files of a batch.
pub(super) fn process(context: &Context, items: Vec<Item>) -> Outcome {
    let mut outcome = Outcome::new();
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        if context.cancel.is_cancelled() {
            outcome.result = Err(RepoError::Interrupted);
            return outcome;
        }
        match entry(context, item, &mut outcome, store_small) {
            Ok(made) => entries.extend(made),
            Err(error) => {
                outcome.result = Err(error);
                return outcome;
            }
        }
    }
    outcome.result = Ok(entries);
    outcome
}

/// Stores one large file; its content is shared between the workers.
pub(super) fn process_large(context: &Context, item: Item) -> Outcome {
    let mut outcome = Outcome::new();
    outcome.result = entry(context, item, &mut outcome, store_large).map(|made| made.into_iter().collect());
    outcome
}

/// Is given the chunks that can be counted on.
type Store = fn(&Context, FileReader, &[ChunkId]) -> Result<Stored, LargeError>;

/// The entry for an item; `None` if it could not be read, which is an issue and not an error.
fn entry(context: &Context, item: Item, outcome: &mut Outcome, store: Store) -> Result<Option<Entry>, RepoError> {
    let Item { found, unchanged, before } = item;
    let made = |metadata, content| {
        let (directory, name) = (found.directory.clone(), found.name.clone());
        Some(Entry { directory, name, metadata, content, extensions: Vec::new() })
    };
    if found.metadata.kind != Kind::File {
        return Ok(made(found.metadata.clone(), Content::default()));
    }
    context.observer().add(Counter::FilesDone, 1);
    if let Some(content) = before.as_ref().filter(|_| unchanged)
        && (context.is_parent_trusted || is_all_known(context, content)?)
    {
        outcome.files_unchanged += 1;
        context.observer().add(Counter::BytesDone, found.metadata.size);
        return Ok(made(found.metadata.clone(), content.clone()));
    }
    let path = found.path();
    let trusted = match &before {
        Some(content) if context.is_parent_trusted && content.depth == 0 => &content.ids[..],
        _ => &[],
    };
    let stored = FileReader::open(&path).map_err(LargeError::Read).and_then(|reader| match reader {
        Some(reader) => store(context, reader, trusted).map(Some),
        None => Ok(None),
    });
    match stored {
        Ok(Some(Stored { content, metadata })) => {
            outcome.count(before.as_ref(), &content);
            Ok(made(metadata, content))
        }
        Ok(None) => {
            let (what, next) = ("became something else while it was backed up", "it is in the next snapshot");
            outcome.issue(context, Issue::new(IssueCode::SourceChanged, text::escape(&path), what, next));
            Ok(None)
        }
        // Deleted since its directory was read: no longer part of what is backed up.
        Err(LargeError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(LargeError::Read(error)) => {
            outcome.issue(context, unreadable(&path, error));
            Ok(None)
        }
        Err(LargeError::Repo(error)) => Err(error),
    }
}

/// Whether every chunk of a content can be counted on. One that cannot makes the file be read, and so stored again.
fn is_all_known(context: &Context, content: &Content) -> Result<bool, RepoError> {
    if content.depth > 0 {
        return is_tree_known(context, content);
    }
    for id in &content.ids {
        if !context.writer.is_known(id)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_tree_known(context: &Context, content: &Content) -> Result<bool, RepoError> {
    let mut known = true;
    let (mut lists, mut chunks) = (Vec::new(), Vec::new());
    let read = each_chunk(content, &*context.nodes, &mut |list| lists.push(*list), &mut |id| {
        chunks.push(id);
        if chunks.len() >= 1024 {
            for id in chunks.drain(..) {
                known = known && context.writer.is_known(&id)?;
            }
        }
        Ok(())
    });
    match read {
        Err(error) if error.is_damage() => return Ok(false),
        other => other?,
    }
    for id in lists.iter().chain(&chunks) {
        known = known && context.writer.is_known(id)?;
    }
    Ok(known)
}

/// Reads a small file at once and cuts it. A large one comes here too, if it has grown since it was listed or if chunks of
/// it that should be known are not: it is stored on this worker alone, which must not wait for others.
fn store_small(context: &Context, mut reader: FileReader, trusted: &[ChunkId]) -> Result<Stored, LargeError> {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    if reader.metadata().size > LARGE_BYTES {
        let read = large::store_alone(context, &mut |buffer| reader.read(buffer))?;
        return Ok(Stored {
            content: read.content,
            metadata: Metadata { size: read.size, ..reader.metadata().clone() },
        });
    }
    let room = reader.metadata().size as usize;
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        let length = reader.read(&mut buffer[..room]).map_err(LargeError::Read)?;
        let mut ids = ContentBuilder::default();
        for chunk in context.repo.chunker.chunks(&buffer[..length]) {
            let id = context.writer.put_unless_in(trusted, ChunkKind::Data, chunk)?;
            ids.push(id, &mut &*context.writer)?;
        }
        context.observer().add(Counter::BytesDone, length as u64);
        let content = ids.finish(&mut &*context.writer)?;
        Ok(Stored { content, metadata: Metadata { size: length as u64, ..reader.metadata().clone() } })
    })
}

fn store_large(context: &Context, mut reader: FileReader, _trusted: &[ChunkId]) -> Result<Stored, LargeError> {
    let read = large::store_stream(context, &mut |buffer| reader.read(buffer))?;
    Ok(Stored { content: read.content, metadata: Metadata { size: read.size, ..reader.metadata().clone() } })
}
