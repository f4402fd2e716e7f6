//! Reports at their receivers: every channel against a real one on loopback.

mod support;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ssb::config::Reports;
use ssb::report::{Courier, Delivery, Mask, RunRecord, sample};
use support::canned::{CannedServer, reply};
use support::outbox::{NoWait, deliver, deliver_masked, failure, of, reports, resolve};

fn at() -> Timestamp {
    "2026-01-02T02:04:05Z".parse().unwrap()
}

fn bad() -> RunRecord {
    sample::run(at())
}

fn good() -> RunRecord {
    sample::good_run(at())
}

fn quiet() -> RunRecord {
    RunRecord { jobs: Vec::new(), ..good() }
}

fn ok() -> CannedServer {
    CannedServer::start(|_| reply("200 OK", "", "ok"))
}

/// The first lines of the requests.
fn lines(server: &CannedServer) -> Vec<String> {
    server.seen().iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
}

#[test]
fn slack_gets_a_message_of_runs_with_errors() {
    let server = ok();
    let settings = reports(&format!("slack.webhook = '{}/services/t0/b0/x'", server.endpoint()));
    assert_eq!(of(&deliver(&settings, &bad(), &[]), "slack"), &Delivery::Delivered);
    assert!(matches!(of(&deliver(&settings, &good(), &[]), "slack"), Delivery::LeftOut(_)));
    assert_eq!(lines(&server), ["post /services/t0/b0/x http/1.1"]);
    let message: serde_json::Value = serde_json::from_str(&server.bodies()[0]).unwrap();
    assert_eq!(message["text"], "ssb: 2 of 5 failed, 1 incomplete on db-1: photos, database, etc");
    let details = message["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(details.contains("• database failed: the command ended with exit code 1"), "{details}");
}

#[test]
fn a_webhook_gets_the_record_with_its_headers() {
    let server = ok();
    let url = server.endpoint();
    let settings = reports(&format!(
        "webhook = {{ url = '{url}/hook', headers = {{ Authorization = 'Bearer s3cret-token', X-Team = 'ops' }} }}"
    ));
    assert_eq!(of(&deliver(&settings, &good(), &[]), "webhook"), &Delivery::Delivered);
    let head = &server.seen()[0];
    for line in
        ["authorization: bearer s3cret-token", "x-team: ops", "content-type: application/json", "user-agent: ssb/"]
    {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(serde_json::from_str::<RunRecord>(&server.bodies()[0]).unwrap(), good());
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    for (answers, tries, is_delivered) in [
        (["503 Busy", "503 Busy", "200 OK"], 3, true),
        (["429 Slow down", "200 OK", "200 OK"], 2, true),
        (["500 Oops", "502 Oops", "503 Oops"], 3, false),
        (["403 Forbidden", "200 OK", "200 OK"], 1, false),
        (["302 Found", "200 OK", "200 OK"], 1, false),
    ] {
        let number = AtomicUsize::new(0);
        let answer =
            move |_: &str| reply(answers[number.fetch_add(1, Ordering::SeqCst).min(2)], "location: /x\r\n", "why");
        let server = CannedServer::start(answer);
        let settings = reports(&format!("webhook.url = '{}/secret-path'", server.endpoint()));
        let pacer = NoWait::default();
        let courier =
            Courier { settings: &settings, resolve: &resolve, mask: &Mask::default(), pacer: &pacer, is_test: false };
        let outcomes = courier.deliver(&bad(), &[]);
        assert_eq!((server.seen().len(), pacer.0.lock().unwrap().len()), (tries, tries - 1), "{answers:?}");
        if is_delivered {
            assert_eq!(of(&outcomes, "webhook"), &Delivery::Delivered);
        } else {
            let sentence = failure(&outcomes, "webhook");
            assert!(sentence.starts_with(server.endpoint()) && !sentence.contains("secret-path"), "{sentence}");
        }
    }
}

#[test]
fn a_channel_that_fails_hinders_no_other() {
    let server = ok();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = reports(&format!(
        "html.folder = '/dev/null/reports'
         slack.webhook = {{ env = 'SLACK_URL' }}
         webhook.url = 'http://{gone}/x'
         statsd.address = 'no port'
         prometheus = {{ textfile = '{}/no/such/ssb.prom', pushgateway = '{}' }}
         ping.url = '{}/uuid'
         email = {{ from = 'nobody', always = ['a@example.com'], encryption = 'none' }}",
        folder.path().display(),
        server.endpoint(),
        server.endpoint()
    ));
    let outcomes = deliver(&settings, &bad(), &[]);
    let channels: Vec<&str> = outcomes.iter().map(|outcome| outcome.channel).collect();
    assert_eq!(channels, ["html", "email", "slack", "webhook", "statsd", "prometheus", "pushgateway", "ping"]);
    for (channel, part) in [
        ("html", "/dev/null/reports"),
        ("email", "'nobody' is no mail address"),
        ("slack", "the variable SLACK_URL is not set"),
        ("webhook", "could not be reached"),
        ("statsd", "host:port"),
        ("prometheus", "no/such/ssb.prom"),
    ] {
        assert!(failure(&outcomes, channel).contains(part), "{channel}: {}", failure(&outcomes, channel));
    }
    assert_eq!((of(&outcomes, "pushgateway"), of(&outcomes, "ping")), (&Delivery::Delivered, &Delivery::Delivered));
}

#[test]
fn pings_tell_of_begin_and_end() {
    let server = ok();
    let settings = reports(&format!("ping.url = '{}/uuid?x=1'", server.endpoint()));
    let mask = Mask::default();
    let pacer = NoWait::default();
    let courier = Courier { settings: &settings, resolve: &resolve, mask: &mask, pacer: &pacer, is_test: false };
    assert_eq!(courier.begin("ssb 1.0").unwrap().delivery, Delivery::Delivered);
    for record in [good(), bad(), quiet()] {
        assert_eq!(of(&courier.deliver(&record, &[]), "ping"), &Delivery::Delivered);
    }
    let wanted = ["get /uuid/start?x=1", "get /uuid?x=1", "post /uuid/fail?x=1", "get /uuid?x=1"];
    assert_eq!(lines(&server), wanted.map(|line| format!("{line} http/1.1")));
    assert_eq!(server.bodies()[2], "ssb: 2 of 5 failed, 1 incomplete on db-1: photos, database, etc");
    let none = Reports::default();
    assert_eq!(Courier { settings: &none, ..courier }.begin("ssb 1.0"), None);
}

#[test]
fn a_run_that_had_nothing_to_do_is_told_to_nobody_else() {
    let server = ok();
    let folder = tempfile::tempdir().unwrap();
    let settings = reports(&format!(
        "html.folder = '{0}/html'
         webhook.url = '{1}'
         prometheus = {{ textfile = '{0}/ssb.prom', pushgateway = '{1}' }}
         email = {{ from = 'ssb@example.com', always = ['a@example.com'], encryption = 'none' }}",
        folder.path().display(),
        server.endpoint()
    ));
    let outcomes = deliver(&settings, &quiet(), &[good()]);
    assert_eq!(outcomes.len(), 5);
    assert!(outcomes.iter().all(|outcome| matches!(outcome.delivery, Delivery::LeftOut(_))), "{outcomes:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(server.seen().is_empty());
    // One that failed before its first job is no such run.
    let failed = RunRecord { status: ssb::report::RunStatus::Failed, errors: vec!["no bucket".to_owned()], ..quiet() };
    deliver(&settings, &failed, &[]);
    assert!(server.bodies().iter().any(|body| body.contains("no bucket")), "{:?}", server.bodies());
}

#[test]
fn statsd_gets_one_figure_per_datagram() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap();
    let settings = reports(&format!("statsd = {{ address = '{address}', prefix = 'ssb.' }}"));
    let receive = || {
        let mut buffer = [0; 2000];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    assert_eq!(of(&deliver(&settings, &good(), &[]), "statsd"), &Delivery::Delivered);
    let got: Vec<String> = (0..15).map(|_| receive()).collect();
    assert_eq!(got[..3], ["ssb.backup_success:1|c", "ssb.backup_duration:197400|ms", "ssb.backup_bytes:69614341737|g"]);
    assert!(got.contains(&"ssb.backup_job.mail.success:1|c".to_owned()), "{got:?}");
    deliver_masked(&settings, &bad(), &[], &Mask::default(), true);
    assert_eq!(receive(), "ssb.backup_test:1|c");
    deliver(&settings, &bad(), &[]);
    assert_eq!(receive(), "ssb.backup_failure:1|c");
}

type Labels = Vec<(String, String)>;

/// Name, labels and value of each sample, after all that promtool finds fault with.
fn parse_metrics(text: &str) -> Vec<(String, Labels, f64)> {
    let mut samples = Vec::new();
    let (mut helped, mut typed): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!helped.contains(&name) && !help.is_empty(), "{line}");
            helped.push(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!((helped.last(), kind), (Some(&name), "gauge"), "{line}");
            assert!(!name.ends_with("_total") && !name.ends_with("_count"), "a gauge must not be called so: {line}");
            typed.push(name);
        } else {
            let (name, rest) = line.split_once('{').unwrap();
            assert_eq!(typed.last(), Some(&name), "samples of a name stand together: {line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && name.starts_with("ssb_"));
            let (labels, value) = rest.rsplit_once("} ").unwrap();
            samples.push((name.to_owned(), parse_labels(labels), value.parse().unwrap()));
        }
    }
    let mut keys: Vec<String> = samples.iter().map(|(name, labels, _)| format!("{name}{labels:?}")).collect();
    keys.sort();
    let all = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), all, "no sample is there twice");
    samples
}

fn parse_labels(text: &str) -> Labels {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{text}");
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    other => panic!("no such escape: {other}"),
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
    }
    labels
}

#[test]
fn metrics_are_clean_and_the_same_in_both_places() {
    let server = ok();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ssb.prom");
    let settings =
        reports(&format!("prometheus = {{ textfile = '{}', pushgateway = '{}/' }}", path.display(), server.endpoint()));
    let mut record = bad();
    record.jobs[0].name = "a \"quoted\\name\"\nof two lines, {x}".to_owned();
    let before = sample::good_run(at() - SignedDuration::from_hours(24));
    assert_eq!(of(&deliver(&settings, &record, &[before]), "prometheus"), &Delivery::Delivered);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines(&server), ["put /metrics/job/ssb/instance/db-1 http/1.1"]);
    assert_eq!(server.bodies(), std::slice::from_ref(&text));
    let samples = parse_metrics(&text);
    let value = |name: &str, labels: &[&str]| {
        let fits =
            |found: &[(String, String)]| labels.iter().all(|label| found.iter().any(|(_, value)| value == label));
        let mut found = samples.iter().filter(|(n, l, _)| n == name && fits(l)).map(|(_, _, value)| *value);
        let first = found.next();
        assert_eq!(found.next(), None, "{name} {labels:?}");
        first
    };
    let odd = record.jobs[0].name.as_str();
    assert_eq!(value("ssb_job_bytes", &[odd]), Some(61_204_118_733.0));
    assert_eq!(value("ssb_job_status", &["database", "failed"]), Some(1.0));
    assert_eq!(value("ssb_job_status", &["database", "success"]), Some(0.0));
    assert_eq!(value("ssb_last_success_timestamp_seconds", &["database"]), None);
    let ended = (at() - SignedDuration::from_hours(24)).as_second() + 1 + 95;
    assert_eq!(value("ssb_last_success_timestamp_seconds", &["home"]), Some(ended as f64));
    assert_eq!(value("ssb_last_run_success", &[]), Some(0.0));
    assert_eq!(value("ssb_last_run_duration_seconds", &[]), Some(197.4));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

#[test]
fn a_test_goes_through_every_channel_and_falsifies_no_figures() {
    let server = ok();
    let folder = tempfile::tempdir().unwrap();
    let settings = reports(&format!(
        "html.folder = '{0}/html'
         slack = {{ webhook = '{1}/slack', when = 'success' }}
         webhook = {{ url = '{1}/hook', when = 'success' }}
         prometheus.textfile = '{0}/ssb.prom'
         ping.url = '{1}/ping'",
        folder.path().display(),
        server.endpoint()
    ));
    let outcomes = deliver_masked(&settings, &bad(), &[], &Mask::default(), true);
    assert!(matches!(of(&outcomes, "prometheus"), Delivery::LeftOut(_)), "there is no run to tell of");
    for channel in ["html", "slack", "webhook", "ping"] {
        assert_eq!(of(&outcomes, channel), &Delivery::Delivered, "{channel}");
    }
    let mut seen = lines(&server);
    seen.sort();
    assert_eq!(seen, ["get /ping http/1.1", "post /hook http/1.1", "post /slack http/1.1"]);
    assert!(server.bodies().iter().any(|body| body.contains("[test] ssb: 2 of 5 failed")));
}
