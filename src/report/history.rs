//! The records of the last runs, one JSON document each, so that reports can compare. What cannot be read is passed over:
//! no run fails because of what an earlier one left.

use super::files;
use super::{RunRecord, words};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// More than a year of nightly runs.
pub const MOST_RECORDS: usize = 400;
const FORMAT: u64 = 1;
const NAME: &str = "%Y-%m-%dT%H-%M-%S.%9fZ.json";

/// The folder `runs` of a state folder.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

impl History {
    pub fn new(state_folder: &Path) -> Self {
        Self { folder: state_folder.join("runs") }
    }

    /// Keeps the record, if the run had anything to do, and lets the oldest ones go.
    ///
    /// # Errors
    /// A sentence that names the folder.
    pub fn keep(&self, record: &RunRecord) -> Result<(), String> {
        if record.is_quiet() {
            return Ok(());
        }
        self.write(record)
            .map_err(|e| format!("the record of the run could not be kept in {}: {e}", self.folder.display()))
    }

    fn write(&self, record: &RunRecord) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let json = serde_json::to_vec(record)?;
        // Two runs that begin in the same nanosecond are the same run.
        files::replace(&self.folder.join(name(record.begun)), &json, files::PRIVATE)?;
        let names = self.names();
        for name in names.iter().take(names.len().saturating_sub(MOST_RECORDS)) {
            fs::remove_file(self.folder.join(name)).ok();
        }
        Ok(())
    }

    /// The last `number` records, oldest first. Damaged ones and those of newer versions do not count.
    pub fn last(&self, number: usize) -> Vec<RunRecord> {
        let readable = self.names().into_iter().rev().filter_map(|name| self.read(&name));
        let mut records: Vec<RunRecord> = readable.take(number).collect();
        records.reverse();
        records
    }

    fn read(&self, name: &str) -> Option<RunRecord> {
        #[derive(serde::Deserialize)]
        struct Version {
            format: u64,
        }
        let path = self.folder.join(name);
        let bytes = fs::read(&path).ok()?;
        let read = serde_json::from_slice::<Version>(&bytes).map(|version| version.format);
        if read.as_ref().is_ok_and(|format| *format > FORMAT) {
            return None;
        }
        let record = read.and_then(|_| serde_json::from_slice(&bytes));
        let tell =
            |error: &_| tracing::debug!(path = %path.display(), %error, "passing over a record that does not parse");
        record.inspect_err(tell).ok()
    }

    /// Names of records, oldest first.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_ours(name)).collect();
        names.sort();
        names
    }
}

fn name(begun: Timestamp) -> String {
    begun.to_zoned(TimeZone::UTC).strftime(NAME).to_string()
}

fn is_ours(name: &str) -> bool {
    words::has_shape(name, "0000-00-00T00-00-00.000000000Z.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use jiff::SignedDuration;

    fn at() -> Timestamp {
        "2026-01-02T02:04:05.5Z".parse().unwrap()
    }

    fn later(record: &RunRecord, seconds: i64) -> RunRecord {
        let mut later = record.clone();
        later.begun += SignedDuration::from_secs(seconds);
        later.ended += SignedDuration::from_secs(seconds);
        later
    }

    #[test]
    fn records_come_back_in_order_and_the_oldest_go() {
        let state = tempfile::tempdir().unwrap();
        let history = History::new(state.path());
        assert_eq!(history.last(5), []);
        let record = sample::run(at());
        for seconds in 0..4 {
            history.keep(&later(&record, seconds)).unwrap();
        }
        assert_eq!(history.last(2), [later(&record, 2), later(&record, 3)]);
        let folder = state.path().join("runs");
        for number in 0..MOST_RECORDS {
            fs::write(folder.join(name(record.begun - SignedDuration::from_hours(1 + number as i64))), "{}").unwrap();
        }
        fs::write(folder.join("2000-01-01T00-00-00.json"), "not ours").unwrap();
        history.keep(&later(&record, 9)).unwrap();
        assert_eq!(history.names().len(), MOST_RECORDS);
        assert_eq!(history.last(100).len(), 5);
        assert!(folder.join("2000-01-01T00-00-00.json").exists());
    }

    #[test]
    fn newer_and_damaged_records_are_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let history = History::new(state.path());
        let record = sample::good_run(at());
        history.keep(&record).unwrap();
        let mut newer = serde_json::to_value(later(&record, 1)).unwrap();
        newer["format"] = 2.into();
        let folder = state.path().join("runs");
        fs::write(folder.join(name(later(&record, 1).begun)), newer.to_string()).unwrap();
        fs::write(folder.join(name(later(&record, 2).begun)), "{\"format\":1,\"host\"").unwrap();
        assert_eq!(history.last(9), std::slice::from_ref(&record));
        newer["format"] = 1.into();
        newer["something"] = "newer".into();
        fs::write(folder.join(name(later(&record, 1).begun)), newer.to_string()).unwrap();
        assert_eq!(history.last(9), [record.clone(), later(&record, 1)]);
    }

    #[test]
    fn runs_that_had_nothing_to_do_are_not_kept() {
        let state = tempfile::tempdir().unwrap();
        let mut record = sample::good_run(at());
        record.jobs.clear();
        History::new(state.path()).keep(&record).unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }
}
