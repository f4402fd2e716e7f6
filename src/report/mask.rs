//! Takes secrets out of texts that come from elsewhere: what a command printed, what a server answered. Does not find out
//! what is secret.

use super::{JobRecord, RunRecord};
use crate::crypto::SecretText;
use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// What is shorter stands in too many words to be hidden in all of them.
const LEAST_CHARS: usize = 4;
/// The part of a base64 text that depends on the secret alone; less would hide innocent words.
const LEAST_BASE64: usize = 6;
const HIDDEN: &str = "***";

/// The secrets that are known by now; clones share them.
#[derive(Clone, Default)]
pub struct Mask(Arc<RwLock<Vec<Zeroizing<String>>>>);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask(hidden)")
    }
}

impl Mask {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretText>) -> Self {
        let mask = Self::default();
        secrets.into_iter().for_each(|secret| mask.add(secret));
        mask
    }

    /// From now on `secret` is hidden: as it is, percent-encoded, as part of a base64 text, and quoted for JSON or HTML. Of
    /// a URL also the part behind the host, and of several lines each.
    pub fn add(&self, secret: &SecretText) {
        let mut forms = Vec::new();
        let whole = secret.expose().trim();
        let lines = whole.lines().map(str::trim).filter(|line| *line != whole);
        let parts = behind_host(whole).into_iter().chain(tokens(whole)).chain(credentials(whole));
        for text in [whole].into_iter().filter(|text| !is_mere_host(text)).chain(lines).chain(parts) {
            add_forms(text, &mut forms);
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.append(&mut forms);
        // The longest first: what holds another secret is hidden whole.
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
    }

    /// `text` with every secret replaced by `***`.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut out = Cow::Borrowed(text);
        for secret in known.iter().filter(|secret| !HIDDEN.contains(secret.as_str())) {
            if out.contains(secret.as_str()) {
                out = Cow::Owned(out.replace(secret.as_str(), HIDDEN));
            }
        }
        out
    }

    /// The record with all texts that come from elsewhere masked.
    pub fn record(&self, record: &RunRecord) -> RunRecord {
        let mut out = record.clone();
        let texts = [&mut out.config, &mut out.repository];
        texts.into_iter().chain(&mut out.errors).chain(&mut out.warnings).for_each(|text| self.hide_in(text));
        out.skipped.iter_mut().for_each(|skipped| self.hide_in(&mut skipped.why));
        if let Some(prune) = &mut out.prune {
            prune.deferred.iter_mut().chain(&mut prune.error).for_each(|text| self.hide_in(text));
        }
        out.jobs.iter_mut().for_each(|job| self.job(job));
        out
    }

    fn job(&self, job: &mut JobRecord) {
        job.error.iter_mut().chain(&mut job.stderr).for_each(|text| self.hide_in(text));
        for issue in &mut job.issues {
            [&mut issue.subject, &mut issue.what, &mut issue.next].into_iter().for_each(|text| self.hide_in(text));
        }
        job.hook_failures.iter_mut().for_each(|failure| self.hide_in(&mut failure.error));
        job.retention.iter_mut().flat_map(|retention| &mut retention.error).for_each(|text| self.hide_in(text));
    }

    fn hide_in(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.hide(text) {
            *text = masked;
        }
    }
}

/// Path and query of a URL: in those of webhooks stands the token.
fn behind_host(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let behind = rest[rest.find(['/', '?'])?..].trim_matches('/');
    Some(behind)
}

/// What looks like a token in path and query: long parts, and values.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    const LONG: usize = 16;
    const LONG_VALUE: usize = 8;
    let parts = behind_host(text).unwrap_or_default().split(['/', '?', '&', '#']);
    parts.filter_map(|part| match part.split_once('=') {
        Some((_, value)) => (value.len() >= LONG_VALUE).then_some(value),
        None => (part.len() >= LONG).then_some(part),
    })
}

/// A URL of which everything may be told.
fn is_mere_host(text: &str) -> bool {
    text.contains("://") && behind_host(text).is_none_or(str::is_empty) && credentials(text).is_none()
}

/// The password of a URL.
fn credentials(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let (user, _) = rest.split(['/', '?']).next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

fn add_forms(text: &str, forms: &mut Vec<Zeroizing<String>>) {
    if text.chars().count() < LEAST_CHARS {
        return;
    }
    let mut add = |form: String| forms.push(Zeroizing::new(form));
    add(text.to_owned());
    for upper in [true, false] {
        for keep in ["", "-_.~", "-_.~/", "-_.!~*'()", "-_.*"] {
            add(percent_encoded(text, keep, upper));
            add(percent_encoded(text, keep, upper).replace("%20", "+"));
        }
    }
    for alphabet in [&STANDARD, &URL_SAFE] {
        (0..3).filter_map(|shift| base64_core(text, alphabet, shift)).for_each(&mut add);
    }
    if let Ok(json) = serde_json::to_string(text) {
        add(json.trim_matches('"').to_owned());
    }
    add(format!("{text:?}").trim_matches('"').to_owned());
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    add(html.replace('"', "&quot;").replace('\'', "&#039;"));
    add(html);
}

fn percent_encoded(text: &str, keep: &str, upper: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || keep.contains(c) => out.push(c),
            _ if upper => out.push_str(&format!("%{byte:02X}")),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// The digits that stand for `text` wherever it begins `shift` bytes after a multiple of three.
fn base64_core(text: &str, alphabet: &Alphabet, shift: usize) -> Option<String> {
    let mut bytes = Zeroizing::new(vec![0; shift]);
    bytes.extend_from_slice(text.as_bytes());
    let digits = Zeroizing::new(GeneralPurpose::new(alphabet, NO_PAD).encode(&*bytes));
    // The first digits share bits with what stands before, and the last one may with what comes after.
    let before = [0, 2, 3].get(shift).copied()?;
    let core = digits.get(before..digits.len().saturating_sub(usize::from(!bytes.len().is_multiple_of(3))))?;
    (core.len() >= LEAST_BASE64).then(|| core.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD as BASE64;

    fn mask(secret: &str) -> Mask {
        Mask::new([&SecretText::new(secret.to_owned())])
    }

    #[test]
    fn every_form_is_hidden() {
        let secret = "p\"ä&<s w/rd?";
        let mask = mask(secret);
        for text in [
            format!("login with {secret} failed"),
            format!("GET /x?token={}&y", percent_encoded(secret, "-_.~", true)),
            format!("GET /x?token={}&y", percent_encoded(secret, "-_.~", false)),
            serde_json::json!({ "password": secret }).to_string(),
            format!("{secret:?}"),
            "value=\"p&quot;ä&amp;&lt;s w/rd?\"".to_owned(),
        ] {
            let hidden = mask.hide(&text);
            assert!(hidden.contains("***"), "{text} -> {hidden}");
            assert!(!hidden.contains("rd?") && !hidden.to_lowercase().contains("rd%3f"), "{text} -> {hidden}");
        }
    }

    #[test]
    fn base64_is_hidden_wherever_the_secret_stands_in_it() {
        let mask = mask("correct horse");
        for before in ["", "a", "ab", "user:", "\0user\0"] {
            for after in ["", "x", "yz", "xyz"] {
                let text = BASE64.encode(format!("{before}correct horse{after}"));
                let hidden = mask.hide(&text);
                // What is left says less than two characters at either end.
                assert!(hidden.contains("***"), "{before:?} {after:?} {text} {hidden}");
                assert!(!hidden.contains("Y3Qga") && hidden.len() < text.len(), "{hidden}");
            }
        }
    }

    #[test]
    fn the_token_of_a_url_is_hidden_without_its_host_too() {
        let mask = mask("https://me:s3cret@hooks.example.com/services/T0/B1/abcdef");
        assert_eq!(
            mask.hide("404 for /services/T0/B1/abcdef, said hooks.example.com"),
            "404 for /***, said hooks.example.com"
        );
        assert_eq!(mask.hide("password s3cret"), "password ***");
        mask.add(&SecretText::new("https://example.com/in?kind=json&token=0123456789".to_owned()));
        assert_eq!(mask.hide("kind json, token 0123456789"), "kind json, token ***");
        mask.add(&SecretText::new("http://push.example.com:9091/".to_owned()));
        assert_eq!(mask.hide("http://push.example.com:9091 answered"), "http://push.example.com:9091 answered");
    }

    #[test]
    fn short_secrets_and_other_texts_stay() {
        let mask = mask("abc");
        assert_eq!(mask.hide("abc"), "abc");
        mask.add(&SecretText::new("hunter2\nsecond line".to_owned()));
        assert!(matches!(mask.clone().hide("nothing to hide"), Cow::Borrowed(_)));
        assert_eq!(mask.clone().hide("hunter2, second line"), "***, ***");
        assert_eq!(format!("{mask:?}"), "Mask(hidden)");
    }
}
