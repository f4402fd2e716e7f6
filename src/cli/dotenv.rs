//! `.env` in the working directory: variables of ours that the environment lacks. What is not ours is left alone, and so is
//! a file that somebody else may have written. Sets no variable of this process: the program begins anew with them.

use super::exit::CliError;
use super::output;
use crate::config::find::{Opened, open};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const NAME: &str = ".env";

/// Whose names are taken.
const PREFIXES: [&str; 3] = ["SSB_", "S3_", "AWS_"];

/// Begins the program anew if there are variables to add; then everything finds them in the environment, and the second
/// look finds nothing to add.
pub fn take_in(arguments: &[OsString]) -> Result<(), CliError> {
    let Some(opened) = opened() else { return Ok(()) };
    let Found { variables, unread } = variables(&opened.text);
    let added: BTreeMap<_, _> = variables.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if added.is_empty() {
        return Ok(());
    }
    if let Some(why) = opened.distrust(rustix::process::getuid().as_raw()) {
        output::warning(&format!("the file .env in the working directory is not used: {why}"));
        return Ok(());
    }
    for name in unread {
        output::warning(&format!(
            "the line of .env that begins with {name} is not used: it is not of the form NAME='value'"
        ));
    }
    if opened.is_exposed() && added.keys().any(|name| is_secret(name)) {
        output::warning("the file .env holds a secret and others may read it; keep it to yourself: chmod 600 .env");
    }
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    if let [own_name, rest @ ..] = arguments {
        command.arg0(own_name).args(rest);
    }
    Err(failed(&command.envs(added).exec()))
}

fn failed(error: &std::io::Error) -> CliError {
    CliError::usage(format!(
        "the program could not begin anew with the variables of .env: {error}; set them in the environment instead"
    ))
}

/// Whether `.env` gives this variable the value that it has.
pub fn gives(name: &str, value: &str) -> bool {
    let is_trusted = |opened: &Opened| opened.distrust(rustix::process::getuid().as_raw()).is_none();
    let given = opened().filter(is_trusted).and_then(|opened| variables(&opened.text).variables.remove(name));
    given.as_deref() == Some(value)
}

/// What cannot be opened is for whoever put it there; other programs have such files too.
fn opened() -> Option<Opened> {
    open(Path::new(NAME)).ok().flatten()
}

fn is_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_secret(name: &str) -> bool {
    let says_where = name.ends_with("_FILE") || name.ends_with("_COMMAND");
    !says_where && ["PASSWORD", "SECRET", "TOKEN", "KEY"].iter().any(|word| name.contains(word))
}

#[derive(Debug, Default, PartialEq)]
struct Found {
    variables: BTreeMap<String, String>,
    /// The names of lines that cannot be read.
    unread: Vec<String>,
}

/// The variables of ours; of several lines with a name the first counts.
fn variables(text: &str) -> Found {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // What is wrong with a line is not told by its text, which may be a secret; and other lines go on.
    let given = dotenvy::Iter::new(text.as_bytes()).filter_map(Result::ok);
    let mut found = Found::default();
    for (name, value) in given.filter(|(name, value)| is_ours(name) && !value.contains('\0')) {
        found.variables.entry(name).or_insert(value);
    }
    for line in text.lines() {
        let line = line.trim_start();
        let name = line.strip_prefix("export ").unwrap_or(line).split('=').next().unwrap_or_default().trim();
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name && is_ours(name) && !found.variables.contains_key(name) {
            found.unread.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_taken() {
        let text = "\u{feff}SSB_PASSWORD='a $b c'\nexport S3_BUCKET=bucket # note\nAWS_REGION=\"x\"\nPATH=/tmp\nSSB_PASSWORD=second\n\
                    DATABASE_URL=postgres://\nOTHER=a b c\nSSB_CACHE_DIR=/c\nSSB_BAD=geheim und so\n";
        let found = variables(text);
        let names: Vec<_> = found.variables.keys().map(String::as_str).collect();
        assert_eq!(names, ["AWS_REGION", "S3_BUCKET", "SSB_CACHE_DIR", "SSB_PASSWORD"]);
        assert_eq!(found.variables["SSB_PASSWORD"], "a $b c");
        assert_eq!(found.variables["S3_BUCKET"], "bucket");
        assert_eq!(found.unread, ["SSB_BAD"]);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for (name, expected) in [
            ("SSB_PASSWORD", true),
            ("SSB_PASSWORD_FILE", false),
            ("AWS_SECRET_ACCESS_KEY", true),
            ("AWS_SESSION_TOKEN", true),
            ("S3_BUCKET", false),
        ] {
            assert_eq!(is_secret(name), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_left(text: String) {
            assert!(variables(&text).variables.keys().all(|name| is_ours(name)));
        }
    }
}
