//! Carries a plan out: parallel jobs side by side, then serial ones, each alone; then prunes when that is due. One job's
//! failure is no other's.

use super::attempt::{self, Tried};
use super::hooks::HookRunner;
use super::plan::{Content, Job, Plan, Verdict};
use super::retain;
use super::state::{JobState, State};
use crate::base::{Cancel, Observer, SystemPacer, parallel, text};
use crate::config::{Config, Mode};
use crate::ops::prune::{PruneOptions, Wait, run as prune};
use crate::repo::{Repo, Totals};
use crate::report::{JobRecord, JobStatus, PruneRecord};
use crate::store::{Counters, CountingStore, RequestCounts};
use jiff::{SignedDuration, Timestamp};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a prune that failed, or could not delete yet, is left alone: it asks for much of what is in the repository.
const PRUNE_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What a run works with.
pub struct Setup<'a> {
    pub config: &'a Config,
    pub repo: &'a Arc<Repo>,
    /// Name of the host in snapshots.
    pub host: String,
    pub program: &'a str,
    /// Read everything, and make a snapshot also if nothing has changed.
    pub force: bool,
    /// How long a writer may be silent until a prune takes it for dead.
    pub fence_after: SignedDuration,
    /// Hides secrets in what commands and servers say.
    pub mask: &'a (dyn Fn(&str) -> String + Sync),
    /// Is told when a job begins, and when it has ended.
    pub begins: &'a (dyn Fn(&Job) + Sync),
    pub ended: &'a (dyn Fn(&JobRecord) + Sync),
    pub cancel: Cancel,
}

/// Runs the jobs that the plan says; gives their records in its order, without those that it skips. `state` is brought up
/// to date, and saved in `folder` after each job.
pub fn run(setup: &Setup<'_>, plan: &Plan, state: &mut State, folder: &Path) -> Vec<JobRecord> {
    let records: Mutex<Vec<(usize, JobRecord)>> = Mutex::default();
    let state = Mutex::new(state);
    let one = |(number, job): (usize, &Job)| -> Result<(), Infallible> {
        let record = run_job(setup, job);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        remember(&mut state, &record);
        // Without it the next run judges by the snapshots.
        state.save(folder).ok();
        records.lock().unwrap_or_else(PoisonError::into_inner).push((number, record));
        Ok(())
    };
    let of_mode = |mode| plan.jobs.iter().enumerate().filter(move |(_, job)| job.settings.mode == mode);
    for (mode, width) in [(Mode::Parallel, setup.config.run.max_parallel.get()), (Mode::Serial, 1)] {
        let jobs = of_mode(mode).filter(|(_, job)| !matches!(job.verdict, Verdict::Skip { .. }));
        let width = width.min(jobs.clone().count().max(1));
        let Ok(()) = parallel::for_each(jobs, width, &Cancel::new(), one);
    }
    let mut records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
    records.sort_by_key(|(number, _)| *number);
    records.into_iter().map(|(_, record)| record).collect()
}

fn remember(state: &mut State, record: &JobRecord) {
    let job: &mut JobState = state.jobs.entry(record.name.clone()).or_default();
    job.last_try = Some(record.begun);
    // What was incomplete is in a snapshot, and would not be more complete at once.
    if record.status.is_kept() {
        job.last_success = Some(record.begun);
    }
}

/// What a job reaches the repository through, and the requests that it makes.
fn own_repo(setup: &Setup<'_>, cancel: &Cancel) -> (Arc<Repo>, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let store = CountingStore::new(setup.repo.store.clone(), counters.clone());
    let pacer = Arc::new(SystemPacer::new(cancel.clone()));
    let observer: Arc<dyn Observer> = setup.repo.edges.observer.clone();
    (Arc::new(setup.repo.beside(Arc::new(store), pacer, observer)), counters)
}

fn blank(setup: &Setup<'_>, job: &Job, status: JobStatus) -> JobRecord {
    let now = setup.repo.edges.clock.now();
    JobRecord {
        name: job.name.clone(),
        is_group: job.is_group,
        entries: job.entries.clone(),
        policy: job.policy.clone(),
        begun: now,
        ended: now,
        status,
        error: None,
        stderr: None,
        tries: 0,
        snapshot: None,
        parent: None,
        totals: Totals::default(),
        issues: Vec::new(),
        hook_failures: Vec::new(),
        retention: None,
        requests: RequestCounts::default(),
    }
}

fn run_job(setup: &Setup<'_>, job: &Job) -> JobRecord {
    let mut record = if let Verdict::Refuse { why } = &job.verdict {
        JobRecord { error: Some(why.clone()), ..blank(setup, job, JobStatus::Refused) }
    } else if setup.cancel.is_cancelled() {
        let error = Some("the run was interrupted before it began".to_owned());
        JobRecord { error, ..blank(setup, job, JobStatus::Interrupted) }
    } else {
        (setup.begins)(job);
        back_up(setup, job)
    };
    record.ended = setup.repo.edges.clock.now();
    record.error = record.error.map(|error| (setup.mask)(&error));
    record.stderr = record.stderr.map(|told| (setup.mask)(&text_only(&told)));
    for failure in &mut record.hook_failures {
        failure.error = (setup.mask)(&text_only(&failure.error));
    }
    (setup.ended)(&record);
    record
}

/// What programs say, without what would play tricks on a terminal.
fn text_only(said: &str) -> String {
    said.lines().map(|line| text::escape(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

/// Hooks, tries, retention.
fn back_up(setup: &Setup<'_>, job: &Job) -> JobRecord {
    let (repo, counters) = own_repo(setup, &setup.cancel);
    let mut record = blank(setup, job, JobStatus::Failed);
    let mut hooks = HookRunner::new(&job.settings.hooks, &*repo.edges.pacer, &setup.cancel);
    if hooks.run("before", &facts(setup, &record)) {
        let tried = attempt::with_retries(setup, &repo, job);
        fill(&mut record, tried);
        hooks.run("after", &facts(setup, &record));
    } else {
        record.error = Some("the hook 'before' failed, so nothing was backed up".to_owned());
        record.tries = 1;
    }
    if record.status.is_kept() {
        record.retention = retain::apply(&repo, &setup.host, job);
    }
    let outcome = if record.status.is_good() { "on-success" } else { "on-failure" };
    hooks.run(outcome, &facts(setup, &record));
    hooks.run("finally", &facts(setup, &record));
    record.hook_failures = hooks.failures;
    let has_trouble = record.hook_failures.iter().any(|failure| failure.hook != "before")
        || record.retention.as_ref().is_some_and(|retention| retention.error.is_some());
    if has_trouble && record.status.is_good() {
        record.status = JobStatus::Incomplete;
    }
    record.requests = counters.snapshot();
    record
}

fn fill(record: &mut JobRecord, tried: Tried) {
    record.tries = tried.tries;
    record.stderr = Some(tried.told).filter(|told| !told.is_empty());
    match tried.result {
        Ok(outcome) => {
            let is_whole = outcome.issues.iter().all(|issue| issue.code.is_notice());
            record.status = match (&outcome.snapshot, is_whole) {
                _ if outcome.unchanged => JobStatus::Unchanged,
                (_, true) => JobStatus::Success,
                (_, false) => JobStatus::Incomplete,
            };
            record.snapshot = outcome.snapshot.map(|snapshot| snapshot.id.to_string());
            record.parent = outcome.parent.map(|parent| parent.id.to_string());
            record.totals = outcome.totals;
            record.issues = outcome.issues;
        }
        Err(failure) => {
            record.status = failure.status;
            record.error = Some(failure.error);
        }
    }
}

/// What hooks find in their environment.
fn facts(setup: &Setup<'_>, record: &JobRecord) -> Vec<(String, String)> {
    let facts = [
        ("SSB_JOB", record.name.clone()),
        ("SSB_ENTRIES", record.entries.join(",")),
        ("SSB_POLICY", record.policy.clone().unwrap_or_default()),
        ("SSB_HOST", setup.host.clone()),
        ("SSB_STATUS", if record.tries == 0 { "begins" } else { record.status.word() }.to_owned()),
        ("SSB_ERROR", record.error.clone().unwrap_or_default()),
        ("SSB_SNAPSHOT", record.snapshot.clone().unwrap_or_default()),
        ("SSB_FILES", record.totals.files.to_string()),
        ("SSB_BYTES", record.totals.bytes.to_string()),
        ("SSB_NEW_BYTES", record.totals.new_bytes.to_string()),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Prunes if it is time to; `None` if it is not.
pub fn prune_if_due(setup: &Setup<'_>, state: &mut State, folder: &Path, now: Timestamp) -> Option<PruneRecord> {
    if !is_prune_due(setup.config, state, now) || setup.cancel.is_cancelled() {
        return None;
    }
    state.last_prune_try = Some(now);
    state.save(folder).ok();
    let (repo, _) = own_repo(setup, &setup.cancel);
    let max_unused_percent = setup.config.prune.max_unused_percent;
    let options = PruneOptions { max_unused_percent, fence_after: setup.fence_after, wait: Wait::No, dry_run: false };
    Some(match prune(&repo, options, &setup.cancel) {
        Ok(summary) => {
            // Where the deleting was deferred, a later run has something to do.
            if summary.deferred.is_none() {
                state.last_prune = Some(now);
                state.save(folder).ok();
            }
            let (freed_bytes, repacked_bytes) = (summary.freed_bytes, summary.repacked_bytes);
            PruneRecord { freed_bytes, repacked_bytes, deferred: summary.deferred, error: None }
        }
        Err(error) => PruneRecord { error: Some((setup.mask)(&error.to_string())), ..PruneRecord::default() },
    })
}

/// Whether a run would prune at its end.
pub fn is_prune_due(config: &Config, state: &State, now: Timestamp) -> bool {
    let Some(every) = config.prune.every else { return false };
    let every = SignedDuration::try_from(every.0).unwrap_or(SignedDuration::MAX);
    let is_past = |last: Option<Timestamp>, time| last.is_none_or(|last| now.duration_since(last) >= time);
    is_past(state.last_prune, every) && is_past(state.last_prune_try, PRUNE_AGAIN.min(every))
}

/// The variables that a command entry finds in its environment.
pub(super) fn command_facts(setup: &Setup<'_>, job: &Job) -> Vec<(String, String)> {
    facts(setup, &blank(setup, job, JobStatus::Failed))
}

/// Whether all of a job belongs together.
pub(super) fn is_whole_only(job: &Job) -> bool {
    job.is_group && matches!(job.content, Content::Paths(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Duration, Prune};

    #[test]
    fn a_prune_is_due_by_its_interval_and_not_again_at_once() {
        let week = Duration(std::time::Duration::from_secs(7 * 86_400));
        let config = Config { prune: Prune { every: Some(week), ..Prune::default() }, ..Config::default() };
        let at = |day: u32, minute: u32| format!("2026-03-{day:02}T02:{minute:02}:00Z").parse::<Timestamp>().unwrap();
        let state =
            |last: Option<Timestamp>, tried| State { last_prune: last, last_prune_try: tried, ..State::default() };
        assert!(!is_prune_due(&Config::default(), &state(None, None), at(1, 0)));
        assert!(is_prune_due(&config, &state(None, None), at(1, 0)));
        assert!(!is_prune_due(&config, &state(Some(at(1, 0)), Some(at(1, 0))), at(7, 59)));
        assert!(is_prune_due(&config, &state(Some(at(1, 0)), Some(at(1, 0))), at(8, 0)));
        // It was tried and came to nothing.
        assert!(!is_prune_due(&config, &state(Some(at(1, 0)), Some(at(8, 0))), at(8, 59)));
        assert!(is_prune_due(&config, &state(Some(at(1, 0)), Some(at(8, 0))), at(9, 0)));
    }
}
