//! Policies and entries: what is backed up, when, how, and what is kept of it.

use super::values::Duration;
use crate::ops::retention::{Count, Keep, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::PathBuf;

/// What a policy says, and what an entry says otherwise. Excludes and tags of an entry are added to its policy's; of all
/// else the entry's goes before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Settings {
    /// Cron expression of five fields, or @hourly, @daily, @weekly, @monthly; without it the entry is always due.
    pub schedule: Option<String>,
    /// Whose clock and calendar the schedule and the retention mean, such as Europe/Berlin; this machine's if left out.
    pub time_zone: Option<String>,
    pub mode: Option<Mode>,
    pub when: Option<WhenChanged>,
    /// What is kept; without it everything is.
    pub retention: Option<Retention>,
    /// zstd level, from -7 (fastest) to 22 (smallest).
    #[schemars(range(min = -7, max = 22))]
    pub compression: Option<i32>,
    /// Globs of what is left out: one that begins with '/' is matched from the root, any other at every depth.
    pub exclude: Option<Vec<String>>,
    /// Whether to stay on the file systems that the paths lie on.
    pub one_file_system: Option<bool>,
    /// How long one try may take.
    pub timeout: Option<Duration>,
    /// How often it is tried again when it has failed.
    pub retries: Option<u32>,
    /// How long to wait before that.
    pub retry_wait: Option<Duration>,
    pub tags: Option<Vec<String>>,
    pub hooks: Option<Hooks>,
}

/// Something to back up: paths, or what a command prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
// Serde cannot refuse unknown keys where it flattens; the check against the schema does.
#[schemars(extend("additionalProperties" = false))]
pub struct Entry {
    /// The name of its policy.
    pub policy: Option<String>,
    /// Absolute paths, which may hold globs: '*' and '?' stay within a name, '**' crosses directories.
    pub paths: Vec<String>,
    /// A command whose standard output is the content; a line for /bin/sh, or a list of words.
    pub command: Option<Command>,
    /// With a command: the path of the content in the snapshot; the name of the entry if it is left out.
    pub filename: Option<PathBuf>,
    /// Entries of one group become one snapshot, whole or not at all.
    pub group: Option<String>,
    /// Whether runs leave it out.
    pub disabled: bool,
    #[serde(flatten)]
    pub settings: Settings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Side by side with others.
    #[default]
    Parallel,
    /// Alone: for what is large.
    Serial,
}

/// Whether a snapshot is made of what has not changed since the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenChanged {
    #[default]
    Always,
    /// Only if a name, a size, a time or a permission has.
    OnChange,
    /// Only if a content or a name has; everything is read to find out.
    OnContentChange,
}

/// What is kept; a snapshot stays if any rule keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Retention {
    /// The newest so many ('unlimited' for all).
    #[schemars(with = "Option<CountText>")]
    pub keep_last: Option<Count>,
    /// The newest of each of the last so many hours that have one.
    #[schemars(with = "Option<CountText>")]
    pub keep_hourly: Option<Count>,
    #[schemars(with = "Option<CountText>")]
    pub keep_daily: Option<Count>,
    #[schemars(with = "Option<CountText>")]
    pub keep_weekly: Option<Count>,
    #[schemars(with = "Option<CountText>")]
    pub keep_monthly: Option<Count>,
    #[schemars(with = "Option<CountText>")]
    pub keep_yearly: Option<Count>,
    /// All within this span before the newest, such as 30d or 1y6m.
    #[schemars(with = "Option<SpanText>")]
    pub keep_within: Option<Span>,
    /// One per hour within this span.
    #[schemars(with = "Option<SpanText>")]
    pub keep_within_hourly: Option<Span>,
    #[schemars(with = "Option<SpanText>")]
    pub keep_within_daily: Option<Span>,
    #[schemars(with = "Option<SpanText>")]
    pub keep_within_weekly: Option<Span>,
    #[schemars(with = "Option<SpanText>")]
    pub keep_within_monthly: Option<Span>,
    #[schemars(with = "Option<SpanText>")]
    pub keep_within_yearly: Option<Span>,
    /// Sets of tags; a snapshot with all tags of one of them stays.
    pub keep_tags: Vec<Vec<String>>,
}

/// How a [`Count`] is written.
pub struct CountText;

impl JsonSchema for CountText {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "format": "uint32", "minimum": 0 }, { "const": "unlimited" }] })
    }
}

/// How a [`Span`] is written.
pub struct SpanText;

impl JsonSchema for SpanText {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]+[ymwdh])+$", "format": "ssb-span" })
    }
}

impl From<&Retention> for Keep {
    fn from(r: &Retention) -> Self {
        Self {
            last: r.keep_last,
            hourly: r.keep_hourly,
            daily: r.keep_daily,
            weekly: r.keep_weekly,
            monthly: r.keep_monthly,
            yearly: r.keep_yearly,
            within: r.keep_within,
            within_hourly: r.keep_within_hourly,
            within_daily: r.keep_within_daily,
            within_weekly: r.keep_within_weekly,
            within_monthly: r.keep_within_monthly,
            within_yearly: r.keep_within_yearly,
            tags: r.keep_tags.clone(),
        }
    }
}

/// Commands at certain moments. They find the facts in variables of the environment that begin with `SSB_`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Hooks {
    /// First; if it fails, nothing is backed up.
    pub before: Option<Command>,
    /// When the backup has ended, whatever came of it.
    pub after: Option<Command>,
    pub on_success: Option<Command>,
    pub on_failure: Option<Command>,
    /// Last, also if `before` has failed.
    pub finally: Option<Command>,
    /// How long each may take.
    pub timeout: Option<Duration>,
}

/// A line for /bin/sh, or a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    Shell(String),
    Words(Vec<String>),
}
