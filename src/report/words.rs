//! The words and numbers that all renderings have in common. Renders nothing whole.

use super::{JobRecord, JobStatus, PruneRecord, RunRecord, RunStatus, View};
use crate::base::text::{human_bytes, human_duration};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The zone of the record; UTC if this machine does not know it.
pub(super) fn zone(record: &RunRecord) -> TimeZone {
    TimeZone::get(&record.time_zone).unwrap_or(TimeZone::UTC)
}

/// `2026-01-02 03:04:05 CET`
pub(super) fn moment(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `2026-01-02 03:04`
pub(super) fn minute(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// What pages and mails colour by.
pub(super) const TONES: [&str; 3] = ["ok", "warn", "bad"];

/// One of [`TONES`].
pub(super) fn job_tone(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Success | JobStatus::Unchanged => "ok",
        JobStatus::Incomplete | JobStatus::Interrupted => "warn",
        JobStatus::Failed | JobStatus::Refused => "bad",
    }
}

/// That of the run, or of its worst job.
pub(super) fn tone(record: &RunRecord) -> &'static str {
    let is_bad = record.jobs.iter().any(|job| job_tone(job.status) == "bad");
    match record.status {
        RunStatus::Failed => "bad",
        _ if is_bad => "bad",
        RunStatus::Success => "ok",
        RunStatus::Incomplete | RunStatus::Interrupted => "warn",
    }
}

/// All statuses of a job, for those who count them.
pub(super) const JOB_STATUSES: [JobStatus; 6] = [
    JobStatus::Success,
    JobStatus::Unchanged,
    JobStatus::Incomplete,
    JobStatus::Failed,
    JobStatus::Refused,
    JobStatus::Interrupted,
];

/// `1 file`, `2 files`
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1,234,567`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3.2 : 1`; nothing if there is nothing to compare with.
pub(super) fn ratio(whole: u64, part: u64) -> Option<String> {
    if part == 0 {
        return None;
    }
    let ratio = whole as f64 / part as f64;
    Some(if ratio < 100.0 { format!("{ratio:.1} : 1") } else { format!("{} : 1", grouped(ratio as u64)) })
}

/// `12.3 MB/s`
pub(super) fn throughput(bytes: u64, milliseconds: u64) -> Option<String> {
    let per_s = bytes_per_s(bytes, milliseconds)?;
    (per_s > 0).then(|| format!("{}/s", human_bytes(per_s)))
}

pub(super) fn bytes_per_s(bytes: u64, milliseconds: u64) -> Option<u64> {
    if milliseconds == 0 {
        return None;
    }
    u64::try_from(u128::from(bytes) * 1000 / u128::from(milliseconds)).ok()
}

/// The first eight digits of an id.
pub(super) fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// Text of one line and at most `most` characters.
pub(super) fn line(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// Whether `name` is `shape` with other digits in place of its zeros.
pub(super) fn has_shape(name: &str, shape: &str) -> bool {
    let fits = |(is, wanted): (u8, u8)| if wanted == b'0' { is.is_ascii_digit() } else { is == wanted };
    name.len() == shape.len() && name.bytes().zip(shape.bytes()).all(fits)
}

/// At most `most` bytes of the end of a text, from the beginning of a line where that can be.
pub(super) fn tail(text: &str, most: usize) -> &str {
    let text = text.trim_end();
    if text.len() <= most {
        return text;
    }
    let start = (text.len() - most..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let end = &text[start..];
    end.split_once('\n').map_or(end, |(_, lines)| lines)
}

/// What came of the run, without the name of the host: `2 of 7 failed`, `all 7 backed up`.
pub(super) fn outcome(record: &RunRecord) -> String {
    let all = record.jobs.len();
    let of = |wanted: &[JobStatus]| record.jobs.iter().filter(|job| wanted.contains(&job.status)).count();
    let failed = of(&[JobStatus::Failed, JobStatus::Refused]);
    let (incomplete, interrupted) = (of(&[JobStatus::Incomplete]), of(&[JobStatus::Interrupted]));
    let mut parts = Vec::new();
    for (number, word) in [(failed, "failed"), (incomplete, "incomplete"), (interrupted, "interrupted")] {
        match (number, parts.is_empty()) {
            (0, _) => {}
            (_, true) => parts.push(format!("{number} of {all} {word}")),
            (_, false) => parts.push(format!("{number} {word}")),
        }
    }
    if !parts.is_empty() {
        return parts.join(", ");
    }
    match (record.status, all) {
        (RunStatus::Success, 0) => "nothing was due".to_owned(),
        (RunStatus::Success, 1) => "backed up".to_owned(),
        (RunStatus::Success, _) => format!("all {all} backed up"),
        (RunStatus::Interrupted, _) => "interrupted".to_owned(),
        (_, 0) => "the run failed".to_owned(),
        (_, _) => "backed up, but the run had errors".to_owned(),
    }
}

/// The whole of it in one line: `ssb: 2 of 7 failed on host: db, etc`.
pub(super) fn subject(record: &RunRecord) -> String {
    const MOST: usize = 140;
    let bad: Vec<&str> = record.jobs.iter().filter(|job| !job.status.is_good()).map(|job| job.name.as_str()).collect();
    let mut out = format!("ssb: {} on {}", outcome(record), record.host);
    if !bad.is_empty() {
        out.push_str(&format!(": {}", bad.join(", ")));
    } else if let (true, Some(error)) = (record.has_errors(), record.errors.first()) {
        out.push_str(&format!(": {error}"));
    } else if let [job] = record.jobs.as_slice() {
        out.push_str(&format!(": {}", job.name));
    }
    line(&out, MOST)
}

/// The same, marked if it is of a test.
pub(super) fn view_subject(view: &View<'_>) -> String {
    let subject = subject(view.record);
    if view.is_test { format!("[test] {subject}") } else { subject }
}

/// Sums of all jobs.
pub(super) struct Sums {
    pub files: u64,
    pub bytes: u64,
    pub new_bytes: u64,
    pub stored_bytes: u64,
}

pub(super) fn sums(record: &RunRecord) -> Sums {
    let sum = |part: fn(&JobRecord) -> u64| record.jobs.iter().map(part).fold(0, u64::saturating_add);
    Sums {
        files: sum(|job| job.totals.files),
        bytes: sum(|job| job.totals.bytes),
        new_bytes: sum(|job| job.totals.new_bytes),
        stored_bytes: sum(|job| job.totals.stored_bytes),
    }
}

/// How much went wrong with a job: what left something out, and not what is only a remark.
pub(super) fn job_errors(job: &JobRecord) -> u64 {
    let issues = job.issues.iter().filter(|issue| !issue.code.is_notice()).count();
    let retention = job.retention.as_ref().is_some_and(|retention| retention.error.is_some());
    (issues + job.hook_failures.len() + usize::from(job.error.is_some()) + usize::from(retention)) as u64
}

/// How much went wrong with a run.
pub(super) fn run_errors(record: &RunRecord) -> u64 {
    let prune = record.prune.as_ref().is_some_and(|prune| prune.error.is_some());
    record.jobs.iter().map(job_errors).sum::<u64>() + record.errors.len() as u64 + u64::from(prune)
}

/// Whether its totals say anything.
pub(super) fn has_content(job: &JobRecord) -> bool {
    job.snapshot.is_some() || job.status.is_good() || job.totals.files > 0
}

/// What a job did, as label and value; what does not apply to it is left out.
pub(super) fn facts(job: &JobRecord) -> Vec<(&'static str, String)> {
    let totals = &job.totals;
    let mut facts = vec![("Duration", human_duration(job.duration_ms()))];
    if has_content(job) {
        facts.push(("Files", grouped(totals.files)));
        facts.push(("Size", human_bytes(totals.bytes)));
        facts.push(("New", human_bytes(totals.new_bytes)));
        facts.push(("Stored", human_bytes(totals.stored_bytes)));
        facts.extend(ratio(totals.bytes, totals.new_bytes).map(|ratio| ("Deduplication", ratio)));
        let compression = ratio(totals.new_bytes, totals.stored_bytes).filter(|_| totals.new_bytes > 0);
        facts.extend(compression.map(|ratio| ("Compression", ratio)));
        facts.extend(throughput(totals.bytes, job.duration_ms()).map(|rate| ("Throughput", rate)));
    }
    facts.extend(job.snapshot.as_deref().map(|id| ("Snapshot", short_id(id).to_owned())));
    if job.requests.requests() > 0 {
        facts.push(("Requests", requests(&job.requests)));
    }
    if job.tries > 1 {
        facts.push(("Tries", job.tries.to_string()));
    }
    facts
}

/// What is wrong with a job, in one sentence.
pub(super) fn complaint(job: &JobRecord) -> String {
    if let Some(error) = &job.error {
        return error.clone();
    }
    let issues = job.issues.iter().filter(|issue| !issue.code.is_notice()).count() as u64;
    let mut parts = Vec::new();
    if issues > 0 {
        parts.push(format!("{} left out or uncertain", count(issues, "file was", "files were")));
    }
    parts
        .extend(job.hook_failures.iter().map(|failure| format!("the hook {} failed: {}", failure.hook, failure.error)));
    let retention = job.retention.as_ref().and_then(|retention| retention.error.as_ref());
    parts.extend(retention.map(|error| format!("the retention failed: {error}")));
    if parts.is_empty() { job.status.word().to_owned() } else { parts.join("; ") }
}

/// What came of a prune.
pub(super) fn prune(prune: &PruneRecord) -> String {
    let mut out = format!("{} freed, {} repacked", human_bytes(prune.freed_bytes), human_bytes(prune.repacked_bytes));
    if let Some(why) = &prune.deferred {
        out.push_str(&format!("; the rest was left to a later one: {why}"));
    }
    if let Some(error) = &prune.error {
        out.push_str(&format!("; it failed: {error}"));
    }
    out
}

/// With a capital letter.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `12 put, 3 get`
pub(super) fn requests(counts: &crate::store::RequestCounts) -> String {
    let named = [
        ("put", counts.put),
        ("get", counts.get),
        ("list", counts.list),
        ("head", counts.head),
        ("delete", counts.delete),
    ];
    let told: Vec<String> =
        named.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{} {name}", grouped(*n))).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn numbers_for_people() {
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(ratio(10, 0), None);
        assert_eq!(ratio(16, 5).as_deref(), Some("3.2 : 1"));
        assert_eq!(ratio(1_000_000, 100).as_deref(), Some("10,000 : 1"));
        assert_eq!(throughput(5_000_000, 2_000).as_deref(), Some("2.5 MB/s"));
        assert_eq!((throughput(5, 0), throughput(0, 5)), (None, None));
    }

    #[test]
    fn texts_are_bounded_and_of_one_line() {
        assert_eq!(line("a\nb\u{1b}[1m", 20), "a b [1m");
        assert_eq!(line("äöüß", 3), "äö…");
        assert_eq!(tail("one\ntwo\nthree\n", 9), "three");
        assert_eq!(tail("üüüü", 5), "üü");
    }

    #[test]
    fn the_subject_says_all() {
        let at: Timestamp = "2026-01-02T02:04:05Z".parse().unwrap();
        let record = sample::run(at);
        assert_eq!(subject(&record), "ssb: 2 of 5 failed, 1 incomplete on db-1: photos, database, etc");
        let good = sample::good_run(at);
        assert_eq!(subject(&good), "ssb: all 2 backed up on db-1");
        let mut broken = good.clone();
        broken.jobs.clear();
        assert_eq!(subject(&broken), "ssb: nothing was due on db-1");
        broken.status = RunStatus::Failed;
        broken.errors = vec!["the bucket is gone\nfor good".to_owned()];
        assert_eq!(subject(&broken), "ssb: the run failed on db-1: the bucket is gone for good");
        let mut many = good;
        many.status = RunStatus::Failed;
        many.jobs = vec![JobRecord { status: JobStatus::Failed, name: "x".repeat(50), ..many.jobs[0].clone() }; 9];
        assert_eq!(subject(&many).chars().count(), 140);
    }
}
