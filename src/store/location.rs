//! Where a repository lies, as a person writes it: a path, `file:///path` or `s3://bucket/prefix`. Only reads and prints
//! the text; opens nothing and looks at nothing.

use std::fmt;
use std::path::PathBuf;

use super::key::is_key;

/// A text that is no location: one sentence that names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("the location of the repository is empty")]
    Empty,
    #[error("'{0}' names a kind of store that is not known: write a path, file:///path or s3://bucket/prefix")]
    UnknownScheme(String),
    #[error("'{0}' names no bucket: write s3://bucket or s3://bucket/prefix")]
    NoBucket(String),
    #[error("'{text}' holds '{bucket}', which cannot be the name of a bucket: {why}")]
    BadBucket { text: String, bucket: String, why: &'static str },
    #[error("'{text}' holds the prefix '{prefix}', which may only consist of a-z 0-9 . _ - and single slashes")]
    BadPrefix { text: String, prefix: String },
    #[error("'{0}' names a file on another host: a file location starts with file:/// and an absolute path")]
    FileHost(String),
    #[error("'{0}' is written wrongly: an S3 location starts with s3://")]
    MissingSlashes(String),
}

/// A bucket, a place in it, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    pub bucket: String,
    /// Without a slash at either end; empty for the whole bucket.
    pub prefix: String,
    /// `None`: as the environment or the profile says; `us-east-1` if they say nothing and there is an endpoint.
    pub region: Option<String>,
    /// `http://` or `https://` URL of a server that is not Amazon's.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path and not in the host name. `None`: yes if there is an endpoint.
    pub path_style: Option<bool>,
}

/// Where a repository lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    S3(S3Location),
}

impl Location {
    /// Reads a path, `file:///path` (with `%xx` for any byte) or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// One sentence that names the text and what was expected.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("s3") => parse_s3(text, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => match rest.strip_prefix('/') {
                Some(path) => Ok(Self::Directory(bytes_to_path(percent_decode(&format!("/{path}"))))),
                None => Err(LocationError::FileHost(without_userinfo(text))),
            },
            Some((scheme, _)) if is_scheme(scheme) => Err(LocationError::UnknownScheme(without_userinfo(text))),
            _ if text.starts_with("s3:") => Err(LocationError::MissingSlashes(without_userinfo(text))),
            _ => Ok(Self::Directory(PathBuf::from(text))),
        }
    }
}

fn parse_s3(text: &str, rest: &str) -> Result<Location, LocationError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(LocationError::NoBucket(text.to_owned()));
    }
    if let Err(why) = check_bucket(bucket) {
        let (text, bucket) = (without_userinfo(text), without_userinfo(bucket));
        return Err(LocationError::BadBucket { text, bucket, why });
    }
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() && !is_prefix_text(prefix) {
        return Err(LocationError::BadPrefix { text: text.to_owned(), prefix: prefix.to_owned() });
    }
    Ok(Location::S3(S3Location {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: None,
        endpoint: None,
        path_style: None,
    }))
}

/// People's prefixes may have capitals, which keys have not; S3's own keys end at 1,024 bytes.
fn is_prefix_text(prefix: &str) -> bool {
    is_key(&prefix.to_ascii_lowercase())
}

/// The rules that every S3 server agrees on.
fn check_bucket(name: &str) -> Result<(), &'static str> {
    if !(3..=63).contains(&name.len()) {
        return Err("it must have 3 to 63 characters");
    }
    if !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')) {
        return Err("it may only hold a-z 0-9 . and -");
    }
    let is_end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !name.bytes().next().is_some_and(is_end) || !name.bytes().last().is_some_and(is_end) {
        return Err("it must start and end with a letter or a digit");
    }
    if name.contains("..") {
        return Err("it must not hold two dots in a row");
    }
    Ok(())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// A user and a password before an `@` must not come back in an error or a report.
pub(super) fn without_userinfo(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let authority = rest.find('/').unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}{}", &rest[at + 1..]),
        None => format!("{scheme}{rest}"),
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes[at..].strip_prefix(b"%").and_then(|rest| rest.get(..2)).and_then(|h| hex::decode(h).ok());
        match escaped {
            Some(byte) => {
                out.extend_from_slice(&byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

fn bytes_to_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// Never holds credentials: they are no part of a location, and an endpoint is not printed.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3(location) => location.fmt(f),
        }
    }
}

impl std::str::FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("s3://backups", "s3://backups"),
            ("s3://backups/", "s3://backups"),
            ("s3://backups/hosts/web-1//", "s3://backups/hosts/web-1"),
            ("S3://my.bucket/Team", "s3://my.bucket/Team"),
            ("/srv/backup", "/srv/backup"),
            ("backup", "backup"),
            ("file:///srv/my%20backup", "/srv/my backup"),
            ("file:///srv/100%", "/srv/100%"),
            ("./odd://name", "./odd://name"),
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn refuses_with_the_text_in_the_sentence() {
        for (text, expected) in [
            ("s3://", "names no bucket"),
            ("s3:///x", "names no bucket"),
            ("gs://bucket/x", "not known"),
            ("https://host/bucket", "not known"),
            ("s3:bucket", "starts with s3://"),
            ("s3://Bucket", "a-z 0-9"),
            ("s3://ab", "3 to 63"),
            ("s3://-ab", "start and end"),
            ("s3://a..b", "two dots"),
            ("s3://bucket/a//b", "'a//b'"),
            ("s3://bucket/../b", "'../b'"),
            ("s3://bucket/a b", "'a b'"),
            ("file://host/x", "another host"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(text), "{text}: {error}");
        }
        assert_eq!(Location::parse(""), Err(LocationError::Empty));
    }

    #[test]
    fn a_password_does_not_come_back() {
        for text in [
            "s3://key:geheim@host/x",
            "gs://key:geheim@host/x",
            "s3:https://key:geheim@host",
            "file://key:geheim@host/x",
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
