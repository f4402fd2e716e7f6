//! Restoring a snapshot's source to look at what has come back.

use std::path::Path;
use std::sync::Arc;

use ssb::base::Cancel;
use ssb::ops::restore::{self, RestoreOptions, RestoreOutcome};
use ssb::repo::{Repo, Snapshot};
use ssb::source::Filter;

use super::tree::{Tree, as_bytes, differences, read_tree};

/// Restores what the snapshot has of `path` into `target`.
pub fn restore(repo: &Arc<Repo>, snapshot: &Snapshot, path: &Path, target: &Path) -> ssb::ops::Result<RestoreOutcome> {
    let options = RestoreOptions {
        path: Some(as_bytes(path)),
        target: target.to_owned(),
        include: Filter::default(),
        exclude: Filter::default(),
        set_owner: rustix::process::geteuid().is_root(),
    };
    restore::run(repo, snapshot, &options, &Cancel::new())
}

/// The snapshot gives exactly what `source` held when `wanted` was read.
pub fn assert_restores(repo: &Arc<Repo>, snapshot: &Snapshot, source: &Path, wanted: &Tree, when: &str) {
    let target = tempfile::tempdir().unwrap();
    let outcome = restore(repo, snapshot, source, target.path()).unwrap_or_else(|e| panic!("{when}: {e}"));
    assert!(outcome.issues.is_empty(), "{when}: {:?}", outcome.issues);
    let found = differences(wanted, &read_tree(target.path()));
    assert!(found.is_empty(), "{when}:\n{}", found.join("\n"));
}
