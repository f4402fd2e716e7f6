//! `ssb snapshots`

use crate::cli::args::FilterArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::snapshots::list;
use crate::repo::{Ahead, Manifest, Snapshot};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

/// List snapshots
#[derive(Args)]
#[command(after_help = "Example:\n  ssb snapshots --host web1 --tag daily")]
pub struct SnapshotsArgs {
    #[command(flatten)]
    filter: FilterArgs,
}

/// A snapshot in JSON.
#[derive(Serialize)]
pub struct ShownSnapshot<'a> {
    pub id: String,
    #[serde(flatten)]
    pub manifest: &'a Manifest,
}

pub fn run(context: &Context, args: SnapshotsArgs) -> Result<u8, CliError> {
    let filter = context.filter(&args.filter)?;
    let repo = context.open_repo(Ahead::Snapshots)?;
    let (snapshots, issues) = list(&repo, &filter)?;
    context.observer.finish();
    if context.global.json {
        let shown = |s| -> ShownSnapshot<'_> { show(s) };
        output::json(&snapshots.iter().map(shown).collect::<Vec<_>>())?;
    } else {
        output::line_out(&table(&snapshots))?;
    }
    Ok(if issues.is_empty() { code::DONE } else { code::DAMAGE })
}

pub fn show(snapshot: &Snapshot) -> ShownSnapshot<'_> {
    ShownSnapshot { id: snapshot.id.to_string(), manifest: &snapshot.manifest }
}

/// The local time, to the second.
pub fn local_time(time: jiff::Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The first few: a glob may have led to thousands.
fn sources(sources: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut shown = sources.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
    if sources.len() > SHOWN {
        shown.push_str(&format!(" and {} more", sources.len() - SHOWN));
    }
    shown
}

fn table(snapshots: &[Snapshot]) -> String {
    let row = |s: &Snapshot| {
        let m = &s.manifest;
        vec![
            s.id.short(),
            local_time(m.time),
            m.host.clone(),
            m.tags.join(","),
            m.label.name().unwrap_or_default().to_owned(),
            sources(&m.sources),
            m.totals.files.to_string(),
            output::bytes(m.totals.bytes),
            output::bytes(m.totals.stored_bytes),
        ]
    };
    let rows: Vec<_> = snapshots.iter().map(row).collect();
    let headings = ["ID", "Time", "Host", "Tags", "Entry", "Paths", "Files", "Size", "New"];
    let shown = output::table(&headings, &["Files", "Size", "New"], &rows);
    format!("{shown}\n{}", output::count(snapshots.len() as u64, "snapshot", "snapshots"))
}
