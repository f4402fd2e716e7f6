//! What can be set about the way to an S3 server. Where the server is stands in
//! [`S3Location`](crate::store::S3Location).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// An access key that is given instead of looked for. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What the server compares an upload with, beside the SHA-256 of the body that every signature covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UploadCheck {
    /// `x-amz-checksum-crc32`: costs next to nothing; older servers overlook it.
    #[default]
    Crc32,
    /// `Content-MD5`: every server knows it and some demand it, but it takes a core for each 600 MB/s.
    ContentMd5,
}

/// How the server encrypts what it stores; what it gets is sealed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEncryption {
    /// With keys of the server.
    Aes256,
    /// With a key of the key service; `None`: the bucket's own.
    Kms { key_id: Option<String> },
}

/// How to talk to an S3 server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// A profile of the AWS files; `None`: `AWS_PROFILE` or `default`.
    pub profile: Option<String>,
    /// `None`: as AWS tools look for them (environment, profile, web identity, container, instance).
    pub credentials: Option<StaticCredentials>,
    /// PEM file with authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// For one TCP and TLS connection.
    pub connect_timeout: Duration,
    /// For a whole request, while the server has never answered: a wrong address is told soon.
    pub first_answer_timeout: Duration,
    /// For a whole request, once the server has answered.
    pub request_timeout: Duration,
    /// Both timeouts grow by the time that a body takes at this speed. Not 0.
    pub min_bytes_per_s: u64,
    /// For all the places where credentials are looked for, together.
    pub credentials_timeout: Duration,
    /// Storage classes by key prefix, `("packs/", "STANDARD_IA")`; the first that fits.
    pub storage_classes: Vec<(String, String)>,
    /// `None`: as the bucket is set up.
    pub encryption: Option<ServerEncryption>,
    pub upload_check: UploadCheck,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            profile: None,
            credentials: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(3),
            first_answer_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            min_bytes_per_s: 16 * 1024,
            credentials_timeout: Duration::from_secs(10),
            storage_classes: Vec::new(),
            encryption: None,
            upload_check: UploadCheck::default(),
        }
    }
}

impl S3Settings {
    /// The storage class for an object, if one is set.
    pub(super) fn storage_class(&self, key: &str) -> Option<&str> {
        self.storage_classes
            .iter()
            .find(|(prefix, _)| key.starts_with(prefix.as_str()))
            .map(|(_, class)| class.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_printed() {
        let credentials = StaticCredentials {
            access_key_id: "AKID".into(),
            secret_access_key: "geheim".into(),
            session_token: Some("auch".into()),
        };
        let text = format!("{:?}", S3Settings { credentials: Some(credentials), ..Default::default() });
        assert!(text.contains("AKID") && !text.contains("geheim") && !text.contains("auch"));
    }

    #[test]
    fn the_first_storage_class_that_fits_is_taken() {
        let settings = S3Settings {
            storage_classes: vec![("packs/".into(), "COLD".into()), (String::new(), "WARM".into())],
            ..Default::default()
        };
        assert_eq!(settings.storage_class("packs/a"), Some("COLD"));
        assert_eq!(settings.storage_class("index/a"), Some("WARM"));
        assert_eq!(S3Settings::default().storage_class("packs/a"), None);
    }
}
