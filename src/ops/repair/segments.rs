//! Writing segments in place of others. Decides nothing: which packs are listed is for whoever calls.

use super::{lock, stop_if};
use crate::base::{Cancel, SegmentId, parallel};
use crate::index::PackListing;
use crate::ops::error::Result;
use crate::repo::{Repo, RepoError, layout};
use std::sync::Mutex;

/// Chunks after which a segment is full, about; bounds memory.
const SEGMENT_CHUNKS: usize = 64 << 10;
/// Segments that are read at a time.
const READ_AT_ONCE: usize = 8;

/// Gathers listings into segments. For a dry run it only counts.
pub(super) struct SegmentWriter<'a> {
    repo: &'a Repo,
    dry_run: bool,
    gathered: Vec<PackListing>,
    chunks: usize,
    written: u64,
}

impl<'a> SegmentWriter<'a> {
    pub fn new(repo: &'a Repo, dry_run: bool) -> Self {
        Self { repo, dry_run, gathered: Vec::new(), chunks: 0, written: 0 }
    }

    pub fn add(&mut self, pack: PackListing) -> Result<()> {
        self.chunks += pack.chunks.len();
        self.gathered.push(pack);
        if self.chunks >= SEGMENT_CHUNKS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let packs = std::mem::take(&mut self.gathered);
        self.chunks = 0;
        self.written += 1;
        if !self.dry_run {
            self.repo.put_segment(&packs)?;
        }
        Ok(())
    }

    /// Writes what is left; gives the number of segments.
    pub fn finish(mut self) -> Result<u64> {
        if !self.gathered.is_empty() {
            self.write()?;
        }
        Ok(self.written)
    }
}

/// Lists the packs of these segments that stay anew.
pub(super) fn relist(
    repo: &Repo,
    segments: &[SegmentId],
    writer: &Mutex<SegmentWriter<'_>>,
    stays: &(dyn Fn(&PackListing) -> Result<bool> + Sync),
    cancel: &Cancel,
) -> Result<()> {
    parallel::for_each(segments.iter(), READ_AT_ONCE.min(segments.len()), cancel, |id| -> Result<()> {
        let packs = match repo.read_segment(id) {
            // Somebody else has replaced it meanwhile, and has listed what stays.
            Err(RepoError::Missing { .. }) => return Ok(()),
            other => other?,
        };
        let mut writer = lock(writer);
        for pack in packs {
            if stays(&pack)? {
                writer.add(pack)?;
            }
        }
        Ok(())
    })?;
    stop_if(cancel)
}

pub(super) fn delete(repo: &Repo, segments: &[SegmentId]) -> Result<()> {
    let keys: Vec<String> = segments.iter().map(layout::segment).collect();
    Ok(repo.store.delete_many(&keys)?)
}
