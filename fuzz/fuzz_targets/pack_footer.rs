//! A pack's footer: its plaintext as it is, and a valid pack around it. The first byte of the input says how many bytes there
//! are between the chunks and the footer. Besides: what decodes encodes to the same list; the chunks follow each other without a
//! gap and end where 32 bits can tell; a pack can be read exactly if its footer decodes and its chunks fill it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::envelope::{HEADER_BYTES, ObjectKind};
use ssb::repo::pack::{decode_footer, encode_footer, read_pack};
use ssb_fuzz::{header, keys, pack_with_footer};

/// Longer packs are all the same, only slow.
const MOST_BYTES: u64 = 1 << 18;

fuzz_target!(|input: &[u8]| {
    let Some((gap, footer)) = input.split_first() else { return };
    let listed = decode_footer(HEADER_BYTES, footer);
    let mut end = HEADER_BYTES as u64;
    if let Ok(chunks) = &listed {
        assert_eq!(decode_footer(HEADER_BYTES, &encode_footer(chunks)).as_ref(), Ok(chunks));
        for c in chunks {
            assert_eq!(u64::from(c.offset), end);
            end += u64::from(c.sealed_len);
        }
        assert!(end <= u64::from(u32::MAX));
    }

    let header = header(ObjectKind::TreePack);
    let footer_at = (end.min(MOST_BYTES) + u64::from(*gap)) as usize;
    let pack = pack_with_footer(&header, footer_at, footer);
    let is_filled = end == footer_at as u64;
    let read = read_pack(keys(), "pack", &pack).map(|(_, chunks)| chunks);
    assert_eq!(read.ok(), listed.ok().filter(|_| is_filled));
});
