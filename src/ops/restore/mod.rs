//! Restoring: from a snapshot's tree to files. What is damaged leaves a hole that is listed; all the rest is restored.
//!
//! The tree is read once, in order. Directories and links are made at once; files are gathered into batches
//! (`gather.rs`), and while the next is gathered, each is fetched pack by pack and written (`write.rs`). Directories get their
//! final metadata when the tree has passed them. Nothing grows with the number of files.

mod gather;
mod place;
mod write;

use super::error::{OpsError, Result};
use super::select::Selection;
use crate::base::{Cancel, Counter, Issue, IssueCode, Stage, text};
use crate::repo::tree::{Entry, each_chunk};
use crate::repo::{ChunkReader, Repo, RepoError, Snapshot};
use crate::source::{Filter, Kind, Metadata};
use crossbeam_channel::bounded;
use gather::Gatherer;
use place::Placer;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use write::BatchWriter;

/// What to restore, and where to.
pub struct RestoreOptions {
    /// The path inside the snapshot, absolute; `None` = everything.
    pub path: Option<Vec<u8>>,
    pub target: PathBuf,
    /// If not empty, only what matches is restored.
    pub include: Filter,
    pub exclude: Filter,
    /// Give files to their owners; takes the right to do so.
    pub set_owner: bool,
}

/// What was restored.
#[derive(Debug, Default, Serialize)]
pub struct RestoreOutcome {
    pub files: u64,
    pub directories: u64,
    pub others: u64,
    pub bytes: u64,
    /// Holes, and metadata that could not be set.
    pub issues: Vec<Issue>,
}

/// Restores into an empty or new directory.
pub fn run(repo: &Arc<Repo>, snapshot: &Snapshot, options: &RestoreOptions, cancel: &Cancel) -> Result<RestoreOutcome> {
    let view = Arc::new(repo.sync(cancel)?);
    let chunks = ChunkReader::new(repo.clone(), view);
    let mut selection = Selection::open(&chunks, snapshot, options.path.as_deref())?;
    let placer = Placer::open(options.target.clone(), options.set_owner)?;
    repo.edges.observer.stage(Stage::Restoring);
    if options.path.is_none() {
        repo.edges.observer.add(Counter::FilesTotal, snapshot.manifest.totals.files);
        repo.edges.observer.add(Counter::BytesTotal, snapshot.manifest.totals.bytes);
    }
    let (batches, gathered) = bounded(0);
    std::thread::scope(|scope| {
        let writer = BatchWriter::new(&chunks, &placer, cancel);
        let writer = scope.spawn(move || writer.run(gathered));
        let restorer = Restorer {
            gatherer: Gatherer::new(batches),
            chunks: &chunks,
            placer: &placer,
            options,
            strip: selection.strip().to_vec(),
            directories: BTreeMap::new(),
            has_gaps: !options.include.is_empty(),
            has_holes: false,
            now: Arc::from(&b""[..]),
            is_barred: false,
            outcome: RestoreOutcome::default(),
        };
        let outcome = restorer.run(&mut selection, cancel);
        let written = writer.join().map_err(|_| RepoError::Seal("the writer of files broke off".to_owned()))?;
        match (outcome, written) {
            // That nobody writes any more follows from what the writer failed with.
            (Err(OpsError::Repo(RepoError::Interrupted)) | Ok(_), Err(error)) | (Err(error), _) => Err(error),
            (Ok(mut outcome), Ok(issues)) => {
                outcome.issues.extend(issues);
                Ok(outcome)
            }
        }
    })
}

/// A directory's path with its slashes as zeros, so that plain byte order is the order of the tree.
fn order_key(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&b| if b == b'/' { 0 } else { b }).collect()
}

struct Restorer<'a> {
    chunks: &'a ChunkReader,
    placer: &'a Placer,
    options: &'a RestoreOptions,
    gatherer: Gatherer,
    /// Taken off the front of every path.
    strip: Vec<u8>,
    /// Directories that the tree has not passed yet and that wait for their final metadata: by [`order_key`] of the whole
    /// path, the path relative to the target and the metadata.
    directories: BTreeMap<Vec<u8>, (Vec<u8>, Metadata)>,
    /// Entries may have been passed over, so that a directory has to be made for the sake of what is in it.
    has_gaps: bool,
    /// Which directories there are may be unknown, because the tree has a hole.
    has_holes: bool,
    /// The directory whose entries are being restored.
    now: Arc<[u8]>,
    /// What stands there is no directory, so nothing is restored into it.
    is_barred: bool,
    outcome: RestoreOutcome,
}

impl Restorer<'_> {
    /// Passes all entries on; the gatherer ends with it.
    fn run(mut self, selection: &mut Selection<'_>, cancel: &Cancel) -> Result<RestoreOutcome> {
        if let Some(top) = selection.top() {
            self.directories.insert(order_key(&top.path()), (Vec::new(), top.metadata.clone()));
        }
        while let Some(next) = selection.next_entry() {
            if cancel.is_cancelled() {
                return Err(RepoError::Interrupted.into());
            }
            match next {
                Ok(entry) => self.entry(&entry)?,
                Err(hole) if hole.error.is_damage() => {
                    let until =
                        hole.until.map_or("the end of the snapshot".to_owned(), |path| format!("before {path}"));
                    let what = format!("everything from here to {until} is lost: {}", hole.error);
                    self.issue(Issue::new(IssueCode::RestoreHole, hole.from, what, ""));
                    (self.has_gaps, self.has_holes) = (true, true);
                }
                Err(hole) => return Err(hole.error.into()),
            }
        }
        let rest = std::mem::take(&mut self.directories).into_values().collect();
        self.gatherer.end_directories(rest);
        self.gatherer.flush()?;
        Ok(self.outcome)
    }

    fn issue(&mut self, issue: Issue) {
        self.chunks.repo.edges.observer.issue(&issue);
        self.outcome.issues.push(issue);
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let full = entry.path();
        let absolute = [b"/", &full[..]].concat();
        if self.options.exclude.matches(&absolute) {
            return Ok(());
        }
        if self.now != entry.directory {
            self.end_directories(&entry.directory);
            self.begin_directory(&entry.directory)?;
        }
        if self.is_barred {
            return Ok(());
        }
        let path = relative(&full, &self.strip).to_vec();
        let included = self.options.include.is_empty() || self.options.include.matches(&absolute);
        if entry.metadata.kind == Kind::Directory {
            if included {
                if self.has_gaps {
                    self.placer.make_parents(&path)?;
                }
                if !self.placer.make_directory(&path)? {
                    let what = "cannot be made, because something else has its name there";
                    self.issue(Issue::new(IssueCode::RestoreSkipped, display(&path), what, ""));
                    return Ok(());
                }
                self.outcome.directories += 1;
            }
            // One that is not wanted itself may still have to hold something that is.
            self.directories.insert(order_key(&full), (path, entry.metadata.clone()));
            return Ok(());
        }
        if !included {
            return Ok(());
        }
        if self.has_gaps {
            self.placer.make_parents(&path)?;
        }
        match entry.metadata.kind {
            Kind::File => self.file(entry, path),
            _ => {
                self.outcome.others += 1;
                let issues = self.placer.make_other(&path, &entry.metadata)?;
                issues.into_iter().for_each(|issue| self.issue(issue));
                Ok(())
            }
        }
    }

    fn file(&mut self, entry: &Entry, path: Vec<u8>) -> Result<()> {
        self.outcome.files += 1;
        self.outcome.bytes = self.outcome.bytes.saturating_add(entry.metadata.size);
        let is_small = entry.content.depth == 0 && entry.content.ids.len() <= 1;
        self.gatherer.begin_file(path, &entry.metadata, is_small);
        let (chunks, gatherer) = (self.chunks, &mut self.gatherer);
        match each_chunk(&entry.content, chunks, &mut |_| {}, &mut |id| gatherer.add_chunk(id)) {
            Err(error) if error.is_damage() => self.gatherer.lose_rest(error.to_string()),
            other => other?,
        }
        Ok(self.gatherer.end_file()?)
    }

    /// Sees to it that entries come into directories only. A forged tree may have a link in a directory's place, which would lead
    /// them out of the target.
    fn begin_directory(&mut self, now: &[u8]) -> Result<()> {
        let path = relative(now, &self.strip);
        let is_told = path.is_empty() || self.directories.contains_key(&order_key(now));
        if is_told && !self.has_gaps {
            self.is_barred = false;
            return Ok(());
        }
        // It may be part of a hole. What else stands there shows only once all files before are made.
        if !is_told && self.has_holes {
            self.gatherer.settle()?;
        }
        self.is_barred = !(is_told || self.has_holes) || !self.placer.can_be_directory(path)?;
        if self.is_barred {
            let what =
                "is no directory, so what the snapshot has in it is left out: it might lie outside of the target";
            self.issue(Issue::new(IssueCode::RestoreSkipped, display(path), what, ""));
        }
        Ok(())
    }

    /// Hands over the directories that the tree has passed now that it is in `now`, to get their final metadata.
    fn end_directories(&mut self, now: &Arc<[u8]>) {
        self.now = now.clone();
        let key_now = order_key(now);
        let is_above = |key: &[u8]| {
            key.is_empty() || key_now.strip_prefix(key).is_some_and(|rest| rest.first().is_none_or(|&b| b == 0))
        };
        let before = self.directories.range(..key_now.clone());
        let passed: Vec<Vec<u8>> = before.map(|(key, _)| key.clone()).filter(|key| !is_above(key)).collect();
        let passed = passed.iter().filter_map(|key| self.directories.remove(key)).collect();
        self.gatherer.end_directories(passed);
    }
}

fn relative<'p>(full: &'p [u8], strip: &[u8]) -> &'p [u8] {
    let rest = full.strip_prefix(strip).unwrap_or(full);
    rest.strip_prefix(b"/").unwrap_or(rest)
}

/// A path of the target in text form, for issues.
fn display(path: &[u8]) -> String {
    text::escape(path)
}
