//! Snapshots in the bucket: list, put, delete, and find by what a person typed.

use super::cache::CacheKind;
use super::envelope::{self, ObjectKind};
use super::error::{RepoError, Result};
use super::layout;
use super::open::Repo;
use super::snapshot::{Manifest, Snapshot};
use crate::base::{Cancel, SnapshotId, parallel};
use crate::store::ObjectMeta;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// All snapshots, and those that could not be read.
#[derive(Debug, Default)]
pub struct Listing {
    /// Ordered by time, then id.
    pub snapshots: Vec<Snapshot>,
    pub damaged: Vec<(SnapshotId, RepoError)>,
}

impl Repo {
    /// Every snapshot in the bucket.
    pub fn snapshots(&self) -> Result<Listing> {
        self.read_snapshots(&self.list_present(layout::SNAPSHOTS)?)
    }

    /// The same for who looks and does not depend on what happens meanwhile: the snapshots that there were when the
    /// repository was opened, without asking for their names again.
    pub fn snapshots_at_opening(&self) -> Result<Listing> {
        self.listed.as_ref().map_or_else(|| self.snapshots(), |listed| self.read_snapshots(listed))
    }

    fn read_snapshots(&self, objects: &[ObjectMeta]) -> Result<Listing> {
        let present = objects.iter().filter(|object| !self.gone.contains(&object.key));
        let ids: Vec<SnapshotId> = present.filter_map(|o| layout::parse_snapshot(&o.key)).collect();
        let found = Mutex::new(Listing::default());
        let width = parallel::fetch_width(objects.iter().map(|object| object.size_bytes)).min(ids.len());
        parallel::for_each(ids.iter(), width, &Cancel::new(), |id| {
            let read = self.snapshot(id);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match read {
                Ok(snapshot) => found.snapshots.push(snapshot),
                // Forgotten since it was listed.
                Err(RepoError::Missing { .. }) => self.gone.note(layout::snapshot(id)),
                Err(error) if error.is_damage() => found.damaged.push((*id, error)),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.snapshots.sort_by_key(|s| (s.manifest.time, s.id));
        found.damaged.sort_by_key(|(id, _)| *id);
        let keep: HashSet<String> = ids.iter().map(ToString::to_string).collect();
        self.cache.retain(CacheKind::Snapshots, &keep);
        Ok(found)
    }

    /// One snapshot by its whole id.
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot> {
        let key = layout::snapshot(id);
        let hash = id.to_string();
        let cached = self.cache.get(CacheKind::Snapshots, &hash);
        let from_cache = cached.is_some();
        let object = match cached {
            Some(object) => object,
            None => self.store.get(&key).map_err(|e| RepoError::reading(&key, e))?,
        };
        let payload = envelope::open(&self.keys, ObjectKind::Snapshot, &key, &object)?;
        let manifest = Manifest::decode(&key, &payload)?;
        if !from_cache {
            if blake3::hash(&object).to_hex().as_str() != hash {
                return Err(RepoError::damaged(key, "it is another snapshot under this name"));
            }
            self.cache.put(CacheKind::Snapshots, &hash, &object);
        }
        Ok(Snapshot { id: *id, manifest })
    }

    /// (w4) Writes a manifest.
    pub fn put_snapshot(&self, manifest: Manifest) -> Result<Snapshot> {
        let object = envelope::seal(&self.keys, &*self.edges.entropy, ObjectKind::Snapshot, &manifest.encode()?)?;
        let id = SnapshotId::from_bytes(*blake3::hash(&object).as_bytes());
        self.cache.put(CacheKind::Snapshots, &id.to_string(), &object);
        self.store.put_new(&layout::snapshot(&id), object.into())?;
        Ok(Snapshot { id, manifest })
    }

    pub fn delete_snapshots(&self, ids: &[SnapshotId]) -> Result<()> {
        let keys: Vec<String> = ids.iter().map(layout::snapshot).collect();
        self.store.delete_many(&keys)?;
        for (id, key) in ids.iter().zip(keys) {
            // A copy would go on being read as long as a listing still names it.
            self.cache.remove(CacheKind::Snapshots, &id.to_string());
            self.gone.note(key);
        }
        Ok(())
    }
}

impl Listing {
    /// The snapshot that `wanted` means: a unique prefix of an id, or `latest`, the newest of those that `eligible`
    /// accepts. Damaged ones are told by their error.
    pub fn resolve(self, wanted: &str, eligible: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
        let none = || RepoError::NoSnapshot { wanted: wanted.to_owned() };
        if wanted == "latest" {
            return self.snapshots.into_iter().rev().find(eligible).ok_or_else(none);
        }
        let prefix = wanted.to_ascii_lowercase();
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(none());
        }
        let fits = |id: &SnapshotId| id.to_string().starts_with(&prefix);
        let mut sound: Vec<Snapshot> = self.snapshots.into_iter().filter(|s| fits(&s.id)).collect();
        let mut bad: Vec<(SnapshotId, RepoError)> = self.damaged.into_iter().filter(|(id, _)| fits(id)).collect();
        match (sound.pop(), bad.pop(), sound.is_empty() && bad.is_empty()) {
            (None, None, _) => Err(none()),
            (Some(one), None, true) => Ok(one),
            (None, Some((_, error)), true) => Err(error),
            (one, other, _) => {
                let ids = sound.iter().chain(&one).map(|s| s.id).chain(bad.iter().chain(&other).map(|(id, _)| *id));
                let mut candidates: Vec<String> = ids.map(|id| id.to_string()[..16].to_owned()).collect();
                candidates.sort();
                Err(RepoError::Ambiguous { wanted: wanted.to_owned(), candidates })
            }
        }
    }
}
