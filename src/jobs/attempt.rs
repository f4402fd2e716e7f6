//! One job's backup: a try, within its time, and further ones if it fails.

use super::execute::{Setup, command_facts, is_whole_only};
use super::plan::{Content, Job};
use super::sources::{Expanded, expand};
use super::watch::within;
use crate::base::{Cancel, Issue, IssueCode, duration};
use crate::config::WhenChanged;
use crate::ops::OpsError;
use crate::ops::backup::{BackupOptions, BackupOutcome, Commit, Source, Whole, run as back_up};
use crate::repo::{Repo, RepoError};
use crate::report::JobStatus;
use crate::source::{CommandOutput, Filter, Told, WalkOptions};
use rustix::process::{getgid, getuid};
use std::path::PathBuf;
use std::sync::Arc;

/// What came of the last try.
pub(super) struct Tried {
    pub result: Result<BackupOutcome, Failure>,
    pub tries: u32,
    /// The end of what a command told on standard error.
    pub told: String,
}

pub(super) struct Failure {
    pub status: JobStatus,
    pub error: String,
    /// It makes sense to try again.
    may_pass: bool,
}

impl Failure {
    fn refused(error: String) -> Self {
        Self { status: JobStatus::Refused, error, may_pass: false }
    }

    fn interrupted() -> Self {
        Self { status: JobStatus::Interrupted, error: "the run was interrupted".to_owned(), may_pass: false }
    }
}

impl From<OpsError> for Failure {
    fn from(error: OpsError) -> Self {
        let is_interrupt = matches!(error, OpsError::Repo(RepoError::Interrupted));
        let is_wrong = matches!(error, OpsError::Usage(_) | OpsError::Filter(_) | OpsError::NoSource(_));
        let status = match (is_interrupt, is_wrong) {
            (true, _) => JobStatus::Interrupted,
            (_, true) => JobStatus::Refused,
            _ => JobStatus::Failed,
        };
        Self { status, error: error.to_string(), may_pass: !is_interrupt && !is_wrong }
    }
}

/// Tries until it goes well, as often as the settings say.
pub(super) fn with_retries(setup: &Setup<'_>, repo: &Arc<Repo>, job: &Job) -> Tried {
    let pacer = &*repo.edges.pacer;
    let mut tries = 0;
    loop {
        tries += 1;
        let told = Told::default();
        let limit = job.settings.timeout.map(|timeout| timeout.0);
        let (result, is_late) = within(limit, pacer, &setup.cancel, |cancel| once(setup, repo, job, &told, cancel));
        let result = match (result, limit) {
            (Err(_), Some(limit)) if is_late => {
                let error = format!("it took longer than {} and was ended", duration::short(limit));
                Err(Failure { status: JobStatus::Failed, error, may_pass: true })
            }
            (Err(failure), _) if setup.cancel.is_cancelled() && failure.may_pass => Err(Failure::interrupted()),
            (result, _) => result,
        };
        let may_pass = result.as_ref().is_err_and(|failure| failure.may_pass);
        if !may_pass || tries > job.settings.retries {
            return Tried { result, tries, told: told.text() };
        }
        if !pacer.sleep(job.settings.retry_wait.0) {
            return Tried { result: Err(Failure::interrupted()), tries, told: told.text() };
        }
    }
}

fn once(
    setup: &Setup<'_>,
    repo: &Arc<Repo>,
    job: &Job,
    told: &Told,
    cancel: &Cancel,
) -> Result<BackupOutcome, Failure> {
    let settings = &job.settings;
    let (source, unmatched) = match &job.content {
        Content::Paths(patterns) => paths(job, patterns)?,
        Content::Command { words, filename } => {
            let output = CommandOutput::start(words, &command_facts(setup, job), told, cancel.clone());
            let fails = |e| Failure::refused(format!("the command '{}' cannot be run: {e}", words.join(" ")));
            let content = Box::new(output.map_err(fails)?);
            let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
            (Source::Stream { path: filename.clone(), content, uid, gid }, Vec::new())
        }
    };
    let commit = match settings.when {
        _ if setup.force => Commit::Always,
        WhenChanged::Always => Commit::Always,
        WhenChanged::OnChange => Commit::IfChanged,
        WhenChanged::OnContentChange => Commit::IfContentsChanged,
    };
    let options = BackupOptions {
        tags: settings.tags.clone(),
        label: job.label(),
        zstd_level: settings.compression,
        commit,
        whole: if is_whole_only(job) { Whole::OrNotAtAll } else { Whole::AsFarAsReadable },
        read_all: setup.force || settings.when == WhenChanged::OnContentChange,
        ..BackupOptions::new(source, &setup.host, setup.program)
    };
    let mut outcome = back_up(repo, options, cancel)?;
    outcome.issues.extend(unmatched);
    Ok(outcome)
}

/// What is there of the job's paths, and the issues of the rest.
fn paths(job: &Job, patterns: &[String]) -> Result<(Source, Vec<Issue>), Failure> {
    let Expanded { mut paths, absent, unmatched } = expand(patterns);
    let is_all_there = absent.is_empty() && unmatched.is_empty();
    if paths.is_empty() || is_whole_only(job) && !is_all_there {
        let absent = absent.iter().map(|path| format!("{} does not exist", path.display()));
        let what = absent.chain(unmatched).collect::<Vec<_>>().join(", ");
        return Err(Failure::refused(format!("{what}; correct the paths")));
    }
    // The walk tells of those, so that the snapshot says it too.
    paths.extend(absent);
    let settings = &job.settings;
    let exclude = Filter::new(&settings.exclude).map_err(|e| Failure::refused(e.to_string()))?;
    let walk = WalkOptions { exclude, one_file_system: settings.one_file_system };
    let next = "correct the paths of the entry";
    let issue = |what: String| Issue::new(IssueCode::SourceMissing, job.name.clone(), what, next);
    Ok((Source::Paths { paths, base: PathBuf::from("/"), walk }, unmatched.into_iter().map(issue).collect()))
}
