//! The units of systemd: files in a folder, and what systemd is told of them.

use super::{Change, Outcome, Place, Written, absolute, read_if_there, remove_file, replace};
use crate::cli::exit::CliError;
use crate::jobs::install::systemd::{Manager, UnitNames, is_of, units};
use crate::jobs::install::{Call, Every, NewFile};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the units of a config are, and whose they are.
struct Site {
    manager: Manager,
    folder: PathBuf,
    /// systemd looks into the folder by itself.
    is_known: bool,
    names: UnitNames,
}

impl Site {
    fn of(place: &Place, call: &Call) -> Result<Self, CliError> {
        let is_root = rustix::process::getuid().is_root();
        let manager = if place.system || (is_root && !place.user) { Manager::System } else { Manager::User };
        let folder = match &place.folder {
            Some(folder) => absolute(folder)?,
            None => own_folder(manager)?,
        };
        let names = UnitNames::new(place.name.as_deref(), call.config())?;
        Ok(Self { manager, folder, is_known: place.folder.is_none(), names })
    }

    /// What is there by these names already, with what is in it; refused if it is another's.
    fn present(&self, call: &Call) -> Result<Vec<(PathBuf, Vec<u8>)>, CliError> {
        let mut present = Vec::new();
        for path in self.names.paths(&self.folder) {
            match read_if_there(&path)? {
                Some(text) if is_of(&text, call.config()) => present.push((path, text)),
                Some(_) => {
                    return Err(CliError::usage(format!(
                        "{} was not written for {}; give the units another name with --name",
                        path.display(),
                        call.config()
                    )));
                }
                None => {}
            }
        }
        Ok(present)
    }

    /// The words of a call, as a person would type them.
    fn words<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let whose: &[&str] = if self.manager == Manager::User { &["--user"] } else { &[] };
        ["systemctl"].iter().chain(whose).chain(words).copied().collect()
    }

    /// Whether systemd runs and has done so.
    fn tell(&self, words: &[&str]) -> Result<(), String> {
        let words = self.words(words);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("LC_ALL", "C").stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn own_folder(manager: Manager) -> Result<PathBuf, CliError> {
    if manager == Manager::System {
        return Ok(PathBuf::from("/etc/systemd/system"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let folder =
        folder.ok_or_else(|| CliError::usage("the variable HOME is not set; name the folder with --folder"))?;
    Ok(folder.join("systemd/user"))
}

pub fn install(place: &Place, call: &Call, every: Every) -> Result<Outcome, CliError> {
    let site = Site::of(place, call)?;
    let files = units(call, every, site.manager, &site.names, &site.folder)?;
    let present = site.present(call)?;
    let is_there = |file: &NewFile| present.contains(&(file.path.clone(), file.text.clone().into_bytes()));
    let (mut change, mut next) = (Change::DryRun, Vec::new());
    if !place.dry_run {
        change = if files.iter().all(is_there) { Change::Unchanged } else { Change::Installed };
        std::fs::create_dir_all(&site.folder).map_err(|error| super::file_error("made", &site.folder, &error))?;
        for file in files.iter().filter(|file| !is_there(file)) {
            replace(&file.path, file.text.as_bytes())?;
        }
        next = enable(&site, &files);
    }
    let places = files.into_iter().map(|file| Written { place: file.path.display().to_string(), text: file.text });
    Ok(Outcome { change, config: call.config().to_owned(), places: places.collect(), next })
}

/// Starts the timer; says what is left to type.
fn enable(site: &Site, files: &[NewFile]) -> Vec<String> {
    let timer = site.names.timer();
    let typed = |words: &[&str]| format!("  {}", site.words(words).join(" "));
    let paths: Vec<String> = files.iter().map(|file| format!("'{}'", file.path.display())).collect();
    let link: Vec<&str> = ["link"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let enable = ["enable", "--now", &timer];
    let first = if site.is_known { vec!["daemon-reload"] } else { link };
    let by_hand = |why: &str| vec![format!("{why}; to start the timer, type:"), typed(&first), typed(&enable)];
    if !site.is_known {
        return by_hand("the units are written, but not enabled, since the folder was named");
    }
    if let Err(reason) = site.tell(&["daemon-reload"]).and_then(|()| site.tell(&enable)) {
        return by_hand(&format!("the units are written, but systemd could not be told of them ({reason})"));
    }
    match site.manager {
        Manager::System => Vec::new(),
        Manager::User => vec!["for runs while you are not logged in, type once: loginctl enable-linger".to_owned()],
    }
}

pub fn remove(place: &Place, call: &Call) -> Result<Outcome, CliError> {
    let site = Site::of(place, call)?;
    let present = site.present(call)?;
    let mut next = Vec::new();
    let change = if present.is_empty() {
        Change::Absent
    } else if place.dry_run {
        Change::DryRun
    } else {
        let timer = site.names.timer();
        let stopped = if site.is_known { site.tell(&["disable", "--now", &timer]) } else { Ok(()) };
        for (path, _) in &present {
            remove_file(path)?;
        }
        if site.is_known {
            remove_link(&site.folder.join("timers.target.wants").join(&timer));
        }
        let is_told = site.is_known && stopped.is_ok() && site.tell(&["daemon-reload"]).is_ok();
        if !is_told {
            let typed = |words: &[&str]| format!("  {}", site.words(words).join(" "));
            next = vec![
                "systemd was not told; if it runs the timer, type:".to_owned(),
                typed(&["disable", "--now", &timer]),
                typed(&["daemon-reload"]),
            ];
        }
        Change::Removed
    };
    let places = match change {
        Change::Absent => vec![Written { place: site.folder.display().to_string(), text: String::new() }],
        _ => {
            let text = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
            present
                .into_iter()
                .map(|(path, old)| Written { place: path.display().to_string(), text: text(old) })
                .collect()
        }
    };
    Ok(Outcome { change, config: call.config().to_owned(), places, next })
}

/// What `systemctl enable` has made, if it is no longer there to unmake it.
fn remove_link(path: &Path) {
    if path.is_symlink() {
        std::fs::remove_file(path).ok();
    }
}
