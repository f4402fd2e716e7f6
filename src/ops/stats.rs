//! How large the repository is, and what deduplication and compression save.

use super::error::Result;
use crate::base::Cancel;
use crate::repo::Repo;
use crate::store::list_all;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Figures of a repository.
#[derive(Debug, Default, Serialize)]
pub struct Stats {
    pub repository: String,
    pub snapshots: u64,
    pub packs: u64,
    pub chunks: u64,
    /// Bytes of all objects.
    pub stored_bytes: u64,
    /// Sum of the content bytes of all snapshots: what they would take one by one.
    pub source_bytes: u64,
    /// `source_bytes / stored_bytes`, 0 for an empty repository.
    pub ratio: f64,
    /// Objects and bytes by the first part of their names.
    pub objects: BTreeMap<String, ObjectStats>,
}

#[derive(Debug, Default, Serialize)]
pub struct ObjectStats {
    pub count: u64,
    pub bytes: u64,
}

pub fn run(repo: &Arc<Repo>, cancel: &Cancel) -> Result<Stats> {
    let view = repo.sync(cancel)?;
    let mut stats = Stats { repository: repo.config.id.to_string(), ..Stats::default() };
    for object in list_all(&*repo.store, "")? {
        let class = object.key.split('/').next().unwrap_or_default().to_owned();
        let entry = stats.objects.entry(class).or_default();
        entry.count += 1;
        entry.bytes += object.size_bytes;
        stats.stored_bytes += object.size_bytes;
    }
    view.index.each_pack(&mut |pack| {
        stats.packs += 1;
        stats.chunks += u64::from(pack.chunk_count);
    })?;
    let listing = repo.snapshots()?;
    stats.snapshots = (listing.snapshots.len() + listing.damaged.len()) as u64;
    stats.source_bytes = listing.snapshots.iter().fold(0, |sum, s| sum.saturating_add(s.manifest.totals.bytes));
    if stats.stored_bytes > 0 {
        stats.ratio = stats.source_bytes as f64 / stats.stored_bytes as f64;
    }
    Ok(stats)
}
