//! The page of all pages. Reads of each only what it says of itself at its beginning.

use super::STYLE;
use crate::base::text::{human_bytes, human_duration};
use crate::report::chart::{Chart, Point};
use crate::report::{RunStatus, View, words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use sailfish::{RenderError, Template};
use serde::{Deserialize, Serialize};

const BEFORE: &str = "<meta name=\"ssb-run\" content=\"";

/// What a page tells the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Brief {
    pub begun: Timestamp,
    pub duration_ms: u64,
    pub status: RunStatus,
    pub outcome: String,
    pub host: String,
    pub bytes: u64,
    pub stored_bytes: u64,
    /// `ok`, `warn` or `bad`.
    pub tone: String,
    #[serde(default)]
    pub is_test: bool,
}

impl Brief {
    pub fn new(view: &View<'_>) -> Self {
        let sums = words::sums(view.record);
        Self {
            begun: view.record.begun,
            duration_ms: view.record.duration_ms(),
            status: view.record.status,
            outcome: words::outcome(view.record),
            host: view.record.host.clone(),
            bytes: sums.bytes,
            stored_bytes: sums.stored_bytes,
            tone: words::tone(view.record).to_owned(),
            is_test: view.is_test,
        }
    }

    /// One of ours, whatever the page says.
    fn tone(&self) -> &'static str {
        words::TONES.into_iter().find(|tone| *tone == self.tone).unwrap_or("none")
    }

    pub fn encode(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// From the beginning of a page; `None` if it says nothing, or nothing that can be read.
    pub fn find(page: &str) -> Option<Self> {
        let start = page.find(BEFORE)? + BEFORE.len();
        let encoded = page[start..].split('"').next()?;
        serde_json::from_slice(&STANDARD.decode(encoded).ok()?).ok()
    }
}

/// A page in the folder.
pub(super) struct Listed {
    /// `2026-01-02T03:04:05`, perhaps with a number behind.
    pub stamp: String,
    pub page: String,
    /// Name of the page of its errors, if there is one.
    pub errors: Option<String>,
    pub brief: Option<Brief>,
}

struct Row<'a> {
    time: String,
    page: &'a str,
    errors: Option<&'a str>,
    outcome: String,
    status: &'static str,
    tone: &'static str,
    host: &'a str,
    figures: String,
}

#[derive(Template)]
#[template(path = "index.stpl")]
struct Index<'a> {
    title: String,
    tone: &'static str,
    count: String,
    latest: Option<String>,
    charts: Vec<Chart>,
    months: Vec<(String, Vec<Row<'a>>)>,
    program: &'a str,
}

/// The index of `listed`, newest first.
pub(super) fn render(listed: &[Listed], program: &str) -> Result<String, RenderError> {
    let newest = listed.iter().find(|listed| listed.brief.as_ref().is_some_and(|brief| !brief.is_test));
    let newest = newest.or(listed.first());
    let brief = newest.and_then(|listed| listed.brief.as_ref());
    let several_hosts = listed.iter().flat_map(|listed| &listed.brief).any(|b| brief.is_some_and(|n| n.host != b.host));
    let mut months: Vec<(String, Vec<Row<'_>>)> = Vec::new();
    for listed in listed {
        let row = row(listed, several_hosts);
        let month = month(&listed.stamp);
        match months.last_mut() {
            Some((last, rows)) if *last == month => rows.push(row),
            _ => months.push((month, vec![row])),
        }
    }
    let index = Index {
        title: brief
            .map_or_else(|| "No reports yet".to_owned(), |b| format!("{} on {}", words::capital(&b.outcome), b.host)),
        tone: brief.map_or("none", Brief::tone),
        count: words::count(listed.len() as u64, "report", "reports"),
        latest: newest.map(|listed| spaced(&listed.stamp)),
        charts: charts(listed),
        months,
        program,
    };
    index.render()
}

fn row(listed: &Listed, several_hosts: bool) -> Row<'_> {
    let brief = listed.brief.as_ref();
    let status = match (brief, &listed.errors) {
        (Some(brief), _) => brief.status,
        (None, Some(_)) => RunStatus::Failed,
        (None, None) => RunStatus::Success,
    };
    let outcome = brief.map_or_else(|| "a run".to_owned(), |brief| brief.outcome.clone());
    let is_test = brief.is_some_and(|brief| brief.is_test);
    Row {
        time: day(&listed.stamp),
        page: &listed.page,
        errors: listed.errors.as_deref(),
        outcome: words::capital(&if is_test { format!("test: {outcome}") } else { outcome }),
        status: status.word(),
        tone: brief.map_or(if listed.errors.is_some() { "bad" } else { "ok" }, Brief::tone),
        host: brief.filter(|_| several_hosts).map_or("", |brief| brief.host.as_str()),
        figures: brief.map_or_else(String::new, |brief| {
            format!("{} stored · {}", human_bytes(brief.stored_bytes), human_duration(brief.duration_ms))
        }),
    }
}

fn charts(listed: &[Listed]) -> Vec<Chart> {
    let points = |value: fn(&Brief) -> u64, shown: fn(u64) -> String| -> Vec<Point> {
        let oldest_first = listed.iter().rev().filter_map(|listed| Some((listed, listed.brief.as_ref()?)));
        let runs = oldest_first.filter(|(_, brief)| !brief.is_test);
        let point = |(listed, brief): (&Listed, &Brief)| Point {
            value: value(brief),
            shown: shown(value(brief)),
            time: spaced(&listed.stamp),
            tone: brief.tone(),
        };
        runs.map(point).collect()
    };
    let stored = Chart::new("Stored", &points(|brief| brief.stored_bytes, human_bytes));
    let duration = Chart::new("Duration", &points(|brief| brief.duration_ms, human_duration));
    stored.into_iter().chain(duration).collect()
}

/// `2026-01-02 03:04` of a stamp.
fn spaced(stamp: &str) -> String {
    stamp.get(..16).unwrap_or(stamp).replace('T', " ")
}

fn date(stamp: &str) -> Option<Date> {
    stamp.get(..10)?.parse().ok()
}

/// `January 2026`
fn month(stamp: &str) -> String {
    date(stamp).map_or_else(String::new, |date| date.strftime("%B %Y").to_string())
}

/// `Fri 2, 03:04`
fn day(stamp: &str) -> String {
    let day = date(stamp).map_or_else(String::new, |date| date.strftime("%a %-d").to_string());
    format!("{day}, {}", stamp.get(11..16).unwrap_or_default())
}
