//! Choosing snapshots: by host, tags and paths, or by id.

use super::error::Result;
use crate::base::{Issue, IssueCode};
use crate::repo::{Label, Listing, Repo, Snapshot, layout};

/// Which snapshots are meant; what is empty does not restrict.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFilter {
    pub hosts: Vec<String>,
    /// Each a set of tags that must all be there; one set is enough.
    pub tags: Vec<Vec<String>>,
    /// Sources in text form; all must be among the snapshot's.
    pub paths: Vec<String>,
    /// Names of entries or groups of the config; one is enough.
    pub entries: Vec<String>,
    /// Exactly this entry or this group.
    pub label: Option<Label>,
    /// Those that were made by this policy.
    pub policy: Option<String>,
}

impl SnapshotFilter {
    pub fn accepts(&self, snapshot: &Snapshot) -> bool {
        let m = &snapshot.manifest;
        (self.hosts.is_empty() || self.hosts.contains(&m.host))
            && (self.tags.is_empty() || self.tags.iter().any(|set| set.iter().all(|tag| m.tags.contains(tag))))
            && self.paths.iter().all(|path| m.sources.contains(path))
            && (self.entries.is_empty() || m.label.name().is_some_and(|name| self.entries.iter().any(|e| e == name)))
            && self.label.as_ref().is_none_or(|label| label.is_same(&m.label))
            && (self.policy.is_none() || self.policy == m.label.policy)
    }
}

/// The snapshots that the filter accepts, by time; damaged ones are told as issues.
pub fn list(repo: &Repo, filter: &SnapshotFilter) -> Result<(Vec<Snapshot>, Vec<Issue>)> {
    let Listing { mut snapshots, damaged } = repo.snapshots_at_opening()?;
    snapshots.retain(|s| filter.accepts(s));
    let issue = |(id, error): (_, crate::repo::RepoError)| {
        let next = "run 'ssb check'; bring the object back from a copy of the bucket, or forget the snapshot by its id";
        let issue = Issue::new(IssueCode::DamagedObject, layout::snapshot(&id), error.to_string(), next);
        repo.edges.observer.issue(&issue);
        issue
    };
    Ok((snapshots, damaged.into_iter().map(issue).collect()))
}

/// The snapshot that `wanted` means: `latest` among those that the filter accepts, or a unique prefix of an id.
pub fn find(repo: &Repo, wanted: &str, filter: &SnapshotFilter) -> Result<Snapshot> {
    Ok(repo.snapshots_at_opening()?.resolve(wanted, |s| filter.accepts(s))?)
}
