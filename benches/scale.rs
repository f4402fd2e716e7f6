//! How ssb behaves with far more chunks, or far more files, than a test can back up. With `--chunks` the index is filled
//! and no data are written; with `--tree` one or some directories hold a great many empty files. Every step is taken by this program
//! run again, so that time and memory are the step's own.

#[path = "scale/fill.rs"]
mod fill;
#[path = "scale/step.rs"]
mod step;
mod support;

use clap::{Parser, ValueEnum};
use ssb::base::text::human_bytes;
use ssb::crypto::KdfParams;
use ssb::repo::layout;
use ssb::store::list_all;
use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use step::{FEW, Many, Place, Step, take};
use support::table::{grouped, table};
use support::{Outcome, client, data};

/// Measures a repository of very many chunks, or a backup of very many files
#[derive(Parser)]
struct Args {
    /// Fill the index with so many chunks
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    chunks: u64,
    /// Back up so many empty files instead
    #[arg(long, value_name = "N")]
    tree: Option<u64>,
    /// How many directories hold the empty files
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    directories: u64,
    /// Where to work [default: where temporary files go]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Take one step in the folder that --work names; how the program runs itself
    #[arg(long, hide = true, requires = "work")]
    step: Option<Step>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse_from(support::words());
    if let (Some(step), Some(folder)) = (args.step, &args.work) {
        let many = Many { files: args.tree.unwrap_or(0), directories: args.directories };
        let rows = take(step, &Place::new(folder.clone()), args.chunks, many)?;
        println!("{}", serde_json::to_string(&rows)?);
        return Ok(());
    }
    let folder = support::folder_in(args.work)?;
    let place = Place::new(folder.path().to_owned());
    let rows = match args.tree {
        Some(files) => measure_tree(&place, Many { files, directories: args.directories })?,
        None => measure_index(&place, args.chunks)?,
    };
    print!("{}", table(&["what", "figure", "peak MiB"], &rows));
    Ok(())
}

/// A small backup among many chunks.
fn measure_index(place: &Place, chunks: u64) -> Outcome<Vec<Vec<String>>> {
    data::small_files(&place.few(), 0..FEW)?;
    // The backup comes first: its writer need not know the rest, and is no part of what is measured.
    let repo = client::create(place.store()?, &place.other_cache(), KdfParams::RECOMMENDED)?;
    client::backup(&repo, &place.source())?;
    eprintln!("filling the index with {} chunks", grouped(chunks));
    fill::fill(&repo, chunks)?;
    drop(repo);
    fs::remove_dir_all(place.other_cache())?;
    data::small_files(&place.few(), FEW..2 * FEW)?;

    let segments = list_all(&*place.store()?, layout::SEGMENTS)?;
    let size_bytes = human_bytes(segments.iter().map(|object| object.size_bytes).sum());
    println!("{} chunks, a backup of {FEW} small files and one of {FEW} more\n", grouped(chunks));
    let name = format!("{} segments in the bucket", grouped(segments.len() as u64));
    let mut rows = vec![vec![name, size_bytes, String::new()]];
    for step in [Step::Sync, Step::LookUps, Step::MoreFiles, Step::Prune, Step::Snapshots, Step::Restore] {
        rows.extend(run_alone(step, place, &[format!("--chunks={chunks}")])?);
    }
    Ok(rows)
}

/// Many files, and a small directory beside them.
fn measure_tree(place: &Place, many: Many) -> Outcome<Vec<Vec<String>>> {
    eprintln!("making {} files", grouped(many.files));
    data::small_files(&place.few(), 0..FEW)?;
    for directory in 0..many.directories {
        fs::create_dir_all(place.many(directory))?;
    }
    for number in 0..many.files {
        File::create(place.many(number % many.directories).join(format!("file-{number:09}")))?;
    }
    drop(client::create(place.store()?, &place.cache(), KdfParams::RECOMMENDED)?);

    let (files, directories) = (grouped(many.files), grouped(many.directories));
    println!("{files} empty files in {directories} directories, and {FEW} small files beside them\n");
    let mut rows = Vec::new();
    let steps = [Step::FirstBackup, Step::OneMore, Step::ListFew, Step::ListMany, Step::Diff, Step::Restore];
    for step in steps {
        rows.extend(run_alone(
            step,
            place,
            &[format!("--tree={}", many.files), format!("--directories={}", many.directories)],
        )?);
    }
    Ok(rows)
}

/// Takes a step in a process of its own; `size` are the options that say how large all this is.
fn run_alone(step: Step, place: &Place, size: &[String]) -> Outcome<Vec<Vec<String>>> {
    let value = step.to_possible_value().ok_or("this step has no name")?;
    let mut program = Command::new(std::env::current_exe()?);
    program.args(["--step", value.get_name(), "--work"]).arg(place.folder()).args(size);
    let output = program.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the step {} failed: {}", value.get_name(), output.status).into());
    }
    let rows: Vec<Vec<String>> = serde_json::from_slice(&output.stdout)?;
    rows.iter().for_each(|row| eprintln!("{}", row.join("  ")));
    Ok(rows)
}
