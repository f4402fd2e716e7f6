//! What there is to back up: a walk's files, in windows. Reads no contents.

use ssb::base::Cancel;
use ssb::source::{Found, Kind, Metadata, Roots, WalkOptions, Walker};
use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Longer files are cut in pieces of this length, each for itself, so that all cores work on one file.
const WINDOW_BYTES: u64 = 32 << 20;

/// What a walk met; all paths but the root's are relative to it. Links and special files have no contents and are left
/// out.
pub struct Corpus {
    pub root: PathBuf,
    /// Each behind the one that it lies in.
    pub directories: Vec<PathBuf>,
    pub files: usize,
    pub windows: Vec<Window>,
}

/// A part of a file; an empty file has one that is empty.
pub struct Window {
    pub path: PathBuf,
    pub offset: u64,
    pub length: usize,
    /// The whole file's.
    pub size: u64,
    pub sparse: bool,
}

impl Corpus {
    /// Fails if anything cannot be read: the floor under a part of the corpus says nothing of the whole.
    pub fn walk(root: PathBuf) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let roots = Roots::new(std::slice::from_ref(&root), Path::new("/"));
        let mut corpus = Self { root, directories: Vec::new(), files: 0, windows: Vec::new() };
        let mut issues = Vec::new();
        let mut add = |found: Found| {
            corpus.add(&found);
            true
        };
        let (options, cancel) = (WalkOptions::default(), Cancel::new());
        Walker::run(&roots, &options, &cancel, &mut add, &mut |issue| issues.push(issue));
        issues.first().map_or(Ok(corpus), |issue| Err(issue.to_string().into()))
    }

    fn add(&mut self, found: &Found) {
        let Metadata { kind, size, sparse, .. } = found.metadata;
        let path = found.path();
        // The directories that lead to the corpus are met as well.
        let Ok(path) = Path::new(OsStr::from_bytes(&path)).strip_prefix(&self.root) else { return };
        if kind == Kind::Directory {
            self.directories.push(path.to_owned());
        } else if kind == Kind::File {
            self.files += 1;
            for offset in (0..size.max(1)).step_by(WINDOW_BYTES as usize) {
                let length = (size - offset).min(WINDOW_BYTES) as usize;
                self.windows.push(Window { path: path.to_owned(), offset, length, size, sparse });
            }
        }
    }
}
