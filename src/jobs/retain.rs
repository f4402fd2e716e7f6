//! The retention of a job's policy, on the snapshots of that job and of nothing else.

use super::plan::Job;
use crate::config::Retention;
use crate::ops::OpsError;
use crate::ops::forget::{ForgetPlan, Rules, Which, execute, plan};
use crate::ops::retention::{GroupBy, Keep};
use crate::ops::snapshots::SnapshotFilter;
use crate::repo::Repo;
use crate::report::{RetentionRecord, SnapshotVerdict};

/// What would be kept and removed.
fn plan_for(repo: &Repo, host: &str, job: &Job, retention: &Retention) -> Result<ForgetPlan, OpsError> {
    let filter = SnapshotFilter { hosts: vec![host.to_owned()], label: Some(job.label()), ..SnapshotFilter::default() };
    let group_by = GroupBy { paths: false, entry: true, ..GroupBy::default() };
    let rules = Rules { keep: Keep::from(retention), group_by, filter, zone: job.zone.clone() };
    plan(repo, Which::Rules(Box::new(rules)))
}

/// Removes what the rules do not keep; `None` if the job keeps everything.
pub(super) fn apply(repo: &Repo, host: &str, job: &Job) -> Option<RetentionRecord> {
    let retention = job.settings.retention.as_ref()?;
    let planned = plan_for(repo, host, job, retention);
    Some(match planned.and_then(|plan| execute(repo, &plan).map(|()| plan)) {
        Ok(plan) => record(&plan),
        Err(error) => RetentionRecord { error: Some(error.to_string()), ..RetentionRecord::default() },
    })
}

/// What would be kept and removed, the next snapshot not counted; `None` if the job keeps everything.
pub fn preview(repo: &Repo, host: &str, job: &Job) -> Option<Result<RetentionRecord, OpsError>> {
    let retention = job.settings.retention.as_ref()?;
    Some(plan_for(repo, host, job, retention).map(|plan| record(&plan)))
}

fn record(plan: &ForgetPlan) -> RetentionRecord {
    let mut record = RetentionRecord::default();
    for verdict in plan.groups.iter().flat_map(|group| &group.verdicts) {
        let Some(snapshot) = plan.snapshots.iter().find(|s| s.id == verdict.id) else { continue };
        let reasons = verdict.reasons.iter().map(ToString::to_string).collect();
        let shown = SnapshotVerdict { id: verdict.id.to_string(), time: snapshot.manifest.time, reasons };
        if verdict.keep { record.kept.push(shown) } else { record.removed.push(shown) }
    }
    record
}
