//! A key slot. Besides: what decodes encodes to the same slot; it opens with no other passphrase, and never gives another key
//! than the one that was put into it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::crypto::SecretText;
use ssb::repo::Slot;
use ssb_fuzz::{is_cheap, keys, passphrase};

fuzz_target!(|bytes: &[u8]| {
    let Ok(slot) = Slot::decode("slot", bytes) else { return };
    let encoded = slot.encode().unwrap();
    let again = Slot::decode("slot", &encoded).unwrap();
    assert_eq!(again.encode().unwrap(), encoded);
    assert_eq!(again.config().ok(), slot.config().ok());
    if is_cheap(&encoded) {
        assert!(slot.open(&SecretText::new("another".to_owned())).is_none());
        assert!(slot.open(&passphrase()).is_none_or(|opened| opened.master() == keys().master()));
    }
});
