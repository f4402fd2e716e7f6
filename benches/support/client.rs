//! Each command as the call of the library that the command line makes, with its defaults. What does not end well is an
//! error: a figure for work that was not done is none.

use crate::support::Outcome;
use ssb::base::{Cancel, Issue, Silent, SystemClock, SystemEntropy, SystemPacer};
use ssb::chunker::ChunkerParams;
use ssb::crypto::{KdfParams, SecretText};
use ssb::ops::backup::{self, BackupOptions, Source};
use ssb::ops::prune::{self, PruneOptions, Wait};
use ssb::ops::restore::{self, RestoreOptions};
use ssb::ops::snapshots::{self, SnapshotFilter};
use ssb::repo::{Ahead, Edges, Repo, Snapshot};
use ssb::source::{Filter, WalkOptions};
use ssb::store::ObjectStore;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HOST: &str = "bench";

fn passphrase() -> SecretText {
    SecretText::new("no secret".to_owned())
}

fn edges(cache: &Path) -> Edges {
    Edges {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        pacer: Arc::new(SystemPacer::new(Cancel::new())),
        host: HOST.to_owned(),
        user: HOST.to_owned(),
        cache_root: Some(cache.to_owned()),
        observer: Arc::new(Silent),
    }
}

/// `ssb init`; `kdf` is what every opening will cost.
pub fn create(store: Arc<dyn ObjectStore>, cache: &Path, kdf: KdfParams) -> Outcome<Arc<Repo>> {
    Ok(Arc::new(Repo::create(store, &passphrase(), kdf, ChunkerParams::default(), edges(cache))?))
}

/// What every other command begins with.
pub fn open(store: Arc<dyn ObjectStore>, cache: &Path, ahead: Ahead) -> Outcome<Arc<Repo>> {
    Ok(Arc::new(Repo::find(store, Some(cache), ahead)?.unlock(&passphrase(), edges(cache))?))
}

/// `ssb backup SOURCE`
pub fn backup(repo: &Arc<Repo>, source: &Path) -> Outcome<()> {
    let (paths, base) = (vec![source.to_owned()], PathBuf::from("/"));
    let source = Source::Paths { paths, base, walk: WalkOptions::default() };
    let options = BackupOptions::new(source, HOST, "ssb bench");
    none_of(&backup::run(repo, options, &Cancel::new())?.issues)
}

/// `ssb snapshots`; gives their number.
pub fn snapshots(repo: &Repo) -> Outcome<u64> {
    let (found, issues) = snapshots::list(repo, &SnapshotFilter::default())?;
    none_of(&issues)?;
    Ok(found.len() as u64)
}

/// What `latest --path SOURCE` means.
pub fn latest(repo: &Repo, source: &Path) -> Outcome<Snapshot> {
    let filter = SnapshotFilter { paths: vec![source.display().to_string()], ..SnapshotFilter::default() };
    Ok(snapshots::find(repo, "latest", &filter)?)
}

/// `ssb restore latest:PATH --path SOURCE --target TARGET`; gives the number of files.
pub fn restore(repo: &Arc<Repo>, source: &Path, path: &Path, target: &Path) -> Outcome<u64> {
    let snapshot = latest(repo, source)?;
    let options = RestoreOptions {
        path: Some(path.as_os_str().as_bytes().to_vec()),
        target: target.to_owned(),
        include: Filter::default(),
        exclude: Filter::default(),
        set_owner: rustix::process::geteuid().is_root(),
    };
    let outcome = restore::run(repo, &snapshot, &options, &Cancel::new())?;
    none_of(&outcome.issues)?;
    Ok(outcome.files)
}

/// `ssb prune`; gives the number of packs that nothing needs.
pub fn prune(repo: &Arc<Repo>, dry_run: bool) -> Outcome<u64> {
    let fence_after = jiff::SignedDuration::from_hours(6);
    let summary = prune::run(
        repo,
        PruneOptions { max_unused_percent: 5.0, fence_after, wait: Wait::No, dry_run },
        &Cancel::new(),
    )?;
    match summary.deferred {
        Some(why) => Err(why.into()),
        None => Ok(summary.packs_unused),
    }
}

/// Fails with the first issue.
pub fn none_of(issues: &[Issue]) -> Outcome<()> {
    issues.first().map_or(Ok(()), |issue| Err(issue.to_string().into()))
}
