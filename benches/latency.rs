//! What each command costs against a store that takes its time for every request: once without delay and once with it.
//! The ratio tells how well the requests of a command overlap; only round trips are measured, not bandwidth.

#[path = "latency/life.rs"]
mod life;
#[path = "latency/store.rs"]
mod store;
mod support;

use clap::Parser;
use life::{Cost, Sources, live};
use ssb::store::OpenOptions;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::table::table;

/// Measures every command against a distant store
#[derive(Parser)]
struct Args {
    /// How long every request takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50)]
    delay_ms: u64,
    /// Size of the large file, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
    /// How many small files there are
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    files: u64,
    /// How many snapshots there are in the repository of snapshots
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    snapshots: u32,
    /// Where to work [default: where temporary files go]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse_from(support::words());
    let folder = support::folder_in(args.work)?;
    let sources = Sources::make(folder.path().join("sources"), args.mib, args.files, args.snapshots)?;
    // One after the other, so that there is room for one repository of the large file only.
    let live_with = |delay: Duration| {
        eprintln!("with {} ms per request:", delay.as_millis());
        let place = folder.path().join("place");
        let costs = live(&sources, &place, delay)?;
        fs::remove_dir_all(&place)?;
        Ok::<_, Box<dyn Error>>(costs)
    };
    let near = live_with(Duration::ZERO)?;
    let far = live_with(Duration::from_millis(args.delay_ms))?;

    println!("{} ms per request, {} requests at a time\n", args.delay_ms, OpenOptions::default().connections);
    let rows: Vec<Vec<String>> = near.iter().zip(&far).map(|(near, far)| row(near, far)).collect();
    let headings = ["command", "s without delay", "s with delay", "ratio", "PUT", "GET", "LIST", "HEAD", "DELETE"];
    print!("{}", table(&headings, &rows));
    Ok(())
}

/// The requests are those of the run with delay; the other one makes as many but for what time decides.
fn row(near: &Cost, far: &Cost) -> Vec<String> {
    let counts = far.requests;
    let mut row = vec![
        far.command.clone(),
        format!("{:.2}", near.seconds),
        format!("{:.2}", far.seconds),
        format!("{:.1}", far.seconds / near.seconds),
    ];
    row.extend([counts.put, counts.get, counts.list, counts.head, counts.delete].map(support::table::grouped));
    row
}
