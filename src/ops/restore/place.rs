//! Making things in the target: directories, files, links, special files, and their metadata. Every path is made of names
//! that the tree's decoder has checked, below a directory that was empty; that none leads through a link which was restored
//! before is for the caller to ask. So nothing outside of the target is touched.

use super::display;
use crate::base::{Issue, IssueCode};
use crate::ops::error::{OpsError, Result};
use crate::source::{FileTime, Kind, Metadata};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// Zero runs of this many bytes become holes in files that had holes.
const HOLE_BYTES: usize = 4096;

/// Places things below one directory.
pub(super) struct Placer {
    target: PathBuf,
    set_owner: bool,
}

impl Placer {
    /// Makes the target, or makes sure that it is empty.
    pub fn open(target: PathBuf, set_owner: bool) -> Result<Self> {
        let placer = Self { target, set_owner };
        fs::create_dir_all(&placer.target).map_err(|e| placer.error("making the directory", b"", e))?;
        let mut entries = fs::read_dir(&placer.target).map_err(|e| placer.error("reading the directory", b"", e))?;
        if entries.next().is_some() {
            return Err(OpsError::TargetNotEmpty(placer.target.display().to_string()));
        }
        Ok(placer)
    }

    fn path(&self, relative: &[u8]) -> PathBuf {
        self.target.join(OsStr::from_bytes(relative))
    }

    fn error(&self, action: &'static str, path: &[u8], source: io::Error) -> OpsError {
        OpsError::Io { action, subject: self.path(path).display().to_string(), source }
    }

    /// Only its owner may enter it until it gets its own mode. `false` if something else has its name, as may be where file
    /// systems take different names for the same.
    pub fn make_directory(&self, path: &[u8]) -> Result<bool> {
        let full = self.path(path);
        match fs::DirBuilder::new().mode(0o700).create(&full) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(is_directory(&full)),
            made => made.map(|()| true).map_err(|e| self.error("making the directory", path, e)),
        }
    }

    /// Whether a directory stands there, or nothing yet that bars the way to one.
    pub fn can_be_directory(&self, path: &[u8]) -> Result<bool> {
        let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in slashes.chain([path.len()]) {
            match fs::symlink_metadata(self.path(&path[..end])) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
                Err(e) => return Err(self.error("looking at", &path[..end], e)),
            }
        }
        Ok(true)
    }

    pub fn make_parents(&self, path: &[u8]) -> Result<()> {
        let full = self.path(path);
        let parent = full.parent().unwrap_or(&self.target);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|e| self.error("making the directory", path, e))
    }

    /// A new, empty file.
    pub fn create_file(&self, path: &[u8]) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(CWD, self.path(path), flags, Mode::RUSR | Mode::WUSR);
        made.map(File::from).map_err(|e| self.error("making the file", path, e.into()))
    }

    /// A file that was created before.
    pub fn open_file(&self, path: &[u8]) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, self.path(path), flags, Mode::empty());
        opened.map(File::from).map_err(|e| self.error("opening the file", path, e.into()))
    }

    pub fn set_size(&self, path: &[u8], file: &File, size: u64) -> Result<()> {
        file.set_len(size).map_err(|e| self.error("sizing the file", path, e))
    }

    /// Writes at an offset; of a sparse file only what is not zero.
    pub fn write(&self, path: &[u8], file: &File, offset: u64, bytes: &[u8], sparse: bool) -> Result<()> {
        if !sparse {
            return file.write_all_at(bytes, offset).map_err(|e| self.error("writing", path, e));
        }
        let mut at = 0;
        while at < bytes.len() {
            // Runs end at multiples of the hole size in the file, where holes can be.
            let end_of = |at: usize| {
                let into = (offset + at as u64) as usize % HOLE_BYTES;
                (at + HOLE_BYTES - into).min(bytes.len())
            };
            let is_zero = |at: usize| bytes[at..end_of(at)].iter().all(|&b| b == 0);
            let (begin, zero) = (at, is_zero(at));
            while at < bytes.len() && is_zero(at) == zero {
                at = end_of(at);
            }
            if !zero {
                let written = file.write_all_at(&bytes[begin..at], offset + begin as u64);
                written.map_err(|e| self.error("writing", path, e))?;
            }
        }
        Ok(())
    }

    /// Owner, mode and times of an open file.
    pub fn finish_file(&self, path: &[u8], file: &File, metadata: &Metadata) -> Option<Issue> {
        let set = || -> rustix::io::Result<()> {
            if self.set_owner {
                let (uid, gid) = owner(metadata);
                rustix::fs::fchown(file.as_fd(), uid, gid)?;
            }
            rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(metadata.mode as _))?;
            rustix::fs::futimens(file.as_fd(), &times(metadata))
        };
        set().err().map(|e| self.metadata_issue(path, e.into()))
    }

    /// Owner, mode and times of what stands at a path, without following it.
    pub fn finish_path(&self, path: &[u8], metadata: &Metadata) -> Option<Issue> {
        let full = self.path(path);
        // A directory that no wanted entry needed was never made.
        if metadata.kind == Kind::Directory && !is_directory(&full) {
            return None;
        }
        let set = || -> rustix::io::Result<()> {
            if self.set_owner {
                let (uid, gid) = owner(metadata);
                rustix::fs::chownat(CWD, &full, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            if metadata.kind != Kind::Symlink {
                rustix::fs::chmodat(CWD, &full, Mode::from_raw_mode(metadata.mode as _), AtFlags::empty())?;
            }
            rustix::fs::utimensat(CWD, &full, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)
        };
        set().err().map(|e| self.metadata_issue(path, e.into()))
    }

    fn metadata_issue(&self, path: &[u8], error: io::Error) -> Issue {
        let what = format!("its owner, mode or times could not be set: {error}");
        Issue::new(IssueCode::RestoreMetadata, display(path), what, "its content is complete")
    }

    /// A link or a special file, with its metadata.
    pub fn make_other(&self, path: &[u8], metadata: &Metadata) -> Result<Option<Issue>> {
        let full = self.path(path);
        match metadata.kind {
            Kind::Symlink => {
                let made = rustix::fs::symlinkat(OsStr::from_bytes(&metadata.target), CWD, &full);
                made.map_err(|e| self.error("making the link", path, e.into()))?;
            }
            // A socket is made by the program that listens on it.
            Kind::Socket => return Ok(None),
            _ => {
                if let Err(error) = make_node(&full, metadata) {
                    let (what, next) = (format!("cannot be made: {error}"), "restore as root to make device nodes");
                    return Ok(Some(Issue::new(IssueCode::RestoreSkipped, display(path), what, next)));
                }
            }
        }
        Ok(self.finish_path(path, metadata))
    }
}

/// And no link to one.
fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

#[cfg(target_os = "linux")]
fn make_node(path: &Path, metadata: &Metadata) -> io::Result<()> {
    use rustix::fs::FileType;
    let kind = match metadata.kind {
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    Ok(rustix::fs::mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, metadata.rdev)?)
}

#[cfg(not(target_os = "linux"))]
fn make_node(_path: &Path, _metadata: &Metadata) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "special files are restored on Linux only"))
}

fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)))
}

/// The access time is not stored; it becomes the modification time.
fn times(metadata: &Metadata) -> Timestamps {
    let FileTime { seconds, nanoseconds } = metadata.mtime;
    let time = Timespec { tv_sec: seconds as _, tv_nsec: nanoseconds as _ };
    Timestamps { last_access: time, last_modification: time }
}
