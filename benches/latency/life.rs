//! The lives of two repositories, command by command: one holds a large file and many small ones, the other one has many
//! snapshots. Every command opens the store anew, as a process of its own would. Knows nothing of tables.

use crate::store::distant;
use crate::support::table::grouped;
use crate::support::{Outcome, client, data, wanted};
use jiff::tz::TimeZone;
use ssb::base::Cancel;
use ssb::crypto::KdfParams;
use ssb::ops::check::{self, ReadData};
use ssb::ops::forget::{self, Rules, Which};
use ssb::ops::retention::{Count, GroupBy, Keep};
use ssb::ops::snapshots::SnapshotFilter;
use ssb::repo::{Ahead, Repo};
use ssb::store::{Counters, ObjectStore, RequestCounts};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The derivation of keys is no request, and costs the same everywhere.
const CHEAP: KdfParams = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };

/// What is backed up; made once and used for every delay.
pub struct Sources {
    folder: PathBuf,
    mib: u64,
    files: u64,
    snapshots: u32,
}

impl Sources {
    pub fn make(folder: PathBuf, mib: u64, files: u64, snapshots: u32) -> Outcome<Self> {
        let sources = Self { folder, mib, files, snapshots };
        fs::create_dir_all(sources.large())?;
        fs::create_dir_all(sources.tiny())?;
        data::random_file(&sources.large().join("file"), 0, mib << 20)?;
        data::small_files(&sources.small(), 0..files)?;
        Ok(sources)
    }

    fn large(&self) -> PathBuf {
        self.folder.join("large")
    }

    fn small(&self) -> PathBuf {
        self.folder.join("small")
    }

    fn tiny(&self) -> PathBuf {
        self.folder.join("tiny")
    }
}

/// What a command has cost.
pub struct Cost {
    pub command: String,
    pub seconds: f64,
    pub requests: RequestCounts,
}

/// What a client remembers of earlier commands.
#[derive(Clone, Copy)]
enum Memory {
    /// What the commands before have left.
    Warm,
    /// That of a machine which never saw the repository.
    Empty,
}

/// A repository, its client, and what the commands have cost so far.
struct Lab {
    folder: PathBuf,
    delay: Duration,
    costs: Vec<Cost>,
}

impl Lab {
    fn new(folder: PathBuf, delay: Duration) -> Self {
        Self { folder, delay, costs: Vec::new() }
    }

    fn store(&self, delay: Duration, counters: Arc<Counters>) -> Outcome<Arc<dyn ObjectStore>> {
        distant(&self.folder.join("repository"), delay, counters)
    }

    /// For what is not measured.
    fn store_at_once(&self) -> Outcome<Arc<dyn ObjectStore>> {
        self.store(Duration::ZERO, Arc::default())
    }

    fn cache(&self, memory: Memory) -> Outcome<PathBuf> {
        let Memory::Empty = memory else { return Ok(self.folder.join("cache")) };
        let empty = self.folder.join("empty");
        if empty.exists() {
            fs::remove_dir_all(&empty)?;
        }
        Ok(empty)
    }

    fn measure(
        &mut self,
        command: impl Into<String>,
        run: impl FnOnce(Arc<dyn ObjectStore>) -> Outcome<()>,
    ) -> Outcome<()> {
        let counters = Arc::new(Counters::default());
        let store = self.store(self.delay, counters.clone())?;
        let begun = Instant::now();
        run(store)?;
        let seconds = begun.elapsed().as_secs_f64();
        let command = command.into();
        eprintln!("{seconds:>9.2} s  {command}");
        self.costs.push(Cost { command, seconds, requests: counters.snapshot() });
        Ok(())
    }

    fn command(
        &mut self,
        command: impl Into<String>,
        (memory, ahead): (Memory, Ahead),
        run: impl FnOnce(&Arc<Repo>) -> Outcome<()>,
    ) -> Outcome<()> {
        let cache = self.cache(memory)?;
        self.measure(command, |store| run(&client::open(store, &cache, ahead)?))
    }

    /// Restores `path` out of the latest snapshot of `source`.
    fn restore(
        &mut self,
        command: impl Into<String>,
        memory: Memory,
        source: &Path,
        path: &Path,
        files: u64,
    ) -> Outcome<()> {
        let target = self.folder.join("target");
        self.command(command, (memory, Ahead::Snapshots), |repo| {
            wanted("files", client::restore(repo, source, path, &target)?, files)
        })?;
        Ok(fs::remove_dir_all(&target)?)
    }
}

/// Every command with this delay, on repositories in `folder`.
pub fn live(sources: &Sources, folder: &Path, delay: Duration) -> Outcome<Vec<Cost>> {
    let mut costs = with_contents(sources, Lab::new(folder.join("contents"), delay))?;
    costs.extend(with_snapshots(sources, Lab::new(folder.join("snapshots"), delay))?);
    Ok(costs)
}

fn with_contents(sources: &Sources, mut lab: Lab) -> Outcome<Vec<Cost>> {
    let cache = lab.cache(Memory::Warm)?;
    lab.measure("init", |store| client::create(store, &cache, CHEAP).map(drop))?;
    let large = sources.large();
    let cold = format!("backup of a file of {} MiB, cold", grouped(sources.mib));
    lab.command(cold, (Memory::Warm, Ahead::Nothing), |repo| client::backup(repo, &large))?;
    lab.command("backup, unchanged", (Memory::Warm, Ahead::Nothing), |repo| client::backup(repo, &large))?;

    let small = sources.small();
    client::backup(&client::open(lab.store_at_once()?, &cache, Ahead::Nothing)?, &small)?;
    let all = format!("restore of {} small files", grouped(sources.files));
    lab.restore(all, Memory::Warm, &small, &small, sources.files)?;
    let one = data::small_file(&small, sources.files / 2);
    lab.restore("restore of one file, empty cache", Memory::Empty, &small, &one, 1)?;
    lab.command("check", (Memory::Warm, Ahead::Nothing), |repo| check(repo, ReadData::No))?;
    lab.command("check --read-data", (Memory::Warm, Ahead::Nothing), |repo| check(repo, ReadData::All))?;
    Ok(lab.costs)
}

/// The tiny file changes from snapshot to snapshot, as something always does: each brings packs and a segment of its own.
fn with_snapshots(sources: &Sources, mut lab: Lab) -> Outcome<Vec<Cost>> {
    let count = u64::from(sources.snapshots);
    let (tiny, file) = (sources.tiny(), sources.tiny().join("file"));
    let repo = client::create(lab.store_at_once()?, &lab.cache(Memory::Warm)?, CHEAP)?;
    for number in 0..count {
        fs::write(&file, number.to_string())?;
        client::backup(&repo, &tiny)?;
    }
    drop(repo);

    let of = |what: &str| format!("{what}, {} snapshots", grouped(count));
    let list = |repo: &Arc<Repo>| wanted("snapshots", client::snapshots(repo)?, count);
    lab.command(of("snapshots, empty cache"), (Memory::Empty, Ahead::Snapshots), list)?;
    lab.command(of("snapshots, warm cache"), (Memory::Warm, Ahead::Snapshots), list)?;
    lab.restore(of("restore of one file, empty cache"), Memory::Empty, &tiny, &file, 1)?;
    lab.command(of("check, empty cache"), (Memory::Empty, Ahead::Nothing), |repo| check(repo, ReadData::No))?;
    lab.command(of("forget half"), (Memory::Warm, Ahead::Snapshots), |repo| {
        forget(repo, sources.snapshots.div_ceil(2))
    })?;
    lab.command(of("prune after that"), (Memory::Warm, Ahead::Nothing), |repo| client::prune(repo, false).map(drop))?;
    Ok(lab.costs)
}

/// `ssb check`
fn check(repo: &Arc<Repo>, read_data: ReadData) -> Outcome<()> {
    let outcome = check::run(repo, read_data, 0, &Cancel::new())?;
    let first = outcome.findings.first();
    first.map_or(Ok(()), |finding| Err(format!("{}: {}", finding.object, finding.what).into()))
}

/// `ssb forget --keep-last KEEP`
fn forget(repo: &Repo, keep: u32) -> Outcome<()> {
    let keep = Keep { last: Some(Count::Limit(keep)), ..Keep::default() };
    let (group_by, filter) = (GroupBy::default(), SnapshotFilter::default());
    let rules = Rules { keep, group_by, filter, zone: TimeZone::UTC };
    let plan = forget::plan(repo, Which::Rules(Box::new(rules)))?;
    Ok(forget::execute(repo, &plan)?)
}
