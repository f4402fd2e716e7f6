//! Sends a run through every channel of the config. A channel that fails hinders no other, and none changes what came of the
//! run.

use super::attempt::{Fault, attempt};
use super::html::Pages;
use super::http::{self, Request};
use super::{Mask, RunRecord, View, files, mail, metrics, slack, statsd, words};
use crate::base::Pacer;
use crate::config::{Reports, Secret, When};
use crate::crypto::SecretText;
use std::path::Path;

const PING_URL: &str = "report.ping.url";

/// What became of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `html`, `email`, `slack`, `webhook`, `statsd`, `prometheus`, `pushgateway`, `ping`
    pub channel: &'static str,
    pub delivery: Delivery,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    /// There was nothing to tell there, and why.
    LeftOut(&'static str),
    /// Why, in one sentence without secrets.
    Failed(String),
}

/// The channels of a config, and what they need.
pub struct Courier<'a> {
    pub settings: &'a Reports,
    /// From the key of a secret and the secret to its text; a sentence if it cannot be had.
    pub resolve: &'a dyn Fn(&str, &Secret) -> Result<SecretText, String>,
    /// Learns the secrets that are resolved, and hides all it knows.
    pub mask: &'a Mask,
    pub pacer: &'a dyn Pacer,
    /// Everything is told, whatever the config says of when, and marked as a test.
    pub is_test: bool,
}

const NOT_TOLD: &str = "it is not told of such runs";

type Sending<'j> = Box<dyn FnOnce() -> Result<(), String> + Send + 'j>;

/// One channel with its secrets at hand.
type Job<'j> = (&'static str, Box<dyn FnOnce() -> Delivery + Send + 'j>);

impl Courier<'_> {
    /// Tells a service that expects a sign of life that a run begins.
    pub fn begin(&self, program: &str) -> Option<Outcome> {
        let ping = self.settings.ping.as_ref()?;
        let sent = self.secret(PING_URL, &ping.url).and_then(|url| {
            let url = with_path(url.expose(), "/start");
            let request = Request { method: "GET", url: &url, headers: Vec::new(), body: None, agent: program };
            // One try: whatever waits here holds up the backup.
            http::send(&request).map_err(|fault| match fault {
                Fault::Passing(sentence) | Fault::Lasting(sentence) => sentence,
            })
        });
        Some(self.outcome("ping", sent))
    }

    /// Tells everybody who is to be told. `history` are the runs before, oldest first: as many as there are, for metrics keep
    /// what they say of jobs that did not run this time. A run that had nothing to do is told to the ping only.
    pub fn deliver(&self, record: &RunRecord, history: &[RunRecord]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        // Secrets first: what one channel's are must not stand in what another one tells.
        let secrets = Secrets::new(self);
        let record = &self.mask.record(record);
        // Two configs may remember their runs in the same folder.
        let history: Vec<RunRecord> = history.iter().filter(|run| run.config == record.config).cloned().collect();
        let history = history.as_slice();
        let mut view = View { record, history, link: None, is_test: self.is_test };
        let is_quiet = record.is_quiet() && !self.is_test;
        let mut link = None;
        if let Some(html) = &self.settings.html {
            let pages = Pages::new(html);
            let written = if is_quiet { Err(None) } else { pages.write(&view).map_err(Some) };
            link = written.as_ref().ok().and_then(|written| pages.link(&written.page));
            outcomes.push(match written {
                Ok(_) => self.outcome("html", Ok(())),
                Err(None) => quiet("html"),
                Err(Some(sentence)) => self.outcome("html", Err(sentence)),
            });
        }
        view.link = link.as_deref();
        let jobs = self.jobs(view, &secrets);
        let broken = || Delivery::Failed("a bug in ssb stopped it; please report it".to_owned());
        let told: Vec<Outcome> = std::thread::scope(|scope| {
            let mut started = Vec::new();
            for (channel, run) in jobs {
                let is_left_out = is_quiet && channel != "ping";
                started.push((channel, (!is_left_out).then(|| scope.spawn(run))));
            }
            let end = |thread: std::thread::ScopedJoinHandle<'_, Delivery>| thread.join().unwrap_or_else(|_| broken());
            let outcome = |(channel, thread): (&'static str, Option<_>)| match thread {
                Some(thread) => Outcome { channel, delivery: end(thread) },
                None => quiet(channel),
            };
            started.into_iter().map(outcome).collect()
        });
        outcomes.extend(told);
        outcomes
    }

    fn secret(&self, key: &str, secret: &Secret) -> Result<SecretText, String> {
        let resolved = (self.resolve)(key, secret)?;
        self.mask.add(&resolved);
        Ok(resolved)
    }

    fn outcome(&self, channel: &'static str, sent: Result<(), String>) -> Outcome {
        Outcome { channel, delivery: delivery(self.mask, sent) }
    }

    /// The channels that go over a network or to other programs.
    fn jobs<'j>(&'j self, view: View<'j>, secrets: &'j Secrets) -> Vec<Job<'j>> {
        let mut jobs: Vec<Job<'j>> = Vec::new();
        let (mask, pacer) = (self.mask, self.pacer);
        let mut add = |channel: &'static str, why_not: Option<&'static str>, send: Sending<'j>| {
            let run = move || why_not.map_or_else(|| delivery(mask, send()), Delivery::LeftOut);
            jobs.push((channel, Box::new(run)));
        };
        let unless = |is_wanted: bool, why_not: &'static str| (!is_wanted).then_some(why_not);
        if let Some(settings) = &self.settings.email {
            let to = mail::recipients(settings, &view);
            let why_not = unless(!to.is_empty(), NOT_TOLD);
            let send = move || {
                let password = secrets.email_password.as_ref().map(Result::as_ref).transpose().map_err(Clone::clone)?;
                mail::send(settings, password, &to, &view, pacer)
            };
            add("email", why_not, Box::new(send));
        }
        if let Some(settings) = &self.settings.slack {
            let send = move || post_json(known(&secrets.slack)?, &[], &slack::render(&view), &view, pacer);
            add("slack", unless(wants(settings.when, &view), NOT_TOLD), Box::new(send));
        }
        if let Some(settings) = &self.settings.webhook {
            let send = move || {
                let headers = secrets.webhook_headers.as_ref().map_err(Clone::clone)?;
                post_json(known(&secrets.webhook)?, headers, view.record, &view, pacer)
            };
            add("webhook", unless(wants(settings.when, &view), NOT_TOLD), Box::new(send));
        }
        if let Some(settings) = &self.settings.statsd {
            let lines = statsd::render(&view, &settings.prefix);
            let send = move || attempt(pacer, || statsd::send(&settings.address, &lines));
            add("statsd", None, Box::new(send));
        }
        if let Some(settings) = &self.settings.prometheus {
            let text = metrics::render(&view);
            let why_not = unless(text.is_some(), "there is no run to tell of");
            let text = text.unwrap_or_default();
            if let Some(path) = &settings.textfile {
                let text = text.clone();
                add("prometheus", why_not, Box::new(move || write_textfile(path, &text)));
            }
            if settings.pushgateway.is_some() {
                add("pushgateway", why_not, Box::new(move || push(known(&secrets.pushgateway)?, &text, &view, pacer)));
            }
        }
        if self.settings.ping.is_some() {
            add("ping", None, Box::new(move || ping(known(&secrets.ping)?, &view, pacer)));
        }
        jobs
    }
}

/// Whether a channel with this setting is told of the run.
fn wants(when: When, view: &View<'_>) -> bool {
    match when {
        When::Error => view.record.has_errors() || view.is_test,
        When::Success => !view.record.has_errors() || view.is_test,
        When::Always => true,
    }
}

fn quiet(channel: &'static str) -> Outcome {
    Outcome { channel, delivery: Delivery::LeftOut("nothing was due") }
}

fn delivery(mask: &Mask, sent: Result<(), String>) -> Delivery {
    match sent {
        Ok(()) => Delivery::Delivered,
        Err(sentence) => Delivery::Failed(mask.hide(&sentence).into_owned()),
    }
}

type Resolved = Option<Result<SecretText, String>>;

/// The secrets of all channels: resolved once, on the thread that may run commands for it.
struct Secrets {
    email_password: Resolved,
    slack: Resolved,
    webhook: Resolved,
    webhook_headers: Result<Vec<(String, SecretText)>, String>,
    pushgateway: Resolved,
    ping: Resolved,
}

impl Secrets {
    fn new(courier: &Courier<'_>) -> Self {
        let settings = courier.settings;
        let resolve = |key: &str, secret: Option<&Secret>| secret.map(|secret| courier.secret(key, secret));
        let headers = settings.webhook.iter().flat_map(|webhook| &webhook.headers);
        Self {
            email_password: resolve(
                "report.email.password",
                settings.email.as_ref().and_then(|email| email.password.as_ref()),
            ),
            slack: resolve("report.slack.webhook", settings.slack.as_ref().map(|slack| &slack.webhook)),
            webhook: resolve("report.webhook.url", settings.webhook.as_ref().map(|webhook| &webhook.url)),
            webhook_headers: headers
                .map(|(name, value)| Ok((name.clone(), courier.secret("report.webhook.headers", value)?)))
                .collect(),
            pushgateway: resolve(
                "report.prometheus.pushgateway",
                settings.prometheus.as_ref().and_then(|prometheus| prometheus.pushgateway.as_ref()),
            ),
            ping: resolve(PING_URL, settings.ping.as_ref().map(|ping| &ping.url)),
        }
    }
}

/// A secret that is asked for only where the config has it.
fn known(secret: &Resolved) -> Result<&str, String> {
    match secret {
        Some(Ok(text)) => Ok(text.expose().trim()),
        Some(Err(sentence)) => Err(sentence.clone()),
        None => Err("the config does not say where to".to_owned()),
    }
}

fn post_json(
    url: &str,
    headers: &[(String, SecretText)],
    body: &impl serde::Serialize,
    view: &View<'_>,
    pacer: &dyn Pacer,
) -> Result<(), String> {
    let body = serde_json::to_vec(body).map_err(|e| e.to_string())?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.expose().trim())).collect();
    let body = Some(("application/json", body.as_slice()));
    let request = Request { method: "POST", url, headers, body, agent: &view.record.program };
    attempt(pacer, || http::send(&request))
}

fn write_textfile(path: &Path, text: &str) -> Result<(), String> {
    let named = |e| format!("the metrics could not be written to {}: {e}", path.display());
    files::replace(path, text.as_bytes(), files::SHARED).map_err(named)
}

fn push(gateway: &str, text: &str, view: &View<'_>, pacer: &dyn Pacer) -> Result<(), String> {
    let url = metrics::push_url(gateway, &view.record.host);
    let body = Some(("text/plain; version=0.0.4; charset=utf-8", text.as_bytes()));
    let request = Request { method: "PUT", url: &url, headers: Vec::new(), body, agent: &view.record.program };
    attempt(pacer, || http::send(&request))
}

fn ping(url: &str, view: &View<'_>, pacer: &dyn Pacer) -> Result<(), String> {
    let agent = &view.record.program;
    // A test is no reason to call anybody.
    if !view.record.has_errors() || view.is_test {
        let request = Request { method: "GET", url, headers: Vec::new(), body: None, agent };
        return attempt(pacer, || http::send(&request));
    }
    let (url, said) = (with_path(url, "/fail"), words::view_subject(view));
    let body = Some(("text/plain; charset=utf-8", said.as_bytes()));
    attempt(pacer, || http::send(&Request { method: "POST", url: &url, headers: Vec::new(), body, agent }))
}

/// The URL with more behind its path.
fn with_path(url: &str, more: &str) -> String {
    let url = url.trim();
    let (path, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    format!("{}{more}{query}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_stands_before_the_query() {
        assert_eq!(with_path("https://hc.example.com/uuid", "/start"), "https://hc.example.com/uuid/start");
        assert_eq!(with_path("https://hc.example.com/uuid/?a=b", "/fail"), "https://hc.example.com/uuid/fail?a=b");
    }
}
