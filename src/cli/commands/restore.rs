//! `ssb restore`

use super::ls::split;
use crate::base::IssueCode;
use crate::cli::args::FilterArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::restore::{RestoreOptions, RestoreOutcome, run as restore};
use crate::ops::snapshots::find;
use crate::repo::Ahead;
use crate::source::Filter;
use crate::store::RequestCounts;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Restore a snapshot, or a part of it, into an empty directory
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb restore latest --target /tmp/all\n  ssb restore 3f2a91c0:/etc/nginx --target /tmp/nginx\n  \
                        ssb restore latest --target /tmp/conf --include '*.conf'\n\nWithout :PATH the whole path of every file \
                        is made below the target;\nwith it, the contents of that directory, or that one file."
)]
pub struct RestoreArgs {
    /// 'latest', or an id or its beginning; with :PATH only that directory or file
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    snapshot: String,
    /// Where to; made if it does not exist, refused if it is not empty
    #[arg(long, short, value_name = "DIR")]
    target: PathBuf,
    /// Restore only what matches this pattern; may be repeated
    #[arg(long, short, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what matches this pattern; may be repeated
    #[arg(long, short, value_name = "PATTERN")]
    exclude: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Serialize)]
struct Shown<'a> {
    snapshot: String,
    target: String,
    #[serde(flatten)]
    outcome: &'a RestoreOutcome,
    requests: RequestCounts,
}

pub fn run(context: &Context, args: RestoreArgs) -> Result<u8, CliError> {
    let (wanted, path) = split(&args.snapshot);
    let options = RestoreOptions {
        path,
        target: args.target,
        include: Filter::new(&args.include)?,
        exclude: Filter::new(&args.exclude)?,
        set_owner: rustix::process::geteuid().is_root(),
    };
    let repo = context.open_repo(Ahead::Snapshots)?;
    let snapshot = find(&repo, wanted, &context.filter(&args.filter)?)?;
    let outcome = restore(&repo, &snapshot, &options, &context.cancel);
    context.observer.finish();
    let outcome = outcome?;
    let target = options.target.display().to_string();
    if context.global.json {
        let id = snapshot.id.to_string();
        output::json(&Shown { snapshot: id, target, outcome: &outcome, requests: context.requests() })?;
    } else if !context.global.quiet {
        output::line_out(&format!(
            "restored {} from snapshot {} into {target}: {} ({}), {} directories, {} others",
            if options.path.is_some() { &args.snapshot } else { "everything" },
            snapshot.id.short(),
            output::count(outcome.files, "file", "files"),
            output::bytes(outcome.bytes),
            outcome.directories,
            outcome.others
        ))?;
    }
    let holes: Vec<_> = outcome.issues.iter().filter(|issue| issue.code == IssueCode::RestoreHole).collect();
    if !holes.is_empty() && !context.global.json {
        output::line_out(&format!(
            "{} because the repository is damaged:",
            output::count(holes.len() as u64, "hole", "holes")
        ))?;
        holes.iter().try_for_each(|hole| output::line_out(&format!("  {hole}")))?;
    }
    let skipped = outcome.issues.iter().any(|issue| issue.code == IssueCode::RestoreSkipped);
    Ok(match (holes.is_empty(), skipped) {
        (false, _) => code::DAMAGE,
        (true, true) => code::SOURCES_UNREADABLE,
        (true, false) => code::DONE,
    })
}
