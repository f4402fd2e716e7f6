//! `ssb check`

use crate::base::Entropy;
use crate::base::edge::random;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::check::{CheckOutcome, ReadData, run as check};
use crate::repo::Ahead;
use clap::Args;

/// Check that everything the snapshots need is there and whole
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb check\n  ssb check --read-data\n  ssb check --read-data-subset 10%\n  ssb check \
                        --read-data-subset 3/7\n\nWithout --read-data names, sizes and trees are checked; with it, every byte."
)]
pub struct CheckArgs {
    /// Read and verify all data
    #[arg(long)]
    read_data: bool,
    /// Read and verify a part: '10%' drawn by chance, or the n-th of m parts 'n/m'
    #[arg(long, value_name = "SUBSET", conflicts_with = "read_data", value_parser = parse_subset)]
    read_data_subset: Option<ReadData>,
}

fn parse_subset(text: &str) -> Result<ReadData, String> {
    let wanted =
        || format!("'{text}' is no subset: give a percentage such as 10%, or n/m such as 3/7 with 1 <= n <= m");
    if let Some(number) = text.strip_suffix('%') {
        let percent: f64 = number.trim().parse().map_err(|_| wanted())?;
        return if percent > 0.0 && percent <= 100.0 { Ok(ReadData::Percent(percent)) } else { Err(wanted()) };
    }
    let (n, m) = text.split_once('/').ok_or_else(wanted)?;
    match (n.trim().parse(), m.trim().parse()) {
        (Ok(n), Ok(m)) if (1..=m).contains(&n) => Ok(ReadData::Part(n, m)),
        _ => Err(wanted()),
    }
}

pub fn run(context: &Context, args: CheckArgs) -> Result<u8, CliError> {
    let read_data = match (args.read_data, args.read_data_subset) {
        (true, _) => ReadData::All,
        (false, Some(subset)) => subset,
        (false, None) => ReadData::No,
    };
    let repo = context.open_repo(Ahead::Nothing)?;
    let entropy: &dyn Entropy = &*repo.edges.entropy;
    let seed = u64::from_le_bytes(random(entropy));
    let outcome = check(&repo, read_data, seed, &context.cancel);
    context.observer.finish();
    let outcome = outcome?;
    if context.global.json {
        output::json(&outcome)?;
    } else if !context.global.quiet || !outcome.findings.is_empty() {
        output::line_out(&describe(&outcome))?;
    }
    Ok(if outcome.findings.is_empty() { code::DONE } else { code::DAMAGE })
}

fn describe(outcome: &CheckOutcome) -> String {
    let read = match outcome.packs_read {
        0 => "no data was read".to_owned(),
        n => format!("{} read and verified ({})", output::count(n, "pack", "packs"), output::bytes(outcome.bytes_read)),
    };
    let mut lines = vec![format!(
        "checked {} and {}; {read}",
        output::count(outcome.snapshots, "snapshot", "snapshots"),
        output::count(outcome.packs, "pack", "packs"),
    )];
    if outcome.packs_unlisted > 0 {
        let packs = output::count(outcome.packs_unlisted, "pack is", "packs are");
        let why = if outcome.findings.is_empty() {
            "left by an interrupted run or a repair, or written by a run that is at work; the next prune frees what nothing needs"
        } else {
            "which may be because of the damage below; 'ssb repair index' lists them, do not prune before that is mended"
        };
        lines.push(format!("{packs} in no segment, {why}"));
    }
    if outcome.findings.is_empty() {
        lines.push("no damage was found".to_owned());
        return lines.join("\n");
    }
    lines.push(format!("DAMAGE: {}", output::count(outcome.findings.len() as u64, "finding", "findings")));
    for finding in &outcome.findings {
        lines.push(format!("  {}: {}", finding.object, finding.what));
        lines.push(format!("    what to do: {}", finding.next));
    }
    for hit in &outcome.hits {
        let files = output::count(hit.file_count, "file", "files");
        lines.push(format!("snapshot {} cannot be restored whole; hit: {files}", &hit.snapshot[..8]));
        lines.extend(hit.files.iter().map(|file| format!("  {file}")));
        if hit.file_count > hit.files.len() as u64 {
            lines.push(format!("  and {} more", hit.file_count - hit.files.len() as u64));
        }
    }
    if outcome.hits.is_empty() {
        lines.push("no file of any snapshot is hit".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets() {
        assert_eq!(parse_subset("10%"), Ok(ReadData::Percent(10.0)));
        assert_eq!(parse_subset("3/7"), Ok(ReadData::Part(3, 7)));
        for bad in ["", "0%", "101%", "x%", "0/3", "4/3", "1/0", "7"] {
            assert!(parse_subset(bad).is_err(), "{bad}");
        }
    }
}
