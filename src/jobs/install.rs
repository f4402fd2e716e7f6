//! What lets the machine call `ssb run` every few minutes: a block in a crontab, or two units of systemd. Makes and takes
//! apart texts; reads and writes no file and calls no program.

pub mod cron;
pub mod systemd;

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Something that cannot be installed as it is asked for; one sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InstallError {
    #[error("the path '{}' has characters in it that cannot be written into {into}; give one without them", .path.escape_debug())]
    Path { path: String, into: &'static str },
    #[error("the path '{path}' depends on where ssb is started; give one that begins with '/'")]
    Relative { path: String },
    #[error(
        "'{text}' cannot be had by the clock; give a time that divides an hour or a day, such as 1m, 5m, 15m, 1h or 6h"
    )]
    Every { text: String },
    #[error("the line for cron would have {length} bytes, and cron takes {limit}; give shorter paths")]
    TooLong { length: usize, limit: usize },
    #[error(
        "{place} has the line '{found}', but not one line '{missing}' after it; put that back, or remove all of it by hand"
    )]
    Torn { place: String, found: String, missing: String },
    #[error("'{name}' cannot be the name of a unit; give letters, digits, '-', '_' and '.', at most {limit} of them")]
    Name { name: String, limit: usize },
    #[error("'{user}' cannot be the name of a user in {place}; give one such as root")]
    User { user: String, place: String },
    #[error("cron passes over files like '{name}' in such a folder; give a name of letters, digits, '-' and '_' only")]
    CronFile { name: String },
}

/// What is called: which program, for which config, in which folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    program: String,
    config: String,
    folder: Option<String>,
}

impl Call {
    /// All paths absolute. The folder is where the program is started, if that matters.
    pub fn new(program: &Path, config: &Path, folder: Option<&Path>) -> Result<Self, InstallError> {
        Ok(Self { program: plain(program)?, config: plain(config)?, folder: folder.map(plain).transpose()? })
    }

    pub fn config(&self) -> &str {
        &self.config
    }
}

/// Text that fits on a line; neither crontabs nor units know a way to write anything else.
fn plain(path: &Path) -> Result<String, InstallError> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    let shown = || path.to_string_lossy().into_owned();
    let text = text.ok_or_else(|| InstallError::Path { path: shown(), into: "a crontab or a unit" })?;
    if path.is_relative() {
        return Err(InstallError::Relative { path: shown() });
    }
    Ok(text.to_owned())
}

/// How often, such that cron and systemd can both say it: a part of an hour or a day without a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    minutes: u64,
}

impl Default for Every {
    fn default() -> Self {
        Self { minutes: 5 }
    }
}

impl std::str::FromStr for Every {
    type Err = InstallError;

    fn from_str(text: &str) -> Result<Self, InstallError> {
        let wrong = || InstallError::Every { text: text.to_owned() };
        let seconds = crate::base::duration::parse_some(text).map_err(|_| wrong())?.as_secs();
        let minutes = seconds / 60;
        let divides = |whole: u64| whole.is_multiple_of(minutes);
        let is_possible = seconds % 60 == 0 && (divides(60) || (minutes % 60 == 0 && divides(24 * 60)));
        if is_possible { Ok(Self { minutes }) } else { Err(wrong()) }
    }
}

impl Every {
    /// The five fields of a crontab.
    fn fields(self) -> String {
        match (self.minutes, self.minutes / 60) {
            (1, _) => "* * * * *".to_owned(),
            (minutes, 0) => format!("*/{minutes} * * * *"),
            (_, 1) => "0 * * * *".to_owned(),
            (_, 24) => "0 0 * * *".to_owned(),
            (_, hours) => format!("0 */{hours} * * *"),
        }
    }

    /// The same for systemd.
    fn on_calendar(self) -> String {
        match (self.minutes, self.minutes / 60) {
            (1, _) => "*-*-* *:*:00".to_owned(),
            (minutes, 0) => format!("*-*-* *:0/{minutes}:00"),
            (_, 1) => "*-*-* *:00:00".to_owned(),
            (_, 24) => "*-*-* 00:00:00".to_owned(),
            (_, hours) => format!("*-*-* 0/{hours}:00:00"),
        }
    }
}

/// A file to be written as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    pub path: PathBuf,
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_divide_an_hour_or_a_day() {
        for (text, fields, calendar) in [
            ("1m", "* * * * *", "*-*-* *:*:00"),
            ("5m", "*/5 * * * *", "*-*-* *:0/5:00"),
            ("60s", "* * * * *", "*-*-* *:*:00"),
            ("30m", "*/30 * * * *", "*-*-* *:0/30:00"),
            ("1h", "0 * * * *", "*-*-* *:00:00"),
            ("60m", "0 * * * *", "*-*-* *:00:00"),
            ("6h", "0 */6 * * *", "*-*-* 0/6:00:00"),
            ("1d", "0 0 * * *", "*-*-* 00:00:00"),
        ] {
            let every: Every = text.parse().unwrap();
            assert_eq!((every.fields().as_str(), every.on_calendar().as_str()), (fields, calendar), "{text}");
        }
        for text in ["", "0s", "30s", "90s", "7m", "45m", "90m", "5h", "2d", "5", "never"] {
            let sentence = text.parse::<Every>().unwrap_err().to_string();
            assert!(sentence.contains(&format!("'{text}'")) && sentence.contains("5m"), "{sentence}");
        }
        assert_eq!(Every::default(), "5m".parse().unwrap());
    }

    #[test]
    fn paths_must_fit_on_a_line() {
        let call = |config: &str| Call::new(Path::new("/bin/ssb"), Path::new(config), None);
        assert_eq!(call("/etc/ssb/ä b.toml").unwrap().config(), "/etc/ssb/ä b.toml");
        for bad in ["/etc/a\nb", "/etc/a\rb", "/etc/a\0b"] {
            let sentence = call(bad).unwrap_err().to_string();
            assert!(sentence.contains("cannot be written") && !sentence.contains(['\n', '\r', '\0']), "{sentence}");
        }
        assert!(call("etc/x").unwrap_err().to_string().contains("begins with '/'"));
    }
}
