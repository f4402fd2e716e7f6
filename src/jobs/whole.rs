//! A whole run: its hooks around the jobs, pruning at the end, and what is to be said of all of it together.

use super::execute::{Setup, prune_if_due, run};
use super::hooks::HookRunner;
use super::plan::{Plan, Verdict};
use super::state::State;
use crate::report::{RunRecord, RunStatus, Skipped};
use std::path::Path;

/// Runs the plan and fills the record of it, all but what is known only at its very end.
pub fn run_whole(setup: &Setup<'_>, plan: &Plan, state: &mut State, folder: &Path, record: &mut RunRecord) {
    let skipped = plan.jobs.iter().filter_map(|job| match &job.verdict {
        Verdict::Skip { why } => Some(Skipped { name: job.name.clone(), why: why.clone() }),
        _ => None,
    });
    record.skipped.extend(skipped);
    let is_idle = record.skipped.len() == plan.jobs.len();
    // Nobody wants to hear every few minutes that nothing is due.
    if is_idle {
        record.prune = prune_if_due(setup, state, folder, setup.repo.edges.clock.now());
        record.status = status(record, setup.cancel.is_cancelled());
        return;
    }
    let mut hooks = HookRunner::new(&setup.config.run.hooks, &*setup.repo.edges.pacer, &setup.cancel);
    if hooks.run("before", &facts(setup, record, "begins")) {
        record.jobs = run(setup, plan, state, folder);
        record.prune = prune_if_due(setup, state, folder, setup.repo.edges.clock.now());
        record.status = status(record, setup.cancel.is_cancelled());
        hooks.run("after", &facts(setup, record, record.status.word()));
    } else {
        record.errors.push("the hook 'before' of the run failed, so nothing was backed up".to_owned());
        record.status = status(record, setup.cancel.is_cancelled());
    }
    let outcome = if record.status == RunStatus::Success { "on-success" } else { "on-failure" };
    hooks.run(outcome, &facts(setup, record, record.status.word()));
    hooks.run("finally", &facts(setup, record, record.status.word()));
    let said =
        hooks.failures.iter().map(|failure| format!("the hook '{}' of the run: {}", failure.hook, failure.error));
    record.errors.extend(said.map(|sentence| (setup.mask)(&sentence)));
    record.status = status(record, setup.cancel.is_cancelled());
}

fn facts(setup: &Setup<'_>, record: &RunRecord, status: &str) -> Vec<(String, String)> {
    let failed = record.jobs.iter().filter(|job| !job.status.is_good()).map(|job| job.name.as_str());
    let facts = [
        ("SSB_STATUS", status.to_owned()),
        ("SSB_HOST", setup.host.clone()),
        ("SSB_CONFIG", record.config.clone()),
        ("SSB_FAILED", failed.collect::<Vec<_>>().join(",")),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// What is to be said of a run as a whole.
pub fn status(record: &RunRecord, is_interrupted: bool) -> RunStatus {
    let prune_failed = record.prune.as_ref().is_some_and(|prune| prune.error.is_some());
    if is_interrupted {
        RunStatus::Interrupted
    } else if record.jobs.iter().all(|job| job.status.is_good()) && record.errors.is_empty() && !prune_failed {
        RunStatus::Success
    } else if record.jobs.iter().any(|job| job.status.is_kept()) || record.jobs.is_empty() && record.errors.is_empty() {
        RunStatus::Incomplete
    } else {
        RunStatus::Failed
    }
}
