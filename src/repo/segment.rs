//! Segments: which chunks lie in which packs, for whole packs. The authoritative index; RocksDB only mirrors it.

use super::codec::{Cursor, DecodeError, put_varint};
use super::pack::{put_listing, take_listing};
use crate::index::PackListing;

/// A segment's payload.
pub fn encode(packs: &[PackListing]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, packs.len() as u64);
    packs.iter().for_each(|pack| put_listing(&mut out, pack));
    out
}

/// The packs of a segment's payload.
pub fn decode(payload: &[u8]) -> Result<Vec<PackListing>, DecodeError> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.count(36)?;
    let packs = (0..count).map(|_| take_listing(&mut cursor)).collect::<Result<_, _>>()?;
    cursor.finish()?;
    Ok(packs)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_payload_gives_a_result(bytes: Vec<u8>) {
            if let Ok(packs) = decode(&bytes) {
                assert_eq!(decode(&encode(&packs)).unwrap(), packs);
            }
        }
    }

    #[test]
    fn an_empty_segment_round_trips() {
        assert_eq!(decode(&encode(&[])).unwrap(), []);
    }
}
