//! When what was read may become a snapshot: only if something has changed, only if it is whole and of one moment. Reads
//! metadata only.

use super::parent::CLOCK_GRAIN_NANOS;
use super::{BackupOptions, Gathered, Source};
use crate::base::{Cancel, text};
use crate::ops::error::{OpsError, Result};
use crate::repo::tree::{Entry, is_below};
use crate::repo::{Repo, RepoError};
use crate::source::{FileTime, Found, Roots, WalkOptions, Walker};
use std::collections::BTreeMap;
use std::time::Duration;

/// When a snapshot is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    Always,
    /// If the tree differs from that of the last one: in a name, a content, a time, a permission. Of a stream, if its
    /// content does.
    IfChanged,
    /// If a name or a content differs.
    IfContentsChanged,
}

/// What to do about what cannot be read, or changes while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The snapshot is made without it, and says so.
    AsFarAsReadable,
    /// No snapshot is made: what is backed up belongs together. If something changes meanwhile, all is read again.
    OrNotAtAll,
}

/// How often it is read, while it changes.
const TRIES: usize = 4;
/// Waited if something was changed so shortly before a look that a further change might leave no trace.
const CLOCK_GRAIN: Duration = Duration::from_nanos(CLOCK_GRAIN_NANOS as u64);
/// Waited before the next try; time for a writer to come to an end.
const PAUSE: Duration = Duration::from_millis(500);

/// Names and contents of a tree's entries, in their order, in short.
#[derive(Default)]
pub(super) struct Contents(blake3::Hasher);

impl Contents {
    pub fn add(&mut self, entry: &Entry) {
        let m = &entry.metadata;
        let mut part = |bytes: &[u8]| {
            self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        part(&entry.path());
        part(&m.target);
        [m.kind as u64, m.rdev, entry.content.depth.into()].into_iter().for_each(|n| part(&n.to_le_bytes()));
        entry.content.ids.iter().for_each(|id| part(id.as_bytes()));
    }

    pub fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// Gathers until nothing has changed from before the first byte was read until after the last.
pub(super) fn gather_whole(
    repo: &Repo,
    roots: &Roots,
    options: &mut BackupOptions,
    cancel: &Cancel,
    mut once: impl FnMut(&mut BackupOptions) -> Result<Gathered>,
) -> Result<Gathered> {
    let Source::Paths { walk, .. } = &options.source else { return once(options) };
    let walk = walk.clone();
    let mut restless = Vec::new();
    for _ in 0..TRIES {
        let before = Look::settled(repo, roots, &walk, cancel)?;
        let gathered = once(options)?;
        restless = before.changes(&Look::take(roots, &walk, cancel)?);
        if restless.is_empty() {
            return match gathered.issues.iter().find(|issue| !issue.code.is_notice()) {
                Some(hole) => Err(OpsError::NotWhole(hole.to_string())),
                None => Ok(gathered),
            };
        }
        pause(repo, PAUSE)?;
    }
    Err(OpsError::Restless { what: restless.join(", "), tries: TRIES })
}

fn pause(repo: &Repo, time: Duration) -> Result<()> {
    if repo.edges.pacer.sleep(time) { Ok(()) } else { Err(RepoError::Interrupted.into()) }
}

/// Of absolute paths.
fn is_within(path: &[u8], source: &[u8]) -> bool {
    is_below(&path[1..], &source[1..])
}

/// What names and metadata say of the sources at one moment.
struct Look(BTreeMap<Vec<u8>, SourceLook>);

#[derive(Default)]
struct SourceLook {
    /// All of it in short.
    metadata: blake3::Hasher,
    newest: FileTime,
}

impl Look {
    fn take(roots: &Roots, walk: &WalkOptions, cancel: &Cancel) -> Result<Self> {
        let mut sources: BTreeMap<_, _> = roots.paths().into_iter().map(|path| (path, SourceLook::default())).collect();
        let mut entry = |found: Found| {
            let (path, m) = (found.path(), found.metadata);
            let mut before = sources.range_mut(..=path.clone()).rev().filter(|_| !found.is_waypoint);
            if let Some((_, source)) = before.find(|(source, _)| is_within(&path, source)) {
                source.newest = source.newest.max(m.mtime).max(m.ctime);
                source.metadata.update(format!("{path:?} {m:?}\n").as_bytes());
            }
            true
        };
        Walker::run(roots, walk, cancel, &mut entry, &mut |_| {});
        if cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        Ok(Self(sources))
    }

    /// One after which every change leaves a trace.
    fn settled(repo: &Repo, roots: &Roots, walk: &WalkOptions, cancel: &Cancel) -> Result<Self> {
        let mut restless = Vec::new();
        for _ in 0..TRIES {
            let look = Self::take(roots, walk, cancel)?;
            let now = repo.edges.clock.now().as_nanosecond();
            restless = look.named(|source| {
                let newest = i128::from(source.newest.seconds) * 1_000_000_000 + i128::from(source.newest.nanoseconds);
                // A time in the future says nothing of when it was set.
                newest <= now && now - newest <= CLOCK_GRAIN_NANOS
            });
            if restless.is_empty() {
                return Ok(look);
            }
            pause(repo, 2 * CLOCK_GRAIN)?;
        }
        Err(OpsError::Restless { what: restless.join(", "), tries: TRIES })
    }

    fn named(&self, is_meant: impl Fn(&SourceLook) -> bool) -> Vec<String> {
        self.0.iter().filter(|(_, source)| is_meant(source)).map(|(path, _)| text::escape(path)).collect()
    }

    /// The sources that are not as they were.
    fn changes(&self, after: &Self) -> Vec<String> {
        let hash = |look: &Self, path: &Vec<u8>| look.0.get(path).map(|source| source.metadata.finalize());
        let differs = |path: &&Vec<u8>| hash(self, path) != hash(after, path);
        self.0.keys().filter(differs).map(|path| text::escape(path)).collect()
    }
}
