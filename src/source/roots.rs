//! The sources of a backup as a tree of names: which directories are walked whole and which only lead to a source.

use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Normalised sources. A source inside another is part of it.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    pub(super) top: Node,
}

/// A directory on the way to sources, or a source.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// True for a source: all that lies below is wanted.
    pub whole: bool,
    pub children: BTreeMap<Vec<u8>, Node>,
}

impl Roots {
    /// `sources` relative to `base`, which is absolute. `.` and `..` are resolved by the names alone; symlinks are not
    /// followed.
    pub fn new(sources: &[PathBuf], base: &Path) -> Self {
        let mut roots = Self::default();
        for source in sources {
            let mut names: Vec<Vec<u8>> = Vec::new();
            for component in base.join(source).components() {
                match component {
                    Component::Normal(name) => names.push(name.as_bytes().to_vec()),
                    Component::ParentDir => drop(names.pop()),
                    Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
                }
            }
            roots.insert(names);
        }
        roots
    }

    fn insert(&mut self, names: Vec<Vec<u8>>) {
        let mut node = &mut self.top;
        for name in names {
            if node.whole {
                return;
            }
            node = node.children.entry(name).or_default();
        }
        node.whole = true;
        node.children.clear();
    }

    /// The absolute paths of the sources, ordered.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        fn collect(node: &Node, path: &[u8], out: &mut Vec<Vec<u8>>) {
            if node.whole {
                out.push(if path.is_empty() { b"/".to_vec() } else { path.to_vec() });
            }
            for (name, child) in &node.children {
                collect(child, &[path, b"/", name].concat(), out);
            }
        }
        let mut out = Vec::new();
        collect(&self.top, b"", &mut out);
        out
    }

    /// Whether not one of the sources exists.
    pub fn are_all_missing(&self) -> bool {
        let is_missing = |path: &Vec<u8>| {
            let stat = rustix::fs::lstat(&path[..]);
            matches!(stat, Err(Errno::NOENT | Errno::NOTDIR))
        };
        self.paths().iter().all(is_missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(sources: &[&str]) -> Vec<String> {
        let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
        let paths = Roots::new(&sources, Path::new("/base")).paths();
        paths.into_iter().map(|p| String::from_utf8(p).unwrap()).collect()
    }

    #[test]
    fn sources_are_made_absolute_sorted_and_merged() {
        assert_eq!(paths(&["/b/x", "a", "/b/./y/../x/z"]), ["/b/x", "/base/a"]);
        assert_eq!(paths(&["/b/x/z", "/b/x"]), ["/b/x"]);
        assert_eq!(paths(&[".."]), ["/"]);
        assert_eq!(paths(&["/", "/a"]), ["/"]);
    }
}
