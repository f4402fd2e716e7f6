//! Where a repository lies, as a person writes it. Besides: a bucket and a prefix print so that they read the same, and hold
//! nothing but what may stand in a key; any path can be written as a `file` location; a user and a password before an `@`
//! never come back in an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::store::{Location, is_key};
use std::os::unix::ffi::OsStrExt;

const SECRET: &str = "gEhEiM";
const SCHEMES: [&str; 5] = ["s3", "S3", "file", "gs", "https"];

fuzz_target!(|input: &[u8]| {
    let encoded: String = input.iter().map(|byte| format!("%{byte:02X}")).collect();
    match Location::parse(&format!("file:///{encoded}")) {
        Ok(Location::Directory(path)) => assert_eq!(path.as_os_str().as_bytes(), [b"/", input].concat()),
        other => panic!("{other:?}"),
    }

    let Ok(text) = std::str::from_utf8(input) else { return };
    let is_s3 = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("s3://"));
    match Location::parse(text) {
        Ok(Location::S3(location)) => {
            assert!(is_s3 && is_key(&location.bucket) && !location.bucket.contains('/'));
            assert!(location.prefix.is_empty() || is_key(&location.prefix.to_ascii_lowercase()));
            assert_eq!(Location::parse(&location.to_string()), Ok(Location::S3(location)));
        }
        Ok(Location::Directory(path)) => assert!(!is_s3 && !path.as_os_str().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }

    if text.contains(SECRET) {
        return;
    }
    for scheme in SCHEMES {
        for text in [format!("{scheme}://user:{SECRET}@{text}"), format!("s3:{scheme}://{SECRET}@{text}")] {
            let told = Location::parse(&text).map_or_else(|error| error.to_string(), |location| location.to_string());
            assert!(!told.contains(SECRET), "{told}");
        }
    }
});
