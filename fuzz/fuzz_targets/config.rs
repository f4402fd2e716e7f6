//! A repository's `config`. Besides: what decodes encodes to the same bytes, nothing is authentic under another key, and what was
//! read can be written anew, authentic and equal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::config::StoredConfig;
use ssb_fuzz::{keys, other_keys};

fuzz_target!(|text: &[u8]| {
    let Ok(stored) = StoredConfig::decode(text) else { return };
    assert_eq!(stored.encode().as_bytes(), text);
    assert!(stored.verify(other_keys()).is_err());
    let anew = StoredConfig::create(keys(), stored.config.clone()).unwrap();
    anew.verify(keys()).unwrap();
    assert_eq!(StoredConfig::decode(anew.encode().as_bytes()).unwrap(), anew);
    assert_eq!(anew.config, stored.config);
});
