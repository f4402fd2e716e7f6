//! What is inside of an envelope: a valid object around any plaintext; the first byte of the input says of which kind.
//! Besides: a raw payload comes back as it is, what opens can be sealed again and comes back, and none of it opens under
//! another key or as another kind; nor is room made for more than can come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::envelope::{open, seal};
use ssb_fuzz::{Chance, KINDS, header, keys, other_keys};
use zstd::zstd_safe::get_frame_content_size;

/// What bodies are sealed with.
const BODY_NONCE: [u8; 24] = [0; 24];
/// Longer payloads are all the same, only slow; but what cannot be so long must be refused before room is made for it.
const MOST_BYTES: u64 = 1 << 20;
/// Zstandard's shortest block, of four bytes, repeats one byte 128 Ki times.
const UNPACKED_PER_BYTE: u64 = (128 << 10) / 4;

fuzz_target!(|input: &[u8]| {
    let Some((number, text)) = input.split_first() else { return };
    if let Some((1, packed)) = text.split_first()
        && let Ok(Some(length)) = get_frame_content_size(packed)
        && (MOST_BYTES..packed.len() as u64 * UNPACKED_PER_BYTE).contains(&length)
    {
        return;
    }
    let kind = KINDS[usize::from(*number) % KINDS.len()];
    let header = header(kind);
    let mut object = [&header.bytes, text].concat();
    header.sealer.seal(&BODY_NONCE, &header.bytes, &mut object, header.bytes.len()).unwrap();

    let payload = open(keys(), kind, "object", &object);
    assert!(open(other_keys(), kind, "object", &object).is_err());
    assert!(open(keys(), KINDS[(usize::from(*number) + 1) % KINDS.len()], "object", &object).is_err());
    match (text.split_first(), payload) {
        (Some((0, raw)), payload) => assert_eq!(payload.unwrap(), raw),
        (Some((1, _)), Err(_)) => {}
        (Some((1, _)), Ok(payload)) => {
            let again = seal(keys(), &Chance::default(), kind, &payload).unwrap();
            assert_eq!(open(keys(), kind, "object", &again).unwrap(), payload);
        }
        (_, payload) => assert!(payload.is_err()),
    }
});
