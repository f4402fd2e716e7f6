//! Spans of time, numbers of snapshots, groups and whole policies as people write them; the first nine bytes of the input are a moment and a time zone.
//! Besides: what is read is printed so that it reads the same, a span never reaches into the future, and a refusal names the text.

#![no_main]

use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use ssb::ops::retention::{Count, GroupBy, Keep, Span};

/// Summer time, and a day that was left out.
const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "Pacific/Apia"];

fuzz_target!(|input: &[u8]| {
    let Some((second, rest)) = input.split_first_chunk() else { return };
    let Some((zone, text)) = rest.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(count) = text.parse::<Count>() {
        let json = serde_json::to_string(&count).unwrap();
        assert_eq!(serde_json::from_str::<Count>(&json).unwrap(), count);
    }
    if let Ok(by) = text.parse::<GroupBy>() {
        assert_eq!(by.to_string().parse(), Ok(by));
    }
    if let Ok(keep) = serde_json::from_str::<Keep>(text) {
        assert_eq!(serde_json::from_str::<Keep>(&serde_json::to_string(&keep).unwrap()).unwrap(), keep);
    }
    match text.parse::<Span>() {
        Ok(span) => {
            assert_eq!(span.to_string().parse(), Ok(span));
            let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
            let second = i64::from_le_bytes(*second) % seconds.end();
            let time = Timestamp::from_second(second.max(*seconds.start())).unwrap();
            let zone = TimeZone::get(ZONES[usize::from(*zone) % ZONES.len()]).unwrap();
            assert!(span.before(time, &zone) <= time);
        }
        Err(error) => assert!(error.to_string().contains(text)),
    }
});
