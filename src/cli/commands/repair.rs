//! `ssb repair`

use crate::base::PackId;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::repair::index::{IndexOptions, IndexOutcome, run as repair_index};
use crate::ops::repair::packs::{PackRepair, PacksOptions, PacksOutcome, run as repair_packs};
use crate::ops::repair::snapshots::{SnapshotRepair, SnapshotsOptions, SnapshotsOutcome, run as repair_snapshots};
use crate::repo::Ahead;
use clap::{Args, Subcommand};
use serde::Serialize;

/// Mend what 'ssb check' has found damaged, as far as it can be mended
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb repair index\n  ssb repair packs packs/a9/a9615fba...\n  ssb repair snapshots --dry-run\n\nAfter damage, in this order:\n  1. \
                        'ssb check --read-data' names what is damaged; if there is a copy of the bucket, bring that back\n  2. 'ssb repair index' \
                        lists the packs that are there\n  3. 'ssb repair packs' saves what is whole in damaged packs\n  4. the backups again: they \
                        store what is lost and their sources still have\n  5. 'ssb repair snapshots' writes snapshots without what stays \
                        lost\n\nSafe beside running backups and prunes. Nothing is deleted that can still be used."
)]
pub struct RepairArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Index(IndexArgs),
    Packs(PacksArgs),
    Snapshots(SnapshotsArgs),
}

/// List the packs that are there, and no others, by what they say of themselves
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb repair index --dry-run\n  ssb repair index --read-all\n\nA pack is missing, or segments are \
                        lost: afterwards the next backup stores again what is lost\nand its sources still have. Damaged packs are named and \
                        left to 'ssb repair packs'."
)]
struct IndexArgs {
    /// Read what every pack says of itself, also of those that are listed at their size
    #[arg(long)]
    read_all: bool,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Save what is whole in damaged packs, and give the packs up
#[derive(Args)]
#[command(
    after_help = "Example:\n  ssb repair packs a9615fba4c000525d11c57818badc388c3cca1b88cdf3002461de49a9ab28856\n\nTakes packs as \
                        'ssb check --read-data' names them. Whole chunks are stored again in new packs;\nthe next prune deletes the \
                        damaged ones. A pack that is whole is left alone."
)]
struct PacksArgs {
    /// The damaged packs: their ids, or their names in the bucket
    #[arg(value_name = "PACK", required = true)]
    packs: Vec<String>,
    /// Only say what would be saved and lost
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Write snapshots that cannot be restored whole anew, without what is lost
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb repair snapshots --dry-run\n  ssb repair snapshots --forget\n\nThe new snapshot has the time, \
                        host, paths and tags of the damaged one, and the tag 'repaired'.\nThe damaged one stays unless --forget is given. \
                        Run the backups before: they store again\nwhat is lost and their sources still have."
)]
struct SnapshotsArgs {
    /// Remove the damaged snapshots, also those that cannot be read at all
    #[arg(long)]
    forget: bool,
    /// Only say what is lost
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(Serialize)]
struct Shown<'a, T> {
    #[serde(flatten)]
    outcome: &'a T,
    dry_run: bool,
}

pub fn run(context: &Context, args: RepairArgs) -> Result<u8, CliError> {
    match args.what {
        What::Index(args) => index(context, args),
        What::Packs(args) => packs(context, args),
        What::Snapshots(args) => snapshots(context, args),
    }
}

/// Prints, and gives the exit code; what stays damaged is told even if nothing else is wanted.
fn show<T: Serialize>(
    context: &Context,
    outcome: &T,
    dry_run: bool,
    is_mended: bool,
    describe: impl Fn(&T, bool) -> String,
) -> Result<u8, CliError> {
    if context.global.json {
        output::json(&Shown { outcome, dry_run })?;
    } else if !context.global.quiet || !is_mended {
        output::line_out(&describe(outcome, dry_run))?;
    }
    Ok(if is_mended { code::DONE } else { code::DAMAGE })
}

fn index(context: &Context, args: IndexArgs) -> Result<u8, CliError> {
    let repo = context.open_repo(Ahead::Nothing)?;
    let options = IndexOptions { read_all: args.read_all, dry_run: args.dry_run };
    let outcome = repair_index(&repo, options, &context.cancel);
    context.observer.finish();
    let outcome = outcome?;
    show(context, &outcome, args.dry_run, outcome.findings.is_empty(), describe_index)
}

fn packs(context: &Context, args: PacksArgs) -> Result<u8, CliError> {
    let packs = args.packs.iter().map(|name| parse_pack(name)).collect::<Result<_, _>>()?;
    let repo = context.open_repo(Ahead::Nothing)?;
    let outcome = repair_packs(&repo, &PacksOptions { packs, dry_run: args.dry_run }, &context.cancel);
    context.observer.finish();
    let outcome = outcome?;
    let is_mended = outcome.hits.is_empty() && outcome.packs.iter().all(|pack| pack.whole || pack.chunks > 0);
    show(context, &outcome, args.dry_run, is_mended, describe_packs)
}

fn snapshots(context: &Context, args: SnapshotsArgs) -> Result<u8, CliError> {
    let repo = context.open_repo(Ahead::Nothing)?;
    let program = concat!("ssb ", env!("CARGO_PKG_VERSION")).to_owned();
    let options = SnapshotsOptions { forget: args.forget, dry_run: args.dry_run, program };
    let outcome = repair_snapshots(&repo, &options, &context.cancel);
    context.observer.finish();
    let outcome = outcome?;
    let is_mended = outcome.damaged.iter().all(|damaged| damaged.forgotten);
    show(context, &outcome, args.dry_run, is_mended, describe_snapshots)
}

/// A pack by its id, or by its name as a check prints it.
fn parse_pack(name: &str) -> Result<PackId, CliError> {
    let id = name.trim_end_matches(':').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    id.parse().map_err(|_| {
        CliError::usage(format!(
            "'{name}' is no pack: give the 64 digits of its id, or its name as 'ssb check --read-data' prints it"
        ))
    })
}

fn describe_index(o: &IndexOutcome, dry_run: bool) -> String {
    let verb = |done: &'static str, planned: &'static str| if dry_run { planned } else { done };
    let packs = |n: u64| output::count(n, "pack", "packs");
    let segments = |n: u64| output::count(n, "segment", "segments");
    let mut lines = vec![format!(
        "{} there, {} read; {} right, {} damaged",
        packs(o.packs),
        output::count(o.footers_read, "footer", "footers"),
        segments(o.segments_kept),
        o.segments_damaged
    )];
    if o.packs_added > 0 {
        lines.push(format!("{} {} that were in no segment", verb("listed", "would list"), packs(o.packs_added)));
    }
    if o.packs_put_back > 0 {
        let put_back = verb("put back", "would put back");
        lines.push(format!("{put_back} {} from this machine's cache", packs(o.packs_put_back)));
    }
    if o.packs_condemned > 0 {
        lines.push(format!("{} given up before and left to the next prune", packs(o.packs_condemned)));
    }
    if o.segments_replaced + o.segments_written > 0 {
        let (replaced, written) = (verb("replaced", "would replace"), verb("wrote", "write"));
        lines.push(format!("{replaced} {}, {written} {}", segments(o.segments_replaced), o.segments_written));
    } else {
        lines.push("the index was left as it is".to_owned());
    }
    if o.findings.is_empty() {
        lines.push("no pack is missing or damaged; 'ssb check' tells whether the snapshots are whole".to_owned());
    } else {
        lines.push(format!("DAMAGE: {} missing, {} damaged", packs(o.packs_missing), o.packs_damaged));
    }
    for finding in &o.findings {
        lines.push(format!("  {}: {}", finding.object, finding.what));
        lines.push(format!("    what to do: {}", finding.next));
    }
    lines.join("\n")
}

fn describe_packs(o: &PacksOutcome, dry_run: bool) -> String {
    let mut lines: Vec<String> = o.packs.iter().map(|pack| describe_pack(pack, dry_run)).collect();
    let would = if dry_run { "would be " } else { "" };
    if o.packs.iter().any(|pack| !pack.whole) {
        let segments = output::count(o.segments_replaced, "segment", "segments");
        lines.push(format!("{segments} {would}written anew without them; the next prune deletes them"));
    }
    for hit in &o.hits {
        let files = output::count(hit.file_count, "file", "files");
        lines.push(format!("snapshot {} cannot be restored whole; hit: {files}", &hit.snapshot[..8]));
        lines.extend(hit.files.iter().map(|file| format!("  {file}")));
        lines.extend(more(hit.file_count, hit.files.len()));
    }
    let lost: u64 = o.packs.iter().map(|pack| pack.lost).sum();
    if lost > 0 && o.hits.is_empty() {
        lines.push("no file of any snapshot is hit".to_owned());
    } else if lost > 0 {
        lines.push(
            "what to do: run the backups again, which store what their sources still have, and then 'ssb repair snapshots' \
             for what stays lost"
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn describe_pack(pack: &PackRepair, dry_run: bool) -> String {
    let id = pack.pack;
    match (pack.whole, pack.chunks) {
        (true, _) => format!("pack {id} is whole and was left as it is"),
        (false, 0) => format!("pack {id}: nothing tells what it holds, so nothing can be saved"),
        (false, chunks) => format!(
            "pack {id}: {} of {} {}saved ({}), {} lost",
            pack.saved,
            output::count(chunks, "chunk", "chunks"),
            if dry_run { "would be " } else { "" },
            output::bytes(pack.saved_bytes),
            pack.lost
        ),
    }
}

fn describe_snapshots(o: &SnapshotsOutcome, dry_run: bool) -> String {
    let snapshots = |n: u64| output::count(n, "snapshot", "snapshots");
    let mut lines = vec![format!("looked at {}", snapshots(o.snapshots))];
    if o.manifests_put_back > 0 {
        let would = if dry_run { "would be " } else { "" };
        lines.push(format!("{} {would}put back from this machine's cache", snapshots(o.manifests_put_back)));
    }
    if o.damaged.is_empty() {
        lines.push("none has lost anything; damage inside of packs is found by 'ssb check --read-data'".to_owned());
    }
    for damaged in &o.damaged {
        lines.extend(describe_snapshot(damaged, dry_run));
    }
    if o.damaged.iter().any(|damaged| !damaged.forgotten) {
        lines.push(
            "damaged snapshots stay until 'ssb repair snapshots --forget' or 'ssb forget' removes them".to_owned(),
        );
    }
    lines.join("\n")
}

fn describe_snapshot(damaged: &SnapshotRepair, dry_run: bool) -> Vec<String> {
    let id = damaged.snapshot.short();
    let forgotten = if damaged.forgotten { "; it was removed" } else { "" };
    if let Some(why) = &damaged.unreadable {
        return vec![format!("snapshot {} cannot be read: {why}{forgotten}", damaged.snapshot)];
    }
    let files = output::count(damaged.file_count, "file", "files");
    let mut lines = vec![format!("snapshot {id} cannot be restored whole; lost: {files}")];
    lines.extend(damaged.files.iter().map(|file| format!("  {file}")));
    lines.extend(more(damaged.file_count, damaged.files.len()));
    lines.push(match &damaged.repaired {
        Some(repaired) => format!("  the rest is snapshot {}{forgotten}", repaired.short()),
        None if dry_run => "  it would be written anew without them, if anything is left".to_owned(),
        None => format!("  nothing else was in it{forgotten}"),
    });
    lines
}

fn more(count: u64, named: usize) -> Option<String> {
    (count > named as u64).then(|| format!("  and {} more", count - named as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_by_id_or_name() {
        let id = "a9".repeat(32);
        for name in [id.clone(), format!("packs/a9/{id}"), format!("packs/a9/{id}:"), id.to_uppercase()] {
            assert_eq!(parse_pack(&name).ok().map(|pack| pack.to_string()), Some(id.clone()), "{name}");
        }
        for bad in ["", "a9", "packs/a9/", "latest"] {
            assert!(parse_pack(bad).is_err(), "{bad}");
        }
    }
}
