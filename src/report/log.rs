//! The log of runs: files that roll, as a layer of the program's tracing, and what is logged of a finished run. Does not install the
//! layer.

use super::{JobRecord, JobStatus, Mask, RunRecord, RunStatus, words};
use crate::config::{Log, LogFormat, LogLevel, Rotation};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{self, RollingFileAppender};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

const PREFIX: &str = "ssb";
const SUFFIX: &str = "log";
/// Of each job; the record has them all.
const MOST_ISSUES: usize = 100;

/// A layer that writes to the files of the config, with all that `mask` knows or will know hidden; `None` if the config
/// names no folder. Lines are written at once, so nothing is lost however the program ends.
///
/// # Errors
/// A sentence that names the folder.
pub fn layer<S>(settings: &Log, mask: &Mask) -> Result<Option<Box<dyn Layer<S> + Send + Sync>>, String>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let Some(folder) = &settings.folder else { return Ok(None) };
    let named = |e: &dyn std::fmt::Display| format!("no log can be written to {}: {e}", folder.display());
    fs::create_dir_all(folder).map_err(|e| named(&e))?;
    let rotation = match settings.rotation {
        Rotation::Hourly => rolling::Rotation::HOURLY,
        Rotation::Daily => rolling::Rotation::DAILY,
        Rotation::Weekly => rolling::Rotation::WEEKLY,
        Rotation::Never => rolling::Rotation::NEVER,
    };
    let files = RollingFileAppender::builder().rotation(rotation).filename_prefix(PREFIX).filename_suffix(SUFFIX);
    let files = files.build(folder).map_err(|e| named(&e))?;
    remove_old(folder, settings.keep).map_err(|e| named(&e))?;
    let writer = MaskedFiles { files, mask: mask.clone() };
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    let filter = Targets::new().with_target("ssb", level);
    Ok(Some(match settings.format {
        LogFormat::Human => layer.with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    }))
}

/// Leaves the newest `keep` files: the appender's own way would take any file that begins and ends like ours.
fn remove_old(folder: &Path, keep: usize) -> io::Result<()> {
    let names = fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_ours(name)).collect();
    names.sort();
    for name in names.iter().take(names.len().saturating_sub(keep.max(1))) {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    ["ssb.0000-00-00.log", "ssb.0000-00-00-00.log"].iter().any(|shape| words::has_shape(name, shape))
}

struct MaskedFiles {
    files: RollingFileAppender,
    mask: Mask,
}

struct MaskedFile<'a> {
    file: rolling::RollingWriter<'a>,
    mask: &'a Mask,
}

impl<'a> MakeWriter<'a> for MaskedFiles {
    type Writer = MaskedFile<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedFile { file: self.files.make_writer(), mask: &self.mask }
    }
}

impl Write for MaskedFile<'_> {
    /// Takes all: the layer hands over whole lines, and only in whole ones a secret is found.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(self.mask.hide(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Logs what came of a run as a whole, its jobs having been logged each in its time.
pub fn log_run(record: &RunRecord) {
    record.warnings.iter().for_each(|warning| tracing::warn!(warning, "worth knowing"));
    record.errors.iter().for_each(|error| tracing::error!(error, "the run had an error"));
    for skipped in &record.skipped {
        tracing::info!(job = skipped.name, why = skipped.why, "left out");
    }
    if let Some(prune) = &record.prune {
        let result = words::prune(prune);
        match prune.error {
            None => tracing::info!(result, "pruned"),
            Some(_) => tracing::error!(result, "the prune failed"),
        }
    }
    let (status, outcome) = (record.status.word(), words::outcome(record));
    let sums = words::sums(record);
    let (begun, ended) = (record.begun.to_string(), record.ended.to_string());
    macro_rules! ended {
        ($level:ident) => {
            tracing::$level!(
                status,
                outcome,
                begun,
                ended,
                duration_ms = record.duration_ms(),
                jobs = record.jobs.len(),
                bytes = sums.bytes,
                new_bytes = sums.new_bytes,
                stored_bytes = sums.stored_bytes,
                errors = words::run_errors(record),
                requests = record.requests.requests(),
                exit_code = record.exit_code,
                "run ended"
            )
        };
    }
    match record.status {
        RunStatus::Success => ended!(info),
        RunStatus::Incomplete | RunStatus::Interrupted => ended!(warn),
        RunStatus::Failed => ended!(error),
    }
}

/// Logs that a job begins.
pub fn log_start(name: &str, policy: Option<&str>) {
    tracing::info!(job = name, policy, "job started");
}

/// Logs a job that has ended: what it did, and each error.
pub fn log_job(job: &JobRecord) {
    let (name, status) = (job.name.as_str(), job.status.word());
    let (begun, ended) = (job.begun.to_string(), job.ended.to_string());
    for issue in job.issues.iter().take(MOST_ISSUES) {
        let (subject, what) = (issue.subject.as_str(), issue.what.as_str());
        match issue.code.is_notice() {
            true => tracing::info!(job = name, subject, what, "noticed"),
            false => tracing::warn!(job = name, subject, what, "left out or uncertain"),
        }
    }
    if job.issues.len() > MOST_ISSUES {
        tracing::warn!(job = name, more = job.issues.len() - MOST_ISSUES, "more issues are not logged");
    }
    for failure in &job.hook_failures {
        tracing::error!(job = name, hook = failure.hook, error = failure.error, "a hook failed");
    }
    if let Some(error) = job.retention.as_ref().and_then(|retention| retention.error.as_ref()) {
        tracing::error!(job = name, error, "the retention failed");
    }
    let totals = &job.totals;
    macro_rules! ended {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                job = name,
                status,
                begun,
                ended,
                duration_ms = job.duration_ms(),
                files = totals.files,
                bytes = totals.bytes,
                new_bytes = totals.new_bytes,
                stored_bytes = totals.stored_bytes,
                bytes_per_s = words::bytes_per_s(totals.bytes, job.duration_ms()),
                snapshot = job.snapshot,
                tries = job.tries,
                error = job.error,
                stderr = job.stderr,
                $message
            )
        };
    }
    match job.status {
        JobStatus::Success | JobStatus::Unchanged => ended!(info, "job succeeded"),
        JobStatus::Incomplete | JobStatus::Interrupted => ended!(warn, "job is not complete"),
        JobStatus::Failed | JobStatus::Refused => ended!(error, "job failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretText;
    use crate::report::sample;
    use tracing_subscriber::layer::SubscriberExt;

    fn logged(settings: &Log, record: &RunRecord, mask: &Mask) -> Vec<String> {
        let subscriber = tracing_subscriber::registry().with(layer(settings, mask).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            for job in &record.jobs {
                log_start(&job.name, job.policy.as_deref());
                log_job(job);
            }
            log_run(record);
        });
        let folder = settings.folder.as_ref().unwrap();
        let mut text = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if is_ours(entry.file_name().to_str().unwrap()) {
                text.push_str(&fs::read_to_string(entry.path()).unwrap());
            }
        }
        text.lines().map(str::to_owned).collect()
    }

    fn run() -> RunRecord {
        sample::run("2026-01-02T02:04:05Z".parse().unwrap())
    }

    #[test]
    fn each_job_is_logged_with_its_figures() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Log { folder: Some(folder.path().join("log")), format: LogFormat::Json, ..Log::default() };
        let lines = logged(&settings, &run(), &Mask::default());
        let parsed: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let find = |message: &str, job: &str| {
            parsed
                .iter()
                .find(|line| line["message"] == message && line["job"] == job)
                .unwrap_or_else(|| panic!("{job}"))
        };
        let home = find("job succeeded", "home");
        assert_eq!((&home["bytes"], &home["duration_ms"]), (&61_204_118_733_u64.into(), &95_400.into()));
        assert_eq!(home["bytes_per_s"], 641_552_607);
        assert_eq!((&home["level"], &home["begun"]), (&"INFO".into(), &"2026-01-02T02:04:06Z".into()));
        assert!(home["timestamp"].as_str().unwrap().ends_with('Z'));
        let database = find("job failed", "database");
        assert!(database["stderr"].as_str().unwrap().contains("starting up") && database["level"] == "ERROR");
        assert_eq!(find("job started", "etc")["policy"], "nightly");
        assert_eq!(parsed.last().unwrap()["message"], "run ended");
    }

    #[test]
    fn a_line_is_a_line_and_secrets_and_lower_levels_stay_out() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Log { folder: Some(folder.path().to_owned()), level: LogLevel::Error, ..Log::default() };
        let mask = Mask::default();
        let mut record = run();
        record.jobs[3].stderr = Some("login with hunter2\u{1b}[2J\nfailed".to_owned());
        record.errors.push("hunter2".to_owned());
        mask.add(&SecretText::new("hunter2".to_owned()));
        let lines = logged(&settings, &record, &mask);
        assert!(lines.iter().all(|line| line.contains("ERROR") && !line.contains("hunter2")), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("login with ***")), "{lines:?}");
        // The run's own error, a hook, the database, the entry that was refused.
        assert_eq!(lines.len(), 4, "{lines:?}");
    }

    #[test]
    fn only_our_old_files_go() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ssb.2020-01-01.log", "ssb.2020-01-02.log", "ssb.2020-01-03-07.log", "ssb-mine.log", "ssb.log"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let settings = Log { folder: Some(folder.path().to_owned()), keep: 2, ..Log::default() };
        for _ in 0..2 {
            logged(&settings, &run(), &Mask::default());
            let mut left: Vec<String> =
                fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            left.sort();
            assert_eq!(left.len(), 4, "{left:?}");
            assert_eq!((left[0].as_str(), left[1].as_str()), ("ssb-mine.log", "ssb.2020-01-03-07.log"));
        }
    }
}
