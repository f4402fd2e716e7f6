//! `ssb backup`

use super::code_for;
use crate::cli::PROGRAM;
use crate::cli::context::{Context, host, tags, working_directory};
use crate::cli::exit::CliError;
use crate::cli::output;
use crate::ops::backup::{BackupOptions, BackupOutcome, Commit, Source, run as back_up};
use crate::repo::Ahead;
use crate::source::{Filter, Input, WalkOptions};
use crate::store::RequestCounts;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Back up files and directories, or standard input, as a new snapshot
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb backup /etc /srv/uploads --exclude '*.tmp' --tag daily\n  pg_dump app | ssb backup \
                        --stdin --stdin-filename app.sql\n\nExclude patterns are globs: '*' and '?' stay within a name, '**' \
                        crosses directories.\nOne that begins with '/' is matched from the root, any other at every depth."
)]
pub struct BackupArgs {
    /// What to back up
    #[arg(value_name = "PATH", required_unless_present = "stdin", conflicts_with = "stdin")]
    paths: Vec<PathBuf>,
    /// Tags for the snapshot (a,b); may be repeated
    #[arg(long, value_name = "TAGS")]
    tag: Vec<String>,
    /// Name of the host in the snapshot [default: this machine's]
    #[arg(long, short = 'H', value_name = "HOST")]
    host: Option<String>,
    /// Leave out what matches this pattern; may be repeated
    #[arg(long, short, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Stay on the file systems that the paths lie on
    #[arg(long, short = 'x')]
    one_file_system: bool,
    /// Make no snapshot if nothing has changed since the last of the same host and paths
    #[arg(long)]
    skip_if_unchanged: bool,
    /// Read everything and say what would be stored, but store nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Read every file, also those that have not changed since the parent snapshot
    #[arg(long)]
    force: bool,
    /// Back up standard input as one file
    #[arg(long)]
    stdin: bool,
    /// Its path in the snapshot
    #[arg(long, value_name = "PATH", default_value = "stdin", requires = "stdin")]
    stdin_filename: PathBuf,
    /// zstd level, from -7 (fastest) to 22 (smallest)
    #[arg(long, value_name = "LEVEL", default_value_t = 3, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-7..=22))]
    compression: i32,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    outcome: &'a BackupOutcome,
    dry_run: bool,
    requests: RequestCounts,
}

pub fn run(context: &Context, args: BackupArgs) -> Result<u8, CliError> {
    let source = if args.stdin {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let content = Input::standard(context.cancel.clone())
            .map_err(|e| CliError::usage(format!("standard input cannot be read: {e}; give it something to read")))?;
        Source::Stream { path: args.stdin_filename, content: Box::new(content), uid, gid }
    } else {
        let walk = WalkOptions { exclude: Filter::new(&args.exclude)?, one_file_system: args.one_file_system };
        Source::Paths { paths: args.paths, base: working_directory()?, walk }
    };
    let repo = context.open_repo(Ahead::Nothing)?;
    let options = BackupOptions {
        tags: args.tag.iter().flat_map(|set| tags(set)).collect(),
        zstd_level: args.compression,
        commit: if args.skip_if_unchanged { Commit::IfChanged } else { Commit::Always },
        dry_run: args.dry_run,
        read_all: args.force,
        count_ahead: context.observer.shows_bar(),
        ..BackupOptions::new(source, &args.host.unwrap_or_else(host), PROGRAM)
    };
    let outcome = back_up(&repo, options, &context.cancel);
    context.observer.finish();
    let outcome = outcome?;
    if context.global.json {
        output::json(&Shown { outcome: &outcome, dry_run: args.dry_run, requests: context.requests() })?;
    } else if !context.global.quiet {
        output::line_out(&describe(&outcome, context.requests()))?;
    }
    Ok(code_for(&outcome.issues))
}

fn describe(outcome: &BackupOutcome, requests: RequestCounts) -> String {
    let t = &outcome.totals;
    let parent = outcome.parent.as_ref().map_or("no parent".to_owned(), |p| format!("parent {}", p.id.short()));
    let what = match &outcome.snapshot {
        Some(snapshot) => format!("snapshot {} saved ({parent})", snapshot.id.short()),
        None if outcome.unchanged => format!("nothing has changed, no snapshot was made ({parent})"),
        None => format!("dry run, nothing was stored ({parent})"),
    };
    let mut lines = vec![
        what,
        format!(
            "files:  {} ({} new, {} changed, {} unchanged), {} directories, {} others",
            t.files, t.files_new, t.files_changed, t.files_unchanged, t.directories, t.others
        ),
        format!(
            "size:   {}, of which new: {} in {}, stored as {} in {}",
            output::bytes(t.bytes),
            output::bytes(t.new_bytes),
            output::count(t.new_chunks, "chunk", "chunks"),
            output::bytes(t.stored_bytes),
            output::count(t.new_packs, "pack", "packs"),
        ),
        format!(
            "time:   {}, {}",
            output::duration(t.duration_ms),
            output::count(requests.requests(), "request", "requests")
        ),
    ];
    let skipped: Vec<_> = outcome.issues.iter().filter(|issue| !issue.code.is_notice()).collect();
    if !skipped.is_empty() {
        lines.push(format!("{} could not be backed up:", output::count(skipped.len() as u64, "path", "paths")));
        lines.extend(skipped.iter().map(|issue| format!("  {issue}")));
    }
    lines.join("\n")
}
