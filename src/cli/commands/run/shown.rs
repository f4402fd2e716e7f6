//! One line about a job that has ended.

use crate::base::text;
use crate::cli::output;
use crate::report::{JobRecord, JobStatus};

pub fn line(job: &JobRecord) -> String {
    let name = text::escape(job.name.as_bytes());
    let time = output::duration(job.duration_ms());
    let snapshot = job.snapshot.as_deref().map_or("", |id| &id[..id.len().min(8)]);
    let t = &job.totals;
    let what = format!(
        "{}, {}, new {}",
        output::count(t.files, "file", "files"),
        output::bytes(t.bytes),
        output::bytes(t.new_bytes)
    );
    let said = match job.status {
        JobStatus::Success => format!("snapshot {snapshot}, {what}, {time}"),
        JobStatus::Unchanged => format!("nothing has changed, {time}"),
        JobStatus::Incomplete => format!("snapshot {snapshot} is not complete, {what}, {time}"),
        JobStatus::Failed | JobStatus::Refused | JobStatus::Interrupted => {
            format!("failed: {}", job.error.as_deref().unwrap_or("no reason is known"))
        }
    };
    format!("{name}: {said}")
}
