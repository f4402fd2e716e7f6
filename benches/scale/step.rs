//! What is measured, one step at a time, each in a process of its own: only so is the peak of its memory its own. A step
//! gives rows of a table; in which order steps make sense, whoever runs them knows.

use crate::fill::chunk_id;
use crate::support::table::grouped;
use crate::support::{Outcome, client, data, wanted};
use clap::ValueEnum;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use ssb::base::text::human_bytes;
use ssb::base::{Cancel, ChunkId};
use ssb::index::{Index, IndexError};
use ssb::ops::diff::{self, DiffSide};
use ssb::ops::list;
use ssb::ops::snapshots::{self, SnapshotFilter};
use ssb::repo::{Ahead, Repo};
use ssb::store::DirectoryStore;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Look-ups of a kind: enough for steady work, few enough to hold their ids in little memory.
const LOOK_UPS: u64 = 200_000;
/// Files of a small backup; they share one folder.
pub const FEW: u64 = 100;
/// No chunk has a number from here on.
const UNKNOWN_FROM: u64 = 1 << 63;

#[derive(Clone, Copy, ValueEnum)]
pub enum Step {
    Sync,
    LookUps,
    MoreFiles,
    Prune,
    Snapshots,
    FirstBackup,
    OneMore,
    ListFew,
    ListMany,
    Diff,
    Restore,
}

/// The empty files.
#[derive(Clone, Copy)]
pub struct Many {
    pub files: u64,
    pub directories: u64,
}

/// What a client remembers of earlier commands.
enum Memory {
    Warm,
    Empty,
}

/// Where everything lies.
pub struct Place {
    folder: PathBuf,
}

impl Place {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn store(&self) -> Outcome<Arc<DirectoryStore>> {
        Ok(Arc::new(DirectoryStore::create(self.folder.join("repository"))?))
    }

    /// The cache of the client that runs the steps one after the other.
    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// The cache of a client that the steps do not know.
    pub fn other_cache(&self) -> PathBuf {
        self.folder.join("other-cache")
    }

    /// What is backed up.
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Small files in it.
    pub fn few(&self) -> PathBuf {
        self.source().join("few")
    }

    /// One of the directories that hold the empty files.
    pub fn many(&self, number: u64) -> PathBuf {
        self.source().join("many").join(format!("{number:06}"))
    }

    fn open(&self, memory: Memory) -> Outcome<Arc<Repo>> {
        let cache = match memory {
            Memory::Warm => self.cache(),
            Memory::Empty => self.other_cache(),
        };
        client::open(self.store()?, &cache, Ahead::Nothing)
    }
}

/// Takes the step; gives rows of what, how much, and the peak of memory. `chunks` is what the index was filled with, `many`
/// says what there is to list.
pub fn take(step: Step, place: &Place, chunks: u64, many: Many) -> Outcome<Vec<Vec<String>>> {
    match step {
        Step::Sync => sync(place),
        Step::LookUps => look_ups(place, chunks),
        Step::MoreFiles => timed("small backup", place, Memory::Warm, back_up),
        Step::Prune => timed("prune --dry-run", place, Memory::Warm, |_, repo| match client::prune(repo, true)? {
            0 => Err("no pack is unused, though the index was filled with such".into()),
            _ => Ok(()),
        }),
        Step::Snapshots => timed("snapshots", place, Memory::Warm, |_, repo| client::snapshots(repo).map(drop)),
        Step::FirstBackup => timed("first backup", place, Memory::Warm, back_up),
        Step::OneMore => {
            fs::File::create(place.many(many.directories / 2).join("file-one-more"))?;
            timed("backup of one file more", place, Memory::Warm, back_up)
        }
        Step::ListFew => timed("ls of the small directory", place, Memory::Warm, |place, repo| {
            ls(place, repo, data::small_file(&place.few(), 0).parent(), FEW)
        }),
        Step::ListMany => timed("ls of all empty files", place, Memory::Warm, |place, repo| {
            ls(place, repo, place.many(0).parent(), many.files + 1 + many.directories)
        }),
        Step::Diff => timed("diff of the two snapshots", place, Memory::Warm, diff),
        Step::Restore => timed("restore of one file, empty cache", place, Memory::Empty, restore),
    }
}

/// A command from finding the repository on.
fn timed(
    what: &str,
    place: &Place,
    memory: Memory,
    run: impl FnOnce(&Place, &Arc<Repo>) -> Outcome<()>,
) -> Outcome<Vec<Vec<String>>> {
    let begun = Instant::now();
    run(place, &place.open(memory)?)?;
    Ok(vec![row(what, format!("{:.2} s", begun.elapsed().as_secs_f64()), peak())])
}

fn row(what: &str, figure: String, peak: String) -> Vec<String> {
    vec![what.to_owned(), figure, peak]
}

/// The largest resident memory of this process so far, in MiB, where the system tells it.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or("-".to_owned(), |kib| grouped(kib / 1024))
}

fn sync(place: &Place) -> Outcome<Vec<Vec<String>>> {
    let repo = place.open(Memory::Warm)?;
    let begun = Instant::now();
    let view = repo.sync(&Cancel::new())?;
    let seconds = begun.elapsed().as_secs_f64();
    if !view.is_whole() {
        return Err("not every segment could be read".into());
    }
    let peak = peak();
    // Closed, so that what is measured is what the command leaves behind.
    drop(view);
    let mut size_bytes = 0;
    for file in fs::read_dir(repo.cache.folder().ok_or("there is no cache")?.join("index-0"))? {
        size_bytes += file?.metadata()?.len();
    }
    Ok(vec![
        row("sync of a fresh client", format!("{seconds:.2} s"), peak),
        row("index on disk", human_bytes(size_bytes), String::new()),
    ])
}

fn look_ups(place: &Place, chunks: u64) -> Outcome<Vec<Vec<String>>> {
    let view = place.open(Memory::Warm)?.sync(&Cancel::new())?;
    let index: &dyn Index = &*view.index;
    let mut rows = Vec::new();
    for (kind, from, expected) in [("known", 0, LOOK_UPS), ("unknown", UNKNOWN_FROM, 0)] {
        // Ids of their own for either row: what the first has read must not help the second.
        let alone = locate(&drawn(0, from, chunks), expected, |ids| ids.iter().map(|id| found(index, id)).sum())?;
        let shared = locate(&drawn(1, from, chunks), expected, |ids| ids.par_iter().map(|id| found(index, id)).sum())?;
        rows.push(row(&format!("look-ups of {kind} chunks, one thread"), alone, String::new()));
        rows.push(row(&format!("look-ups of {kind} chunks, all threads"), shared, String::new()));
    }
    Ok(rows)
}

/// Ids of chunks drawn from the `chunks` numbers beginning at `from`, for each `turn` others.
fn drawn(turn: u64, from: u64, chunks: u64) -> Vec<ChunkId> {
    let draw = |n: u64| {
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(&(n << 1 | turn).to_be_bytes()).as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    };
    (0..LOOK_UPS).map(|n| chunk_id(from + draw(n) % chunks)).collect()
}

fn found(index: &dyn Index, id: &ChunkId) -> Result<u64, IndexError> {
    Ok(index.locate(id)?.len() as u64)
}

/// How many look-ups a second are done, provided that as many places are found as there should be.
fn locate(
    ids: &[ChunkId],
    expected: u64,
    count: impl FnOnce(&[ChunkId]) -> Result<u64, IndexError>,
) -> Outcome<String> {
    let begun = Instant::now();
    let places = count(ids)?;
    let seconds = begun.elapsed().as_secs_f64();
    wanted("chunks", places, expected)?;
    Ok(format!("{} /s", grouped((ids.len() as f64 / seconds) as u64)))
}

fn back_up(place: &Place, repo: &Arc<Repo>) -> Outcome<()> {
    client::backup(repo, &place.source())
}

fn ls(place: &Place, repo: &Arc<Repo>, directory: Option<&Path>, expected: u64) -> Outcome<()> {
    let directory = directory.ok_or("there is no such directory")?;
    let snapshot = client::latest(repo, &place.source())?;
    let mut entries = 0;
    let path = Some(directory.as_os_str().as_bytes());
    let issues = list::run(repo, &snapshot, path, true, &Cancel::new(), &mut |_| entries += 1)?;
    client::none_of(&issues)?;
    wanted("entries", entries, expected)
}

fn diff(_: &Place, repo: &Arc<Repo>) -> Outcome<()> {
    let (snapshots, _) = snapshots::list(repo, &SnapshotFilter::default())?;
    let [before, after] = snapshots.as_slice() else { return Err("there must be two snapshots".into()) };
    let side = |snapshot| DiffSide { snapshot, path: None };
    let outcome = diff::run(repo, side(before), side(after), &Cancel::new(), &mut |_| {})?;
    client::none_of(&outcome.issues)?;
    wanted("files added", outcome.added.total(), 1)
}

fn restore(place: &Place, repo: &Arc<Repo>) -> Outcome<()> {
    let target = place.folder().join("target");
    wanted("files", client::restore(repo, &place.source(), &data::small_file(&place.few(), 1), &target)?, 1)
}
