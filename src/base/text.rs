//! Paths are bytes; people and JSON want text. The text form is UTF-8 with every byte that is not part of valid UTF-8,
//! every control character and every backslash written as `\xHH`, so that it can be turned back without loss.

/// The text form of `bytes`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || c.is_control() {
                let mut utf8 = [0; 4];
                c.encode_utf8(&mut utf8).bytes().for_each(|b| push_hex(&mut out, b));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&b| push_hex(&mut out, b));
    }
    out
}

fn push_hex(out: &mut String, byte: u8) {
    out.push_str(&format!("\\x{byte:02x}"));
}

/// The bytes of a text form; a backslash that starts no `\xHH` stands for itself.
pub fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes[at..].strip_prefix(b"\\x").and_then(|rest| rest.get(..2)).and_then(|h| hex::decode(h).ok());
        match escaped {
            Some(byte) => {
                out.extend_from_slice(&byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// `1234567` as `1.2 MB`; decimal units, three significant digits at most.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `0.4 s`, `3 min 20 s`, `1 h 1 min`
pub fn human_duration(milliseconds: u64) -> String {
    match milliseconds {
        0..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
        _ => format!("{} h {} min", milliseconds / 3_600_000, milliseconds % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_only_what_it_must() {
        assert_eq!(escape("a/ü b".as_bytes()), "a/ü b");
        assert_eq!(escape(b"a\xff\\\n"), "a\\xff\\x5c\\x0a");
        assert_eq!(unescape("\\q"), b"\\q");
    }

    proptest::proptest! {
        #[test]
        fn text_form_is_reversible(bytes: Vec<u8>) {
            assert_eq!(unescape(&escape(&bytes)), bytes);
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1_234_567), "1.2 MB");
        assert_eq!(human_bytes(999_990), "1.0 MB");
    }

    #[test]
    fn durations_for_people() {
        assert_eq!(human_duration(420), "0.4 s");
        assert_eq!(human_duration(200_000), "3 min 20 s");
        assert_eq!(human_duration(3_700_000), "1 h 1 min");
    }
}
