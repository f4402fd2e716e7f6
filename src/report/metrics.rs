//! The state of all jobs as metrics for Prometheus, in its text format. A job that did not run this time keeps what its last run
//! said; one that the last runs do not know any more is gone.

use super::{JobRecord, RunRecord, RunStatus, View, words};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A job that so many runs neither ran nor left out has gone from the config.
const FORGOTTEN_AFTER: usize = 30;

/// The metrics, or nothing if there is no run to tell of. Of a test the last true runs are told.
pub(super) fn render(view: &View<'_>) -> Option<String> {
    let mut runs: Vec<&RunRecord> = view.history.iter().collect();
    if !view.is_test {
        runs.push(view.record);
    }
    let last = runs.last()?;
    let mut out = Text { config: quoted(&last.config), ..Text::default() };
    run_metrics(&mut out, last);
    job_metrics(&mut out, &known_jobs(&runs));
    Some(out.text)
}

fn run_metrics(out: &mut Text, run: &RunRecord) {
    let sums = words::sums(run);
    let is_good = u64::from(run.status == RunStatus::Success);
    out.of_run(
        "ssb_last_run_timestamp_seconds",
        "When the last run ended, in seconds since 1970.",
        &seconds(run.ended),
    );
    out.of_run("ssb_last_run_success", "Whether the last run did all that was to be done.", &is_good.to_string());
    out.of_run("ssb_last_run_duration_seconds", "How long the last run took.", &thousandth(run.duration_ms()));
    out.of_run("ssb_last_run_errors", "Errors of the last run.", &words::run_errors(run).to_string());
    out.of_run("ssb_last_run_jobs", "Jobs of the last run.", &run.jobs.len().to_string());
    out.of_run("ssb_last_run_bytes", "Content of all jobs of the last run.", &sums.bytes.to_string());
    out.of_run("ssb_last_run_new_bytes", "Content that the repository did not have.", &sums.new_bytes.to_string());
    out.of_run(
        "ssb_last_run_stored_bytes",
        "What the last run added to the repository.",
        &sums.stored_bytes.to_string(),
    );
    out.of_run("ssb_last_run_requests", "Requests of the last run to the store.", &run.requests.requests().to_string());
}

/// What the last runs say of one job.
struct Known<'a> {
    last: &'a JobRecord,
    last_success: Option<Timestamp>,
}

fn known_jobs<'a>(runs: &[&'a RunRecord]) -> BTreeMap<&'a str, Known<'a>> {
    let mut known: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    for job in runs.iter().flat_map(|run| &run.jobs) {
        let before = known.get(job.name.as_str()).and_then(|known| known.last_success);
        let success = job.status.is_good().then_some(job.ended).or(before);
        known.insert(&job.name, Known { last: job, last_success: success });
    }
    let recent = &runs[runs.len().saturating_sub(FORGOTTEN_AFTER)..];
    let is_named = |name: &str| {
        let of_jobs = recent.iter().flat_map(|run| &run.jobs).any(|job| job.name == name);
        of_jobs || recent.iter().flat_map(|run| &run.skipped).any(|skipped| skipped.name == name)
    };
    known.retain(|name, _| is_named(name));
    known
}

fn job_metrics(out: &mut Text, known: &BTreeMap<&str, Known<'_>>) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&Known<'_>) -> Option<String>| {
        out.head(name, help);
        for (job, known) in known {
            if let Some(value) = value(known) {
                out.sample(name, &[("name", job)], &value);
            }
        }
    };
    each("ssb_job_last_run_timestamp_seconds", "When the job last ended, in seconds since 1970.", &|known| {
        Some(seconds(known.last.ended))
    });
    each("ssb_last_success_timestamp_seconds", "When the job last ended well, in seconds since 1970.", &|known| {
        known.last_success.map(seconds)
    });
    each("ssb_job_success", "Whether the job ended well when it last ran.", &|known| {
        Some(u64::from(known.last.status.is_good()).to_string())
    });
    each("ssb_job_duration_seconds", "How long the job took when it last ran.", &|known| {
        Some(thousandth(known.last.duration_ms()))
    });
    each("ssb_job_errors", "Errors of the job when it last ran.", &|known| {
        Some(words::job_errors(known.last).to_string())
    });
    type Figure = fn(&JobRecord) -> u64;
    let totals: [(&str, &str, Figure); 4] = [
        ("ssb_job_files", "Files of the job.", |job| job.totals.files),
        ("ssb_job_bytes", "Content of the job.", |job| job.totals.bytes),
        ("ssb_job_new_bytes", "Content of the job that the repository did not have.", |job| job.totals.new_bytes),
        ("ssb_job_stored_bytes", "What the job added to the repository.", |job| job.totals.stored_bytes),
    ];
    for (name, help, value) in totals {
        each(name, help, &|known| Some(value(known.last).to_string()));
    }
    out.head("ssb_job_status", "1 for the status that the job had when it last ran, 0 for all others.");
    for (job, known) in known {
        for status in words::JOB_STATUSES {
            let labels = [("name", *job), ("status", status.word())];
            out.sample("ssb_job_status", &labels, if known.last.status == status { "1" } else { "0" });
        }
    }
}

/// The text so far.
#[derive(Default)]
struct Text {
    text: String,
    /// Label of all: two configs of a host may write two files, and no sample may be there twice.
    config: String,
}

impl Text {
    fn head(&mut self, name: &str, help: &str) {
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let labels: String = labels.iter().map(|(label, value)| format!(",{label}=\"{}\"", quoted(value))).collect();
        self.text.push_str(&format!("{name}{{config=\"{}\"{labels}}} {value}\n", self.config));
    }

    fn of_run(&mut self, name: &str, help: &str, value: &str) {
        self.head(name, help);
        self.sample(name, &[], value);
    }
}

fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(time: Timestamp) -> String {
    time.as_second().to_string()
}

fn thousandth(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Where a Pushgateway keeps the metrics of a host.
pub(super) fn push_url(gateway: &str, host: &str) -> String {
    let encoded: String = host
        .bytes()
        .map(|byte| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "-_.~".contains(c) => c.to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("{}/metrics/job/ssb/instance/{encoded}", gateway.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{JobStatus, Skipped, sample};
    use jiff::SignedDuration;

    fn value<'t>(text: &'t str, start: &str) -> Option<&'t str> {
        text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.rsplit(' ').next().unwrap())
    }

    const SUCCESS: &str = "ssb_last_success_timestamp_seconds{config=\"/etc/ssb/config.toml\",name=\"home\"}";

    #[test]
    fn success_moves_only_on_success() {
        let at: Timestamp = "2026-01-02T02:04:05Z".parse().unwrap();
        let first = sample::good_run(at);
        let mut second = sample::good_run(at + SignedDuration::from_hours(24));
        second.jobs[0].status = JobStatus::Failed;
        let mut third = sample::good_run(at + SignedDuration::from_hours(48));
        third.jobs.remove(0);
        let ended = first.jobs[0].ended.as_second().to_string();
        let history = [first, second];
        let text = render(&View { history: &history[..1], ..View::new(&history[1]) }).unwrap();
        assert_eq!(value(&text, SUCCESS), Some(ended.as_str()));
        assert_eq!(value(&text, "ssb_job_success{config=\"/etc/ssb/config.toml\",name=\"home\"}"), Some("0"));
        // A run without the job leaves it as it was.
        let text = render(&View { history: &history, ..View::new(&third) }).unwrap();
        assert_eq!(value(&text, SUCCESS), Some(ended.as_str()));
        assert_eq!(value(&text, "ssb_last_run_jobs{"), Some("1"));
        // A test tells of the true runs.
        let test = View { history: &history, is_test: true, ..View::new(&third) };
        assert_eq!(value(&render(&test).unwrap(), "ssb_last_run_jobs{"), Some("2"));
        assert_eq!(render(&View { is_test: true, ..View::new(&third) }), None);
    }

    #[test]
    fn jobs_that_are_gone_are_forgotten() {
        let at: Timestamp = "2026-01-02T02:04:05Z".parse().unwrap();
        let mut without = sample::good_run(at);
        without.jobs.remove(0);
        let mut history = vec![sample::good_run(at)];
        history.extend(vec![without.clone(); FORGOTTEN_AFTER]);
        assert_eq!(value(&render(&View { history: &history, ..View::new(&without) }).unwrap(), SUCCESS), None);
        without.skipped = vec![Skipped { name: "home".to_owned(), why: "not due".to_owned() }];
        assert!(value(&render(&View { history: &history, ..View::new(&without) }).unwrap(), SUCCESS).is_some());
    }

    #[test]
    fn hosts_are_encoded() {
        assert_eq!(push_url("http://push:9091/", "a b/c"), "http://push:9091/metrics/job/ssb/instance/a%20b%2Fc");
    }
}
