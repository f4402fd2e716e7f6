//! A command line, its words between line breaks, as a script may put it together from what it was given; and each of them as
//! a duration. Besides: a refusal is a sentence, and a duration is the same when it is written in nanoseconds.

#![no_main]

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use ssb::base::duration;
use ssb::cli::args::Cli;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fuzz_target!(|input: &[u8]| {
    let words = || input.split(|&byte| byte == b'\n').map(OsStr::from_bytes);
    if let Err(refusal) = Cli::try_parse_from([OsStr::new("ssb")].into_iter().chain(words())) {
        assert!(!refusal.to_string().trim().is_empty());
    }
    for word in words().filter_map(OsStr::to_str) {
        match duration::parse(word) {
            Ok(duration) => {
                let seconds = format!("{}s {}ns", duration.as_secs(), duration.subsec_nanos());
                assert_eq!(duration::parse(&seconds), Ok(duration));
                assert_eq!(duration::parse_some(word).is_ok(), !duration.is_zero());
            }
            Err(refusal) => {
                assert!(refusal.contains(word));
                assert_eq!(duration::parse_some(word), Err(refusal));
            }
        }
    }
});
