//! A chunk in a pack whose lengths and id may lie, around any packed bytes. Besides: it comes back only if it has the length and
//! the id that the pack says, always if nothing lies, and never as another chunk or one of another kind; nor is room made for more
//! than can come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::ChunkId;
use ssb::repo::ChunkKind;
use ssb::repo::pack::{PackBuilder, open_packed, read_pack, unpack};
use ssb_fuzz::{Chance, keys};

/// Longer chunks are all the same, only slow.
const MOST_BYTES: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some(([flags, low, high], packed)) = input.split_first_chunk() else { return };
    let (is_compressed, is_tree) = (flags & 1 == 1, flags & 2 == 2);
    let has_false_id = flags & 4 == 4;
    // By a few bytes, or by up to as many as no memory has room for.
    let lies_by = i64::from(i16::from_le_bytes([*low, *high])) << if flags & 8 == 8 { 16 } else { 0 };
    let plain = if is_compressed { zstd::bulk::decompress(packed, MOST_BYTES).ok() } else { Some(packed.to_vec()) };
    let length = plain.as_ref().map_or(0, Vec::len) as i64 + lies_by;
    let plain_len = length.clamp(0, i64::from(i32::MAX)) as u32;
    let id = match &plain {
        Some(plain) if !has_false_id => keys().chunk_id(plain),
        _ => ChunkId::from_bytes([7; 32]),
    };
    // The list has no room for the length of a chunk that is not compressed, apart from that of its plaintext.
    if !is_compressed && plain_len as usize != packed.len() {
        return;
    }

    let kind = if is_tree { ChunkKind::Tree } else { ChunkKind::Data };
    let mut builder = PackBuilder::new(keys(), &Chance::default(), kind, Vec::new()).unwrap();
    builder.add(id, plain_len, packed, is_compressed).unwrap();
    let pack = builder.finish().unwrap();
    let (header, chunks) = read_pack(keys(), "pack", &pack.bytes).unwrap();
    assert_eq!(chunks, pack.listing.chunks);
    let sealed = || pack.bytes[chunks[0].offset as usize..][..chunks[0].sealed_len as usize].to_vec();

    let other_kind = if is_tree { ChunkKind::Data } else { ChunkKind::Tree };
    assert!(open_packed(&header.sealer, other_kind, &id, &mut sealed()).is_none());
    assert!(open_packed(&header.sealer, kind, &ChunkId::from_bytes([8; 32]), &mut sealed()).is_none());

    let (mut sealed, mut buffer) = (sealed(), Vec::new());
    let opened = open_packed(&header.sealer, kind, &id, &mut sealed).unwrap();
    assert_eq!(opened, packed);
    let unpacked = unpack(keys(), &id, opened, plain_len, is_compressed, &mut buffer);
    let is_true = plain.as_ref().is_some_and(|plain| plain.len() == plain_len as usize) && !has_false_id;
    assert_eq!(unpacked.map(<[u8]>::to_vec), plain.filter(|_| is_true));
});
