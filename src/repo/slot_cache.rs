//! Key slots remembered on this machine, so that opening a repository need not wait for them. A slot never changes under its
//! name, and which there are is still asked of the bucket; one that does not open is read from there again.

use super::cache::write_whole;
use crate::store::ObjectStore;
use bytes::Bytes;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The slots of all repositories, by the names of their objects, which are random; without a folder it remembers nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotCache {
    folder: Option<PathBuf>,
}

impl SlotCache {
    /// Nothing is remembered of a store that is as near as the cache.
    pub fn for_store(store: &dyn ObjectStore, cache_root: Option<&Path>) -> Self {
        Self { folder: cache_root.filter(|_| !store.is_local()).map(|root| root.join("keys")) }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let name = key.rsplit('/').next().filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric()))?;
        Some(self.folder.as_ref()?.join(name))
    }

    pub fn get(&self, key: &str) -> Option<Bytes> {
        fs::read(self.path(key)?).ok().map(Bytes::from)
    }

    /// Without effect where the folder cannot be written.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let (Some(folder), Some(path)) = (&self.folder, self.path(key)) else { return };
        if DirBuilder::new().recursive(true).mode(0o700).create(folder).is_ok() {
            write_whole(&path, bytes);
        }
    }
}
