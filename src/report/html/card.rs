//! One job in the page of a run.

use crate::base::Issue;
use crate::base::text::{human_bytes, human_duration};
use crate::report::chart::{Chart, Point};
use crate::report::{JobRecord, RunRecord, words};
use jiff::tz::TimeZone;
use sailfish::Template;

/// A page with more would be no page any more; the record has them all.
const MOST_ISSUES: usize = 200;
const MOST_STDERR_BYTES: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "job.stpl")]
pub(super) struct Card<'a> {
    pub job: &'a JobRecord,
    pub zone: &'a TimeZone,
    pub anchor: String,
    pub tone: &'static str,
    pub status: &'static str,
    pub line: String,
    pub facts: Vec<(&'static str, String)>,
    pub stderr: Option<&'a str>,
    pub issues: &'a [Issue],
    pub issues_title: String,
    pub more_issues: usize,
    pub charts: Vec<Chart>,
}

impl<'a> Card<'a> {
    /// `earlier` are the runs before, oldest first.
    pub fn new(index: usize, job: &'a JobRecord, earlier: &[RunRecord], zone: &'a TimeZone) -> Self {
        let shown = job.issues.len().min(MOST_ISSUES);
        Self {
            job,
            zone,
            anchor: anchor(index),
            tone: words::job_tone(job.status),
            status: job.status.word(),
            line: line(job),
            facts: words::facts(job),
            stderr: job.stderr.as_deref().map(|text| words::tail(text, MOST_STDERR_BYTES)).filter(|t| !t.is_empty()),
            issues: &job.issues[..shown],
            issues_title: words::count(job.issues.len() as u64, "issue", "issues"),
            more_issues: job.issues.len() - shown,
            charts: charts(job, earlier, zone),
        }
    }
}

/// Where the page leads to the job.
pub(super) fn anchor(index: usize) -> String {
    format!("job-{}", index + 1)
}

fn line(job: &JobRecord) -> String {
    let mut parts = Vec::new();
    if job.is_group {
        parts.push(format!("group of {}", job.entries.join(", ")));
    }
    parts.extend(job.policy.as_ref().map(|policy| format!("policy {policy}")));
    parts.join(" · ")
}

fn charts(job: &JobRecord, earlier: &[RunRecord], zone: &TimeZone) -> Vec<Chart> {
    let before = earlier.iter().filter_map(|run| run.jobs.iter().find(|other| other.name == job.name));
    let jobs: Vec<&JobRecord> = before.chain([job]).collect();
    let points = |value: fn(&JobRecord) -> u64, shown: fn(u64) -> String| -> Vec<Point> {
        let point = |job: &&JobRecord| Point {
            value: value(job),
            shown: shown(value(job)),
            time: words::minute(job.begun, zone),
            tone: words::job_tone(job.status),
        };
        jobs.iter().map(point).collect()
    };
    let size = Chart::new("Size", &points(|job| job.totals.bytes, human_bytes));
    let duration = Chart::new("Duration", &points(JobRecord::duration_ms, human_duration));
    size.into_iter().chain(duration).collect()
}
