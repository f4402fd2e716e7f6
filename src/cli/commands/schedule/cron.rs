//! The crontab: this user's, through cron's own program, or a file.

use super::{Change, Outcome, Place, Written, absolute, read_if_there, remove_file, replace};
use crate::cli::exit::CliError;
use crate::jobs::install::cron::{SystemCrontab, block, with_block, without_block};
use crate::jobs::install::{Call, Every};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub fn install(place: &Place, call: &Call, every: Every) -> Result<Outcome, CliError> {
    let crontab = Crontab::of(place)?;
    let system = match &crontab {
        Crontab::File(file) => Some(SystemCrontab::new(file, &place.run_as)?),
        Crontab::Mine => None,
    };
    let block = block(call, every, system.as_ref())?;
    let old = crontab.read(place.dry_run)?;
    let new = with_block(&old, call.config(), &block, &crontab.describe())?;
    let change = if place.dry_run {
        Change::DryRun
    } else if new == old {
        Change::Unchanged
    } else {
        crontab.write(&new)?;
        Change::Installed
    };
    Ok(outcome(call, change, &crontab, block))
}

pub fn remove(place: &Place, call: &Call) -> Result<Outcome, CliError> {
    let crontab = Crontab::of(place)?;
    let old = crontab.read(false)?;
    let new = without_block(&old, call.config(), &crontab.describe())?;
    let change = if new == old {
        Change::Absent
    } else if place.dry_run {
        Change::DryRun
    } else {
        crontab.write(&new)?;
        Change::Removed
    };
    let text = String::from_utf8_lossy(&new).into_owned();
    let shown = if change == Change::DryRun { format!("# what is left of it:\n{text}") } else { String::new() };
    Ok(outcome(call, change, &crontab, shown))
}

fn outcome(call: &Call, change: Change, crontab: &Crontab, text: String) -> Outcome {
    let written = Written { place: crontab.describe(), text };
    Outcome { change, config: call.config().to_owned(), places: vec![written], next: Vec::new() }
}

/// Where lines for cron stand.
enum Crontab {
    Mine,
    File(PathBuf),
}

impl Crontab {
    fn of(place: &Place) -> Result<Self, CliError> {
        place.file.as_deref().map_or(Ok(Self::Mine), |file| Ok(Self::File(absolute(file)?)))
    }

    fn describe(&self) -> String {
        match self {
            Self::Mine => "this user's crontab".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Empty if there is none.
    fn read(&self, is_optional: bool) -> Result<Vec<u8>, CliError> {
        match self {
            Self::File(path) => Ok(read_if_there(path)?.unwrap_or_default()),
            Self::Mine if is_optional => Ok(list().unwrap_or_default()),
            Self::Mine => list(),
        }
    }

    /// What is empty is not left behind.
    fn write(&self, text: &[u8]) -> Result<(), CliError> {
        match self {
            Self::File(path) if text.is_empty() => remove_file(path),
            Self::File(path) => replace(path, text),
            Self::Mine if text.is_empty() => succeed(&["-r"], &crontab(&["-r"], b"")?),
            Self::Mine => succeed(&["-"], &crontab(&["-"], text)?),
        }
    }
}

fn list() -> Result<Vec<u8>, CliError> {
    let listed = crontab(&["-l"], b"")?;
    if listed.status.success() {
        return Ok(listed.stdout);
    }
    // Only whoever certainly has none may be given one: to take a failure for that would cost somebody a crontab.
    let told = String::from_utf8_lossy(&listed.stderr).to_lowercase();
    let has_none = told.contains("no crontab for") || (told.contains("can't open") && told.contains("no such file"));
    if has_none { Ok(Vec::new()) } else { succeed(&["-l"], &listed).map(|()| Vec::new()) }
}

/// Calls cron's own program, in words that this program knows.
fn crontab(arguments: &[&str], input: &[u8]) -> Result<Output, CliError> {
    let run = || -> io::Result<Output> {
        let mut command = Command::new("crontab");
        command.args(arguments).env("LC_ALL", "C").env("CRONTAB_NOHEADER", "Y");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let sent = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input));
        let output = child.wait_with_output()?;
        // If it has refused, it says why itself.
        if output.status.success() {
            sent?;
        }
        Ok(output)
    };
    run().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CliError::usage(
            "there is no program 'crontab' on this machine; install cron (on Debian: apt install cron), or use --systemd",
        ),
        _ => CliError::failed(format!("'crontab' cannot be run: {error}")),
    })
}

fn succeed(arguments: &[&str], output: &Output) -> Result<(), CliError> {
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = if told.is_empty() { output.status.to_string() } else { told };
    Err(CliError::failed(format!("'crontab {}' failed, nothing was changed: {reason}", arguments.join(" "))))
}
