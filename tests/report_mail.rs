//! Reports by mail, at a server that speaks the real protocol.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use ssb::config::Reports;
use ssb::report::{Delivery, RunRecord, sample};
use support::outbox::{deliver, failure, of, reports};
use support::smtp::{Behaviour, Mail, SmtpServer};

fn at() -> Timestamp {
    "2026-01-02T02:04:05Z".parse().unwrap()
}

fn bad() -> RunRecord {
    sample::run(at())
}

fn settings(server: &SmtpServer, more: &str) -> Reports {
    reports(&format!(
        "[email]
         host = '127.0.0.1'
         port = {}
         encryption = 'none'
         from = 'Backup <ssb@example.com>'
         {more}",
        server.port
    ))
}

fn refusing(address: &'static str, answer: &'static str, times: usize) -> SmtpServer {
    let number = AtomicUsize::new(0);
    let refuse = move |line: &str| {
        let is_meant = line.starts_with("RCPT") && line.contains(address);
        (is_meant && number.fetch_add(1, Ordering::SeqCst) < times).then(|| answer.to_owned())
    };
    SmtpServer::start(Behaviour { answer: Box::new(refuse), ..Behaviour::default() })
}

fn logins(server: &SmtpServer) -> usize {
    server.commands().iter().filter(|line| line.starts_with("AUTH")).count()
}

fn part<'p>(parts: &'p [(String, String)], kind: &str) -> &'p str {
    &parts.iter().find(|(found, _)| found.starts_with(kind)).unwrap().1
}

#[test]
fn one_mail_goes_to_all_who_are_to_be_told() {
    let server = SmtpServer::start(Behaviour::default());
    let lists = "on-error = ['ops@example.com', 'Boss <boss@example.com>']
                 on-success = ['calm@example.com']
                 always = ['log@example.com', 'OPS@example.com']";
    let settings = settings(&server, lists);
    let mut record = bad();
    record.jobs[3].name = "Datenbank-Größe <script>".to_owned();
    record.jobs[3].stderr = Some(".\n..a line that begins with dots\nlast".to_owned());
    assert_eq!(of(&deliver(&settings, &record, &[]), "email"), &Delivery::Delivered);
    assert_eq!(of(&deliver(&settings, &sample::good_run(at()), &[]), "email"), &Delivery::Delivered);
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].to, ["ops@example.com", "boss@example.com", "log@example.com"]);
    assert_eq!(mails[1].to, ["calm@example.com", "log@example.com", "OPS@example.com"]);
    assert_eq!(mails[0].from, "ssb@example.com");
    let header = |name: &str| mails[0].header(name).unwrap();
    assert!(mails[1].header("Subject").unwrap().starts_with("ssb: all 2 backed up on db-1"));
    assert!(
        header("Subject").starts_with("ssb: 2 of 5 failed, 1 incomplete on db-1: photos,"),
        "{}",
        header("Subject")
    );
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(header("Date"), "Fri, 02 Jan 2026 02:07:22 +0000");
    assert!(header("Message-ID").starts_with("<ssb.") && header("Message-ID").ends_with("@db-1>"));
    assert!(header("Content-Type").starts_with("multipart/alternative") && header("MIME-Version") == "1.0");
    let parts = mails[0].parts();
    assert_eq!(parts.len(), 2);
    let text = part(&parts, "text/plain");
    assert!(text.contains("Datenbank-Größe <script>: failed\n") && text.contains("  | ..a line that begins"), "{text}");
    let html = part(&parts, "text/html");
    assert!(html.contains("Datenbank-Größe &lt;script&gt;") && !html.contains("<script"));
    assert!(server.commands().contains(&"EHLO db-1".to_owned()), "{:?}", server.commands());
    assert!(mails[0].data.lines().all(|line| line.len() <= 998), "no line is longer than mail may have");
}

#[test]
fn who_has_to_logs_in() {
    let login = Some(("backup".to_owned(), "hunter2-mail".to_owned()));
    let server = SmtpServer::start(Behaviour { login, ..Behaviour::default() });
    let with = |password: &str| {
        settings(&server, &format!("user = 'backup'\npassword = '{password}'\nalways = ['a@example.com']"))
    };
    assert_eq!(of(&deliver(&with("hunter2-mail"), &bad(), &[]), "email"), &Delivery::Delivered);
    let user = |mail: &Mail| mail.user.clone();
    assert_eq!(server.mails().iter().map(user).collect::<Vec<_>>(), [Some("backup".to_owned())]);
    let before = logins(&server);
    let outcomes = deliver(&with("wrong-secret"), &bad(), &[]);
    let sentence = failure(&outcomes, "email");
    assert!(sentence.contains("127.0.0.1 refused") && sentence.contains("wrong name or password"), "{sentence}");
    assert!(!sentence.contains("wrong-secret"), "{sentence}");
    assert_eq!(logins(&server), before + 1, "what is refused for good is not tried again");
}

#[test]
fn a_refusal_for_now_is_tried_again() {
    let server = refusing("a@", "451 4.7.1 greylisted, come again", 2);
    let outcomes = deliver(&settings(&server, "always = ['a@example.com']"), &bad(), &[]);
    assert_eq!(of(&outcomes, "email"), &Delivery::Delivered);
    assert_eq!(server.mails().len(), 1);
    let server = refusing("a@", "451 4.7.1 greylisted, come again", 99);
    let outcomes = deliver(&settings(&server, "always = ['a@example.com']"), &bad(), &[]);
    let sentence = failure(&outcomes, "email");
    assert!(sentence.contains("greylisted, come again") && sentence.contains("tried 3 times"), "{sentence}");
    assert_eq!(server.commands().iter().filter(|line| line.starts_with("RCPT")).count(), 3);
}

#[test]
fn a_wrong_address_does_not_keep_the_others_from_being_told() {
    let server = refusing("gone@", "550 5.1.1 no such user", 99);
    let lists = "always = ['a@example.com', 'gone@example.com', 'b@example.com']";
    let outcomes = deliver(&settings(&server, lists), &bad(), &[]);
    let sentence = failure(&outcomes, "email");
    assert!(sentence.starts_with("gone@example.com: ") && sentence.contains("no such user"), "{sentence}");
    let to: Vec<String> = server.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(to, ["a@example.com", "b@example.com"]);
}

#[test]
fn mail_goes_unencrypted_to_this_machine_only() {
    let settings =
        reports("email = { host = 'mail.invalid', encryption = 'none', from = 'a@b.c', always = ['a@b.c'] }");
    let outcomes = deliver(&settings, &bad(), &[]);
    assert!(failure(&outcomes, "email").contains("for this machine only"));
}

#[test]
fn a_server_that_offers_no_encryption_gets_no_mail() {
    let server = SmtpServer::start(Behaviour::default());
    let settings = reports(&format!(
        "email = {{ host = '127.0.0.1', port = {}, encryption = 'starttls', user = 'u', password = 'pass-word', from = 'a@b.c',
                    always = ['a@b.c'] }}",
        server.port
    ));
    assert!(!failure(&deliver(&settings, &bad(), &[]), "email").contains("pass-word"));
    assert!(server.mails().is_empty() && logins(&server) == 0, "{:?}", server.commands());
}
