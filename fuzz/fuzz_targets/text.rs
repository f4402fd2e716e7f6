//! The text form of paths. Besides: escaping and unescaping are inverse, and the text form has no control characters; sizes for
//! people are short.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::text::{escape, human_bytes, unescape};

fuzz_target!(|bytes: &[u8]| {
    let escaped = escape(bytes);
    assert_eq!(unescape(&escaped), bytes);
    assert!(!escaped.chars().any(char::is_control));
    assert_eq!(escape(&unescape(&escaped)), escaped);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(unescape(&escape(&unescape(text))), unescape(text));
    }
    if let Some((number, _)) = bytes.split_first_chunk() {
        assert!(human_bytes(u64::from_le_bytes(*number)).len() <= 8);
    }
});
