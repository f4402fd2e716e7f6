//! What a run would do: which jobs, why, and what their retention would remove. Writes nothing.

use super::{Call, opened};
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::config::Mode;
use crate::jobs::{Job, State, Verdict, is_prune_due, preview};
use crate::repo::Repo;
use crate::report::RetentionRecord;
use serde::Serialize;

#[derive(Serialize)]
struct Shown {
    jobs: Vec<ShownJob>,
    prune: bool,
}

#[derive(Serialize)]
struct ShownJob {
    name: String,
    entries: Vec<String>,
    policy: Option<String>,
    mode: Mode,
    #[serde(flatten)]
    verdict: Verdict,
    /// What the retention would keep and remove of the snapshots that there are.
    retention: Option<RetentionRecord>,
}

pub fn run(call: &Call<'_>) -> Result<u8, CliError> {
    let (repo, snapshots) = opened(call.context)?;
    let state = State::load(&call.folder);
    let plan = call.plan(&snapshots, &state)?;
    let jobs: Vec<ShownJob> = plan.jobs.into_iter().map(|job| shown(call, &repo, job)).collect::<Result<_, _>>()?;
    let is_refused = jobs.iter().any(|job| matches!(job.verdict, Verdict::Refuse { .. }));
    let shown = Shown { jobs, prune: is_prune_due(&call.loaded.config, &state, call.now()) };
    if call.context.global.json {
        output::json(&shown)?;
    } else {
        output::line_out(&describe(&shown))?;
    }
    Ok(if is_refused { code::SOURCES_UNREADABLE } else { code::DONE })
}

fn shown(call: &Call<'_>, repo: &Repo, job: Job) -> Result<ShownJob, CliError> {
    let runs = matches!(job.verdict, Verdict::Run { .. });
    let retention = if runs { preview(repo, &call.host, &job).transpose()? } else { None };
    let (mode, policy) = (job.settings.mode, job.policy);
    Ok(ShownJob { name: job.name, entries: job.entries, policy, mode, verdict: job.verdict, retention })
}

fn describe(shown: &Shown) -> String {
    let rows: Vec<Vec<String>> = shown.jobs.iter().map(row).collect();
    let mut lines = vec![output::table(&["Name", "Policy", "Mode", "Would", "Why"], &[], &rows)];
    for job in &shown.jobs {
        let Some(retention) = &job.retention else { continue };
        let removed = output::count(retention.removed.len() as u64, "snapshot", "snapshots");
        lines.push(format!("\n{}: {} kept, {removed} would be removed", job.name, retention.kept.len()));
        for (verb, verdicts) in [("keep", &retention.kept), ("remove", &retention.removed)] {
            for verdict in verdicts {
                let time = super::super::snapshots::local_time(verdict.time);
                let short = &verdict.id[..verdict.id.len().min(8)];
                lines
                    .push(format!("  {verb:<6} {short}  {time}  {}", verdict.reasons.join("; ")).trim_end().to_owned());
            }
        }
    }
    if shown.prune {
        lines.push("\nIt would prune at its end.".to_owned());
    }
    lines.join("\n")
}

fn row(job: &ShownJob) -> Vec<String> {
    let (would, why) = match &job.verdict {
        Verdict::Run { why } => ("run", why),
        Verdict::Skip { why } => ("wait", why),
        Verdict::Refuse { why } => ("fail", why),
    };
    let mode = match job.mode {
        Mode::Parallel => "parallel",
        Mode::Serial => "serial",
    };
    let policy = job.policy.clone().unwrap_or_default();
    vec![job.name.clone(), policy, mode.to_owned(), would.to_owned(), why.clone()]
}
