//! Listing what a snapshot holds.

use super::error::Result;
use super::select::Selection;
use crate::base::{Cancel, Issue, IssueCode};
use crate::repo::tree::Entry;
use crate::repo::{ChunkReader, Repo, RepoError, Snapshot};
use std::sync::Arc;

/// Calls `each` for every entry below `path` (absolute; `None` = everything), or only for the directory's own entries
/// if not `recursive`. Gives the parts that could not be read.
pub fn run(
    repo: &Arc<Repo>,
    snapshot: &Snapshot,
    path: Option<&[u8]>,
    recursive: bool,
    cancel: &Cancel,
    each: &mut dyn FnMut(&Entry),
) -> Result<Vec<Issue>> {
    let view = Arc::new(repo.sync(cancel)?);
    let chunks = ChunkReader::new(repo.clone(), view);
    let mut selection = Selection::open(&chunks, snapshot, path)?;
    let top = selection.strip().to_vec();
    let mut issues = Vec::new();
    while let Some(next) = selection.next_entry() {
        if cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        match next {
            Ok(entry) if !recursive && *entry.directory != *top => break,
            Ok(entry) => each(&entry),
            Err(hole) if hole.error.is_damage() => {
                let next = "run 'ssb check'";
                let issue = Issue::new(IssueCode::DamagedObject, hole.from, hole.error.to_string(), next);
                repo.edges.observer.issue(&issue);
                issues.push(issue);
            }
            Err(hole) => return Err(hole.error.into()),
        }
    }
    Ok(issues)
}
