//! What the errors of the S3 client mean: a kind and one sentence. No sentence holds a secret: of credentials only the
//! access key id is named, and requests are never printed.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::store::ErrorKind;

/// The longest part of a server's own words that is passed on, in characters.
const MAX_WORDS: usize = 200;

pub(super) const NO_CREDENTIALS: &str = "no usable credentials were found; looked at the environment \
     (AWS_ACCESS_KEY_ID), the profile in the AWS config and credentials files, the web identity token, and the metadata \
     services of the container (ECS) and the instance (IMDS)";

/// The names that sentences need.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) bucket: String,
    /// Host and port, for people.
    pub(super) host: String,
    pub(super) region: String,
    pub(super) access_key_id: String,
}

/// A failed request, before it is known which call of the store it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    /// The HTTP status; 0 if there was no answer.
    pub(super) status: u16,
    /// The server's error code; empty if there was none.
    pub(super) code: String,
    pub(super) message: String,
    /// There was no connection or it broke, and not for lack of time: an answer may have been lost.
    pub(super) broke_off: bool,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: 0, code: String::new(), message: message.into(), broke_off: false }
    }

    /// The server does not know this kind of request.
    pub(super) fn is_not_implemented(&self) -> bool {
        self.status == 501 || self.status == 405 || matches!(self.code.as_str(), "NotImplemented" | "MethodNotAllowed")
    }
}

/// Reads an error of the client.
pub(super) fn classify<E>(error: &SdkError<E, HttpResponse>, place: &Place) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if has_source::<CredentialsError>(error) {
        return Failure::new(ErrorKind::Denied, NO_CREDENTIALS);
    }
    let host = &place.host;
    match error {
        SdkError::TimeoutError(_) => Failure::new(ErrorKind::Unreachable, format!("{host} did not answer in time")),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            Failure::new(ErrorKind::Permanent, format!("the request could not be made: {}", root_cause(error)))
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Failure::new(ErrorKind::Unreachable, format!("no connection to {host}: it did not answer in time"))
        }
        SdkError::DispatchFailure(_) => Failure {
            broke_off: true,
            ..Failure::new(ErrorKind::Unreachable, format!("no connection to {host}: {}", root_cause(error)))
        },
        SdkError::ResponseError(failure) => not_understood(failure.raw(), error, host),
        // An answer that reads like success and cannot be read.
        SdkError::ServiceError(failure) if failure.raw().status().is_success() && failure.err().code().is_none() => {
            not_understood(failure.raw(), error, host)
        }
        SdkError::ServiceError(failure) => {
            let status = failure.raw().status().as_u16();
            let code = failure.err().code().unwrap_or_default();
            let region = failure.raw().headers().get("x-amz-bucket-region");
            service_failure(status, code, failure.err().message().unwrap_or_default(), region, place)
        }
        _ => Failure::new(ErrorKind::Permanent, format!("the request could not be made: {}", root_cause(error))),
    }
}

fn not_understood(answer: &HttpResponse, error: &(dyn Error + 'static), host: &str) -> Failure {
    let status = answer.status().as_u16();
    let is_page = answer.headers().get("content-type").is_some_and(|t| t.starts_with("text/html"));
    let (kind, message) = if is_page && status < 500 {
        (ErrorKind::Permanent, format!("{host} answered with a web page; it is not an S3 server"))
    } else {
        (ErrorKind::Transient, format!("the answer of {host} was not understood: {}", root_cause(error)))
    };
    Failure { status, ..Failure::new(kind, message) }
}

/// Reads an error that the server has sent, be it for a request or for one object of many.
pub(super) fn service_failure(status: u16, code: &str, words: &str, region: Option<&str>, place: &Place) -> Failure {
    let Place { bucket, host, access_key_id, .. } = place;
    let named = if code.is_empty() { format!("HTTP status {status}") } else { code.to_owned() };
    let (kind, message) = match (code, status) {
        ("NoSuchBucket", _) => (ErrorKind::NoBucket, format!("the bucket '{bucket}' does not exist at {host}")),
        ("NoSuchKey" | "NotFound" | "", 404) | ("NoSuchKey", _) => {
            (ErrorKind::NotFound, "there is no such object".to_owned())
        }
        ("InvalidRange", _) | (_, 416) => {
            (ErrorKind::OutOfRange, "the object is shorter than what was asked for".into())
        }
        ("InvalidAccessKeyId", _) => {
            (ErrorKind::Denied, format!("{host} does not know the access key {access_key_id} ({named})"))
        }
        ("SignatureDoesNotMatch", _) => {
            (ErrorKind::Denied, format!("the secret key is not the one that belongs to {access_key_id} ({named})"))
        }
        ("RequestTimeTooSkewed", _) => {
            (ErrorKind::Denied, format!("the clocks of this machine and of {host} differ too much ({named})"))
        }
        ("ExpiredToken" | "TokenRefreshRequired", _) => {
            (ErrorKind::Denied, format!("the credentials of {access_key_id} have expired ({named})"))
        }
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => {
            let actual = region.map_or("another region".to_owned(), |r| format!("region '{r}'"));
            (
                ErrorKind::Permanent,
                format!("the bucket '{bucket}' is in {actual}, and '{}' is set ({named})", place.region),
            )
        }
        ("QuotaExceeded" | "XMinioStorageFull" | "InsufficientCapacity", _) | (_, 507) => {
            (ErrorKind::Full, format!("the bucket '{bucket}' or the server is full ({named})"))
        }
        ("InvalidObjectState", _) => {
            (ErrorKind::Permanent, "the object is archived and must first be brought back by the server".to_owned())
        }
        // After the codes that servers send with 403 as well.
        (_, 401 | 403) | ("AccessDenied" | "AllAccessDisabled" | "InvalidToken", _) => {
            (ErrorKind::Denied, format!("{host} does not let {access_key_id} do this ({named})"))
        }
        ("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody", _) => {
            (ErrorKind::Transient, format!("the body was damaged on its way to {host} ({named})"))
        }
        ("SlowDown" | "Throttling" | "ThrottlingException" | "TooManyRequests" | "RequestLimitExceeded", _)
        | (_, 429) => (ErrorKind::Transient, format!("{host} asks to slow down ({named})")),
        ("InternalError" | "RequestTimeout" | "OperationAborted" | "ServiceUnavailable", _) | (_, 408) => {
            (ErrorKind::Transient, format!("{host} failed: {}", with_words(&named, words)))
        }
        ("NotImplemented", _) | (_, 501) => {
            (ErrorKind::Permanent, format!("{host} cannot do this: {}", with_words(&named, words)))
        }
        (_, 500..) => (ErrorKind::Transient, format!("{host} failed: {}", with_words(&named, words))),
        _ => (ErrorKind::Permanent, format!("{host} refused the request: {}", with_words(&named, words))),
    };
    Failure { status, code: code.to_owned(), ..Failure::new(kind, message) }
}

fn with_words(named: &str, words: &str) -> String {
    let words = clean(words);
    if words.is_empty() { named.to_owned() } else { format!("{named}, {words}") }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}

fn has_source<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|e| e.is::<T>())
}

/// The innermost cause, which says what happened; the outer ones say that something did.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    clean(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

/// Foreign words as a part of a sentence: one line, of bounded length, without a full stop.
fn clean(words: &str) -> String {
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
    words.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let name = |text: &str| text.to_owned();
        Place { bucket: name("bu"), host: name("ho:1"), region: name("re-1"), access_key_id: name("AKID") }
    }

    #[test]
    fn the_kinds_of_what_servers_say() {
        use ErrorKind::{Denied, Full, NoBucket, NotFound, OutOfRange, Permanent, Transient};
        for (status, code, kind) in [
            (404, "NoSuchBucket", NoBucket),
            (404, "NoSuchKey", NotFound),
            (404, "", NotFound),
            (416, "", OutOfRange),
            (403, "InvalidAccessKeyId", Denied),
            (403, "SignatureDoesNotMatch", Denied),
            (403, "", Denied),
            (401, "", Denied),
            (400, "ExpiredToken", Denied),
            (301, "PermanentRedirect", Permanent),
            (400, "AuthorizationHeaderMalformed", Permanent),
            (403, "QuotaExceeded", Full),
            (507, "", Full),
            (400, "BadDigest", Transient),
            (400, "RequestTimeout", Transient),
            (429, "", Transient),
            (500, "InternalError", Transient),
            (502, "", Transient),
            (503, "SlowDown", Transient),
            (501, "NotImplemented", Permanent),
            (403, "InvalidObjectState", Permanent),
            (400, "EntityTooLarge", Permanent),
        ] {
            let failure = service_failure(status, code, "Words of\nthe server.", None, &place());
            assert_eq!(failure.kind, kind, "{status} {code}");
            assert!(!failure.message.ends_with('.') && !failure.message.contains('\n'), "{}", failure.message);
        }
    }

    #[test]
    fn a_wrong_region_is_told_with_the_right_one() {
        let failure = service_failure(301, "PermanentRedirect", "", Some("eu-central-1"), &place());
        assert!(
            failure.message.contains("'eu-central-1'") && failure.message.contains("'re-1'"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn a_server_in_need_is_quoted() {
        let words = "Could not reach quorum of 2 (sets: None). 1 of 3 request succeeded, others returned errors";
        let failure = service_failure(503, "ServiceUnavailable", words, None, &place());
        assert_eq!(failure.kind, ErrorKind::Transient);
        assert!(
            failure.message.contains("ho:1 failed: ServiceUnavailable, Could not reach quorum"),
            "{}",
            failure.message
        );
        let bare = service_failure(503, "", "", None, &place());
        assert_eq!(bare.message, "ho:1 failed: HTTP status 503");
        let busy = service_failure(503, "SlowDown", "Please reduce your request rate.", None, &place());
        assert_eq!(busy.message, "ho:1 asks to slow down (SlowDown)");
    }

    #[test]
    fn long_words_are_cut() {
        let failure = service_failure(400, "Odd", &"ü".repeat(10_000), None, &place());
        assert!(failure.message.chars().count() < 300);
    }
}
