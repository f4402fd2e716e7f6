//! A store in a local directory: the embedded default, and the one that shows what the contract costs.
//!
//! An object is a file at `root/key`. A write goes to a temporary file beside its target (`name~random`, which no key
//! can be called), is synced, renamed, and then the directory is synced. Sub-directories are made when they are needed.
//! Those below the first level are removed with their last object, so that nothing is left of what comes and goes; who
//! writes beside that and finds its directory gone makes it again. Does not lock anything: the rename is the lock.

mod files;
mod walk;

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use rustix::io::Errno;

use super::key::{check_key, check_prefix};
use super::{ErrorKind, ObjectMeta, ObjectStore, Result, StoreError};

/// How often a write begins whose directory is removed by others meanwhile.
const TRIES: usize = 8;

/// Objects as files below one directory. File mode 0600 and directory mode 0700 for whatever it makes.
pub struct DirectoryStore {
    root: PathBuf,
    /// Sub-directories that this store has made or met, relative to the root: saves a `mkdir` per write.
    known: RwLock<HashSet<PathBuf>>,
}

impl DirectoryStore {
    /// Makes `root` (and what is missing above it) unless it is there, and opens it.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`], [`ErrorKind::Full`] or [`ErrorKind::Permanent`] (something else has that name).
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let store = Self::at(root.into());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&store.root)
            .map_err(|e| store.error("create", "", &e))?;
        // Made durable now, so that a power cut after the first object cannot take the directory away.
        if let Some(parent) = store.root.parent() {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            // A parent that may be entered but not read is no reason to refuse.
            let _ = files::sync_dir(parent);
        }
        store.check_root("create")?;
        Ok(store)
    }

    /// Opens `root`, which must be a directory.
    ///
    /// # Errors
    /// [`ErrorKind::NoBucket`] if there is no such directory, [`ErrorKind::Denied`] if it may not be entered.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let store = Self::at(root.into());
        store.check_root("open")?;
        Ok(store)
    }

    fn at(root: PathBuf) -> Self {
        Self { root, known: RwLock::default() }
    }

    fn check_root(&self, operation: &'static str) -> Result<()> {
        match fs::metadata(&self.root) {
            Ok(meta) if meta.is_dir() => Ok(()),
            Ok(_) => {
                Err(self.make_error(ErrorKind::Permanent, operation, "", "this is a file, and a directory is needed"))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(self.no_root(operation)),
            Err(e) => Err(self.error(operation, "", &e)),
        }
    }

    fn make_error(&self, kind: ErrorKind, operation: &'static str, key: &str, message: &str) -> StoreError {
        StoreError::new(kind, operation, key, self.describe(), message)
    }

    fn error(&self, operation: &'static str, key: &str, error: &io::Error) -> StoreError {
        let (kind, message) = files::classify(error);
        self.make_error(kind, operation, key, &message)
    }

    fn no_root(&self, operation: &'static str) -> StoreError {
        self.make_error(ErrorKind::NoBucket, operation, "", "the directory does not exist (is the disk mounted?)")
    }

    /// The file of `key`. Keys cannot leave the root: they have no `..`, no empty part and no leading slash.
    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// For an error on a key's file: `NoBucket` if the root itself is gone, `NotFound` if only the file is.
    fn missing(&self, operation: &'static str, key: &str) -> StoreError {
        match self.check_root(operation) {
            Err(error) => error,
            Ok(()) => self.make_error(ErrorKind::NotFound, operation, key, "there is no such object"),
        }
    }

    fn open_file(&self, operation: &'static str, key: &str) -> Result<(File, u64)> {
        check_key(operation, key, || self.describe())?;
        let opened = File::open(self.path(key)).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((meta, file)) if meta.is_file() => Ok((file, meta.len())),
            Ok(_) => Err(self.missing(operation, key)),
            Err(e) if files::is_absent(&e) => Err(self.missing(operation, key)),
            Err(e) => Err(self.error(operation, key, &e)),
        }
    }

    /// Makes the directories between the root and `key`; never the root, which only [`Self::create`] makes: a disk that
    /// is not mounted must not be replaced by an empty directory.
    fn make_parents(&self, key: &str) -> io::Result<()> {
        let Some((parent, _)) = key.rsplit_once('/') else { return Ok(()) };
        let parent = Path::new(parent);
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(parent) {
            return Ok(());
        }
        let mut made = PathBuf::new();
        for part in parent {
            let above = self.root.join(&made);
            made.push(part);
            match fs::DirBuilder::new().mode(0o700).create(self.root.join(&made)) {
                Ok(()) => files::sync_dir(&above)?,
                // Somebody else may have made it a moment ago and not have synced it yet.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => files::sync_dir(&above)?,
                Err(e) => return Err(e),
            }
            self.known.write().unwrap_or_else(PoisonError::into_inner).insert(made.clone());
        }
        Ok(())
    }

    fn write(&self, key: &str, body: &[u8], only_new: bool) -> Result<bool> {
        check_key("put", key, || self.describe())?;
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let written = self.make_parents(key).and_then(|()| write_file(&self.path(key), body, only_new));
            match written {
                Ok(written) => return Ok(written),
                // A directory has been removed by others: forget what is known, and make it again.
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries > 0 => {
                    self.check_root("put")?;
                    self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
                }
                Err(e) => return Err(self.error("put", key, &e)),
            }
        }
    }

    /// Removes one file and adds its directory to `changed`.
    fn remove(&self, key: &str, changed: &mut BTreeSet<PathBuf>) -> Result<()> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => {
                changed.extend(path.parent().map(Path::to_path_buf));
                Ok(())
            }
            Err(e) if files::is_absent(&e) => self.check_root("delete"),
            // A directory is no object, so there is nothing to delete. macOS says EPERM where Linux says EISDIR.
            Err(e) if Errno::from_io_error(&e) == Some(Errno::ISDIR) || path.is_dir() => Ok(()),
            Err(e) => Err(self.error("delete", key, &e)),
        }
    }

    /// Makes it last that files were removed from `dir`, and removes it if it has become empty and may go.
    fn settle(&self, dir: &Path) -> Result<()> {
        match files::sync_dir(dir) {
            // Removed by others meanwhile; what was in it is gone for good once that is.
            Err(e) if files::is_absent(&e) => match dir.parent() {
                Some(above) if dir != self.root => self.settle(above),
                _ => self.check_root("delete"),
            },
            Err(e) => Err(self.error("delete", "", &e)),
            Ok(()) => {
                let below = dir.strip_prefix(&self.root).map_or(0, |below| below.components().count());
                // As a rule it is not empty. That it is gone need not last: an empty directory means nothing.
                let _ = dir.ancestors().take(below.saturating_sub(1)).try_for_each(fs::remove_dir);
                Ok(())
            }
        }
    }
}

/// Writes `body` to a temporary file beside `target`, syncs it and moves it there. `false`: `target` was there already.
fn write_file(target: &Path, body: &[u8], only_new: bool) -> io::Result<bool> {
    let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if only_new && target.is_file() {
        // Its writer may not have synced the directory yet, and the answer says that the object is there to stay.
        files::sync_dir(parent)?;
        return Ok(false);
    }
    let mut temp = files::TempFile::create(target)?;
    temp.file.write_all(body)?;
    temp.file.sync_data()?;
    let written = if only_new { temp.move_to_new(target)? } else { temp.replace(target).map(|()| true)? };
    files::sync_dir(parent)?;
    Ok(written)
}

impl ObjectStore for DirectoryStore {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.write(key, &body, false).map(|_| ())
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.write(key, &body, true)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        let (mut file, size) = self.open_file("get", key)?;
        files::read_all(&mut file, size).map(Bytes::from).map_err(|e| self.error("get", key, &e))
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        let (file, size) = self.open_file("get", key)?;
        let out_of_range = || {
            let message = format!("bytes {offset}+{len_bytes} were asked for, but it has {size} bytes");
            self.make_error(ErrorKind::OutOfRange, "get", key, &message)
        };
        // Checked before the buffer is made: a length from outside must not decide how much is allocated.
        let len = match offset.checked_add(len_bytes) {
            Some(end) if end <= size => usize::try_from(len_bytes).map_err(|_| out_of_range())?,
            _ => return Err(out_of_range()),
        };
        match files::read_range(&file, offset, len) {
            Ok(bytes) if bytes.len() == len => Ok(bytes.into()),
            Ok(_) => Err(out_of_range()),
            Err(e) => Err(self.error("get", key, &e)),
        }
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        check_key("head", key, || self.describe())?;
        match fs::metadata(self.path(key)) {
            Ok(meta) if meta.is_file() => {
                files::object_meta(key.to_owned(), &meta).map(Some).map_err(|e| self.error("head", key, &e))
            }
            Ok(_) => Ok(None),
            Err(e) if files::is_absent(&e) => self.check_root("head").map(|()| None),
            Err(e) => Err(self.error("head", key, &e)),
        }
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        check_prefix(prefix, || self.describe())?;
        let missing = walk::walk(&self.root, prefix, each).map_err(|e| self.error("list", prefix, &e))?;
        if missing {
            self.check_root("list")?;
        }
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.delete_many(&[key.to_owned()])
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        keys.iter().try_for_each(|key| check_key("delete", key, || self.describe()))?;
        // One sync for each directory and not for each file.
        let mut changed = BTreeSet::new();
        let removed = keys.iter().try_for_each(|key| self.remove(key, &mut changed));
        // What was removed before an error is synced as well.
        let settled = changed.iter().try_for_each(|dir| self.settle(dir));
        removed.and(settled)
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn is_local(&self) -> bool {
        true
    }
}
