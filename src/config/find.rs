//! Where the config file is, and reading it from there. The environment comes in as arguments; which file is taken, and what
//! is said of it, is for the caller.

use super::check::{Finding, problems};
use super::read::{Format, Position, Problem, Read, read};
use super::{Config, Secret};
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No config that a person writes is longer.
const MAX_BYTES: u64 = 16 << 20;

/// Files that lie where a program is started are somebody's only by chance.
const NEARBY: [&str; 2] = ["./config/config.toml", "./config/config.json"];

/// Why there is no config; one sentence each.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(
        "there is no config file; looked for {}; write one with 'ssb config init', or name one with --config or SSB_CONFIG",
        listed(places)
    )]
    Nowhere { places: Vec<PathBuf> },
    #[error("the config file {} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}:{}{}", path.display(), first(problems), others(problems.len()))]
    Unusable { path: PathBuf, problems: Vec<Problem> },
    #[error("{}{}: {first}{}", path.display(), position.map_or(String::new(), |p| format!(":{p}")), others(*count))]
    Refused { path: PathBuf, position: Option<Position>, first: String, count: usize },
}

impl FindError {
    /// Whether there is a file that this user may not read.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(Problem::to_string).unwrap_or_default()
}

fn others(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!("; and {} more, which 'ssb config check' lists", count - 1),
    }
}

/// A config file as it was read.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    pub path: PathBuf,
    pub config: Config,
    /// The names of the entries in the order of the file.
    pub entry_order: Vec<String>,
    /// Where each key stands, by its path as TOML writes it.
    pub places: BTreeMap<String, Position>,
    /// What is wrong with single entries, or only looks wrong.
    pub findings: Vec<Finding>,
}

impl LoadedConfig {
    /// The place of a key, or of the nearest above it that is in the file.
    pub fn place(&self, key: &str) -> Option<Position> {
        super::read::place(&self.places, key)
    }

    /// Why nothing of it can be used, if so.
    pub fn refusal(&self) -> Option<FindError> {
        let fatal: Vec<&Finding> = self.findings.iter().filter(|finding| finding.is_fatal()).collect();
        let first = fatal.first()?;
        let position = self.place(&first.key);
        Some(FindError::Refused { path: self.path.clone(), position, first: first.to_string(), count: fatal.len() })
    }

    /// What stops an entry.
    pub fn errors_of<'a>(&'a self, entry: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |finding| finding.stops(entry))
    }

    /// Whether the file itself holds a secret.
    pub fn has_secrets(&self) -> bool {
        self.config.secrets().iter().any(|(_, secret)| matches!(secret, Secret::Value(_)))
    }
}

/// The places where a config is looked for if none is named, in order. Those of the environment: the folder of the XDG
/// rules and the home.
pub fn places(xdg_config_home: Option<PathBuf>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let user = xdg_config_home.filter(|path| path.is_absolute()).or_else(|| Some(home?.join(".config")));
    let user = user.map(|folder| folder.join("ssb/config.toml"));
    NEARBY.iter().map(PathBuf::from).chain([PathBuf::from("/etc/ssb/config.toml")]).chain(user).collect()
}

/// Whether a place is one of the working directory, where anybody may have put a file.
pub fn is_nearby(path: &Path) -> bool {
    NEARBY.iter().any(|nearby| Path::new(nearby) == path)
}

/// A file's content, and who may change or see it.
pub struct Opened {
    pub text: Zeroizing<String>,
    owner: u32,
    mode: u32,
}

impl Opened {
    /// Why somebody else than root and this user may have written it, if so.
    pub fn distrust(&self, user: u32) -> Option<&'static str> {
        if self.owner != 0 && self.owner != user {
            return Some("it belongs to another user");
        }
        (self.mode & 0o022 != 0).then_some("others may write it (chmod go-w)")
    }

    /// Whether others than its owner may read it.
    pub fn is_exposed(&self) -> bool {
        self.mode & 0o044 != 0
    }
}

/// A file that must be text; `None` if there is none, or something that is no file.
pub fn open(path: &Path) -> io::Result<Option<Opened>> {
    // Whoever put a pipe there does not make the program wait.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file: File = match OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // Asked of the open file, so that nobody changes it in between.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::new(error.kind(), "it is no text in UTF-8"),
        _ => error,
    })?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(Some(Opened { text, owner: metadata.uid(), mode: metadata.mode() }))
}

/// The settings in a text that comes from `path`.
pub fn load(path: &Path, text: &str) -> Result<LoadedConfig, FindError> {
    let unusable = |problems| FindError::Unusable { path: path.to_owned(), problems };
    let Read { config, entry_order, places } = read(text, Format::of(path)).map_err(unusable)?;
    let findings = problems(&config);
    Ok(LoadedConfig { path: path.to_owned(), config, entry_order, places, findings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn places_come_in_order() {
        let shown = |xdg: Option<&str>, home: Option<&str>| listed(&places(xdg.map(Into::into), home.map(Into::into)));
        let always = "./config/config.toml, ./config/config.json, /etc/ssb/config.toml";
        assert_eq!(shown(None, None), always);
        assert_eq!(shown(None, Some("/root")), format!("{always}, /root/.config/ssb/config.toml"));
        assert_eq!(shown(Some("/x"), Some("/root")), format!("{always}, /x/ssb/config.toml"));
        assert_eq!(shown(Some("x"), Some("/root")), format!("{always}, /root/.config/ssb/config.toml"));
        assert!(is_nearby(&places(None, None)[1]) && !is_nearby(Path::new("/etc/ssb/config.toml")));
    }

    #[test]
    fn files_of_others_and_files_that_others_read_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        assert!(open(&path).unwrap().is_none());
        assert!(open(folder.path()).unwrap().is_none());
        std::fs::write(&path, "").unwrap();
        let me = rustix::process::getuid().as_raw();
        for (mode, is_trusted, is_exposed) in [
            (0o600, true, false),
            (0o640, true, true),
            (0o604, true, true),
            (0o620, false, false),
            (0o602, false, false),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let opened = open(&path).unwrap().unwrap();
            assert_eq!((opened.distrust(me).is_none(), opened.is_exposed()), (is_trusted, is_exposed), "{mode:o}");
        }
        let of_other = Opened { text: Zeroizing::default(), owner: 4711, mode: 0o600 };
        assert!(of_other.distrust(4712).is_some() && of_other.distrust(4711).is_none());
        std::fs::write(&path, b"\xff").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("UTF-8"));
    }

    #[test]
    fn a_refusal_is_one_sentence() {
        let told = |text: &str| load(Path::new("c.toml"), text).unwrap_err().to_string();
        assert!(
            told("[run]\nnice = 20").starts_with("c.toml:2:8: run.nice: a whole number from 0 to 19 is wanted, not 20")
        );
        assert!(told("a = 1\nb = 2\nc = 3").ends_with("; and 2 more, which 'ssb config check' lists"));
        let text = "[repository]\naccess-key-id = 'x'\n";
        let refusal = load(Path::new("c.toml"), text).unwrap().refusal().unwrap().to_string();
        assert!(refusal.starts_with("c.toml:1:2: repository: access-key-id and secret"), "{refusal}");
        assert!(load(Path::new("c.toml"), "").unwrap().refusal().is_none());
    }
}
