//! The run as plain text, for a terminal and for mail.

use super::{JobRecord, View, words};
use crate::base::Issue;
use crate::base::text::{human_bytes, human_duration};
use jiff::tz::TimeZone;

/// Of each job; the record has them all.
const MOST_ISSUES: usize = 20;
const MOST_STDERR_BYTES: usize = 4096;
const MOST_CHARS: usize = 500;

/// The whole report; lines end with a newline.
pub fn render(view: &View<'_>) -> String {
    let record = view.record;
    let zone = words::zone(record);
    let mut out = format!("{}\n\n", words::view_subject(view));
    let mut about = vec![
        ("Began", words::moment(record.begun, &zone)),
        ("Took", human_duration(record.duration_ms())),
        ("Repository", record.repository.clone()),
        ("Config", record.config.clone()),
        ("Requests", words::requests(&record.requests)),
    ];
    about.extend(record.prune.as_ref().map(|prune| ("Prune", words::prune(prune))));
    about.extend(view.link.map(|link| ("Report", link.to_owned())));
    for (label, value) in about {
        out.push_str(&format!("{label:<11} {}\n", plain(&value)));
    }
    for error in &record.errors {
        out.push_str(&format!("\nError: {}\n", plain(error)));
    }
    for warning in &record.warnings {
        out.push_str(&format!("\nNote: {}\n", plain(warning)));
    }
    if !record.jobs.is_empty() {
        out.push_str(&format!("\n{}", table(&record.jobs)));
    }
    let (bad, good): (Vec<&JobRecord>, Vec<_>) = record.jobs.iter().partition(|job| !job.status.is_good());
    bad.into_iter().for_each(|job| out.push_str(&details(job)));
    let with_remarks = good.into_iter().filter(|job| !job.issues.is_empty());
    with_remarks.for_each(|job| out.push_str(&details(job)));
    out.push_str(&removed(&record.jobs, &zone));
    if !record.skipped.is_empty() {
        out.push_str("\nLeft out\n");
        let lines = record.skipped.iter().map(|s| format!("  {}: {}\n", plain(&s.name), plain(&s.why)));
        out.extend(lines);
    }
    out
}

/// Control characters would be commands to a terminal.
fn plain(text: &str) -> String {
    words::line(text, MOST_CHARS)
}

fn table(jobs: &[JobRecord]) -> String {
    const HEADINGS: [&str; 7] = ["Job", "Status", "Files", "Size", "New", "Stored", "Duration"];
    let row = |job: &JobRecord| {
        let totals = &job.totals;
        // What made nothing has no figures, which is not the same as nothing in it.
        let figure = |shown: String| if words::has_content(job) { shown } else { "-".to_owned() };
        [
            words::line(&job.name, 40),
            job.status.word().to_owned(),
            figure(words::grouped(totals.files)),
            figure(human_bytes(totals.bytes)),
            figure(human_bytes(totals.new_bytes)),
            figure(human_bytes(totals.stored_bytes)),
            human_duration(job.duration_ms()),
        ]
    };
    let rows: Vec<[String; 7]> = [HEADINGS.map(str::to_owned)].into_iter().chain(jobs.iter().map(row)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let pad = " ".repeat(width - cell.chars().count());
            // Words to the left, numbers to the right.
            line.push_str(&if column < 2 { format!("{cell}{pad}  ") } else { format!("{pad}{cell}  ") });
        }
        out.push_str(&format!("{}\n", line.trim_end()));
    }
    out
}

fn details(job: &JobRecord) -> String {
    let mut out = format!("\n{}: {}\n", plain(&job.name), job.status.word());
    if let Some(error) = &job.error {
        out.push_str(&format!("  {}\n", plain(error)));
    }
    if job.tries > 1 {
        out.push_str(&format!("  tried {} times\n", job.tries));
    }
    for line in job.stderr.iter().flat_map(|text| words::tail(text, MOST_STDERR_BYTES).lines()) {
        out.push_str(&format!("  | {}\n", plain(line)));
    }
    for failure in &job.hook_failures {
        out.push_str(&format!("  the hook {} failed: {}\n", plain(&failure.hook), plain(&failure.error)));
    }
    for error in job.retention.iter().flat_map(|retention| &retention.error) {
        out.push_str(&format!("  the retention failed: {}\n", plain(error)));
    }
    let issue = |issue: &Issue| format!("  {}\n", plain(&issue.to_string()));
    out.extend(job.issues.iter().take(MOST_ISSUES).map(issue));
    if job.issues.len() > MOST_ISSUES {
        out.push_str(&format!("  and {} more\n", words::grouped((job.issues.len() - MOST_ISSUES) as u64)));
    }
    out
}

/// What the retention removed; what it kept stands in the page.
fn removed(jobs: &[JobRecord], zone: &TimeZone) -> String {
    const MOST: usize = 10;
    let mut out = String::new();
    for job in jobs {
        let Some(retention) = job.retention.as_ref().filter(|retention| !retention.removed.is_empty()) else {
            continue;
        };
        let removed = retention.removed.iter().take(MOST);
        let names = removed.map(|v| format!("{} of {}", words::short_id(&v.id), words::minute(v.time, zone)));
        let names: Vec<String> = names.collect();
        let more = retention.removed.len().saturating_sub(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let kept = retention.kept.len();
        out.push_str(&format!("  {}: {kept} kept; removed {}{more}\n", plain(&job.name), names.join(", ")));
    }
    if out.is_empty() { out } else { format!("\nRetention\n{out}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_person_finds_everything_in_it() {
        let record = sample::run("2026-01-02T02:04:05Z".parse().unwrap());
        let text = render(&View { link: Some("https://example.com/r.html"), ..View::new(&record) });
        for part in [
            "ssb: 2 of 5 failed, 1 incomplete on db-1: photos, database, etc\n\n",
            "Began       2026-01-02 02:04:05 UTC\n",
            "Report      https://example.com/r.html\n",
            "Job       Status       Files     Size       New    Stored    Duration\n",
            "mail      unchanged   12,901   8.4 GB       0 B       0 B       7.4 s\n",
            "database  failed           -        -         -         -      38.4 s\n",
            "\ndatabase: failed\n  the command ended with exit code 1",
            "  | FATAL:  the database system is starting up\n",
            "  the hook after failed: '/usr/local/bin/unfreeze' ended",
            "/srv/photos/2025/private: cannot be read: permission denied; run as",
            "home: 5 kept; removed aaaaaaaa of 2025-12-30 02:04, eeeeeeee of",
            "  scratch: disabled\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn no_text_from_elsewhere_commands_a_terminal() {
        let mut record = sample::run("2026-01-02T02:04:05Z".parse().unwrap());
        record.jobs[3].stderr = Some("\u{1b}[2Jgone\rback\u{7}".to_owned());
        record.jobs[3].name = "a\u{1b}]0;b".to_owned();
        record.jobs[1].issues[0].subject = "x\u{9b}31m".to_owned();
        let text = render(&View::new(&record));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
