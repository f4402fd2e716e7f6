//! A snapshot's manifest. Besides: what decodes encodes to an equal manifest, with the fields that nobody knows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::Manifest;

fuzz_target!(|payload: &[u8]| {
    let Ok(manifest) = Manifest::decode("manifest", payload) else { return };
    assert_eq!(Manifest::decode("manifest", &manifest.encode().unwrap()).unwrap(), manifest);
});
