//! Walks the files below a prefix and tells objects from what merely lies there. Removes temporary files that a killed
//! writer left behind, once they are a day old; touches nothing else.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::files::{TEMP_MARK, is_absent, object_meta};
use crate::store::ObjectMeta;
use crate::store::key::is_key;

/// No write of one object takes a day.
const TEMP_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Gives every object whose key starts with `prefix`. `true`: the directory of the prefix does not exist.
pub(super) fn walk(root: &Path, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> io::Result<bool> {
    // A stack of prefixes and not recursion: the depth is bounded by the length of a key, but a stack is cheaper.
    let mut pending = vec![prefix.to_owned()];
    let mut missing = false;
    while let Some(prefix) = pending.pop() {
        let entries = match fs::read_dir(root.join(&prefix)) {
            Ok(entries) => entries,
            Err(e) if is_absent(&e) => {
                missing = true;
                continue;
            }
            Err(e) => return Err(e),
        };
        for entry in entries {
            match entry.and_then(|entry| visit(&entry, &prefix, &mut pending, each)) {
                // Deleted since the directory was opened, the file or the directory itself.
                Err(e) if is_absent(&e) => {}
                other => other?,
            }
        }
    }
    Ok(missing)
}

fn visit(
    entry: &DirEntry,
    prefix: &str,
    pending: &mut Vec<String>,
    each: &mut dyn FnMut(ObjectMeta),
) -> io::Result<()> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return Ok(()) };
    if name.starts_with(TEMP_MARK) {
        remove_if_old(entry);
        return Ok(());
    }
    let key = format!("{prefix}{name}");
    if !is_key(&key) {
        return Ok(());
    }
    // Links are followed, so that a directory of packs may lie on another disk.
    let is_link = entry.file_type()?.is_symlink();
    let is_dir = entry.file_type()?.is_dir();
    if is_dir {
        pending.push(key + "/");
        return Ok(());
    }
    let meta = if is_link { fs::metadata(entry.path()) } else { entry.metadata() };
    match meta {
        Ok(meta) if meta.is_dir() => pending.push(key + "/"),
        Ok(meta) if meta.is_file() => each(object_meta(key, &meta)?),
        Ok(_) => {}
        Err(e) => return Err(e),
    }
    Ok(())
}

fn remove_if_old(entry: &DirEntry) {
    let age =
        entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|m| SystemTime::now().duration_since(m).ok());
    if age.is_some_and(|age| age > TEMP_MAX_AGE) {
        // Another process may have removed it first, or the directory may be read-only; the next listing tries again.
        let _ = fs::remove_file(entry.path());
    }
}
