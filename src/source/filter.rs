//! Exclude patterns: which paths are left out.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A pattern that is not a glob.
#[derive(Debug, thiserror::Error)]
#[error("the pattern '{pattern}' is not usable: {reason}")]
pub struct FilterError {
    pattern: String,
    reason: String,
}

/// A set of glob patterns over absolute paths. `*` and `?` stay within a name, `**` crosses directories. A pattern
/// that begins with `/` is matched from the root; any other matches a name, or a run of names, at any depth. What is
/// below a matched directory is matched as well.
#[derive(Clone, Debug, Default)]
pub struct Filter(GlobSet);

impl Filter {
    pub fn new(patterns: &[String]) -> Result<Self, FilterError> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let error = |e: globset::Error| FilterError { pattern: pattern.clone(), reason: e.kind().to_string() };
            let body = pattern.trim_end_matches('/');
            if body.is_empty() {
                let reason = "it is empty, or names everything".to_owned();
                return Err(FilterError { pattern: pattern.clone(), reason });
            }
            let anchored = if body.starts_with('/') { body.to_owned() } else { format!("**/{body}") };
            for glob in [anchored.clone(), format!("{anchored}/**")] {
                set.add(GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build().map_err(error)?);
            }
        }
        let reason = |e: globset::Error| FilterError { pattern: patterns.join(" "), reason: e.kind().to_string() };
        Ok(Self(set.build().map_err(reason)?))
    }

    /// True if no pattern was given, so that nothing ever matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pattern matches this absolute path or a directory above it.
    pub fn matches(&self, path: &[u8]) -> bool {
        !self.0.is_empty() && self.0.is_match(Path::new(OsStr::from_bytes(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Filter::new(&[pattern.to_owned()]).unwrap().matches(path.as_bytes())
    }

    #[test]
    fn patterns_mean_what_the_documentation_says() {
        assert!(matches("*.tmp", "/a/b.tmp"));
        assert!(matches("*.tmp", "/b.tmp"));
        assert!(!matches("*.tmp", "/a.tmpx"));
        assert!(matches("cache", "/a/cache"));
        assert!(matches("cache/", "/a/cache/x/y"));
        assert!(!matches("cache", "/a/cache2"));
        assert!(matches("/a/*", "/a/b"));
        assert!(!matches("/a/*.x", "/a/b/c.x"));
        assert!(matches("/a/**/c.x", "/a/b/q/c.x"));
        assert!(matches("x/y", "/q/x/y"));
        assert!(!matches("/b", "/a/b"));
        assert!(matches("?{a,b}", "/1b"));
        assert!(!Filter::new(&[]).unwrap().matches(b"/a"));
    }

    #[test]
    fn bad_patterns_are_named() {
        let error = Filter::new(&["a[".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("'a['"), "{error}");
        assert!(Filter::new(&["/".to_owned()]).is_err());
    }
}
