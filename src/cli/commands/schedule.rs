//! `ssb schedule`

mod cron;
mod show;
mod systemd;

use crate::cli::context::{Context, working_directory};
use crate::cli::exit::{CliError, code};
use crate::cli::{output, settings};
use crate::config::find::LoadedConfig;
use crate::jobs::install::{Call, Every};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Show when entries run next, and have cron or systemd run them
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb schedule show\n  ssb schedule install --cron\n  ssb schedule install --systemd\n\nThe config says when what is \
                        due. Cron or systemd only call 'ssb run --due' every few minutes, which\nlooks what that is: so nothing has to be installed \
                        again when the config changes."
)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List entries and groups, their schedules and their next three runs
    #[command(after_help = "Example:\n  ssb schedule show --json\n\nTimes are those of the time zone beside them.")]
    Show,
    Install(InstallArgs),
    Remove(RemoveArgs),
}

/// Have 'ssb run --due' called every few minutes
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb schedule install --cron\n  ssb schedule install --cron --file /etc/cron.d/ssb\n  ssb schedule install --systemd --every 15m\n\n\
                        Installed again, it replaces what it has installed for the same config, and nothing else."
)]
struct InstallArgs {
    #[command(flatten)]
    place: Place,
    /// How often to look what is due: a time that divides an hour or a day, such as 1m, 10m or 1h
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    every: Every,
}

/// Undo what 'ssb schedule install' has done for this config
#[derive(Args)]
#[command(after_help = "Examples:\n  ssb schedule remove --cron\n  ssb schedule remove --systemd")]
struct RemoveArgs {
    #[command(flatten)]
    place: Place,
}

/// Where it is installed.
#[derive(Args)]
struct Place {
    /// In this user's crontab
    #[arg(long, required_unless_present = "systemd", conflicts_with = "systemd")]
    cron: bool,
    /// As a service and a timer of systemd
    #[arg(long)]
    systemd: bool,
    /// With --cron: in this file instead, which has a column for the user, such as /etc/cron.d/ssb
    #[arg(long, value_name = "FILE", conflicts_with = "systemd")]
    file: Option<PathBuf>,
    /// With --file: as which user it runs
    #[arg(long = "as", value_name = "USER", requires = "file", conflicts_with = "systemd", default_value = "root")]
    run_as: String,
    /// With --systemd: for the system's manager [default for root]
    #[arg(long, conflicts_with_all = ["cron", "user"])]
    system: bool,
    /// With --systemd: for this user's manager [default for all others]
    #[arg(long, conflicts_with = "cron")]
    user: bool,
    /// With --systemd: write the units into this folder, and leave it to you to enable them
    #[arg(long, value_name = "DIR", conflicts_with = "cron")]
    folder: Option<PathBuf>,
    /// With --systemd: call the units ssb-NAME [default: made of the config's path]
    #[arg(long, value_name = "NAME", conflicts_with = "cron")]
    name: Option<String>,
    /// Print what would be written or removed, and leave everything as it is
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Installed,
    /// What was to be installed was already there.
    Unchanged,
    Removed,
    /// What was to be removed was not there.
    Absent,
    DryRun,
}

/// The outcome in JSON.
#[derive(Serialize)]
struct Outcome {
    change: Change,
    config: String,
    /// A crontab or a file, and what is in it, or would be.
    places: Vec<Written>,
    /// What remains to be done by hand.
    next: Vec<String>,
}

#[derive(Serialize)]
struct Written {
    place: String,
    text: String,
}

pub fn run(context: &Context, args: ScheduleArgs) -> Result<u8, CliError> {
    let outcome = match args.what {
        What::Show => return show::run(context),
        What::Install(InstallArgs { place, every }) => {
            let config = absolute(&loaded(context)?.path)?;
            let call = Call::new(&program()?, &config, environment_folder()?.as_deref())?;
            match place.systemd {
                true => systemd::install(&place, &call, every)?,
                false => cron::install(&place, &call, every)?,
            }
        }
        What::Remove(RemoveArgs { place }) => {
            // What is gone or broken can still be removed, if it is named.
            let config = match settings::named(&context.global) {
                Some(path) => absolute(path)?,
                None => absolute(&loaded(context)?.path)?,
            };
            let call = Call::new(&program()?, &config, None)?;
            match place.systemd {
                true => systemd::remove(&place, &call)?,
                false => cron::remove(&place, &call)?,
            }
        }
    };
    if context.global.json {
        output::json(&outcome)?;
    } else if outcome.change == Change::DryRun {
        output::line_out(&outcome.preview())?;
    } else if !context.global.quiet {
        output::line_out(&outcome.describe())?;
    }
    Ok(code::DONE)
}

fn loaded(context: &Context) -> Result<&LoadedConfig, CliError> {
    context.config()?.ok_or_else(settings::nowhere)
}

impl Outcome {
    fn preview(&self) -> String {
        let shown = |written: &Written| format!("{}:\n{}", written.place, written.text.trim_end());
        self.places.iter().map(shown).collect::<Vec<_>>().join("\n\n")
    }

    fn describe(&self) -> String {
        let places = self.places.iter().map(|written| written.place.as_str()).collect::<Vec<_>>().join(" and ");
        let config = &self.config;
        let what = match self.change {
            Change::Installed => format!("runs of {config} are installed in {places}"),
            Change::Unchanged => format!("runs of {config} were already installed in just this way in {places}"),
            Change::Removed => format!("runs of {config} are no longer started, removed from {places}"),
            Change::Absent => format!("no runs of {config} were installed in {places}"),
            Change::DryRun => self.preview(),
        };
        [what].into_iter().chain(self.next.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}

/// The same path wherever it is used from; a link stays a link, so that it may be pointed elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    let path = working_directory()?.join(path);
    let (folder, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name());
    if path.components().any(|part| part == Component::ParentDir)
        && let (Ok(folder), Some(name)) = (folder.canonicalize(), name)
    {
        return Ok(folder.join(name));
    }
    Ok(path.components().collect())
}

/// This program by the name it was called by, which outlives an update where the file itself may not.
fn program() -> Result<PathBuf, CliError> {
    let itself =
        std::env::current_exe().map_err(|e| CliError::failed(format!("the program does not find itself: {e}")))?;
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let candidates: Vec<PathBuf> = match called.components().count() {
        0 => Vec::new(),
        1 if !called.has_root() && !called.starts_with(".") => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).map(|folder| folder.join(&called)).collect()
        }
        _ => vec![called],
    };
    let real = itself.canonicalize().ok();
    let is_itself = |path: &PathBuf| real.is_some() && path.canonicalize().ok() == real;
    candidates.iter().find(|path| is_itself(path)).map_or(Ok(itself), |path| absolute(path))
}

/// The working directory, if runs need it for the variables that are set there.
fn environment_folder() -> Result<Option<PathBuf>, CliError> {
    let folder = working_directory()?;
    Ok(folder.join(".env").is_file().then_some(folder))
}

/// Puts a file in the place of another at one stroke, with its owner and permissions.
fn replace(path: &Path, text: &[u8]) -> Result<(), CliError> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let failed = |error: io::Error| file_error("written", path, &error);
    let mut name = target.file_name().unwrap_or_default().to_owned();
    // Cron and systemd pass over names with such an end.
    name.push(".ssb~");
    let unfinished = target.with_file_name(name);
    let write = || -> io::Result<()> {
        std::fs::write(&unfinished, text)?;
        let mode = match std::fs::metadata(&target) {
            Ok(old) => {
                use std::os::unix::fs::MetadataExt;
                std::os::unix::fs::chown(&unfinished, Some(old.uid()), Some(old.gid()))?;
                old.permissions().mode()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0o644,
            Err(error) => return Err(error),
        };
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(mode))?;
        std::fs::rename(&unfinished, &target)
    };
    write().map_err(|error| {
        std::fs::remove_file(&unfinished).ok();
        failed(error)
    })
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path, &error)),
    }
}

fn remove_file(path: &Path) -> Result<(), CliError> {
    std::fs::remove_file(path).map_err(|error| file_error("removed", path, &error))
}

fn file_error(done: &str, path: &Path, error: &io::Error) -> CliError {
    let next = match error.kind() {
        io::ErrorKind::PermissionDenied => "; do it as root, or choose another place",
        io::ErrorKind::NotFound => "; make its folder first, or choose another place",
        _ => "",
    };
    CliError::failed(format!("{} cannot be {done}: {error}{next}", path.display()))
}
