//! One HTTP request with bounds. Names a server by scheme and host only: what follows may be a secret.

use super::attempt::Fault;
use super::words;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Of what a server says to explain itself.
const MOST_ANSWER_BYTES: u64 = 4096;
const MOST_ANSWER_CHARS: usize = 200;

pub(super) struct Request<'a> {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    pub url: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    /// Its type and itself.
    pub body: Option<(&'static str, &'a [u8])>,
    /// Name and version of this program.
    pub agent: &'a str,
}

/// Sends it once.
pub(super) fn send(request: &Request<'_>) -> Result<(), Fault> {
    let place = place(request.url);
    if !request.url.starts_with("https://") && !request.url.starts_with("http://") {
        return Err(Fault::lasting("the URL begins neither with https:// nor with http://"));
    }
    let mut builder = ureq::http::Request::builder().method(request.method).uri(request.url);
    for (name, value) in &request.headers {
        builder = builder.header(*name, *value);
    }
    let malformed = |_| Fault::lasting(format!("the URL or a header for {place} is malformed"));
    let agent = agent(request.agent);
    let answer = match request.body {
        Some((kind, body)) => agent.run(builder.header("content-type", kind).body(body).map_err(malformed)?),
        None => agent.run(builder.body(()).map_err(malformed)?),
    };
    let mut answer = answer.map_err(|error| fault(&place, &error))?;
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(());
    }
    let words = answer.body_mut().with_config().limit(MOST_ANSWER_BYTES).lossy_utf8(true).read_to_string();
    let words = words.map(|text| words::line(text.trim(), MOST_ANSWER_CHARS)).unwrap_or_default();
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    let sentence = format!("{place} answered {status}{said}");
    Err(match status {
        300..400 => Fault::lasting(format!("{place} answered {status}: give the URL that it redirects to")),
        408 | 425 | 429 | 500.. => Fault::Passing(sentence),
        _ => Fault::Lasting(sentence),
    })
}

fn agent(name: &str) -> Agent {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider);
    Agent::config_builder()
        .tls_config(tls.build())
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(WHOLE_TIMEOUT))
        // A redirect would carry headers, which may be secrets, to who knows where.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(name.replace(' ', "/"))
        .build()
        .into()
}

/// `https://hooks.example.com` of any URL.
pub(super) fn place(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "the server".to_owned() };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    words::line(&format!("{scheme}://{host}"), 100)
}

fn fault(place: &str, error: &Error) -> Fault {
    let passing = |what: &str| Fault::Passing(format!("{place} {what}"));
    match error {
        Error::Timeout(_) => passing("did not answer in time"),
        Error::HostNotFound => passing("was not found: its name does not resolve"),
        Error::ConnectionFailed => passing("could not be reached"),
        Error::Io(e) => passing(&format!("could not be reached: {e}")),
        Error::Tls(what) => Fault::lasting(format!("{place} could not be trusted: {what}")),
        Error::Rustls(e) => Fault::lasting(format!("{place} could not be trusted: {e}")),
        // Others may quote the URL.
        Error::BadUri(_) | Error::Http(_) => Fault::lasting(format!("the URL or a header for {place} is malformed")),
        _ => passing("did not answer as a web server does"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_and_host_are_named() {
        for (url, shown) in [
            ("https://hooks.example.com/services/T0/secret", "https://hooks.example.com"),
            ("http://me:secret@127.0.0.1:9091/x?token=secret", "http://127.0.0.1:9091"),
            ("https://example.com?secret", "https://example.com"),
            ("secret", "the server"),
        ] {
            assert_eq!(place(url), shown);
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_quoted() {
        for url in ["secret", "ftp://secret", "https://secret example/", "http://"] {
            let request = Request { method: "GET", url, headers: Vec::new(), body: None, agent: "ssb 1" };
            let Err(Fault::Lasting(sentence)) = send(&request) else { panic!("{url}") };
            assert!(!sentence.contains("ftp://secret") && sentence.contains("URL"), "{sentence}");
        }
    }
}
