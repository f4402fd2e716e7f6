//! Files that appear whole or not at all. Decides nothing about their names.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// For whatever the umask lets read.
pub(super) const SHARED: u32 = 0o666;
/// For the owner alone.
pub(super) const PRIVATE: u32 = 0o600;

/// Writes `path` anew; whoever reads it meanwhile sees the old content or the new.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = write_beside(path, content, mode)?;
    fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// Writes `path` unless there is such a file; `false` if there is.
pub(super) fn add(path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    let beside = write_beside(path, content, mode)?;
    let linked = match fs::hard_link(&beside, path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A file system without links: nearly as good, since nobody else makes files of our names.
        Err(_) if !path.try_exists()? => return fs::rename(&beside, path).map(|()| true),
        Err(_) => Ok(false),
    };
    fs::remove_file(&beside)?;
    linked
}

fn write_beside(path: &Path, content: &[u8], mode: u32) -> io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()));
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    match written {
        Ok(()) => Ok(beside),
        Err(error) => {
            fs::remove_file(&beside).ok();
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_or_added_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a:b");
        assert!(add(&path, b"1", PRIVATE).unwrap());
        assert!(!add(&path, b"2", SHARED).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"1");
        replace(&path, b"3", SHARED).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert!(replace(&folder.path().join("no/such"), b"", SHARED).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
