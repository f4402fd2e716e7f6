//! A whole pack, from any bytes. Besides: what can be read is filled by its chunks from the header to the footer, and nothing
//! can be read under another key; what stays of it when it is shrunk has the seals that it had.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::index::ListedChunk;
use ssb::repo::ChunkKind;
use ssb::repo::pack::{open_packed, pack_id, read_pack, shrink, unpack};
use ssb_fuzz::{Chance, keys, other_keys};

fuzz_target!(|bytes: &[u8]| {
    assert!(read_pack(other_keys(), "pack", bytes).is_err());
    let Ok((header, chunks)) = read_pack(keys(), "pack", bytes) else { return };
    let mut at = header.bytes.len();
    let kind = ChunkKind::of(header.kind).unwrap_or(ChunkKind::Data);
    for c in &chunks {
        assert_eq!(c.offset as usize, at);
        at += c.sealed_len as usize;
        let mut sealed = bytes[c.offset as usize..at].to_vec();
        if let Some(packed) = open_packed(&header.sealer, kind, &c.id, &mut sealed) {
            let mut buffer = Vec::new();
            let plain = unpack(keys(), &c.id, packed, c.plain_len, c.compressed, &mut buffer);
            assert!(plain.is_none_or(|plain| keys().chunk_id(plain) == c.id));
        }
    }
    assert!(at < bytes.len());

    let mut pack = bytes.to_vec();
    let stays = |ordinal| ordinal % 2 == 0;
    let shrunk =
        shrink(&Chance::default(), &pack_id(bytes), kind, &header, &chunks, &mut pack, stays).unwrap().unwrap();
    let (_, left) = read_pack(keys(), "pack", &shrunk.bytes).unwrap();
    assert_eq!(left, shrunk.listing.chunks);
    for (was, is) in chunks.iter().step_by(2).zip(&left) {
        let sealed = |pack: &[u8], c: &ListedChunk| pack[c.offset as usize..][..c.sealed_len as usize].to_vec();
        assert_eq!((was.id, sealed(bytes, was)), (is.id, sealed(&shrunk.bytes, is)));
    }
});
