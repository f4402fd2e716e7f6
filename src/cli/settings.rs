//! Finding the config file of this machine and user, and the warnings that go with it. What it says is for [`config`](crate::config).

use super::args::Global;
use super::exit::CliError;
use super::output;
use crate::config::Secret;
use crate::config::find::{self, FindError, LoadedConfig, Opened};
use crate::crypto::SecretText;
use crate::report::Mask;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A variable of the environment that is there and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The file that `--config` or `SSB_CONFIG` names.
pub fn named(global: &Global) -> Option<&Path> {
    global.config.as_deref().filter(|path| !path.as_os_str().is_empty())
}

/// The places that are looked at otherwise.
pub fn places() -> Vec<PathBuf> {
    find::places(variable("XDG_CONFIG_HOME").map(PathBuf::from), variable("HOME").map(PathBuf::from))
}

/// The secret that the config has under this key, or a sentence that says why it cannot be had.
pub fn resolve(key: &str, secret: &Secret) -> Result<SecretText, String> {
    secret.resolve(key, &variable).map_err(|error| error.to_string())
}

/// Lets `mask` hide the secrets of the environment and of the config. One that cannot be had cannot leak; whoever needs it
/// says so.
pub fn learn_secrets(mask: &Mask, loaded: &LoadedConfig) {
    for name in ["SSB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        if let Some(value) = variable(name) {
            mask.add(&SecretText::new(value));
        }
    }
    for (key, secret) in loaded.config.secrets() {
        resolve(&key, secret).map(|found| mask.add(&found)).ok();
    }
}

/// The folder for what runs remember: the one of the config, or that of the user.
pub fn state_dir(chosen: Option<&Path>) -> Result<PathBuf, CliError> {
    let folder = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
    let usual = || folder.or_else(home).map(|folder| folder.join("ssb"));
    chosen.map(Path::to_owned).or_else(usual).ok_or_else(|| {
        CliError::usage("there is no home folder to remember runs in; name a folder as run.state-dir in the config")
    })
}

/// A path as it is called from everywhere: records of one config are told apart from those of another by it.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The name of the folder in it for the runs of one config: the same for the same file.
pub fn key_of(config: &Path) -> String {
    let path = config.canonicalize().unwrap_or_else(|_| config.to_owned());
    hex::encode(&blake3::hash(path.as_os_str().as_bytes()).as_bytes()[..8])
}

/// The name of this machine's time zone.
pub fn time_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

/// What to say where nothing can be done without a config and there is none.
pub fn nowhere() -> CliError {
    CliError::usage(FindError::Nowhere { places: places() }.to_string())
}

/// The config file and its content; `None` if there is none where it may be.
pub fn open(global: &Global) -> Result<Option<(PathBuf, Opened)>, FindError> {
    let unreadable = |path: &Path, error| FindError::Unreadable { path: path.to_owned(), error };
    if let Some(path) = named(global) {
        return match find::open(path) {
            Ok(Some(opened)) => Ok(Some((path.to_owned(), opened))),
            Ok(None) => Err(unreadable(path, std::io::Error::other("there is no such file"))),
            Err(error) => Err(unreadable(path, error)),
        };
    }
    let mut denied = None;
    for path in places() {
        let opened = match find::open(&path).map_err(|error| unreadable(&path, error)) {
            Ok(Some(opened)) => opened,
            Ok(None) => continue,
            // The next place may have one that is for this user.
            Err(error) if error.is_denied() => {
                denied.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        match opened.distrust(rustix::process::getuid().as_raw()) {
            Some(why) if find::is_nearby(&path) => {
                let path = path.display();
                output::warning(&format!("the config file {path} is not used: {why}; --config takes it all the same"));
            }
            _ => return Ok(Some((path, opened))),
        }
    }
    denied.map_or(Ok(None), Err)
}

/// The config, read; it may still be one to be refused.
pub fn load(global: &Global) -> Result<Option<LoadedConfig>, FindError> {
    let Some((path, opened)) = open(global)? else { return Ok(None) };
    let loaded = find::load(&path, &opened.text)?;
    if let Some(warning) = exposure(&loaded, &opened) {
        output::warning(&warning);
    }
    Ok(Some(loaded))
}

/// What to say if others may read the secrets in a file.
pub fn exposure(loaded: &LoadedConfig, opened: &Opened) -> Option<String> {
    let path = loaded.path.display();
    let is_open = loaded.has_secrets() && opened.is_exposed();
    is_open.then(|| {
        format!("the config file {path} holds a secret and others may read it; keep it to yourself: chmod 600 {path}")
    })
}
