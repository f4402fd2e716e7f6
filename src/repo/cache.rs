//! Local copies of immutable objects, by name. Every copy is compared with its name when it is read, so a damaged or
//! foreign file is never believed; and nothing here ever fails a command: what cannot be cached is read from the store.

use bytes::Bytes;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is cached, each in a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    Snapshots,
    TreePacks,
    Condemned,
}

impl CacheKind {
    fn folder(self) -> &'static str {
        match self {
            CacheKind::Snapshots => "snapshots",
            CacheKind::TreePacks => "packs",
            CacheKind::Condemned => "condemned",
        }
    }
}

/// The cache of one repository; without a folder it remembers nothing.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// `folder` is created, readable for its owner only.
    pub fn open(folder: PathBuf) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        for kind in [CacheKind::Snapshots, CacheKind::TreePacks, CacheKind::Condemned] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(kind.folder()))?;
        }
        Ok(Self { folder: Some(folder) })
    }

    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn path(&self, kind: CacheKind, name: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(kind.folder()).join(name))
    }

    /// The object named by this hash, if it is here and whole.
    pub fn get(&self, kind: CacheKind, hash: &str) -> Option<Bytes> {
        let path = self.path(kind, hash)?;
        let bytes = fs::read(&path).ok()?;
        if blake3::hash(&bytes).to_hex().as_str() == hash {
            return Some(bytes.into());
        }
        fs::remove_file(&path).ok();
        None
    }

    /// Whether there is a copy; it may turn out not to be whole.
    pub fn contains(&self, kind: CacheKind, hash: &str) -> bool {
        self.path(kind, hash).is_some_and(|path| path.exists())
    }

    pub fn put(&self, kind: CacheKind, hash: &str, bytes: &[u8]) {
        if let Some(path) = self.path(kind, hash) {
            write_whole(&path, bytes);
        }
    }

    pub fn remove(&self, kind: CacheKind, hash: &str) {
        if let Some(path) = self.path(kind, hash) {
            fs::remove_file(path).ok();
        }
    }

    /// Forgets every object but `keep`.
    pub fn retain(&self, kind: CacheKind, keep: &HashSet<String>) {
        let Some(folder) = self.path(kind, "") else { return };
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !file.file_name().to_str().is_some_and(|name| keep.contains(name)) {
                fs::remove_file(file.path()).ok();
            }
        }
    }
}

/// Writes a file that is there whole or not at all; without effect if it cannot be written.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) {
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    if fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path)).is_err() {
        fs::remove_file(&unfinished).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_and_strangers_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("c")).unwrap();
        let name = blake3::hash(b"object").to_hex().to_string();
        assert!(cache.get(CacheKind::Snapshots, &name).is_none());
        cache.put(CacheKind::Snapshots, &name, b"object");
        assert_eq!(cache.get(CacheKind::Snapshots, &name).unwrap(), "object");
        fs::write(dir.path().join("c/snapshots").join(&name), b"0bject").unwrap();
        assert!(cache.get(CacheKind::Snapshots, &name).is_none());
        cache.put(CacheKind::Snapshots, &name, b"object");
        cache.retain(CacheKind::Snapshots, &HashSet::new());
        assert!(cache.get(CacheKind::Snapshots, &name).is_none());
        Cache::default().put(CacheKind::Snapshots, &name, b"object");
        assert!(Cache::default().get(CacheKind::Snapshots, &name).is_none());
    }
}
