//! No secret stands in anything that a run tells: every rendering is written, sent and searched.

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ssb::config::Log;
use ssb::crypto::SecretText;
use ssb::report::{Delivery, History, Mask, RunRecord, View, log_job, log_layer, log_run, sample, text};
use support::canned::{CannedServer, reply};
use support::outbox::{deliver_masked, reports};
use support::smtp::{Behaviour, SmtpServer};
use tracing_subscriber::layer::SubscriberExt;

const PASSPHRASE: &str = "correct horse/battery+staple";
const MAIL_PASSWORD: &str = "m@il \"p4ss\"";
const SLACK_PATH: &str = "services/t0aaaa/b0bbbb/slacktoken";
const HOOK_TOKEN: &str = "bearer hooktoken-0123";
const PING_UUID: &str = "0a1b2c3d-ping-uuid";

/// The forms in which a careless program would tell a secret.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let json = serde_json::to_string(secret).unwrap();
    let html = secret.replace('"', "&quot;");
    vec![
        secret.to_owned(),
        hex,
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        json.trim_matches('"').to_owned(),
        html,
    ]
}

/// A record whose texts from elsewhere are full of secrets, in every form.
fn leaky() -> RunRecord {
    let mut record = sample::run("2026-01-02T02:04:05Z".parse().unwrap());
    let all: Vec<String> =
        [PASSPHRASE, MAIL_PASSWORD, SLACK_PATH, HOOK_TOKEN, PING_UUID].iter().flat_map(|s| forms(s)).collect();
    let leak = format!("leaked: {}", all.join(" | "));
    record.errors.push(leak.clone());
    record.warnings.push(leak.clone());
    record.repository = format!("s3://bucket?{leak}");
    record.skipped[0].why = leak.clone();
    record.prune.as_mut().unwrap().error = Some(leak.clone());
    for job in &mut record.jobs {
        job.error = Some(leak.clone());
        job.stderr = Some(leak.replace(" | ", "\n"));
        job.issues.iter_mut().for_each(|issue| (issue.what, issue.next) = (leak.clone(), leak.clone()));
        job.hook_failures.iter_mut().for_each(|failure| failure.error = leak.clone());
        job.retention.iter_mut().for_each(|retention| retention.error = Some(leak.clone()));
    }
    record
}

/// All text below a folder.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(texts(&entry.path())),
            false => found.push((entry.path().display().to_string(), std::fs::read_to_string(entry.path()).unwrap())),
        }
    }
    found
}

#[test]
fn nothing_that_is_told_holds_a_secret() {
    // A server that throws back what it was given, as some do.
    let echo =
        CannedServer::start(|head| reply("400 Bad Request", "", &format!("you sent {}", head.replace('\r', ""))));
    let ok = CannedServer::start(|_| reply("200 OK", "", ""));
    let mail = SmtpServer::start(Behaviour::default());
    let statsd = UdpSocket::bind("127.0.0.1:0").unwrap();
    statsd.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    let config = |url: &str| {
        reports(&format!(
            "html.folder = '{0}/html'
             slack.webhook = '{url}/{SLACK_PATH}'
             webhook = {{ url = '{url}/hook?key=hookkey-9876', headers = {{ Authorization = '{HOOK_TOKEN}' }} }}
             statsd.address = '{1}'
             prometheus = {{ textfile = '{0}/ssb.prom', pushgateway = '{url}' }}
             ping.url = '{url}/{PING_UUID}'
             email = {{ host = '127.0.0.1', port = {2}, encryption = 'none', from = 'ssb@example.com', always = ['a@example.com'],
                        password = '{MAIL_PASSWORD}' }}",
            top.display(),
            statsd.local_addr().unwrap(),
            mail.port
        ))
    };
    let mask = Mask::new([&SecretText::new(PASSPHRASE.to_owned())]);
    let record = leaky();
    let log = Log { folder: Some(top.join("log")), ..Log::default() };
    let subscriber = tracing_subscriber::registry().with(log_layer(&log, &mask).unwrap());
    let mut told = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        for url in [ok.endpoint(), echo.endpoint()] {
            for outcome in deliver_masked(&config(url), &record, &[], &mask, false) {
                if let Delivery::Failed(sentence) = outcome.delivery {
                    told.push((outcome.channel.to_owned(), sentence));
                }
            }
        }
        // As it would be without a mask of the record itself.
        record.jobs.iter().for_each(log_job);
        log_run(&record);
    });
    assert_eq!(told.len(), 4, "those that got thrown back what they sent: {told:?}");
    let masked = mask.record(&record);
    History::new(top).keep(&masked).unwrap();
    told.push(("text".to_owned(), text::render(&View::new(&masked))));
    told.extend(texts(top));
    for mail in mail.mails() {
        told.push(("mail".to_owned(), mail.data.clone()));
        told.extend(mail.parts());
    }
    told.extend(ok.bodies().into_iter().map(|body| ("body".to_owned(), body)));
    let mut buffer = [0; 2000];
    while let Ok(len) = statsd.recv(&mut buffer) {
        told.push(("statsd".to_owned(), String::from_utf8_lossy(&buffer[..len]).into_owned()));
    }
    for kind in [
        "/html/backup-",
        "/html/error-",
        "/html/index",
        "/log/ssb.",
        "/ssb.prom",
        "/runs/",
        "text/html",
        "mail",
        "statsd",
    ] {
        assert!(told.iter().any(|(name, _)| name.contains(kind)), "{kind} was not looked at");
    }
    assert!(told.iter().filter(|(_, text)| text.contains("leaked: ***")).count() >= 8);
    let secrets = [PASSPHRASE, MAIL_PASSWORD, SLACK_PATH, HOOK_TOKEN, PING_UUID, "hookkey-9876"];
    for (name, text) in &told {
        for form in secrets.iter().flat_map(|secret| forms(secret)) {
            assert!(!text.to_lowercase().contains(&form.to_lowercase()), "{name} holds {form}:\n{text}");
        }
    }
}
