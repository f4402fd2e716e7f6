//! What a pack says of itself, read from its two ends: cheaper than the pack by all of its chunks, which are not looked at.

use super::envelope::{HEADER_BYTES, Header};
use super::error::{RepoError, Result};
use super::layout;
use super::open::Repo;
use super::pack::{ChunkKind, end_bytes, read_end};
use crate::base::PackId;
use crate::index::PackListing;
use bytes::Bytes;

/// Read from the end at first: the footers of all packs but those of very many small chunks fit.
const END_BYTES: u64 = 16 << 10;
/// A pack not longer than this is read at once.
const SMALL_BYTES: u64 = 64 << 10;

impl Repo {
    /// The listing of a pack of so many bytes, by its own footer, which is authentic. Takes one to three requests.
    ///
    /// # Errors
    /// [`RepoError::Missing`] if the pack is not there; [`RepoError::Damaged`] if header or footer do not open or do not fit
    /// the size.
    pub fn read_footer(&self, id: &PackId, size_bytes: u64) -> Result<PackListing> {
        let name = layout::pack(id);
        let too_short = || RepoError::damaged(&name, "it is too short");
        if size_bytes < HEADER_BYTES as u64 {
            return Err(too_short());
        }
        let last = |len: u64| self.read_part(&name, size_bytes - len, len);
        let (head, mut end) = if size_bytes <= SMALL_BYTES {
            let whole = last(size_bytes)?;
            (whole.clone(), whole)
        } else {
            (self.read_part(&name, 0, HEADER_BYTES as u64)?, last(END_BYTES)?)
        };
        let header = Header::parse(&self.keys, &name, &head)?;
        if ChunkKind::of(header.kind).is_none() {
            return Err(RepoError::damaged(name, "it is no pack"));
        }
        let needed = end_bytes(&end).ok_or_else(too_short)?;
        // What is longer than the pack is told by whoever opens it.
        if needed > end.len() as u64 && needed <= size_bytes {
            end = last(needed)?;
        }
        let chunks = read_end(&header, &name, size_bytes, &end)?;
        Ok(PackListing { id: *id, header: header.bytes, size_bytes, chunks })
    }

    fn read_part(&self, name: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.store.get_range(name, offset, len_bytes).map_err(|error| RepoError::reading(name, error))
    }
}
