//! Packs: filling one with sealed chunks, opening its chunks. Does no I/O.

mod footer;
mod shrink;

pub use footer::{decode_footer, encode_footer, end_bytes, put_listing, read_end, take_listing};
pub use shrink::shrink;

use super::compress::most_unpacked_bytes;
use super::envelope::{Header, ObjectKind, seal_error};
use super::error::Result;
use crate::base::edge::random;
use crate::base::{ChunkId, Entropy, PackId};
use crate::crypto::{MasterKeys, Nonce, Sealer, TAG_BYTES};
use crate::index::{ListedChunk, PackListing};
use bytes::Bytes;
use footer::put_footer;
use std::collections::HashSet;

/// Whole strides of the vectorized Poly1305, which otherwise takes the text that follows block by block, at half the speed.
const AAD_BYTES: usize = 64;

/// What kind of chunk, and so what kind of pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// File contents.
    Data,
    /// Tree nodes and id lists.
    Tree,
}

impl ChunkKind {
    pub fn object_kind(self) -> ObjectKind {
        match self {
            ChunkKind::Data => ObjectKind::DataPack,
            ChunkKind::Tree => ObjectKind::TreePack,
        }
    }

    /// `None` for objects that are no packs.
    pub fn of(kind: ObjectKind) -> Option<Self> {
        match kind {
            ObjectKind::DataPack => Some(ChunkKind::Data),
            ObjectKind::TreePack => Some(ChunkKind::Tree),
            _ => None,
        }
    }
}

/// A chunk is bound to its kind and id, so that one that was moved or relabelled does not open.
fn chunk_aad(kind: ChunkKind, id: &ChunkId) -> [u8; AAD_BYTES] {
    let mut aad = [0; AAD_BYTES];
    aad[0] = kind.object_kind() as u8;
    aad[1..33].copy_from_slice(id.as_bytes());
    aad
}

/// A chunk is sealed under its pack's key with the beginning of its id for a nonce; so its seal holds wherever in a pack with
/// that key it lies, and no pack may hold a chunk twice.
fn chunk_nonce(id: &ChunkId) -> Nonce {
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&id.as_bytes()[..24]);
    nonce
}

/// A pack being filled.
pub struct PackBuilder {
    kind: ChunkKind,
    header: Header,
    footer_nonce: Nonce,
    body: Vec<u8>,
    chunks: Vec<ListedChunk>,
    ids: HashSet<ChunkId>,
}

/// A pack ready to be stored.
pub struct FinishedPack {
    pub kind: ChunkKind,
    pub listing: PackListing,
    pub bytes: Bytes,
}

impl PackBuilder {
    /// `body` is taken for its room only.
    pub fn new(keys: &MasterKeys, entropy: &dyn Entropy, kind: ChunkKind, mut body: Vec<u8>) -> Result<Self> {
        let header = Header::create(keys, entropy, kind.object_kind())?;
        body.clear();
        body.extend_from_slice(&header.bytes);
        Ok(Self { kind, header, footer_nonce: random(entropy), body, chunks: Vec::new(), ids: HashSet::new() })
    }

    /// Appends a chunk, unless the pack holds it; `packed` is its plaintext, or that compressed.
    pub fn add(&mut self, id: ChunkId, plain_len: u32, packed: &[u8], compressed: bool) -> Result<()> {
        // Compressed otherwise, it would be another text with the same nonce.
        if !self.ids.insert(id) {
            return Ok(());
        }
        let offset = self.body.len();
        self.body.extend_from_slice(packed);
        let aad = chunk_aad(self.kind, &id);
        self.header.sealer.seal(&chunk_nonce(&id), &aad, &mut self.body, offset).map_err(seal_error)?;
        let sealed_len = (self.body.len() - offset) as u32;
        self.chunks.push(ListedChunk { id, offset: offset as u32, sealed_len, plain_len, compressed });
        Ok(())
    }

    /// Bytes so far, without the footer.
    pub fn size_bytes(&self) -> usize {
        self.body.len()
    }

    pub fn finish(self) -> Result<FinishedPack> {
        let Self { kind, header, footer_nonce, body, chunks, .. } = self;
        FinishedPack::close(kind, &header, body, chunks, &footer_nonce)
    }
}

impl FinishedPack {
    /// Ends a pack that holds its header and these chunks so far.
    fn close(
        kind: ChunkKind,
        header: &Header,
        mut pack: Vec<u8>,
        chunks: Vec<ListedChunk>,
        footer_nonce: &Nonce,
    ) -> Result<Self> {
        put_footer(&mut pack, header, &chunks, footer_nonce)?;
        let id = pack_id(&pack);
        let listing = PackListing { id, header: header.bytes.clone(), size_bytes: pack.len() as u64, chunks };
        Ok(Self { kind, listing, bytes: pack.into() })
    }
}

/// Opens a whole pack's header and footer and checks that they account for every byte. `name` is for errors.
pub fn read_pack(keys: &MasterKeys, name: &str, pack: &[u8]) -> Result<(Header, Vec<ListedChunk>)> {
    let header = Header::parse(keys, name, pack)?;
    let chunks = read_end(&header, name, pack.len() as u64, pack)?;
    Ok((header, chunks))
}

/// The name of a pack with these stored bytes.
pub fn pack_id(stored: &[u8]) -> PackId {
    PackId::from_bytes(*blake3::hash(stored).as_bytes())
}

/// Opens a sealed chunk in place, leaving it packed. `None` if it is not authentic.
pub fn open_packed<'a>(sealer: &Sealer, kind: ChunkKind, id: &ChunkId, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
    sealer.open(&chunk_nonce(id), &chunk_aad(kind, id), sealed).ok().map(|text| &*text)
}

/// Unpacks a chunk and compares it with its id, so that whatever went wrong before sealing is found as well. What was
/// compressed is unpacked into `buffer`, which keeps its room from chunk to chunk; all else stays where it is.
pub fn unpack<'a>(
    keys: &MasterKeys,
    id: &ChunkId,
    packed: &'a [u8],
    plain_len: u32,
    compressed: bool,
    buffer: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    thread_local! {
        static UNPACKER: std::cell::RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { std::cell::RefCell::new(None) };
    }
    let plain = if compressed {
        // Before room is made for it.
        if plain_len as usize > most_unpacked_bytes(packed) {
            return None;
        }
        UNPACKER.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = zstd::bulk::Decompressor::new().ok();
            }
            buffer.clear();
            buffer.reserve_exact(plain_len as usize);
            slot.as_mut()?.decompress_to_buffer(packed, buffer).ok()
        })?;
        buffer.as_slice()
    } else {
        packed
    };
    (plain.len() == plain_len as usize && keys.chunk_id(plain) == *id).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemEntropy;
    use crate::crypto::SecretKey;

    pub fn keys() -> MasterKeys {
        MasterKeys::new(SecretKey::from_bytes([3; 32]))
    }

    pub fn example(keys: &MasterKeys, chunks: &[Vec<u8>]) -> FinishedPack {
        let mut builder = PackBuilder::new(keys, &SystemEntropy, ChunkKind::Data, Vec::new()).unwrap();
        for (i, plain) in chunks.iter().enumerate() {
            let packed = zstd::bulk::compress(plain, 1).unwrap();
            let compressed = i % 2 == 0;
            let bytes = if compressed { &packed } else { plain };
            builder.add(keys.chunk_id(plain), plain.len() as u32, bytes, compressed).unwrap();
        }
        builder.finish().unwrap()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
        #[test]
        fn chunks_come_back_and_listings_agree(chunks in proptest::collection::vec(proptest::collection::vec(0u8.., 0..3000), 0..20)) {
            let keys = keys();
            let pack = example(&keys, &chunks);
            let (header, listed) = read_pack(&keys, "p", &pack.bytes).unwrap();
            assert_eq!(listed, pack.listing.chunks);
            assert_eq!(pack_id(&pack.bytes), pack.listing.id);
            let size = pack.bytes.len();
            let end = &pack.bytes[size - end_bytes(&pack.bytes).unwrap() as usize..];
            assert_eq!(read_end(&header, "p", size as u64, end).unwrap(), listed);
            assert!(read_end(&header, "p", size as u64, &end[1..]).is_err());
            let mut buffer = Vec::new();
            let mut distinct = chunks.clone();
            let mut seen = HashSet::new();
            distinct.retain(|plain| seen.insert(plain.clone()));
            assert_eq!(listed.len(), distinct.len());
            for (c, plain) in listed.iter().zip(&distinct) {
                let mut sealed = pack.bytes[c.offset as usize..][..c.sealed_len as usize].to_vec();
                let mut elsewhere = sealed.clone();
                let packed = open_packed(&header.sealer, pack.kind, &c.id, &mut sealed).unwrap();
                assert_eq!(unpack(&keys, &c.id, packed, c.plain_len, c.compressed, &mut buffer).unwrap(), plain);
                assert!(open_packed(&header.sealer, pack.kind, &keys.chunk_id(b"another"), &mut elsewhere.clone()).is_none());
                assert!(open_packed(&header.sealer, ChunkKind::Tree, &c.id, &mut elsewhere).is_none());
            }
            let mut out = Vec::new();
            put_listing(&mut out, &pack.listing);
            let mut cursor = crate::repo::codec::Cursor::new(&out);
            assert_eq!(take_listing(&mut cursor).unwrap(), pack.listing);
        }

        #[test]
        fn any_footer_gives_a_result(bytes: Vec<u8>) {
            let _ = decode_footer(85, &bytes);
        }
    }

    /// Both ends of each bound, so that a sum over packs or places in them never comes to more than its type holds.
    #[test]
    fn lengths_that_no_pack_has_are_refused() {
        let chunk = |plain_len, sealed_len| ListedChunk {
            id: ChunkId::from_bytes([1; 32]),
            offset: 0,
            sealed_len,
            plain_len,
            compressed: true,
        };
        let most = u32::MAX - 85;
        for (lengths, is_sound) in [
            (&[most][..], true),
            (&[most + 1], false),
            (&[most - 16, 16], true),
            (&[most - 16, 17], false),
            (&[u32::MAX, u32::MAX], false),
        ] {
            let footer = encode_footer(&lengths.iter().map(|&n| chunk(1, n)).collect::<Vec<_>>());
            assert_eq!(decode_footer(85, &footer).is_ok(), is_sound, "{lengths:?}");
        }
        let header = Header::create(&keys(), &SystemEntropy, ObjectKind::DataPack).unwrap();
        let mut pack = header.bytes.clone();
        put_footer(&mut pack, &header, &[chunk(1, u32::MAX)], &[0; 24]).unwrap();
        assert!(read_pack(&keys(), "p", &pack).is_err());
        for (size_bytes, is_sound) in [(u64::from(u32::MAX), true), (1 << 32, false), (u64::MAX, false)] {
            let mut out = Vec::new();
            let id = PackId::from_bytes([1; 32]);
            put_listing(&mut out, &PackListing { id, header: Vec::new(), size_bytes, chunks: Vec::new() });
            assert_eq!(take_listing(&mut crate::repo::codec::Cursor::new(&out)).is_ok(), is_sound);
        }
    }

    #[test]
    fn no_room_is_made_for_what_cannot_come() {
        let plain = vec![7; 1 << 20];
        let packed = zstd::bulk::compress(&plain, 3).unwrap();
        let unpacked = |packed: &[u8], plain_len| {
            let mut buffer = Vec::new();
            let is_whole = unpack(&keys(), &keys().chunk_id(&plain), packed, plain_len, true, &mut buffer).is_some();
            (is_whole, buffer.capacity())
        };
        assert!(packed.len() < 200 && unpacked(&packed, 1 << 20).0);
        for (packed, plain_len) in [(&packed[..], (1 << 31) - 1), (&packed[..10], 1 << 20), (&[], 1)] {
            assert_eq!(unpacked(packed, plain_len), (false, 0));
        }
    }

    #[test]
    fn every_flipped_bit_of_header_footer_and_trailer_is_found() {
        let keys = keys();
        let pack = example(&keys, &[vec![1; 100], vec![2; 50]]);
        let first = pack.listing.chunks[0];
        let end_of_chunks = pack.listing.chunks.last().map(|c| (c.offset + c.sealed_len) as usize).unwrap();
        let mut bytes = pack.bytes.to_vec();
        for at in (0..first.offset as usize).chain(end_of_chunks..bytes.len()) {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert!(read_pack(&keys, "p", &bytes).is_err(), "byte {at} bit {bit}");
                bytes[at] ^= 1 << bit;
            }
        }
        for length in 0..bytes.len() {
            assert!(read_pack(&keys, "p", &bytes[..length]).is_err(), "length {length}");
        }
    }
}
