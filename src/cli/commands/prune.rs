//! `ssb prune`

use crate::base::Observer;
use crate::base::duration;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::prune::{PruneOptions, PruneSummary, Wait, run as prune};
use crate::repo::{Ahead, HEARTBEAT, Repo};
use clap::Args;
use jiff::SignedDuration;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Free the space that no snapshot needs
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb prune\n  ssb prune --dry-run --max-unused 0\n  ssb prune --wait=2h\n  ssb prune --fence-after 3d\n\nSafe beside running \
                        backups: while one is at work nothing is deleted,\nand a later prune does it, or with --wait this one."
)]
pub struct PruneArgs {
    /// Only say what would be freed
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// How much may stay unused in part-used packs, in percent of what is used; less means more rewriting
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = parse_percent)]
    pub max_unused: f64,
    /// Take writers for dead that gave no sign of life for so long (30m, 36h, 3d); one that is not fails and has to be run
    /// again [default: 6h]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_some)]
    pub fence_after: Option<Duration>,
    /// Wait for the writers that are at work and then delete, instead of leaving that to a later prune; for so long at most
    /// (90s, 30m, 2h), without a limit if none is given
    #[arg(long, value_name = "DURATION", require_equals = true, value_parser = duration::parse)]
    pub wait: Option<Option<Duration>>,
}

/// What is silent for so long, many heartbeats, was killed, or sleeps.
pub const FENCE_AFTER: Duration = Duration::from_secs(6 * 3600);

pub fn parse_percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.strip_suffix('%').unwrap_or(text).trim().parse().map_err(|_| wanted(text))?;
    if (0.0..=1000.0).contains(&number) { Ok(number) } else { Err(wanted(text)) }
}

fn wanted(text: &str) -> String {
    format!("'{text}' is no percentage; give a number such as 5 or 5%")
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: PruneSummary,
    dry_run: bool,
}

pub fn run(context: &Context, args: PruneArgs) -> Result<u8, CliError> {
    let repo = context.open_repo(Ahead::Nothing)?;
    let dry_run = args.dry_run;
    let summary = prune_and_show(context, &repo, args)?;
    if context.global.json {
        output::json(&Shown { summary, dry_run })?;
    }
    Ok(code::DONE)
}

/// Prunes and, unless JSON is wanted, says what happened.
pub fn prune_and_show(context: &Context, repo: &Arc<Repo>, args: PruneArgs) -> Result<PruneSummary, CliError> {
    let fence_after = args.fence_after.unwrap_or(FENCE_AFTER);
    if fence_after < HEARTBEAT && !args.dry_run {
        let minutes = HEARTBEAT.as_secs() / 60;
        let fact = format!("writers give a sign of life every {minutes} minutes");
        context.observer.note(&format!("{fact}; a shorter --fence-after takes those for dead too that are at work"));
    }
    let fence_after = SignedDuration::try_from(fence_after).unwrap_or(SignedDuration::MAX);
    let wait = args.wait.map_or(Wait::No, |at_most| Wait::ForWriters { at_most });
    let options = PruneOptions { max_unused_percent: args.max_unused, fence_after, wait, dry_run: args.dry_run };
    let summary = prune(repo, options, &context.cancel);
    context.observer.finish();
    let summary = summary?;
    if !context.global.json && (!context.global.quiet || summary.deferred.is_some()) {
        output::line_out(&describe(&summary, args.dry_run))?;
    }
    Ok(summary)
}

fn describe(s: &PruneSummary, dry_run: bool) -> String {
    let mut lines = vec![
        format!("in use:   {} of {}", output::bytes(s.used_bytes), output::count(s.packs, "pack", "packs")),
        format!(
            "unused:   {}; {} without use, {} part-used and rewritten ({}), {} left by interrupted runs",
            output::bytes(s.unused_bytes),
            s.packs_unused,
            s.packs_repacked,
            output::bytes(s.repacked_bytes),
            s.packs_unlisted
        ),
    ];
    if s.packs_condemned_before > 0 {
        let packs = output::count(s.packs_condemned_before, "pack", "packs");
        lines.push(format!("          {packs} condemned by an earlier prune"));
    }
    lines.push(match &s.deferred {
        Some(why) => format!("deferred: {why}"),
        None if dry_run => format!(
            "would free {}, leaving {} unused",
            output::bytes(s.freed_bytes),
            output::bytes(s.unused_bytes_kept)
        ),
        None => {
            format!("freed {}, leaving {} unused", output::bytes(s.freed_bytes), output::bytes(s.unused_bytes_kept))
        }
    });
    lines.join("\n")
}
