//! Where a run tells what came of it.

use super::values::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The log of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Log {
    /// Folder of the files; without it nothing is logged.
    pub folder: Option<PathBuf>,
    pub level: LogLevel,
    pub format: LogFormat,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// How many files stay.
    #[schemars(range(min = 1))]
    pub keep: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { folder: None, level: LogLevel::Info, format: LogFormat::Human, rotation: Rotation::Daily, keep: 14 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    Human,
    /// One JSON document per line.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    Hourly,
    Daily,
    Weekly,
    Never,
}

/// Who is told of a run, beside the log. A channel that is left out is not used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Reports {
    pub html: Option<Html>,
    pub email: Option<Email>,
    pub slack: Option<Slack>,
    pub webhook: Option<Webhook>,
    pub statsd: Option<Statsd>,
    pub prometheus: Option<Prometheus>,
    pub ping: Option<Ping>,
}

/// Of which runs somebody is told. A run that had nothing to do tells nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Those with errors.
    Error,
    /// Those without.
    Success,
    Always,
}

/// Pages in a folder that a web server shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Html {
    pub folder: PathBuf,
    /// The address of the folder, for links in messages.
    #[serde(default)]
    pub url: Option<String>,
    /// How many reports stay.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub keep: usize,
    /// How old they may become.
    #[serde(default)]
    pub max_age: Option<Duration>,
}

fn hundred() -> usize {
    100
}

/// Mail by SMTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Email {
    /// Name of the server.
    #[serde(default = "localhost")]
    pub host: String,
    /// 587 with starttls, 465 with tls, 25 with none, if it is left out.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub encryption: Encryption,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    pub from: String,
    /// Who is told of runs with errors.
    #[serde(default)]
    pub on_error: Vec<String>,
    /// Who is told of runs without.
    #[serde(default)]
    pub on_success: Vec<String>,
    /// Who is told of all.
    #[serde(default)]
    pub always: Vec<String>,
}

fn localhost() -> String {
    "localhost".to_owned()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    #[default]
    Starttls,
    Tls,
    /// Only to this machine.
    None,
}

/// A message to a Slack channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Slack {
    /// URL of the incoming webhook.
    pub webhook: Secret,
    #[serde(default = "on_error")]
    pub when: When,
}

fn on_error() -> When {
    When::Error
}

/// The record of the run, as JSON, by POST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Webhook {
    pub url: Secret,
    /// Sent with it, such as Authorization.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    #[serde(default = "always")]
    pub when: When,
}

fn always() -> When {
    When::Always
}

/// Counters and timers by UDP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Statsd {
    /// host:port
    pub address: String,
    /// Stands before every name, with a dot if one is wanted.
    #[serde(default)]
    pub prefix: String,
}

/// Metrics for Prometheus; either way, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Prometheus {
    /// A file for the textfile collector of the node exporter.
    pub textfile: Option<PathBuf>,
    /// URL of a Pushgateway.
    pub pushgateway: Option<Secret>,
}

/// A service that expects a sign of life, in the manner of healthchecks: URL/start, URL and URL/fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ping {
    pub url: Secret,
}
