//! The content of a file: the first byte of the input is its depth, every further one begins an id list of as many bytes, the
//! first of which are those that the entry names and the rest those that are found below, in turn. Besides: only whole ids come
//! out, in order; a list of another length is told as damage; and it ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::ChunkId;
use ssb::repo::RepoError;
use ssb::repo::tree::{Content, NodeSource, each_chunk};
use std::cell::RefCell;

/// Gives each list out once: an id is a hash, so no list is below itself.
struct Lists<'a>(RefCell<Vec<&'a [u8]>>);

impl NodeSource for Lists<'_> {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let list = self.0.borrow_mut().pop();
        list.map(<[u8]>::to_vec).ok_or_else(|| RepoError::Missing { object: id.to_string() })
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((depth, mut rest)) = input.split_first() else { return };
    let mut lists = Vec::new();
    while let Some((length, bytes)) = rest.split_first() {
        let (list, after) = bytes.split_at(usize::from(*length).min(bytes.len()));
        lists.push(list);
        rest = after;
    }
    lists.reverse();
    let ids_of = |list: &[u8]| list.chunks_exact(ChunkId::LEN).filter_map(ChunkId::from_slice).collect::<Vec<_>>();
    let content = Content { depth: u32::from(*depth % 9), ids: lists.pop().map(ids_of).unwrap_or_default() };
    let (mut listed, mut met) = (Vec::new(), Vec::new());
    let whole: Vec<&[u8]> = lists.iter().rev().copied().collect();
    let source = Lists(RefCell::new(lists));
    let read = each_chunk(&content, &source, &mut |id| listed.push(*id), &mut |id| {
        met.push(id);
        Ok(())
    });
    let is_broken = |list: &&[u8]| !list.len().is_multiple_of(ChunkId::LEN);
    let taken = &whole[..whole.len() - source.0.borrow().len()];
    let given: usize = taken.iter().map(|list| list.len() / ChunkId::LEN).sum();
    assert!(met.len() + listed.len() <= content.ids.len() + given);
    match read {
        Ok(()) => {
            assert_eq!(listed.len(), taken.len());
            assert!(!taken.iter().any(is_broken));
        }
        Err(error) => {
            assert!(error.is_damage());
            let is_missing = taken.len() == whole.len() && listed.len() > taken.len();
            assert!(is_missing || taken.last().is_some_and(is_broken));
        }
    }
    if content.depth == 0 {
        assert_eq!(met, content.ids);
    }
});
