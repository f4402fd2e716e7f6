//! The few things done to single files and directories, and what their errors mean. Knows nothing of keys.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::base::{SystemEntropy, edge};
use crate::store::{ErrorKind, ObjectMeta};

/// Stands between an object's name and the random part of a temporary file beside it; no key may hold it.
pub(super) const TEMP_MARK: char = '~';

/// A file beside its target that disappears unless it is moved there.
pub(super) struct TempFile {
    pub(super) file: File,
    path: Option<PathBuf>,
}

impl TempFile {
    /// Makes an empty file of mode 0600 beside `target`.
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        let random: [u8; 8] = edge::random(&SystemEntropy);
        // The object's name is no part of it: a name may be as long as the file system allows.
        let path = target.with_file_name(format!("{TEMP_MARK}{}", hex::encode(random)));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path: Some(path) })
    }

    /// Moves it to `target`, replacing what is there.
    pub(super) fn replace(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
        }
        self.path = None;
        Ok(())
    }

    /// Moves it to `target` unless that is there (`false`), in one step where the file system can do so.
    pub(super) fn move_to_new(mut self, target: &Path) -> io::Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        match rename_new(path, target) {
            Ok(()) => {
                self.path = None;
                Ok(true)
            }
            Err(Errno::EXIST) if target.is_dir() => Err(Errno::ISDIR.into()),
            Err(Errno::EXIST) => Ok(false),
            // Network and FUSE file systems may lack the flag; a hard link is refused as well if the name exists.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match fs::hard_link(path, target) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                // Neither (exFAT and the like): no conditional write on this file system, which the contract allows.
                Err(e) if lacks_links(&e) => self.replace(target).map(|()| true),
                Err(e) => Err(e),
            },
            Err(e) => Err(e.into()),
        }
    }
}

fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

fn lacks_links(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK))
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // If this fails, the file is an old temporary file, which a later listing removes.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes the names in `dir` survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        // Some network file systems know no fsync of directories; they have nothing to sync.
        Err(e) if Errno::from_io_error(&e) == Some(Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// The whole file in one allocation of its `size`.
pub(super) fn read_all(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // One byte more lets the read that meets the end need no second allocation.
    body.try_reserve_exact(size + 1).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.read_to_end(&mut body)?;
    Ok(body)
}

/// Up to `len` bytes from `offset`; fewer only where the file ends. The buffer is not filled before it is read into.
pub(super) fn read_range(mut file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    file.seek(io::SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(len);
    file.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn object_meta(key: String, meta: &Metadata) -> io::Result<ObjectMeta> {
    let modified = Timestamp::try_from(meta.modified()?).map_err(io::Error::other)?;
    Ok(ObjectMeta { key, size_bytes: meta.len(), modified })
}

/// Whether an error on a path says that there is nothing: also when a parent of it is a file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Which kind of failure an error of the file system is, and a sentence for it.
pub(super) fn classify(error: &io::Error) -> (ErrorKind, String) {
    let kind = match Errno::from_io_error(error) {
        Some(Errno::NOSPC) => return (ErrorKind::Full, "no space is left on the device".to_owned()),
        Some(Errno::DQUOT) => return (ErrorKind::Full, "the disk quota is used up".to_owned()),
        Some(Errno::ACCESS | Errno::PERM) => {
            return (ErrorKind::Denied, "the file system denies access to this user".to_owned());
        }
        Some(Errno::ROFS) => return (ErrorKind::Denied, "the file system is mounted read-only".to_owned()),
        Some(Errno::NOTDIR | Errno::ISDIR) => {
            let message = "the name is taken: no object lies inside another".to_owned();
            return (ErrorKind::Permanent, message);
        }
        Some(Errno::INTR | Errno::AGAIN | Errno::STALE | Errno::TIMEDOUT | Errno::MFILE | Errno::NFILE) => {
            ErrorKind::Transient
        }
        _ => ErrorKind::Permanent,
    };
    (kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_file_system_have_their_kinds() {
        for (errno, kind) in [
            (Errno::NOSPC, ErrorKind::Full),
            (Errno::DQUOT, ErrorKind::Full),
            (Errno::ACCESS, ErrorKind::Denied),
            (Errno::ROFS, ErrorKind::Denied),
            (Errno::STALE, ErrorKind::Transient),
            (Errno::IO, ErrorKind::Permanent),
        ] {
            let (found, message) = classify(&errno.into());
            assert_eq!(found, kind, "{errno}");
            assert!(!message.is_empty() && !message.ends_with('.'));
        }
    }

    #[test]
    fn a_temporary_file_that_is_not_moved_disappears() {
        let dir = tempfile::tempdir().unwrap();
        drop(TempFile::create(&dir.path().join("a")).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn moving_to_a_taken_name_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        fs::write(&target, "old").unwrap();
        assert!(!TempFile::create(&target).unwrap().move_to_new(&target).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
