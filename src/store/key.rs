//! Which texts are keys and prefixes. Every store refuses the others before it does anything, so that no key can leave
//! the repository's directory or mean two things on two stores.

use super::{ErrorKind, Result, StoreError};

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

fn is_component(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// Whether `text` is a key by the contract of [`ObjectStore`](super::ObjectStore).
pub fn is_key(text: &str) -> bool {
    text.len() <= MAX_KEY_BYTES && text.split('/').all(is_component)
}

/// Whether `text` may be listed: empty, or a key with a slash after it.
pub fn is_prefix(text: &str) -> bool {
    text.is_empty() || text.strip_suffix('/').is_some_and(is_key)
}

/// Fails with [`ErrorKind::Permanent`] unless `key` is a key.
pub(super) fn check_key(operation: &'static str, key: &str, store: impl FnOnce() -> String) -> Result<()> {
    if is_key(key) {
        return Ok(());
    }
    Err(StoreError::new(ErrorKind::Permanent, operation, key, store(), "this is not a name that an object may have"))
}

/// Fails with [`ErrorKind::Permanent`] unless `prefix` may be listed.
pub(super) fn check_prefix(prefix: &str, store: impl FnOnce() -> String) -> Result<()> {
    if is_prefix(prefix) {
        return Ok(());
    }
    let message = "this is not a prefix that can be listed: it must be empty or end with a slash";
    Err(StoreError::new(ErrorKind::Permanent, "list", prefix, store(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_what_is_none() {
        for good in ["a", "a/b", "packs/00/ab-c_d.e", "..a/b..", "-", &"k".repeat(512)] {
            assert!(is_key(good), "{good}");
        }
        for bad in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "A", "a b", "ü", "a\0", "a~", &"k".repeat(513)]
        {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn prefixes_end_at_a_slash() {
        assert!(is_prefix("") && is_prefix("a/") && is_prefix("a/b/"));
        assert!(!is_prefix("a") && !is_prefix("/") && !is_prefix("a//") && !is_prefix("../"));
    }
}
