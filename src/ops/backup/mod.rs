//! Backing up: from sources to a committed snapshot. Nothing is stored that the repository has, nothing is read that has
//! not changed since the parent snapshot.

mod batch;
mod commit;
mod large;
mod parent;
mod pipeline;

use super::error::{OpsError, Result};
use crate::base::text;
use crate::base::{Cancel, Issue, IssueCode, parallel};
use crate::repo::{
    ChunkReader, ChunkWriter, Label, Manifest, Repo, RepoError, Session, Snapshot, Totals, View, WriterOptions,
    Written, layout,
};
use crate::source::{Roots, WalkOptions};
pub use commit::{Commit, Whole};
use serde::Serialize;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// What to back up, and how.
pub struct BackupOptions {
    pub source: Source,
    pub tags: Vec<String>,
    /// The name of the host in the snapshot.
    pub host: String,
    pub label: Label,
    pub zstd_level: i32,
    /// When a snapshot is made of what was read.
    pub commit: Commit,
    pub whole: Whole,
    /// Read and compare everything, write nothing.
    pub dry_run: bool,
    /// Read every file, whatever the parent snapshot says.
    pub read_all: bool,
    /// Walk ahead to count what there is to do, for a progress bar.
    pub count_ahead: bool,
    /// Goes into the snapshot as the program that wrote it.
    pub program: String,
}

impl BackupOptions {
    /// The usual: every snapshot is committed, what has not changed is not read.
    pub fn new(source: Source, host: &str, program: &str) -> Self {
        Self {
            source,
            tags: Vec::new(),
            host: host.to_owned(),
            label: Label::default(),
            zstd_level: 3,
            commit: Commit::Always,
            whole: Whole::AsFarAsReadable,
            dry_run: false,
            read_all: false,
            count_ahead: false,
            program: program.to_owned(),
        }
    }

    /// Whether the contents are compared and not the tree, in which times and owners stand too. The tree of a stream has
    /// the time at which it was read.
    fn compares_contents(&self) -> bool {
        self.commit == Commit::IfContentsChanged
            || self.commit == Commit::IfChanged && matches!(self.source, Source::Stream { .. })
    }
}

/// Where the content comes from.
pub enum Source {
    Paths {
        paths: Vec<PathBuf>,
        /// What relative paths are relative to; absolute.
        base: PathBuf,
        walk: WalkOptions,
    },
    /// One file whose content is streamed. A reader that can wait for long heeds the cancel flag, by an error that is not of
    /// the kind `Interrupted`.
    Stream { path: PathBuf, content: Box<dyn Read + Send>, uid: u32, gid: u32 },
}

/// What a backup did.
#[derive(Debug, Serialize)]
pub struct BackupOutcome {
    /// The new snapshot; `None` for a dry run, and if nothing has changed and no snapshot was wanted then.
    #[serde(serialize_with = "id_of")]
    pub snapshot: Option<Snapshot>,
    #[serde(serialize_with = "id_of")]
    pub parent: Option<Snapshot>,
    /// Nothing has changed, and so there is no snapshot.
    pub unchanged: bool,
    pub totals: Totals,
    pub issues: Vec<Issue>,
}

fn id_of<S: serde::Serializer>(snapshot: &Option<Snapshot>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    snapshot.as_ref().map(|s| s.id).serialize(serializer)
}

/// What the pipeline hands back.
struct Gathered {
    tree: crate::base::ChunkId,
    /// Names and contents in short, if that was asked for.
    contents: Option<String>,
    totals: Totals,
    issues: Vec<Issue>,
}

/// Backs up and commits a snapshot, by the write order of the repository's format: (w1) to (w6).
///
/// # Errors
/// Beside failures of the repository: [`OpsError::NotWhole`] and [`OpsError::Restless`] if the snapshot was to be whole
/// and cannot be.
pub fn run(repo: &Arc<Repo>, mut options: BackupOptions, cancel: &Cancel) -> Result<BackupOutcome> {
    let begun = repo.edges.clock.now();
    let roots = roots(&options.source)?;
    let sources: Vec<String> = roots.paths().iter().map(|p| text::escape(p)).collect();
    let session = if options.dry_run { None } else { Some(Session::open(repo, "backup")?) };
    let (view, parent) = parallel::both(|| repo.sync(cancel), || find_parent(repo, &options, &sources));
    let (view, parent) = (Arc::new(view?), parent?);
    let retirements = view.retirements();
    let gathered = gather_and_list(repo, &view, &roots, &mut options, parent.as_ref(), cancel);
    let (Gathered { tree, contents, mut totals, issues }, written) = gathered?;
    totals.new_chunks = written.new_chunks;
    totals.new_bytes = written.new_bytes;
    totals.stored_bytes = written.stored_bytes;
    totals.new_packs = written.packs.len() as u64;
    totals.duration_ms = repo.edges.clock.now().duration_since(begun).as_millis().max(0) as u64;
    let unchanged = issues.iter().all(|issue| issue.code.is_notice())
        && parent.as_ref().is_some_and(|parent| match options.commit {
            Commit::Always => false,
            _ if contents.is_some() => parent.manifest.contents == contents,
            _ => parent.manifest.tree == tree,
        });
    let session = match session {
        Some(session) if !unchanged => session,
        none_needed => {
            let left = none_needed.and_then(leave).inspect(|issue| repo.edges.observer.issue(issue));
            let issues = issues.into_iter().chain(left).collect();
            return Ok(BackupOutcome { snapshot: None, parent, unchanged, totals, issues });
        }
    };
    let manifest = Manifest {
        format: 1,
        time: begun,
        host: options.host,
        user: repo.edges.user.clone(),
        sources,
        tags: options.tags,
        label: options.label,
        contents,
        parent: parent.as_ref().map(|p| p.id),
        original: None,
        tree,
        totals: totals.clone(),
        program: options.program,
        issues: issues.clone(),
        other: serde_json::Map::new(),
    };
    let snapshot = repo.put_snapshot(manifest)?;
    if !session.is_still_open()? {
        repo.delete_snapshots(&[snapshot.id])?;
        return Err(RepoError::Fenced.into());
    }
    // Committed: whatever fails from here on is told, but the run has done what it was to do.
    let relied_upon = parent.as_ref().filter(|_| !options.read_all);
    let noted = view.note_whole(&snapshot.id, relied_upon.map(|p| &p.id), retirements);
    let late = [leave(session), noted.err().map(unnoted)].into_iter().flatten();
    let issues = issues.into_iter().chain(late.inspect(|issue| repo.edges.observer.issue(issue))).collect();
    Ok(BackupOutcome { snapshot: Some(snapshot), parent, unchanged: false, totals, issues })
}

/// Stores what the sources hold. Whatever happens, what has been stored is listed, so that the next run finds it.
fn gather_and_list(
    repo: &Arc<Repo>,
    view: &Arc<View>,
    roots: &Roots,
    options: &mut BackupOptions,
    parent: Option<&Snapshot>,
    cancel: &Cancel,
) -> Result<(Gathered, Written)> {
    let lanes = rayon::current_num_threads();
    let writer_options = WriterOptions { zstd_level: options.zstd_level, lanes, dry_run: options.dry_run };
    let writer = Arc::new(ChunkWriter::start(repo.clone(), view.clone(), writer_options));
    let parent = parent.filter(|_| !options.read_all);
    let once = |options: &mut BackupOptions| gather(repo, view, &writer, roots, options, parent, cancel);
    let gathered = match options.whole {
        Whole::AsFarAsReadable => once(options),
        Whole::OrNotAtAll => commit::gather_whole(repo, roots, options, cancel, once),
    };
    let written = finish(writer);
    Ok((gathered?, written?))
}

/// (w6) Removes the session; an issue if that fails.
fn leave(session: Session) -> Option<Issue> {
    let id = session.id();
    let error = session.close().err()?;
    let next = format!("prunes take it for that of a writer at work, for hours; 'ssb sessions --fence {id}' ends that");
    let what = format!("could not be removed: {error}");
    Some(Issue::new(IssueCode::SessionLeft, layout::session_open(&id), what, next))
}

fn unnoted(error: RepoError) -> Issue {
    let next = "the next backup looks everything up that has not changed";
    Issue::new(IssueCode::CacheUnusable, "the local index", error.to_string(), next)
}

/// What is to be backed up by name. Refuses what can only be a mistake before anything is written.
fn roots(source: &Source) -> Result<Roots> {
    match source {
        Source::Paths { paths, base, .. } => {
            let roots = Roots::new(paths, base);
            if roots.are_all_missing() {
                let named: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
                return Err(OpsError::NoSource(named.join(", ")));
            }
            Ok(roots)
        }
        Source::Stream { path, .. } => {
            let roots = Roots::new(std::slice::from_ref(path), "/".as_ref());
            if roots.paths() == [b"/"] {
                let what = format!("'{}' cannot be the path of a file; name one such as app.sql", path.display());
                return Err(OpsError::Usage(what));
            }
            Ok(roots)
        }
    }
}

fn gather(
    repo: &Arc<Repo>,
    view: &Arc<View>,
    writer: &Arc<ChunkWriter>,
    roots: &Roots,
    options: &mut BackupOptions,
    parent: Option<&Snapshot>,
    cancel: &Cancel,
) -> Result<Gathered> {
    let is_parent_trusted = parent.map_or(Ok(false), |parent| view.is_snapshot_trusted(&parent.id))?;
    let context = pipeline::Context {
        is_parent_trusted,
        repo: repo.clone(),
        writer: writer.clone(),
        nodes: Arc::new(ChunkReader::new(repo.clone(), view.clone())),
        wants_contents: options.compares_contents(),
        cancel: cancel.clone(),
    };
    match &mut options.source {
        Source::Paths { walk, .. } => pipeline::run(context, roots, walk, parent, options.count_ahead),
        Source::Stream { path, content, uid, gid } => {
            pipeline::run_stream(context, roots, path, &mut **content, (*uid, *gid))
        }
    }
}

/// Ends the writer, which is this run's alone once the pipeline has ended.
fn finish(writer: Arc<ChunkWriter>) -> Result<Written> {
    match Arc::try_unwrap(writer) {
        Ok(writer) => Ok(writer.finish()?),
        Err(_) => Err(OpsError::Usage("the writer is still in use; this is a bug, please report it".to_owned())),
    }
}

/// The newest snapshot of the same entry or group, or of the same sources, on the same host. It is looked for after the
/// session was opened, so that whoever condemns its chunks meets the session.
fn find_parent(repo: &Repo, options: &BackupOptions, sources: &[String]) -> Result<Option<Snapshot>> {
    let is_stream = matches!(options.source, Source::Stream { .. });
    if options.commit == Commit::Always && (options.read_all || is_stream) {
        return Ok(None);
    }
    let listed = repo.snapshots()?.snapshots;
    let here = || listed.iter().rev().filter(|s| s.manifest.host == options.host);
    let same = here().find(|s| s.manifest.label.is_same(&options.label));
    Ok(same.or_else(|| here().find(|s| s.manifest.sources == sources)).cloned())
}
