//! The order of the walk, and what it leaves out.

use super::*;
use std::fs;
use std::path::Path;

fn walk(roots: &[&Path], options: &WalkOptions) -> (Vec<String>, Vec<Issue>) {
    let roots: Vec<_> = roots.iter().map(|p| p.to_path_buf()).collect();
    let (mut paths, mut issues) = (Vec::new(), Vec::new());
    let mut entry = |found: Found| {
        paths.push(text::escape(&found.path()));
        true
    };
    let roots = Roots::new(&roots, Path::new("/"));
    Walker::run(&roots, options, &Cancel::new(), &mut entry, &mut |issue| issues.push(issue));
    (paths, issues)
}

fn make(dir: &Path) {
    for d in ["b/deep", "a", "b.d"] {
        fs::create_dir_all(dir.join(d)).unwrap();
    }
    for f in ["a/1", "b/0", "b/deep/2", "b.d/3", "z", "b-file"] {
        fs::write(dir.join(f), f).unwrap();
    }
    std::os::unix::fs::symlink("z", dir.join("link")).unwrap();
}

#[test]
fn order_is_by_directory_components_then_name() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let (paths, issues) = walk(&[dir.path()], &WalkOptions::default());
    let base = dir.path().to_str().unwrap();
    let inside: Vec<&str> = paths.iter().filter_map(|p| p.strip_prefix(base)?.strip_prefix('/')).collect();
    // "b" comes before "b.d" although "b.d" < "b/deep" as plain bytes
    assert_eq!(inside, ["a", "b", "b-file", "b.d", "link", "z", "a/1", "b/0", "b/deep", "b/deep/2", "b.d/3"]);
    assert!(issues.is_empty());
}

#[test]
fn only_the_named_sources_and_their_parents_are_met() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let missing = dir.path().join("missing");
    let (paths, issues) = walk(&[&dir.path().join("a"), &dir.path().join("link"), &missing], &WalkOptions::default());
    let base = dir.path().to_str().unwrap();
    let inside: Vec<&str> = paths.iter().filter_map(|p| p.strip_prefix(base)?.strip_prefix('/')).collect();
    assert_eq!(inside, ["a", "link", "a/1"]);
    assert_eq!(paths[0], format!("/{}", base.split('/').nth(1).unwrap()));
    let codes: Vec<_> = issues.iter().map(|i| i.code).collect();
    assert_eq!(codes, [IssueCode::SourceSymlink, IssueCode::SourceMissing]);
    assert_eq!(issues[1].subject, missing.to_str().unwrap());
}

#[test]
fn excluded_directories_are_not_entered() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let options =
        WalkOptions { exclude: Filter::new(&["deep".into(), "*-file".into()]).unwrap(), ..Default::default() };
    let (paths, _) = walk(&[dir.path()], &options);
    assert!(!paths.iter().any(|p| p.contains("deep") || p.contains("-file")));
    assert!(paths.iter().any(|p| p.ends_with("b/0")));
}

#[test]
fn a_receiver_that_has_enough_ends_the_walk() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let mut met = 0;
    let mut entry = |_| {
        met += 1;
        met < 2
    };
    let roots = Roots::new(&[dir.path().to_path_buf()], Path::new("/"));
    Walker::run(&roots, &WalkOptions::default(), &Cancel::new(), &mut entry, &mut |_| {});
    assert_eq!(met, 2);
}
