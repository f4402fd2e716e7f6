//! `ssb diff`

use super::ls::{self, ShownEntry};
use crate::cli::args::FilterArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::diff::{Change, ChangeKind, Counts, DiffOutcome, DiffSide, run as diff};
use crate::ops::snapshots::find;
use crate::repo::{Ahead, Snapshot};
use clap::Args;
use serde::Serialize;

/// Show what changed from one snapshot to another
#[derive(Args)]
#[command(after_help = "Examples:\n  ssb diff 3f2a91c0 latest\n  ssb diff 3f2a91c0 latest:/etc/nginx --metadata\n  \
                        ssb diff latest:/srv/v1 latest:/srv/v2\n\nEach line begins with what happened:\n  +  added\n  -  \
                        removed\n  M  another content, or for a link another target\n  T  another type: a file became a \
                        directory, ...\n  U  only mode, owner or modification time changed (with --metadata)\n\nThe exit \
                        code is 0 whether or not there are changes.")]
pub struct DiffArgs {
    /// What was: 'latest', or an id or its beginning; with :PATH only that directory or file
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    before: String,
    /// What it became; a PATH that is given once counts for both
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    after: String,
    /// Also list what only has another mode, owner or modification time
    #[arg(long)]
    metadata: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// A change in JSON, one per line.
#[derive(Serialize)]
struct ShownChange {
    change: ChangeKind,
    path: String,
    before: Option<ShownEntry>,
    after: Option<ShownEntry>,
}

/// The last line in JSON.
#[derive(Serialize)]
struct LastLine<'a> {
    summary: Summary<'a>,
}

#[derive(Serialize)]
struct Summary<'a> {
    before: String,
    after: String,
    #[serde(flatten)]
    outcome: &'a DiffOutcome,
}

pub fn run(context: &Context, args: DiffArgs) -> Result<u8, CliError> {
    let (before, before_path) = ls::split(&args.before);
    let (after, after_path) = ls::split(&args.after);
    let filter = context.filter(&args.filter)?;
    let repo = context.open_repo(Ahead::Snapshots)?;
    let (before, after) = (find(&repo, before, &filter)?, find(&repo, after, &filter)?);
    let mut failure = Ok(());
    let mut each = |change: &Change| {
        let is_asked_for = args.metadata || change.kind != ChangeKind::Metadata;
        if is_asked_for && failure.is_ok() {
            failure = if context.global.json { output::json(&show(change)) } else { output::line_out(&line(change)) };
        }
    };
    let sides = (
        DiffSide { snapshot: &before, path: before_path.as_deref() },
        DiffSide { snapshot: &after, path: after_path.as_deref() },
    );
    let outcome = diff(&repo, sides.0, sides.1, &context.cancel, &mut each);
    context.observer.finish();
    let outcome = outcome?;
    failure?;
    if context.global.json {
        let (before, after) = (before.id.to_string(), after.id.to_string());
        output::json(&LastLine { summary: Summary { before, after, outcome: &outcome } })?;
    } else if !context.global.quiet {
        output::line_out(&describe(&outcome, &before, &after, args.metadata))?;
    }
    Ok(if outcome.issues.is_empty() { code::DONE } else { code::DAMAGE })
}

fn show(change: &Change) -> ShownChange {
    let entries = &change.entries;
    ShownChange {
        change: change.kind,
        path: change.display(),
        before: entries.before.as_ref().map(ls::show),
        after: entries.after.as_ref().map(ls::show),
    }
}

fn line(change: &Change) -> String {
    let sign = match change.kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Modified => 'M',
        ChangeKind::Metadata => 'U',
        ChangeKind::Type => 'T',
    };
    format!("{sign}    {}", change.display())
}

/// The heading of what is listed only if it is asked for.
const METADATA: &str = "Metadata";

/// What stands below the list.
fn describe(outcome: &DiffOutcome, before: &Snapshot, after: &Snapshot, with_metadata: bool) -> String {
    let ways = [
        ("Added", &outcome.added),
        ("Removed", &outcome.removed),
        ("Modified", &outcome.modified),
        ("Type", &outcome.retyped),
        (METADATA, &outcome.metadata),
    ];
    let from_to = format!("from {} to {}", before.id.short(), after.id.short());
    if ways.iter().all(|(_, counts)| counts.total() == 0) {
        let but = if outcome.issues.is_empty() { "" } else { " in what could be read" };
        return format!("nothing changed {from_to}{but}");
    }
    let row = |title: &str, number: fn(&Counts) -> u64| {
        let cells = ways.iter().map(|(_, counts)| number(counts).to_string());
        [title.to_owned()].into_iter().chain(cells).collect()
    };
    let rows: [Vec<String>; 3] = [
        row("files", |counts| counts.files),
        row("directories", |counts| counts.directories),
        row("others", |counts| counts.others),
    ];
    let titles = ways.map(|(title, _)| title);
    let headings = [&["Changes"][..], &titles].concat();
    let mut lines = vec![output::table(&headings, &titles, &rows)];
    if with_metadata || ways.iter().any(|(title, counts)| *title != METADATA && counts.total() > 0) {
        lines.insert(0, String::new());
    }
    let (added, removed) = (output::bytes(outcome.added_bytes), output::bytes(outcome.removed_bytes));
    lines.push(format!("{from_to}: {added} of content came, {removed} went"));
    if outcome.metadata.total() > 0 && !with_metadata {
        lines.push("what changed in its metadata only is not listed; --metadata lists it".to_owned());
    }
    lines.join("\n")
}
