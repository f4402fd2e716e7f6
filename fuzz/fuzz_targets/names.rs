//! Names of objects, as a store lists them. Besides: a name that is taken for an object's is exactly that object's, no key of a
//! store leads out of the folder it is joined to, and an id reads only from its own digits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::{ChunkId, SessionId};
use ssb::repo::layout;
use ssb::store::{MAX_KEY_BYTES, is_key, is_prefix};
use std::path::{Component, Path};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let names = [
        layout::parse_pack(text).map(|id| layout::pack(&id)),
        layout::parse_segment(text).map(|id| layout::segment(&id)),
        layout::parse_snapshot(text).map(|id| layout::snapshot(&id)),
        layout::parse_session_open(text).map(|id| layout::session_open(&id)),
    ];
    assert!(names.iter().flatten().count() <= 1);
    for name in names.iter().flatten() {
        assert_eq!(name, text);
        assert!(is_key(name));
    }
    if is_key(text) {
        assert!(text.len() <= MAX_KEY_BYTES && is_prefix(&format!("{text}/")));
        assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))));
        assert_eq!(Path::new(text).components().collect::<std::path::PathBuf>().to_str(), Some(text));
    }
    if let Ok(id) = text.parse::<ChunkId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
    if let Ok(id) = text.parse::<SessionId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
});
