//! `ssb config`: writing, checking and showing the config file.

mod check;
mod mask;
mod show;

use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::{output, settings};
use crate::config::schema;
use clap::{Args, Subcommand};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The commented default, which is also what explains every key.
const DEFAULT: &str = include_str!("../../../config/config.toml");

/// Write, check and show the config file
#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write a config file with every setting in it, commented out and explained
    #[command(
        after_help = "The file is only for its owner to read, and never overwrites another.\n\nExample:\n  ssb config init \
                            /etc/ssb/config.toml"
    )]
    Init {
        /// Where to [default: --config, or /etc/ssb/config.toml for root, or ssb/config.toml in the user's config folder]
        file: Option<PathBuf>,
    },
    /// List everything that is wrong with the config file, or looks wrong
    #[command(
        after_help = "Exit codes: 0 nothing is wrong, 3 some entries cannot be run, 2 nothing can be run.\n\nExample:\n  ssb \
                            config check --config new.toml"
    )]
    Check,
    /// Show the settings that are in force and where each comes from; secrets are hidden
    #[command(after_help = "Example:\n  ssb config show --json")]
    Show,
    /// Print the JSON schema of the config file, for editors
    #[command(after_help = "Example:\n  ssb config schema > ssb.schema.json")]
    Schema,
}

pub fn run(context: &Context, args: ConfigArgs) -> Result<u8, CliError> {
    match args.action {
        Action::Init { file } => init(context, file),
        Action::Check => check::run(context),
        Action::Show => show::run(context),
        Action::Schema => {
            let text = serde_json::to_string_pretty(&schema()).map_err(std::io::Error::other)?;
            output::line_out(&text)?;
            Ok(code::DONE)
        }
    }
}

fn init(context: &Context, file: Option<PathBuf>) -> Result<u8, CliError> {
    let named = || settings::named(&context.global).map(Path::to_owned);
    let path = match file.or_else(named) {
        Some(path) => path,
        None => usual_place()?,
    };
    write_new(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::usage(format!("{} is there already and stays as it is; name another file", path.display()))
        }
        _ => CliError::usage(format!("the config file {} cannot be written: {error}", path.display())),
    })?;
    if context.global.json {
        output::json(&serde_json::json!({ "file": path.display().to_string() }))?;
    } else if !context.global.quiet {
        let path = path.display();
        output::line_out(&format!("wrote {path}; fill it in, and then try 'ssb config check --config {path}'"))?;
    }
    Ok(code::DONE)
}

/// The machine's for root, else the user's.
fn usual_place() -> Result<PathBuf, CliError> {
    let mut places = settings::places();
    let of_machine = Path::new("/etc/ssb/config.toml");
    if rustix::process::getuid().is_root() {
        return Ok(of_machine.to_owned());
    }
    let last = places.pop().filter(|place| place.as_path() != of_machine);
    last.ok_or_else(|| CliError::usage("there is no home folder to write a config file to; name a file"))
}

fn write_new(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(DEFAULT.as_bytes())?;
    file.sync_all()
}
