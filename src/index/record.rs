//! The fixed-width encodings of index values. Local and disposable, so there is no versioning beyond the folder's name.

use super::{Location, PackListing, PackNumber, PackRecord};
use crate::base::PackId;

pub const LOCATION_BYTES: usize = 24;

const COMPRESSED: u32 = 1 << 31;

pub fn encode_location(l: &Location) -> [u8; LOCATION_BYTES] {
    let mut out = [0; LOCATION_BYTES];
    let plain = l.plain_len | if l.compressed { COMPRESSED } else { 0 };
    out[..8].copy_from_slice(&l.pack.to_le_bytes());
    for (slot, word) in out[8..].chunks_exact_mut(4).zip([l.ordinal, l.offset, l.sealed_len, plain]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// The locations in a value that the merge operator strung together; the same place told twice counts once.
pub fn decode_locations(value: &[u8]) -> Vec<Location> {
    let (records, _) = value.as_chunks::<LOCATION_BYTES>();
    let mut out: Vec<Location> = Vec::with_capacity(records.len());
    for record in records {
        let (pack, words) = record.split_at(8);
        let word = |n: usize| read_u32(&words[4 * n..]);
        let location = Location {
            pack: read_u64(pack),
            ordinal: word(0),
            offset: word(1),
            sealed_len: word(2),
            plain_len: word(3) & !COMPRESSED,
            compressed: word(3) & COMPRESSED != 0,
        };
        if !out.contains(&location) {
            out.push(location);
        }
    }
    out
}

/// The pack of an encoded location.
pub fn pack_of(location: &[u8]) -> PackNumber {
    read_u64(location)
}

/// `id 32 | size 8 | chunk count 4 | header`
pub fn encode_pack(pack: &PackListing) -> Vec<u8> {
    let mut out = Vec::with_capacity(44 + pack.header.len());
    out.extend_from_slice(pack.id.as_bytes());
    out.extend_from_slice(&pack.size_bytes.to_le_bytes());
    out.extend_from_slice(&(pack.chunks.len() as u32).to_le_bytes());
    out.extend_from_slice(&pack.header);
    out
}

pub fn decode_pack(number: PackNumber, value: &[u8]) -> Option<PackRecord> {
    let (id, rest) = value.split_at_checked(32)?;
    let (fixed, header) = rest.split_at_checked(12)?;
    Some(PackRecord {
        number,
        id: PackId::from_slice(id)?,
        size_bytes: read_u64(fixed),
        chunk_count: read_u32(&fixed[8..]),
        header: header.to_vec(),
    })
}

/// Big-endian, so that keys sort by number.
pub fn number_key(number: PackNumber) -> [u8; 8] {
    number.to_be_bytes()
}

pub fn number_of_key(key: &[u8]) -> Option<PackNumber> {
    key.try_into().ok().map(u64::from_be_bytes)
}

fn read_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |n, &b| n << 8 | u32::from(b))
}

fn read_u64(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ChunkId;
    use crate::index::ListedChunk;

    #[test]
    fn locations_round_trip_and_repeat_once() {
        let l =
            Location { pack: 1 << 40, ordinal: 3, offset: 99, sealed_len: 1000, plain_len: 4 << 20, compressed: true };
        let m = Location { compressed: false, ..l };
        let value = [encode_location(&l), encode_location(&m), encode_location(&l)].concat();
        assert_eq!(decode_locations(&value), [l, m]);
        assert_eq!(decode_locations(&value[..30]), [l]);
    }

    #[test]
    fn packs_round_trip() {
        let id = PackId::from_bytes([4; 32]);
        let chunk =
            ListedChunk { id: ChunkId::from_bytes([1; 32]), offset: 0, sealed_len: 1, plain_len: 1, compressed: false };
        let listing = PackListing { id, header: b"head".to_vec(), size_bytes: 1 << 33, chunks: vec![chunk; 17] };
        let value = encode_pack(&listing);
        let record = decode_pack(5, &value).unwrap();
        assert_eq!(
            record,
            PackRecord { number: 5, id, header: b"head".to_vec(), size_bytes: 1 << 33, chunk_count: 17 }
        );
        assert!(decode_pack(5, &value[..43]).is_none());
    }
}
