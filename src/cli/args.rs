//! What was typed, as types. What it means is for others.

use super::commands;
use crate::base::duration;
use clap::{Args, Parser, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0 done            1 failed          2 wrong usage or settings
  3 done, but some sources could not be read
  4 the repository is damaged (check found something, a restore has holes, a repair left some)
  10 no repository  11 another run of the config is at work
  12 wrong key      13 format too new  130 interrupted";

/// Encrypted, deduplicated backups to S3 or a directory.
#[derive(Parser)]
#[command(name = "ssb", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The config file [default: ./config/config.toml, ./config/config.json, /etc/ssb/config.toml, ssb/config.toml in the
    /// user's config folder]
    #[arg(long, global = true, value_name = "FILE", env = "SSB_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the repository is: a path, file:///path or s3://bucket/prefix [env: SSB_REPOSITORY, or S3_BUCKET]
    #[arg(long, short, global = true, value_name = "REPO")]
    pub repo: Option<String>,
    /// Read the passphrase from the first line of a file [env: SSB_PASSWORD_FILE, SSB_PASSWORD]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Take the first line that a shell command prints as the passphrase [env: SSB_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with = "password_file")]
    pub password_command: Option<String>,
    /// Region of the bucket
    #[arg(long, global = true, value_name = "REGION", env = "S3_REGION")]
    pub s3_region: Option<String>,
    /// URL of an S3 server that is not Amazon's
    #[arg(long, global = true, value_name = "URL", env = "S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,
    /// Whether the bucket stands in the path of URLs; true by default with an endpoint
    #[arg(long, global = true, value_name = "BOOL", env = "S3_PATH_STYLE")]
    pub s3_path_style: Option<bool>,
    /// Requests at a time to a bucket [default: 128]
    #[arg(long, global = true, value_name = "N", env = "SSB_CONNECTIONS", value_parser = parse_connections)]
    pub connections: Option<NonZeroUsize>,
    /// Upload at most so many KiB per second, on average, over all requests; 0 for no limit
    #[arg(long, global = true, value_name = "KIB", env = "SSB_LIMIT_UPLOAD", value_parser = parse_kibibytes)]
    pub limit_upload: Option<u64>,
    /// Download at most so many KiB per second, likewise
    #[arg(long, global = true, value_name = "KIB", env = "SSB_LIMIT_DOWNLOAD", value_parser = parse_kibibytes)]
    pub limit_download: Option<u64>,
    /// Give a request to a bucket up, and try it again, after so long (90s, 2m), and the time that its body takes at 16
    /// KiB/s [default: 60s, and 5s until the server has answered once]
    #[arg(long, global = true, value_name = "DURATION", env = "SSB_REQUEST_TIMEOUT", value_parser = duration::parse_some)]
    pub request_timeout: Option<Duration>,
    /// Folder for local copies, which may be deleted at any time [default: ssb in the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", env = "SSB_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Keep no local copies
    #[arg(long, global = true)]
    pub no_cache: bool,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but errors and warnings
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Tell more; twice, even more
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

#[derive(Subcommand)]
pub enum Command {
    Init(commands::init::InitArgs),
    Backup(commands::backup::BackupArgs),
    Run(commands::run::RunArgs),
    Snapshots(commands::snapshots::SnapshotsArgs),
    Ls(commands::ls::LsArgs),
    Diff(commands::diff::DiffArgs),
    Restore(commands::restore::RestoreArgs),
    Check(commands::check::CheckArgs),
    Forget(commands::forget::ForgetArgs),
    Prune(commands::prune::PruneArgs),
    Sessions(commands::sessions::SessionsArgs),
    Repair(commands::repair::RepairArgs),
    Config(commands::config::ConfigArgs),
    Schedule(commands::schedule::ScheduleArgs),
    Report(commands::report::ReportArgs),
    /// Show how large the repository is and what deduplication saves
    #[command(after_help = "Example:\n  ssb stats --json")]
    Stats,
    /// Show the program's version
    #[command(after_help = "Example:\n  ssb version --json")]
    Version,
}

/// Which snapshots are meant.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterArgs {
    /// Only snapshots of this host; may be repeated
    #[arg(long, short = 'H', value_name = "HOST")]
    pub host: Vec<String>,
    /// Only snapshots with all of these tags (a,b); repeated, one set is enough
    #[arg(long, value_name = "TAGS")]
    pub tag: Vec<String>,
    /// Only snapshots with this source path; repeated, all are wanted
    #[arg(long, value_name = "PATH")]
    pub path: Vec<PathBuf>,
    /// Only snapshots of this entry or group of the config; may be repeated
    #[arg(long, value_name = "NAME")]
    pub entry: Vec<String>,
}

fn parse_connections(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("'{text}' is no number of connections; give a whole number from 1"))
}

/// Bytes of so many KiB; what is too much to count is no limit either.
fn parse_kibibytes(text: &str) -> Result<u64, String> {
    let kibibytes: u64 = text.parse().map_err(|_| {
        format!("'{text}' is no speed; give a whole number of KiB per second such as 500, or 0 for no limit")
    })?;
    Ok(kibibytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_store_are_checked() {
        assert_eq!(parse_kibibytes("500"), Ok(512_000));
        assert_eq!(parse_kibibytes("0"), Ok(0));
        assert_eq!(parse_connections("3").map(NonZeroUsize::get), Ok(3));
        for bad in ["", "-1", "1.5", "1M"] {
            assert!(parse_kibibytes(bad).unwrap_err().contains("such as 500"), "{bad}");
            assert!(parse_connections(bad).unwrap_err().contains("from 1"), "{bad}");
        }
        assert!(parse_connections("0").is_err());
    }
}
