//! The page of one run.

use super::STYLE;
use super::card::{self, Card};
use super::index::Brief;
use crate::base::text::{human_bytes, human_duration};
use crate::report::chart::{Chart, Point};
use crate::report::{RunRecord, View, words};
use jiff::tz::TimeZone;
use sailfish::{RenderError, Template};

#[derive(Template)]
#[template(path = "run.stpl")]
struct Page<'a> {
    record: &'a RunRecord,
    /// For the index.
    brief: String,
    title: String,
    tone: &'static str,
    headline: String,
    begun: String,
    duration: String,
    tiles: Vec<(&'static str, String)>,
    /// Where the page says more, who, and what.
    wrong: Vec<(Option<String>, String, String)>,
    charts: Vec<Chart>,
    jobs: Vec<Card<'a>>,
    about: Vec<(&'static str, String)>,
    /// The name of the whole page, if this one is of the errors only.
    full: Option<&'a str>,
}

/// The page of the run, or with `full`, the name of that page, the one of its errors.
pub(super) fn render(view: &View<'_>, full: Option<&str>) -> Result<String, RenderError> {
    let record = view.record;
    let zone = words::zone(record);
    let jobs = record.jobs.iter().enumerate().filter(|(_, job)| full.is_none() || !job.status.is_good());
    let headline = words::capital(&words::outcome(record));
    let headline = if view.is_test { format!("Test: {headline}") } else { headline };
    let page = Page {
        record,
        brief: Brief::new(view).encode(),
        title: format!("{headline} on {}, {}", record.host, words::minute(record.begun, &zone)),
        tone: words::tone(record),
        headline,
        begun: record.begun.to_zoned(zone.clone()).strftime("%A, %-d %B %Y, %H:%M:%S %Z").to_string(),
        duration: human_duration(record.duration_ms()),
        tiles: tiles(record),
        wrong: wrong(record),
        charts: charts(record, view.history, &zone),
        jobs: jobs.map(|(index, job)| Card::new(index, job, view.history, &zone)).collect(),
        about: about(record, &zone),
        full,
    };
    page.render()
}

fn tiles(record: &RunRecord) -> Vec<(&'static str, String)> {
    let sums = words::sums(record);
    let good = record.jobs.iter().filter(|job| job.status.is_good()).count();
    vec![
        ("Good jobs", format!("{good} of {}", record.jobs.len())),
        ("Files", words::grouped(sums.files)),
        ("Size", human_bytes(sums.bytes)),
        ("New", human_bytes(sums.new_bytes)),
        ("Stored", human_bytes(sums.stored_bytes)),
        ("Duration", human_duration(record.duration_ms())),
    ]
}

fn wrong(record: &RunRecord) -> Vec<(Option<String>, String, String)> {
    let run = record.errors.iter().map(|error| (None, "The run".to_owned(), error.clone()));
    let jobs = record.jobs.iter().enumerate().filter(|(_, job)| !job.status.is_good());
    let jobs = jobs.map(|(index, job)| (Some(card::anchor(index)), job.name.clone(), words::complaint(job)));
    let prune = record.prune.iter().flat_map(|prune| &prune.error);
    run.chain(jobs).chain(prune.map(|error| (None, "Prune".to_owned(), error.clone()))).collect()
}

fn charts(record: &RunRecord, earlier: &[RunRecord], zone: &TimeZone) -> Vec<Chart> {
    let runs: Vec<&RunRecord> = earlier.iter().chain([record]).collect();
    let points = |value: fn(&RunRecord) -> u64, shown: fn(u64) -> String| -> Vec<Point> {
        let point = |run: &&RunRecord| Point {
            value: value(run),
            shown: shown(value(run)),
            time: words::minute(run.begun, zone),
            tone: words::tone(run),
        };
        runs.iter().map(point).collect()
    };
    let stored = Chart::new("Stored", &points(|run| words::sums(run).stored_bytes, human_bytes));
    let duration = Chart::new("Duration", &points(RunRecord::duration_ms, human_duration));
    stored.into_iter().chain(duration).collect()
}

fn about(record: &RunRecord, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let counts = &record.requests;
    let mut about = vec![
        ("Began", words::moment(record.begun, zone)),
        ("Ended", words::moment(record.ended, zone)),
        ("Host", record.host.clone()),
        ("User", record.user.clone()),
        ("Config", record.config.clone()),
        ("Repository", record.repository.clone()),
        ("Requests", words::requests(counts)),
        ("Transferred", format!("{} up, {} down", human_bytes(counts.bytes_up), human_bytes(counts.bytes_down))),
    ];
    about.extend(record.prune.as_ref().map(|prune| ("Prune", words::prune(prune))));
    about.push(("Exit code", record.exit_code.to_string()));
    about
}
