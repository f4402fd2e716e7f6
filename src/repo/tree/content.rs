//! A file's chunk ids: inline while few, in lists of lists when many.

use super::entry::Content;
use super::{NodeSink, NodeSource};
use crate::base::ChunkId;
use crate::repo::error::{RepoError, Result};

/// This many ids stand in the entry itself.
const INLINE_MOST: usize = 32;
const LIST_MEAN: u16 = 1024;
const LIST_MOST: usize = 8192;

/// Collects the ids of one file, front to back, in memory bounded by the logarithm of its length.
#[derive(Default)]
pub struct ContentBuilder {
    levels: Vec<Vec<ChunkId>>,
}

impl ContentBuilder {
    pub fn push(&mut self, id: ChunkId, sink: &mut dyn NodeSink) -> Result<()> {
        self.push_at(0, id, sink)
    }

    fn push_at(&mut self, level: usize, id: ChunkId, sink: &mut dyn NodeSink) -> Result<()> {
        if self.levels.len() <= level {
            self.levels.push(Vec::new());
        }
        let list = &mut self.levels[level];
        list.push(id);
        let [.., a, b] = *id.as_bytes();
        let cut = list.len() > INLINE_MOST && u16::from_le_bytes([a, b]).is_multiple_of(LIST_MEAN);
        if cut || list.len() >= LIST_MOST { self.end_list(level, sink) } else { Ok(()) }
    }

    fn end_list(&mut self, level: usize, sink: &mut dyn NodeSink) -> Result<()> {
        let list = std::mem::take(&mut self.levels[level]);
        let bytes: Vec<u8> = list.iter().flat_map(|id| *id.as_bytes()).collect();
        let id = sink.put_node(&bytes)?;
        self.push_at(level + 1, id, sink)
    }

    pub fn finish(mut self, sink: &mut dyn NodeSink) -> Result<Content> {
        let mut level = 0;
        while level < self.levels.len() {
            let is_top = level + 1 == self.levels.len();
            if is_top && self.levels[level].len() <= INLINE_MOST {
                return Ok(Content { depth: level as u32, ids: std::mem::take(&mut self.levels[level]) });
            }
            if !self.levels[level].is_empty() {
                self.end_list(level, sink)?;
            }
            level += 1;
        }
        Ok(Content::default())
    }
}

/// Calls `each` for every chunk of a file, in order, and `list` for every id list that is read on the way. Holds one
/// list per level.
pub fn each_chunk(
    content: &Content,
    source: &dyn NodeSource,
    list: &mut dyn FnMut(&ChunkId),
    each: &mut dyn FnMut(ChunkId) -> Result<()>,
) -> Result<()> {
    for id in &content.ids {
        if content.depth == 0 {
            each(*id)?;
            continue;
        }
        list(id);
        let bytes = source.node(id)?;
        if !bytes.len().is_multiple_of(ChunkId::LEN) {
            return Err(RepoError::damaged(format!("the id list {id}"), "its length is wrong"));
        }
        let ids = bytes.chunks_exact(ChunkId::LEN).filter_map(ChunkId::from_slice).collect();
        each_chunk(&Content { depth: content.depth - 1, ids }, source, list, each)?;
    }
    Ok(())
}
