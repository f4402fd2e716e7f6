//! Packs: filling one with sealed chunks, reading its footer, opening its chunks. Does no I/O.

use super::codec::{Cursor, DecodeError, put_bytes, put_varint};
use super::envelope::{Header, ObjectKind, seal_error};
use super::error::{RepoError, Result};
use crate::base::{ChunkId, Entropy, PackId};
use crate::crypto::{MasterKeys, Sealer, TAG_BYTES};
use crate::index::{ListedChunk, PackListing};
use bytes::Bytes;

/// The ordinal that no chunk has and the footer is sealed with.
const FOOTER_ORDINAL: u64 = u64::MAX;
const TRAILER_BYTES: usize = 4;
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

/// A pack being filled.
pub struct PackBuilder {
    kind: ChunkKind,
    header: Header,
    body: Vec<u8>,
    chunks: Vec<ListedChunk>,
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
        Ok(Self { kind, header, body, chunks: Vec::new() })
    }

    /// Appends a chunk; `packed` is its plaintext, or that compressed.
    pub fn add(&mut self, id: ChunkId, plain_len: u32, packed: &[u8], compressed: bool) -> Result<()> {
        let offset = self.body.len();
        self.body.extend_from_slice(packed);
        let ordinal = self.chunks.len() as u64;
        let aad = chunk_aad(self.kind, &id);
        self.header.sealer.seal(ordinal, &aad, &mut self.body, offset).map_err(seal_error)?;
        let sealed_len = (self.body.len() - offset) as u32;
        self.chunks.push(ListedChunk { id, offset: offset as u32, sealed_len, plain_len, compressed });
        Ok(())
    }

    /// Bytes so far, without the footer.
    pub fn size_bytes(&self) -> usize {
        self.body.len()
    }

    pub fn finish(self) -> Result<FinishedPack> {
        let Self { kind, header, mut body, chunks } = self;
        let footer_at = body.len();
        body.extend_from_slice(&encode_footer(&chunks));
        header.sealer.seal(FOOTER_ORDINAL, &header.bytes, &mut body, footer_at).map_err(seal_error)?;
        let footer_len = (body.len() - footer_at) as u32;
        body.extend_from_slice(&footer_len.to_le_bytes());
        let id = pack_id(&body);
        let listing = PackListing { id, header: header.bytes, size_bytes: body.len() as u64, chunks };
        Ok(FinishedPack { kind, listing, bytes: body.into() })
    }
}

/// The name of a pack with these stored bytes.
pub fn pack_id(stored: &[u8]) -> PackId {
    PackId::from_bytes(*blake3::hash(stored).as_bytes())
}

/// A footer's plaintext; also what a segment holds of a pack.
pub fn encode_footer(chunks: &[ListedChunk]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + chunks.len() * 40);
    put_varint(&mut out, chunks.len() as u64);
    for c in chunks {
        out.extend_from_slice(c.id.as_bytes());
        put_varint(&mut out, u64::from(c.plain_len) << 1 | u64::from(c.compressed));
        if c.compressed {
            put_varint(&mut out, u64::from(c.sealed_len) - TAG_BYTES as u64);
        }
    }
    out
}

/// The chunks of a footer's plaintext. `header_len` is where the first one begins.
pub fn decode_footer(header_len: usize, footer: &[u8]) -> std::result::Result<Vec<ListedChunk>, DecodeError> {
    let mut cursor = Cursor::new(footer);
    let count = cursor.count(33)?;
    let mut chunks = Vec::with_capacity(count);
    let mut offset = header_len as u64;
    for _ in 0..count {
        let id = ChunkId::from_bytes(cursor.array()?);
        let length = cursor.varint()?;
        let too_long = DecodeError("a chunk is longer than a pack can hold");
        let (plain_len, compressed) = (u32::try_from(length >> 1).map_err(|_| too_long.clone())?, length & 1 == 1);
        let packed_len = if compressed { cursor.varint_u32()? } else { plain_len };
        let sealed_len = packed_len.checked_add(TAG_BYTES as u32).ok_or_else(|| too_long.clone())?;
        let begin = u32::try_from(offset).map_err(|_| too_long.clone())?;
        if plain_len >= 1 << 31 {
            return Err(too_long);
        }
        chunks.push(ListedChunk { id, offset: begin, sealed_len, plain_len, compressed });
        offset += u64::from(sealed_len);
    }
    cursor.finish()?;
    Ok(chunks)
}

/// The listing of a pack in a segment. See FORMAT.md.
pub fn put_listing(out: &mut Vec<u8>, pack: &PackListing) {
    out.extend_from_slice(pack.id.as_bytes());
    put_varint(out, pack.size_bytes);
    put_bytes(out, &pack.header);
    put_bytes(out, &encode_footer(&pack.chunks));
}

pub fn take_listing(cursor: &mut Cursor<'_>) -> std::result::Result<PackListing, DecodeError> {
    let id = PackId::from_bytes(cursor.array()?);
    let size_bytes = cursor.varint()?;
    let header = cursor.bytes()?.to_vec();
    let chunks = decode_footer(header.len(), cursor.bytes()?)?;
    Ok(PackListing { id, header, size_bytes, chunks })
}

/// Opens a whole pack's header and footer and checks that they account for every byte. `name` is for errors.
pub fn read_pack(keys: &MasterKeys, name: &str, pack: &[u8]) -> Result<(Header, Vec<ListedChunk>)> {
    let header = Header::parse(keys, name, pack)?;
    let chunks = read_end(&header, name, pack.len() as u64, pack)?;
    Ok((header, chunks))
}

/// How many bytes at the end of a pack tell what is in it: the sealed footer and its length. `end` is any part of the pack
/// that reaches to its end; `None` if it is too short to say so.
pub fn end_bytes(end: &[u8]) -> Option<u64> {
    let trailer = end.last_chunk::<TRAILER_BYTES>()?;
    Some(u64::from(u32::from_le_bytes(*trailer)) + TRAILER_BYTES as u64)
}

/// Opens a pack's footer and checks that the chunks end where it begins. `end` is any part of the pack that reaches to its
/// end and holds at least [`end_bytes`]; `name` is for errors.
pub fn read_end(header: &Header, name: &str, size_bytes: u64, end: &[u8]) -> Result<Vec<ListedChunk>> {
    let damaged = |what: &str| RepoError::damaged(name, what);
    let length = end_bytes(end).ok_or_else(|| damaged("it is too short"))?;
    let footer_at = size_bytes.checked_sub(length).filter(|&at| at >= header.bytes.len() as u64);
    let footer_at = footer_at.ok_or_else(|| damaged("its footer's length is wrong"))?;
    let from = end.len().checked_sub(length as usize).ok_or_else(|| damaged("it is too short"))?;
    let mut footer = end[from..end.len() - TRAILER_BYTES].to_vec();
    let text = header.sealer.open(FOOTER_ORDINAL, &header.bytes, &mut footer);
    let text = text.map_err(|_| damaged("its footer does not open"))?;
    let chunks = decode_footer(header.bytes.len(), text).map_err(|e| damaged(e.0))?;
    let chunks_end = chunks.last().map_or(header.bytes.len() as u64, |c| u64::from(c.offset) + u64::from(c.sealed_len));
    if chunks_end != footer_at {
        return Err(damaged("its chunks do not fill it"));
    }
    Ok(chunks)
}

/// Opens a sealed chunk in place, leaving it packed. `None` if it is not authentic.
pub fn open_packed<'a>(
    sealer: &Sealer,
    kind: ChunkKind,
    ordinal: u32,
    id: &ChunkId,
    sealed: &'a mut [u8],
) -> Option<&'a [u8]> {
    sealer.open(ordinal.into(), &chunk_aad(kind, id), sealed).ok().map(|text| &*text)
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

    fn keys() -> MasterKeys {
        MasterKeys::new(SecretKey::from_bytes([3; 32]))
    }

    fn example(keys: &MasterKeys, chunks: &[Vec<u8>]) -> FinishedPack {
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
            for (ordinal, (c, plain)) in listed.iter().zip(&chunks).enumerate() {
                let mut sealed = pack.bytes[c.offset as usize..][..c.sealed_len as usize].to_vec();
                let mut elsewhere = sealed.clone();
                let packed = open_packed(&header.sealer, pack.kind, ordinal as u32, &c.id, &mut sealed).unwrap();
                assert_eq!(unpack(&keys, &c.id, packed, c.plain_len, c.compressed, &mut buffer).unwrap(), plain);
                assert!(open_packed(&header.sealer, pack.kind, ordinal as u32 + 1, &c.id, &mut elsewhere.clone()).is_none());
                assert!(open_packed(&header.sealer, ChunkKind::Tree, ordinal as u32, &c.id, &mut elsewhere).is_none());
            }
            let mut out = Vec::new();
            put_listing(&mut out, &pack.listing);
            let mut cursor = Cursor::new(&out);
            assert_eq!(take_listing(&mut cursor).unwrap(), pack.listing);
        }

        #[test]
        fn any_footer_gives_a_result(bytes: Vec<u8>) {
            let _ = decode_footer(85, &bytes);
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
