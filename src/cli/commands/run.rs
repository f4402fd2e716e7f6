//! `ssb run`: backs up by the config, and tells who is to be told.

mod dry;
mod shown;

use super::prune::FENCE_AFTER;
use crate::base::{Clock, Observer, SystemClock, SystemPacer, text};
use crate::cli::context::{self, Context};
use crate::cli::exit::{CliError, code};
use crate::cli::{PROGRAM, output, settings};
use crate::config::find::LoadedConfig;
use crate::jobs::{Facts, Job, JobsError, Lock, Plan, Selection, Setup, State, plan, run_whole, status};
use crate::ops::OpsError;
use crate::repo::{Ahead, Repo, Snapshot};
use crate::report::{
    Courier, Delivery, History, JobRecord, JobStatus, MOST_RECORDS, Mask, RunRecord, RunStatus, View, log_job, log_run,
    log_start,
};
use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Back up by the config file: every entry, or those that are named or due
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb run\n  ssb run --due --quiet\n  ssb run databases uploads\n  ssb run --due --dry-run\n\nRuns by the \
                        config are judged by the last successful snapshot of each entry, so that 'ssb run --due' may be\ncalled \
                        every few minutes. One run of a config is at work at a time on a machine; a second one leaves\nwith exit \
                        code 11."
)]
pub struct RunArgs {
    /// Names of entries or groups [default: all]
    #[arg(value_name = "ENTRY|GROUP")]
    names: Vec<String>,
    /// Only what is due by its schedule
    #[arg(long)]
    due: bool,
    /// Read everything, and make a snapshot also of what has not changed
    #[arg(long)]
    force: bool,
    /// Only show what would run and why, and what retention would remove
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// What a run goes by.
struct Call<'a> {
    context: &'a Context,
    loaded: &'a LoadedConfig,
    selection: Selection,
    host: String,
    mask: Mask,
    /// What is wrong with single entries.
    refused: BTreeMap<String, String>,
    zone: TimeZone,
    folder: PathBuf,
}

pub fn run(context: &Context, args: RunArgs) -> Result<u8, CliError> {
    let loaded = context.config()?.ok_or_else(settings::nowhere)?;
    let states = settings::state_dir(loaded.config.run.state_dir.as_deref())?;
    let call = Call {
        context,
        loaded,
        selection: Selection { names: args.names, due_only: args.due, force: args.force },
        host: loaded.config.run.host.clone().unwrap_or_else(context::host),
        mask: Mask::default(),
        refused: refused(loaded),
        zone: TimeZone::system(),
        folder: states.join(settings::key_of(&loaded.path)),
    };
    if args.dry_run {
        context.start_log(None);
        return dry::run(&call);
    }
    let log = crate::report::log_layer(&loaded.config.log, &call.mask).map_err(CliError::usage)?;
    context.start_log(log);
    let lock = match Lock::take(&call.folder, std::process::id()) {
        // Cron would mail it every few minutes while a long run is at work, as long runs are.
        Err(at_work @ JobsError::AtWork { .. }) if args.due && context.global.quiet => {
            tracing::info!("{at_work}");
            return Ok(code::AT_WORK);
        }
        lock => lock?,
    };
    settings::learn_secrets(&call.mask, loaded);
    let nice = loaded.config.run.nice;
    if nice > 0 && rustix::process::nice(nice).is_err() {
        context.observer.note("the run could not be made nicer");
    }
    call.run(&lock, &History::new(&states))
}

fn refused(loaded: &LoadedConfig) -> BTreeMap<String, String> {
    let why = |name: &String| {
        let errors: Vec<String> = loaded.errors_of(name).map(ToString::to_string).collect();
        (!errors.is_empty()).then(|| (name.clone(), errors.join("; ")))
    };
    loaded.entry_order.iter().filter_map(why).collect()
}

impl Call<'_> {
    fn run(&self, lock: &Lock, history: &History) -> Result<u8, CliError> {
        let pacer = SystemPacer::new(self.context.cancel.clone());
        let courier = Courier {
            settings: &self.loaded.config.report,
            resolve: &settings::resolve,
            mask: &self.mask,
            pacer: &pacer,
            is_test: false,
        };
        let begin = courier.begin(PROGRAM);
        let mut record = self.blank(self.now());
        let mut is_told = true;
        if let Err(error) = self.carry_out(lock, &mut record) {
            // What was typed wrongly is told to whoever typed it, and to nobody else.
            if matches!(error, CliError::Jobs(_)) {
                return Err(error);
            }
            record.exit_code = error.code();
            record.errors.push(error.to_string());
            is_told = self.is_to_be_told(lock);
        }
        self.end(&mut record);
        let record = self.mask.record(&record);
        log_run(&record);
        if !is_told {
            return Ok(record.exit_code);
        }
        let earlier = history.last(MOST_RECORDS);
        let kept = if record.is_quiet() { Ok(()) } else { history.keep(&record) };
        let told = courier.deliver(&record, &earlier);
        let failed = begin.iter().chain(&told).filter_map(|outcome| match &outcome.delivery {
            Delivery::Failed(why) => Some(format!("{} was not told: {why}", outcome.channel)),
            _ => None,
        });
        for sentence in failed.chain(kept.err()) {
            tracing::error!(sentence, "a report failed");
            output::warning(&sentence);
        }
        self.show(&record)?;
        Ok(record.exit_code)
    }

    /// Whether it is worth telling that the run could not begin: what is called every few minutes tells it once an hour.
    fn is_to_be_told(&self, lock: &Lock) -> bool {
        let (mut state, now) = (State::load(&lock.folder), self.now());
        if self.selection.due_only && state.was_told_lately(now) {
            return false;
        }
        state.last_error = Some(now);
        state.save(&lock.folder).ok();
        true
    }

    /// Fills the record as far as it comes.
    fn carry_out(&self, lock: &Lock, record: &mut RunRecord) -> Result<(), CliError> {
        let (repo, snapshots) = opened(self.context)?;
        let mut state = State::load(&lock.folder);
        if state.last_error.take().is_some() {
            state.save(&lock.folder).ok();
        }
        let plan = self.plan(&snapshots, &state)?;
        let setup = Setup {
            config: &self.loaded.config,
            repo: &repo,
            host: self.host.clone(),
            program: PROGRAM,
            force: self.selection.force,
            fence_after: SignedDuration::try_from(FENCE_AFTER).unwrap_or(SignedDuration::MAX),
            mask: &|said| self.mask.hide(said).into_owned(),
            begins: &|job| self.begins(job),
            ended: &|job| self.ended(job),
            cancel: self.context.cancel.clone(),
        };
        run_whole(&setup, &plan, &mut state, &lock.folder, record);
        Ok(())
    }

    fn plan(&self, snapshots: &[Snapshot], state: &State) -> Result<Plan, CliError> {
        let facts = Facts {
            config: &self.loaded.config,
            order: &self.loaded.entry_order,
            refused: &self.refused,
            snapshots,
            state,
            host: &self.host,
            system_zone: &self.zone,
            now: self.now(),
        };
        Ok(plan(&facts, &self.selection)?)
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// What is known before anything was done.
    fn blank(&self, begun: Timestamp) -> RunRecord {
        let warnings = self.loaded.findings.iter().filter(|finding| finding.is_warning());
        let repository = self.context.location().map_or_else(|_| "none".to_owned(), |location| location.to_string());
        RunRecord {
            format: 1,
            program: PROGRAM.to_owned(),
            host: self.host.clone(),
            user: context::user(),
            config: settings::absolute(&self.loaded.path).display().to_string(),
            repository,
            begun,
            ended: begun,
            time_zone: settings::time_zone(),
            status: RunStatus::Failed,
            exit_code: code::DONE,
            jobs: Vec::new(),
            skipped: Vec::new(),
            errors: Vec::new(),
            warnings: warnings.map(|finding| self.mask.hide(&finding.to_string()).into_owned()).collect(),
            prune: None,
            requests: Default::default(),
        }
    }

    fn end(&self, record: &mut RunRecord) {
        record.ended = self.now();
        record.requests = self.context.requests();
        record.status = status(record, self.context.cancel.is_cancelled());
        let has_failed = |job: &JobRecord| job.status == JobStatus::Failed;
        let is_refused_only =
            !record.jobs.is_empty() && record.errors.is_empty() && !record.jobs.iter().any(has_failed);
        let by_status = match record.status {
            RunStatus::Success => code::DONE,
            RunStatus::Interrupted => code::INTERRUPTED,
            RunStatus::Incomplete => code::SOURCES_UNREADABLE,
            RunStatus::Failed if is_refused_only => code::SOURCES_UNREADABLE,
            RunStatus::Failed => code::FAILED,
        };
        // What kept the run from beginning has a code of its own.
        if record.exit_code == code::DONE {
            record.exit_code = by_status;
        }
    }

    fn begins(&self, job: &Job) {
        log_start(&job.name, job.policy.as_deref());
        if self.is_talkative() {
            self.context.observer.say(&format!("{}: begins", text::escape(job.name.as_bytes())));
        }
    }

    fn ended(&self, job: &JobRecord) {
        log_job(job);
        if self.is_talkative() {
            self.context.observer.say(&shown::line(job));
        }
    }

    fn is_talkative(&self) -> bool {
        !self.context.global.quiet && !self.context.global.json
    }

    /// On standard output; of a quiet run only what went wrong, on standard error.
    fn show(&self, record: &RunRecord) -> Result<(), CliError> {
        if self.context.global.json {
            return output::json(record);
        }
        let shown = crate::report::text::render(&View::new(record));
        match (self.context.global.quiet, record.has_errors()) {
            (false, _) => output::line_out(shown.trim_end()),
            (true, true) => {
                self.context.observer.say(shown.trim_end());
                Ok(())
            }
            (true, false) => Ok(()),
        }
    }
}

/// The repository, and the snapshots that there are.
fn opened(context: &Context) -> Result<(Arc<Repo>, Vec<Snapshot>), CliError> {
    let repo = context.open_repo(Ahead::Snapshots)?;
    let snapshots = repo.snapshots_at_opening().map_err(OpsError::from)?.snapshots;
    Ok((repo, snapshots))
}
