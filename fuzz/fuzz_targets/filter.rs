//! Patterns as a person writes them, and paths as a tree has them: lines of patterns, an empty line, a path. Besides: what lies
//! below a path that matches matches too, so that leaving a directory out leaves all of it out; more patterns match no less;
//! and a refusal names its pattern.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::source::{Filter, Roots};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

fuzz_target!(|input: &[u8]| {
    let at = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let path = input.get(at + 2..).unwrap_or_default();
    roots(path);
    let Ok(patterns) = std::str::from_utf8(&input[..at]) else { return };
    // More are all the same, only slow.
    let patterns: Vec<String> = patterns.split('\n').take(4).map(str::to_owned).collect();
    match Filter::new(&patterns) {
        Ok(filter) => {
            let path = [b"/", path].concat();
            let is_match = filter.matches(&path);
            if is_match && !path.ends_with(b"/") {
                assert!(filter.matches(&[&path[..], b"/x"].concat()));
                assert!(filter.matches(&[&path[..], b"/\n/\xff"].concat()));
            }
            let alone = |pattern: &String| Filter::new(std::slice::from_ref(pattern)).unwrap().matches(&path);
            assert_eq!(patterns.iter().any(alone), is_match);
        }
        Err(refusal) => assert!(patterns.iter().any(|pattern| refusal.to_string().contains(pattern.as_str()))),
    }
});

/// The same bytes as a source: whatever they are, it is an absolute path that goes down only.
fn roots(source: &[u8]) {
    for path in Roots::new(&[PathBuf::from(OsStr::from_bytes(source))], Path::new("/base")).paths() {
        let path = Path::new(OsStr::from_bytes(&path));
        assert!(path.is_absolute());
        assert!(path.components().skip(1).all(|part| matches!(part, Component::Normal(_))));
    }
}
