//! Walks the sources in the archive's order: all entries of a directory by name, then each of its sub-directories in
//! the same way. Holds the names of one directory per level, nothing more. Reads no file contents.

use super::metadata::device_number;
use super::roots::{Node, Roots};
use super::{Filter, Kind, Metadata};
use crate::base::{Cancel, Issue, IssueCode, text};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What to leave out of a walk.
#[derive(Clone, Debug, Default)]
pub struct WalkOptions {
    pub exclude: Filter,
    /// Do not descend into other file systems than the one that each source lies on.
    pub one_file_system: bool,
}

/// One entry that was met.
#[derive(Clone, Debug)]
pub struct Found {
    /// Path of the directory, relative to `/`, without slashes at its ends; empty for the root.
    pub directory: Arc<[u8]>,
    pub name: Box<[u8]>,
    pub metadata: Metadata,
    /// A directory that only leads to a source and is none itself.
    pub is_waypoint: bool,
}

impl Found {
    /// The absolute path.
    pub fn path(&self) -> Vec<u8> {
        child_path(&self.directory, &self.name)
    }
}

fn child_path(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    [b"/", directory, slash, name].concat()
}

/// Walks on the calling thread and hands out what it meets.
pub struct Walker<'a> {
    options: &'a WalkOptions,
    cancel: &'a Cancel,
    /// Called for every entry, in order. `false` ends the walk.
    entry: &'a mut dyn FnMut(Found) -> bool,
    /// Called for everything that could not be read.
    issue: &'a mut dyn FnMut(Issue),
}

/// The walk was ended from outside.
struct Ended;

impl<'a> Walker<'a> {
    /// Walks all `roots`. What cannot be read is told to `issue` and left out; the walk itself never fails.
    pub fn run(
        roots: &Roots,
        options: &'a WalkOptions,
        cancel: &'a Cancel,
        entry: &'a mut dyn FnMut(Found) -> bool,
        issue: &'a mut dyn FnMut(Issue),
    ) {
        let mut walker = Walker { options, cancel, entry, issue };
        // An ended walk has nothing left to tell: whoever ended it knows.
        walker.directory(Arc::from(&b""[..]), &roots.top, None).unwrap_or(());
    }

    fn directory(&mut self, path: Arc<[u8]>, node: &Node, device: Option<u64>) -> Result<(), Ended> {
        let absolute = [b"/", &path[..]].concat();
        let Some((handle, names)) = self.names(&absolute, node) else { return Ok(()) };
        let mut below: Vec<Box<[u8]>> = Vec::new();
        for name in names {
            if self.cancel.is_cancelled() {
                return Err(Ended);
            }
            let full = child_path(&path, &name);
            if self.options.exclude.matches(&full) {
                continue;
            }
            let named = node.children.get(&*name);
            let Some((metadata, its_device)) = self.metadata(&handle, &name, &full, named) else { continue };
            if metadata.kind == Kind::Directory && !self.is_foreign(node, device, its_device) {
                below.push(name.clone());
            }
            let is_waypoint = named.is_some_and(|named| !named.whole);
            if !(self.entry)(Found { directory: path.clone(), name, metadata, is_waypoint }) {
                return Err(Ended);
            }
        }
        let device = if node.whole { device.or_else(|| device_of(&handle)) } else { None };
        drop(handle);
        let whole = Node { whole: true, ..Node::default() };
        for name in below {
            let child = node.children.get(&*name).unwrap_or(&whole);
            let path = child_path(&path, &name);
            self.directory(Arc::from(&path[1..]), child, device)?;
        }
        Ok(())
    }

    /// The directory's names that are wanted, sorted. `None`, with the issue told, if it cannot be read.
    fn names(&mut self, absolute: &[u8], node: &Node) -> Option<(OwnedFd, Vec<Box<[u8]>>)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rustix::fs::openat(CWD, absolute, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return None,
            Err(e) => return self.unreadable(absolute, e),
        };
        if !node.whole {
            return Some((handle, node.children.keys().map(|name| name.clone().into()).collect()));
        }
        let listed = Dir::read_from(&handle).and_then(|entries| {
            let mut names = Vec::new();
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    names.push(name.into());
                }
            }
            Ok(names)
        });
        match listed {
            Ok(mut names) => {
                names.sort_unstable();
                Some((handle, names))
            }
            Err(e) => self.unreadable(absolute, e),
        }
    }

    /// Metadata and device of one entry; `None` if it is to be left out. `named` is set if a source led here.
    fn metadata(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        full: &[u8],
        named: Option<&Node>,
    ) -> Option<(Metadata, u64)> {
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // A file that was deleted since its directory was read is no longer part of what is backed up.
            Err(Errno::NOENT) if named.is_none() => return None,
            Err(Errno::NOENT) => {
                let next = "check the path, or take it out of the sources";
                (self.issue)(Issue::new(IssueCode::SourceMissing, text::escape(full), "does not exist", next));
                return None;
            }
            Err(e) => return self.unreadable(full, e),
        };
        let mut metadata = Metadata::from_stat(&stat);
        if metadata.kind == Kind::Symlink {
            match rustix::fs::readlinkat(directory, name, Vec::new()) {
                Ok(target) => metadata.target = target.into_bytes(),
                Err(e) => return self.unreadable(full, e),
            }
            if let Some(node) = named {
                let target = text::escape(&metadata.target);
                let (code, next) = if node.whole {
                    (IssueCode::SourceSymlink, "to back up what it points to, name that path instead")
                } else {
                    (IssueCode::SourceMissing, "name the path with the link resolved")
                };
                let what = format!("is a symbolic link to {target}; only the link itself is stored");
                (self.issue)(Issue::new(code, text::escape(full), what, next));
            }
        }
        Some((metadata, device_number(stat.st_dev)))
    }

    /// Whether a directory below `node` lies on another file system that is not to be entered.
    fn is_foreign(&self, node: &Node, source_device: Option<u64>, its_device: u64) -> bool {
        self.options.one_file_system && node.whole && source_device.is_some_and(|device| device != its_device)
    }

    fn unreadable<T>(&mut self, path: &[u8], error: Errno) -> Option<T> {
        let next = match error {
            Errno::ACCESS | Errno::PERM => "run as a user who may read it, or exclude it",
            _ => "",
        };
        let what = format!("cannot be read: {}", std::io::Error::from(error));
        (self.issue)(Issue::new(IssueCode::SourceUnreadable, text::escape(path), what, next));
        None
    }
}

fn device_of(handle: &OwnedFd) -> Option<u64> {
    rustix::fs::fstat(handle).ok().map(|stat| device_number(stat.st_dev))
}

#[cfg(test)]
mod tests;
