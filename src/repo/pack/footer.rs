//! A pack's footer, which says what lies where in it, and the listing of a pack in a segment, which says the same. Opens no
//! chunk.

use super::TAG_BYTES;
use crate::base::{ChunkId, PackId};
use crate::crypto::Nonce;
use crate::index::{ListedChunk, PackListing};
use crate::repo::codec::{Cursor, DecodeError, put_bytes, put_varint};
use crate::repo::envelope::{Header, seal_error};
use crate::repo::error::{RepoError, Result};

/// The length of the footer and its nonce.
const TRAILER_BYTES: usize = 4;
/// No pack is longer, so that sums over packs and places in them need no second look.
const MOST_BYTES: u64 = u32::MAX as u64;

/// Appends the footer of these chunks to a pack that ends with the last of them. `nonce` must be random: packs that were
/// made of one another have one key.
pub(super) fn put_footer(pack: &mut Vec<u8>, header: &Header, chunks: &[ListedChunk], nonce: &Nonce) -> Result<()> {
    let begin = pack.len();
    pack.extend_from_slice(nonce);
    let footer_at = pack.len();
    pack.extend_from_slice(&encode_footer(chunks));
    header.sealer.seal(nonce, &header.bytes, pack, footer_at).map_err(seal_error)?;
    let length = (pack.len() - begin) as u32;
    pack.extend_from_slice(&length.to_le_bytes());
    Ok(())
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
    if offset > MOST_BYTES {
        return Err(DecodeError("a chunk is longer than a pack can hold"));
    }
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
    if size_bytes > MOST_BYTES {
        return Err(DecodeError("a pack is larger than packs can be"));
    }
    let header = cursor.bytes()?.to_vec();
    let chunks = decode_footer(header.len(), cursor.bytes()?)?;
    Ok(PackListing { id, header, size_bytes, chunks })
}

/// How many bytes at the end of a pack tell what is in it: the footer with its nonce, and their length. `end` is any part of the pack
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
    let does_not_open = || damaged("its footer does not open");
    let (nonce, sealed) = end[from..end.len() - TRAILER_BYTES].split_first_chunk().ok_or_else(does_not_open)?;
    let mut footer = sealed.to_vec();
    let text = header.sealer.open(nonce, &header.bytes, &mut footer).map_err(|_| does_not_open())?;
    let chunks = decode_footer(header.bytes.len(), text).map_err(|e| damaged(e.0))?;
    let chunks_end = chunks.last().map_or(header.bytes.len() as u64, |c| u64::from(c.offset) + u64::from(c.sealed_len));
    if chunks_end != footer_at {
        return Err(damaged("its chunks do not fill it"));
    }
    Ok(chunks)
}
