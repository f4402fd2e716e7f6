//! The settings of runs that nobody watches: what the config file says, as types; how it is found, read and checked. Opens
//! no repository and backs nothing up; the environment and the clock come in as arguments.

pub mod check;
mod effective;
mod entry;
pub mod explain;
pub mod find;
pub mod read;
mod report;
mod schedule;
mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod values;
mod words;

pub use effective::Effective;
pub use entry::{Command, Entry, Hooks, Mode, Retention, Settings, WhenChanged};
pub use report::{
    Email, Encryption, Html, Log, LogFormat, LogLevel, Ping, Prometheus, Reports, Rotation, Slack, Statsd, Webhook,
    When,
};
pub use schedule::{Schedule, ScheduleError, zone};
pub use schema::schema;
pub use secret::SecretError;
pub use values::{Duration, Secret};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The path of an entry, as findings and places name it.
pub fn entry_key(name: &str) -> String {
    words::join("entries", name)
}

/// The path of a policy.
pub fn policy_key(name: &str) -> String {
    words::join("policies", name)
}

/// A whole config file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Config {
    pub repository: Repository,
    pub run: Run,
    pub log: Log,
    pub report: Reports,
    pub prune: Prune,
    /// Named sets of settings, for entries to share.
    pub policies: BTreeMap<String, Settings>,
    /// What is backed up, by name.
    pub entries: BTreeMap<String, Entry>,
}

/// Where snapshots go. What an option or a variable of the environment says goes before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Repository {
    /// A path, file:///path or s3://bucket/prefix.
    #[schemars(extend("format" = "ssb-location"))]
    pub location: Option<String>,
    /// The passphrase.
    pub password: Option<Secret>,
    /// Region of the bucket.
    pub s3_region: Option<String>,
    /// URL of an S3 server that is not Amazon's.
    pub s3_endpoint: Option<String>,
    /// Whether the bucket stands in the path of URLs; true by default with an endpoint.
    pub s3_path_style: Option<bool>,
    /// Credentials, if not those that AWS tools find.
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    /// Requests at a time to a bucket.
    pub connections: Option<NonZeroUsize>,
    /// KiB per second, on average, over all requests; 0 for no limit.
    pub limit_upload: Option<u64>,
    /// KiB per second, likewise.
    pub limit_download: Option<u64>,
    /// A request to a bucket is given up, and tried again, after so long.
    pub request_timeout: Option<Duration>,
    /// Folder for local copies, which may be deleted at any time.
    pub cache_dir: Option<PathBuf>,
}

/// How runs go about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Run {
    /// Entries of mode parallel that are backed up at a time.
    pub max_parallel: NonZeroUsize,
    /// Niceness of the process, from 0 to 19, the more the more it gives way to others.
    #[schemars(range(min = 0, max = 19))]
    pub nice: i32,
    /// Name of the host in snapshots and reports; this machine's if it is left out.
    pub host: Option<String>,
    /// Folder for what runs remember: the records of the last ones, when was pruned.
    pub state_dir: Option<PathBuf>,
    /// Commands around the whole run.
    pub hooks: Hooks,
}

impl Default for Run {
    fn default() -> Self {
        Self { max_parallel: TWO, nice: 0, host: None, state_dir: None, hooks: Hooks::default() }
    }
}

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Freeing of what no snapshot needs any more, at the end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Prune {
    /// How long after the last one; without it runs never prune.
    pub every: Option<Duration>,
    /// How much may stay unused in part-used packs, in percent of what is used.
    #[schemars(range(min = 0))]
    pub max_unused_percent: f64,
}

impl Default for Prune {
    fn default() -> Self {
        Self { every: None, max_unused_percent: 5.0 }
    }
}
