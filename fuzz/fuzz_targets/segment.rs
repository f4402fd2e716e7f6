//! A segment's payload. Besides: what decodes encodes to the same list, and no chunk that it lists ends beyond 32 bits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::segment::{decode, encode};

fuzz_target!(|payload: &[u8]| {
    let Ok(packs) = decode(payload) else { return };
    for c in packs.iter().flat_map(|pack| &pack.chunks) {
        assert!(c.offset.checked_add(c.sealed_len).is_some());
    }
    assert_eq!(decode(&encode(&packs)), Ok(packs));
});
