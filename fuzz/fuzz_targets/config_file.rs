//! A config file, in both formats. Besides: what is wrong with it stands at a place of the text, what is taken is checked and
//! explained without an end, and nothing that the schema takes is refused by the types.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::config::read::{Format, read};
use ssb::config::{check, explain};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for format in [Format::Toml, Format::Json] {
        match read(text, format) {
            Ok(read) => {
                for finding in check::problems(&read.config) {
                    assert!(!finding.what.is_empty());
                    assert!(finding.entries.iter().all(|entry| read.config.entries.contains_key(entry)));
                }
                assert_eq!(read.entry_order.len(), read.config.entries.len());
                read.config.entries.values().for_each(|entry| drop(explain::settings(&read.config, entry)));
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                for problem in problems {
                    assert!(problem.position.line <= text.split('\n').count() && problem.position.column >= 1);
                    assert!(!problem.what.contains("a bug in ssb"), "{problem}");
                }
            }
        }
    }
});
