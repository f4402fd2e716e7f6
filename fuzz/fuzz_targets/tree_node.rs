//! A node of a tree, leaf or inner. Besides: what decodes encodes to the same entries or children; no name in an entry is `.`,
//! `..`, empty or has a slash or a NUL in it, so that no path leads out of the folder it is joined to; entries and children stand
//! in the order of the tree, none twice; and a reader tells every child that is missing, with its bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::{ChunkId, text};
use ssb::repo::RepoError;
use ssb::repo::tree::node::{Child, LeafWriter, Node, decode, encode_inner};
use ssb::repo::tree::{Entry, NodeSource, Path, TreeReader, compare_paths};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;

const ROOT: ChunkId = ChunkId::from_bytes([1; 32]);

/// A tree of which there is but the root.
struct Root<'a>(&'a [u8]);

impl NodeSource for Root<'_> {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        if *id == ROOT { Ok(self.0.to_vec()) } else { Err(RepoError::Missing { object: id.to_string() }) }
    }
}

fuzz_target!(|bytes: &[u8]| {
    match decode(bytes) {
        Ok(Node::Leaf(entries)) => leaf(&entries),
        Ok(Node::Inner { level, children }) => inner(bytes, level, &children),
        Err(_) => {}
    }
});

fn leaf(entries: &[Entry]) {
    assert_ordered(&entries.iter().map(Entry::place).collect::<Vec<_>>());
    for entry in entries {
        let parts = entry.directory.split(|&b| b == b'/').filter(|_| !entry.directory.is_empty());
        assert!(parts.chain([&*entry.name]).all(is_name), "{entry:?}");
        let path = entry.path();
        assert!(std::path::Path::new(OsStr::from_bytes(&path)).components().all(|c| matches!(c, Component::Normal(_))));
        assert_eq!(Path::split(&path), entry.place());
        assert_eq!(text::unescape(&entry.display()), [b"/", &path[..]].concat());
    }
    let mut writer = LeafWriter::default();
    entries.iter().for_each(|entry| writer.add(entry));
    let Ok(Node::Leaf(again)) = decode(&writer.finish().0) else { panic!("the leaf does not come back") };
    assert_eq!(again, entries);
}

fn inner(bytes: &[u8], level: u64, children: &[Child]) {
    assert_ordered(&children.iter().map(Child::first).collect::<Vec<_>>());
    let again = decode(&encode_inner(level as u32, children));
    let Ok(Node::Inner { level: level_again, children: again }) = again else { panic!("the node does not come back") };
    assert_eq!((level_again, &again[..]), (level, children));

    let source = Root(bytes);
    let mut reader = TreeReader::new(&source, ROOT);
    let shown = |child: &Child| format!("/{}", text::escape(&child.first().join()));
    for (n, child) in children.iter().enumerate() {
        let Some(Err(hole)) = reader.next_entry() else { panic!("{child:?} is passed over") };
        assert_eq!((hole.node, hole.from), (child.id, shown(child)));
        assert_eq!(hole.until, children.get(n + 1).map(shown));
    }
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

fn assert_ordered(places: &[Path<'_>]) {
    let is_less = |pair: &[Path<'_>]| compare_paths(pair[0], pair[1]) == Ordering::Less;
    assert!(places.windows(2).all(is_less), "{places:?}");
}
