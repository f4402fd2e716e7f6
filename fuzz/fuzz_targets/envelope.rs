//! The frame of an envelope, from any bytes. Besides: an object opens as one kind at most, under no other key, and not with
//! any byte of it cut off or changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::envelope::{ObjectKind, open};
use ssb_fuzz::{KINDS, keys, other_keys};

fuzz_target!(|object: &[u8]| {
    let opens = |kind: &&ObjectKind| open(keys(), **kind, "object", object).is_ok();
    let kinds: Vec<&ObjectKind> = KINDS.iter().filter(opens).collect();
    for kind in KINDS {
        assert!(open(other_keys(), kind, "object", object).is_err());
    }
    if let [kind, others @ ..] = &kinds[..] {
        assert!(others.is_empty());
        assert_eq!(ObjectKind::of_header(object), Some(**kind));
        assert!(open(keys(), **kind, "object", &object[..object.len() - 1]).is_err());
        let mut changed = object.to_vec();
        let at = usize::from(object[object.len() - 1]) * object.len() / 256;
        changed[at] ^= 1;
        assert!(open(keys(), **kind, "object", &changed).is_err());
    }
});
