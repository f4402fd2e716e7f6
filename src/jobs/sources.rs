//! From the globs of an entry to paths, at the moment at which they are wanted. Reads directories and nothing else.

use glob::{MatchOptions, glob_with};
use std::path::{Path, PathBuf};

/// A name that begins with a dot is a name like any other; `*` does not cross directories.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// What the patterns of an entry lead to.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub paths: Vec<PathBuf>,
    /// Those that have no globs and are not there.
    pub absent: Vec<PathBuf>,
    /// What is wrong with globs that lead to nothing.
    pub unmatched: Vec<String>,
}

pub(super) fn expand(patterns: &[String]) -> Expanded {
    let Expanded { mut paths, mut absent, mut unmatched } = Expanded::default();
    for pattern in patterns {
        // A path may have any characters in its name.
        if Path::new(pattern).symlink_metadata().is_ok() {
            paths.push(PathBuf::from(pattern));
        } else if !pattern.contains(['*', '?', '[']) {
            absent.push(PathBuf::from(pattern));
        } else {
            match glob_with(pattern, OPTIONS) {
                Ok(found) => {
                    let before = paths.len();
                    // A directory that cannot be read has nothing that could be backed up.
                    paths.extend(found.filter_map(Result::ok));
                    if paths.len() == before {
                        unmatched.push(format!("nothing matches {pattern}"));
                    }
                }
                Err(error) => unmatched.push(format!("the pattern {pattern} is not usable: {}", error.msg)),
            }
        }
    }
    paths.sort();
    paths.dedup();
    Expanded { paths, absent, unmatched }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn globs_and_names_that_look_like_globs() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/x.log", "a/deep/y.log", "b/x.log", "b/.hidden.log", "odd[1]"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let shown = |patterns: &[&str]| {
            let full: Vec<String> = patterns.iter().map(|p| folder.path().join(p).display().to_string()).collect();
            let Expanded { paths, absent, unmatched } = expand(&full);
            let below = |p: PathBuf| p.strip_prefix(folder.path()).unwrap().display().to_string();
            (paths.into_iter().map(below).collect::<Vec<_>>(), absent.len() + 10 * unmatched.len())
        };
        let words = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(shown(&["*/*.log"]), (words(&["a/x.log", "b/.hidden.log", "b/x.log"]), 0));
        assert_eq!(shown(&["a/**/*.log", "a/x.log"]), (words(&["a/deep/y.log", "a/x.log"]), 0));
        assert_eq!(shown(&["odd[1]"]), (words(&["odd[1]"]), 0));
        assert_eq!(shown(&["none", "*.none", "x/***"]), (vec![], 21));
    }
}
