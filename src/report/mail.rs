//! The run as one mail, and the way it takes: text and HTML that mail programs understand, by SMTP.

use super::attempt::{Fault, attempt};
use super::{JobRecord, RunRecord, View, text, words};
use crate::base::Pacer;
use crate::base::text::{human_bytes, human_duration};
use crate::config::{Email, Encryption};
use crate::crypto::SecretText;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};
use sailfish::Template;
use std::time::{Duration, SystemTime};

/// Of each step of the conversation.
const TIMEOUT: Duration = Duration::from_secs(30);
const MOST_ISSUES: usize = 20;
const MOST_STDERR_BYTES: usize = 4096;

/// Who is told of the run, each once.
pub(super) fn recipients(settings: &Email, view: &View<'_>) -> Vec<String> {
    let by_outcome = if view.record.has_errors() { &settings.on_error } else { &settings.on_success };
    let others: &[String] = if view.is_test { &settings.on_success } else { &[] };
    let mut out: Vec<String> = Vec::new();
    for address in by_outcome.iter().chain(others).chain(&settings.always) {
        if !out.iter().any(|known| known.eq_ignore_ascii_case(address)) {
            out.push(address.clone());
        }
    }
    out
}

/// Sends one mail to all; if the server refuses it, to each by itself, so that a wrong address does not keep the others from
/// being told.
pub(super) fn send(
    settings: &Email,
    password: Option<&SecretText>,
    to: &[String],
    view: &View<'_>,
    pacer: &dyn Pacer,
) -> Result<(), String> {
    let transport = transport(settings, password, &view.record.host)?;
    let one_mail = |to: &[String]| {
        let mail = message(settings, to, view)?;
        let place = &settings.host;
        attempt(pacer, || transport.send(&mail).map(drop).map_err(|error| fault(place, &error)))
    };
    let refused = match one_mail(to) {
        Err(refused) if to.len() > 1 => refused,
        other => return other,
    };
    let failed: Vec<String> = to
        .iter()
        .filter_map(|address| one_mail(std::slice::from_ref(address)).err().map(|e| format!("{address}: {e}")))
        .collect();
    match failed.len() {
        0 => Ok(()),
        all if all == to.len() => Err(refused),
        _ => Err(failed.join("; ")),
    }
}

fn transport(settings: &Email, password: Option<&SecretText>, host: &str) -> Result<SmtpTransport, String> {
    let server = settings.host.as_str();
    let tls = || {
        let distrust = |e| format!("encryption could not be set up for {server}: {e}");
        TlsParameters::new(server.to_owned()).map_err(distrust)
    };
    let (tls, port) = match settings.encryption {
        Encryption::Starttls => (Tls::Required(tls()?), 587),
        Encryption::Tls => (Tls::Wrapper(tls()?), 465),
        Encryption::None if is_this_machine(server) => (Tls::None, 25),
        Encryption::None => {
            return Err(format!(
                "mail to {server} would go unencrypted, which is for this machine only; use starttls or tls"
            ));
        }
    };
    let mut builder =
        SmtpTransport::builder_dangerous(server).port(settings.port.unwrap_or(port)).tls(tls).timeout(Some(TIMEOUT));
    if is_domain(host) {
        builder = builder.hello_name(ClientId::Domain(host.to_owned()));
    }
    if let Some(user) = &settings.user {
        let password = password.map(|secret| secret.expose().to_owned()).unwrap_or_default();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn is_this_machine(server: &str) -> bool {
    server == "localhost" || server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_domain(host: &str) -> bool {
    let fits = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    host.split('.').all(fits)
}

/// Words for an error of the conversation; lettre's own say too little of an address and too much of its insides.
fn fault(server: &str, error: &lettre::transport::smtp::Error) -> Fault {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        let more = deeper.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = deeper.source();
    }
    let words = words::line(&words, 300);
    if error.is_permanent() {
        return Fault::Lasting(format!("{server} refused the mail: {words}"));
    }
    if error.is_client() {
        return Fault::Lasting(format!("{server} cannot take the mail: {words}"));
    }
    // A handshake that fails in the middle of a conversation counts as one of the network there.
    if error.is_tls() || words.contains("certificate") {
        return Fault::Lasting(format!("{server} could not be trusted: {words}"));
    }
    if error.is_transient() {
        return Fault::Passing(format!("{server} could not take the mail now: {words}"));
    }
    Fault::Passing(format!("{server} could not be reached: {words}"))
}

fn message(settings: &Email, to: &[String], view: &View<'_>) -> Result<Message, String> {
    let mailbox = |address: &str| -> Result<Mailbox, String> {
        address.parse().map_err(|e| format!("'{}' is no mail address: {e}", words::line(address, 100)))
    };
    let subject = words::view_subject(view);
    let mut builder = Message::builder()
        .from(mailbox(&settings.from)?)
        .subject(&subject)
        .date(SystemTime::from(view.record.ended))
        .message_id(Some(message_id(view.record, to)))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    for address in to {
        builder = builder.to(mailbox(address)?);
    }
    let html = html(view, subject).map_err(|e| format!("the mail could not be written: {e}"))?;
    builder
        .multipart(MultiPart::alternative_plain_html(text::render(view), html))
        .map_err(|e| format!("the mail could not be written: {e}"))
}

/// The same for each try of one mail, so that who gets it twice sees it once.
fn message_id(record: &RunRecord, to: &[String]) -> String {
    let about = format!("{}\n{}\n{}", record.host, record.config, to.join("\n"));
    let digest = blake3::hash(about.as_bytes()).to_hex();
    let host = if is_domain(&record.host) { record.host.as_str() } else { "localhost" };
    format!("<ssb.{}.{}@{host}>", record.begun.as_nanosecond(), &digest[..16])
}

#[derive(Template)]
#[template(path = "mail.stpl")]
struct Page<'a> {
    record: &'a RunRecord,
    subject: String,
    headline: String,
    color: &'static str,
    begun: String,
    duration: String,
    jobs: Vec<Row<'a>>,
    link: Option<&'a str>,
}

struct Row<'a> {
    name: &'a str,
    status: &'static str,
    color: &'static str,
    figures: String,
    complaint: Option<String>,
    stderr: Option<&'a str>,
    issues: Vec<String>,
    more_issues: usize,
}

fn color(tone: &str) -> &'static str {
    match tone {
        "ok" => "#2a7346",
        "warn" => "#8f5f00",
        _ => "#b3261e",
    }
}

fn html(view: &View<'_>, subject: String) -> Result<String, sailfish::RenderError> {
    let record = view.record;
    let headline = words::capital(&words::outcome(record));
    let mut jobs: Vec<&JobRecord> = record.jobs.iter().collect();
    // What asks for attention first.
    jobs.sort_by_key(|job| job.status.is_good());
    let page = Page {
        record,
        subject,
        headline: if view.is_test { format!("Test: {headline}") } else { headline },
        color: color(words::tone(record)),
        begun: words::moment(record.begun, &words::zone(record)),
        duration: human_duration(record.duration_ms()),
        jobs: jobs.into_iter().map(row).collect(),
        link: view.link,
    };
    page.render()
}

fn row(job: &JobRecord) -> Row<'_> {
    let totals = &job.totals;
    let is_good = job.status.is_good();
    let sizes = [(totals.bytes, "in all"), (totals.new_bytes, "new"), (totals.stored_bytes, "stored")];
    let sizes =
        sizes.iter().filter(|(bytes, _)| *bytes > 0).map(|(bytes, what)| format!("{} {what}", human_bytes(*bytes)));
    let figures: Vec<String> = sizes.chain([human_duration(job.duration_ms())]).collect();
    let issues = if is_good { &[][..] } else { &job.issues[..] };
    Row {
        name: &job.name,
        status: job.status.word(),
        color: color(words::job_tone(job.status)),
        figures: if job.tries == 0 { String::new() } else { figures.join(" · ") },
        complaint: (!is_good).then(|| words::complaint(job)),
        stderr: job.stderr.as_deref().map(|text| words::tail(text, MOST_STDERR_BYTES)).filter(|text| !text.is_empty()),
        issues: issues.iter().take(MOST_ISSUES).map(ToString::to_string).collect(),
        more_issues: issues.len().saturating_sub(MOST_ISSUES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn everybody_is_told_once_and_of_what_was_asked() {
        let at = "2026-01-02T02:04:05Z".parse().unwrap();
        let list = |addresses: &[&str]| addresses.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
        let settings = Email {
            host: "localhost".to_owned(),
            port: None,
            encryption: Encryption::None,
            user: None,
            password: None,
            from: "ssb@example.com".to_owned(),
            on_error: list(&["a@example.com", "b@example.com"]),
            on_success: list(&["c@example.com"]),
            always: list(&["A@example.com"]),
        };
        let (bad, good) = (sample::run(at), sample::good_run(at));
        assert_eq!(recipients(&settings, &View::new(&bad)), ["a@example.com", "b@example.com"]);
        assert_eq!(recipients(&settings, &View::new(&good)), ["c@example.com", "A@example.com"]);
        let test = View { is_test: true, ..View::new(&bad) };
        assert_eq!(recipients(&settings, &test), ["a@example.com", "b@example.com", "c@example.com"]);
        let once = message_id(&bad, &list(&["a@example.com"]));
        assert_eq!(once, message_id(&bad, &list(&["a@example.com"])));
        assert!(once.ends_with("@db-1>") && once != message_id(&bad, &list(&["b@example.com"])));
    }

    #[test]
    fn the_html_is_escaped_and_loads_nothing() {
        let mut record = sample::run("2026-01-02T02:04:05Z".parse().unwrap());
        record.jobs[3].name = "<script>alert(1)</script>".to_owned();
        record.jobs[1].issues[0].subject = "/<img src=x>".to_owned();
        let html = html(&View::new(&record), "s".to_owned()).unwrap();
        assert!(html.contains("&lt;script&gt;") && html.contains("/&lt;img"));
        for bad in ["<script", "<img", "http://", "https://", "url("] {
            assert!(!html.contains(bad), "{bad}");
        }
    }

    #[test]
    fn mail_leaves_this_machine_only_encrypted() {
        for (server, is_here) in [("localhost", true), ("127.0.0.1", true), ("::1", true), ("mail.example.com", false)]
        {
            assert_eq!(is_this_machine(server), is_here, "{server}");
        }
        assert!(is_domain("db-1.example.com") && !is_domain("db 1") && !is_domain("a..b") && !is_domain(""));
    }
}
