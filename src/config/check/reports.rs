//! Where a run tells what came of it: addresses that cannot be right, and secrets that would travel in the open.

use super::{Hits, Notes, not_relative};
use crate::config::words::shown;
use crate::config::{Email, Encryption, Secret};
use std::net::IpAddr;

pub fn check(notes: &mut Notes<'_>) {
    let reports = &notes.config.report;
    if let Some(html) = &reports.html {
        not_relative(notes, "report.html.folder", &html.folder);
        if let Some(url) = &html.url {
            address(notes, "report.html.url", url, false);
        }
    }
    if let Some(mail) = &reports.email {
        email(notes, mail);
    }
    let pushgateway = reports.prometheus.as_ref().and_then(|prometheus| prometheus.pushgateway.as_ref());
    let urls = [
        ("report.slack.webhook", reports.slack.as_ref().map(|slack| &slack.webhook)),
        ("report.webhook.url", reports.webhook.as_ref().map(|webhook| &webhook.url)),
        ("report.prometheus.pushgateway", pushgateway),
        ("report.ping.url", reports.ping.as_ref().map(|ping| &ping.url)),
    ];
    for (key, url) in urls {
        match url {
            Some(Secret::Value(url)) => address(notes, key, url.expose(), true),
            Some(Secret::File { .. } | Secret::Command { .. } | Secret::Env { .. }) | None => {}
        }
    }
    for (key, secret) in notes.config.secrets() {
        if let Secret::File { file } = secret {
            not_relative(notes, &key, file);
        }
    }
    if let Some(statsd) = &reports.statsd {
        let parts =
            statsd.address.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if parts.is_none() {
            let what = format!("{} is no address; give host:port such as localhost:8125", shown(&statsd.address));
            notes.error("report.statsd.address", Hits::All, what);
        }
    }
    if let Some(prometheus) = &reports.prometheus {
        if let Some(textfile) = &prometheus.textfile {
            not_relative(notes, "report.prometheus.textfile", textfile);
            // The collector overlooks any other.
            if textfile.extension().is_none_or(|extension| extension != "prom") {
                notes.warn(
                    "report.prometheus.textfile",
                    Hits::All,
                    "the node exporter only reads names that end in .prom",
                );
            }
        } else if prometheus.pushgateway.is_none() {
            notes.warn("report.prometheus", Hits::All, "it says neither textfile nor pushgateway, so nobody is told");
        }
    }
}

fn email(notes: &mut Notes<'_>, mail: &Email) {
    const KEY: &str = "report.email";
    if mail.encryption == Encryption::None && !is_local(&mail.host) {
        let what =
            format!("mail to {} would travel in the open; use starttls or tls, or a server on this machine", mail.host);
        notes.error("report.email.encryption", Hits::All, what);
    }
    if mail.host.trim().is_empty() {
        notes.error("report.email.host", Hits::All, "the name of the server is empty");
    }
    if mail.user.is_some() != mail.password.is_some() {
        notes.error(KEY, Hits::All, "user and password go together: give both or neither");
    }
    let lists = [("on-error", &mail.on_error), ("on-success", &mail.on_success), ("always", &mail.always)];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        notes.warn(KEY, Hits::All, "it names nobody who is told; fill on-error, on-success or always");
    }
    let from = ("from", std::slice::from_ref(&mail.from));
    for (name, list) in lists.map(|(name, list)| (name, list.as_slice())).into_iter().chain([from]) {
        for person in list.iter().filter(|person| !is_mail_address(person)) {
            let what = format!("{} is no mail address; give one such as root@example.org", shown(person));
            notes.error(&format!("{KEY}.{name}"), Hits::All, what);
        }
    }
}

/// Roughly: `name@host`, or `Some Name <name@host>`. The mailer knows more.
fn is_mail_address(text: &str) -> bool {
    let inner =
        text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')).map_or(text.trim(), |(_, inner)| inner);
    let parts = inner.rsplit_once('@');
    !text.chars().any(char::is_control)
        && parts
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !inner.contains(char::is_whitespace))
}

/// A URL, which is itself a secret if it stands for a right to write: then it is not shown.
fn address(notes: &mut Notes<'_>, key: &str, url: &str, is_secret: bool) {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else {
        notes.error(key, Hits::All, "this is no URL; give one that begins with https://");
        return;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if name.is_empty() {
        notes.error(key, Hits::All, "this URL names no host; give one such as https://host/path");
    } else if is_secret && scheme == "http" && !is_local(name) {
        notes.warn(key, Hits::All, "what is told here travels in the open; use https:// if the server has it");
    }
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
