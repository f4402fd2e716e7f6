//! A block of lines in a crontab that is found again by its first and last line; everything around it stays, byte for
//! byte.

use super::{Call, Every, InstallError};
use std::path::Path;

/// What cron takes as a command, and a few bytes less.
const MAX_COMMAND_BYTES: usize = 990;

/// What a system crontab, such as a file in /etc/cron.d, has and a user's own has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemCrontab {
    user: String,
}

impl SystemCrontab {
    /// For a file that cron is to read: whose runs it starts.
    pub fn new(file: &Path, user: &str) -> Result<Self, InstallError> {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"#%:\"'\\".contains(c);
        if user.is_empty() || user.starts_with('-') || !user.chars().all(is_plain) {
            return Err(InstallError::User { user: user.to_owned(), place: file.display().to_string() });
        }
        let is_in_folder = file.parent().and_then(Path::file_name).is_some_and(|folder| folder == "cron.d");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if is_in_folder && !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            return Err(InstallError::CronFile { name: name.into_owned() });
        }
        Ok(Self { user: user.to_owned() })
    }
}

/// The lines that call ssb; the file's own settings come before the line if it is a system crontab.
pub fn block(call: &Call, every: Every, system: Option<&SystemCrontab>) -> Result<String, InstallError> {
    let words = [call.program.as_str(), "run", "--due", "--quiet", "--config", call.config.as_str()];
    let quoted = words.map(quote).join(" ");
    let command = match &call.folder {
        Some(folder) => format!("cd {} && {quoted}", quote(folder)),
        None => quoted,
    };
    if command.len() > MAX_COMMAND_BYTES {
        return Err(InstallError::TooLong { length: command.len(), limit: MAX_COMMAND_BYTES });
    }
    let line = match system {
        // Cron's own path lacks the places where databases and containers keep their programs.
        Some(SystemCrontab { user }) => format!(
            "SHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n{} {user} {command}",
            every.fields()
        ),
        None => format!("{} {command}", every.fields()),
    };
    let [first, last] = marks(&call.config);
    Ok(format!("{first}\n{line}\n{last}\n"))
}

/// The lines around the block of a config.
fn marks(config: &str) -> [String; 2] {
    [format!("# ssb begin {config} (written by 'ssb schedule install', leave as it is)"), format!("# ssb end {config}")]
}

/// A word as a shell reads it after cron has: cron takes `%` for the end of the command unless there is a backslash before
/// it, which a backslash of the path must not come to be.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = "'".to_owned();
    for c in word.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '\\' => quoted.push_str("\\''"),
            '%' => quoted.push_str("\\%"),
            _ => quoted.push(c),
        }
    }
    quoted + "'"
}

/// The crontab with this block of the config: in its old place, or at the end. `place` says what the crontab is called.
pub fn with_block(crontab: &[u8], config: &str, block: &str, place: &str) -> Result<Vec<u8>, InstallError> {
    let mut parts = split(crontab, config, place)?;
    let block = block.as_bytes().to_vec();
    if let [before, ..] = parts.as_mut_slice()
        && !before.is_empty()
        && !before.ends_with(b"\n")
    {
        before.push(b'\n');
    }
    parts.insert(1, block);
    Ok(parts.concat())
}

/// The crontab without any block of the config.
pub fn without_block(crontab: &[u8], config: &str, place: &str) -> Result<Vec<u8>, InstallError> {
    Ok(split(crontab, config, place)?.concat())
}

/// What stands before, between and after the blocks of a config: one part more than there are blocks.
fn split(crontab: &[u8], config: &str, place: &str) -> Result<Vec<Vec<u8>>, InstallError> {
    let [first, last] = marks(config);
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut is_within = false;
    for line in crontab.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if text == first.as_bytes() {
            if is_within {
                return Err(torn(place, first, last));
            }
            is_within = true;
        } else if !is_within {
            part.extend_from_slice(line);
        } else if text == last.as_bytes() {
            is_within = false;
            parts.push(std::mem::take(&mut part));
        }
    }
    if is_within {
        return Err(torn(place, first, last));
    }
    parts.push(part);
    Ok(parts)
}

fn torn(place: &str, found: String, missing: String) -> InstallError {
    InstallError::Torn { place: place.to_owned(), found, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};
    use proptest::{collection, prop_assert, prop_assert_eq};
    use std::process::Command;

    const CONFIG: &str = "/etc/ssb/config.toml";

    fn call(config: &str) -> Call {
        Call::new(Path::new("/usr/bin/ssb"), Path::new(config), None).unwrap()
    }

    fn block_of(config: &str) -> String {
        block(&call(config), Every::default(), None).unwrap()
    }

    /// What cron hands to the shell: a percent sign ends the command unless a backslash stands before it.
    fn as_cron_reads(line: &str) -> String {
        let mut command = String::new();
        let mut is_escaped = false;
        for c in line.chars() {
            match c {
                '%' if is_escaped => {
                    command.pop();
                    command.push('%');
                    is_escaped = false;
                }
                '%' => break,
                _ => {
                    command.push(c);
                    is_escaped = c == '\\' && !is_escaped;
                }
            }
        }
        command
    }

    #[test]
    fn the_line_of_a_user() {
        let expected = "# ssb begin /etc/ssb/config.toml (written by 'ssb schedule install', leave as it is)\n\
                        */5 * * * * /usr/bin/ssb run --due --quiet --config /etc/ssb/config.toml\n\
                        # ssb end /etc/ssb/config.toml\n";
        assert_eq!(block_of(CONFIG), expected);
        let folder = Call { folder: Some("/srv/my backups".to_owned()), ..call(CONFIG) };
        let line = block(&folder, "1h".parse().unwrap(), None).unwrap();
        assert!(line.contains("\n0 * * * * cd '/srv/my backups' && /usr/bin/ssb run --due"), "{line}");
    }

    #[test]
    fn the_lines_of_the_system() {
        let system = SystemCrontab::new(Path::new("/etc/cron.d/ssb"), "root").unwrap();
        let text = block(&call(CONFIG), Every::default(), Some(&system)).unwrap();
        assert!(text.contains("\n*/5 * * * * root /usr/bin/ssb run --due"), "{text}");
        assert!(text.contains("\nSHELL=/bin/sh\nPATH=/usr/local/sbin:"), "{text}");
        let wrong = |file: &str, user: &str| SystemCrontab::new(Path::new(file), user).unwrap_err().to_string();
        assert!(wrong("/etc/cron.d/ssb.conf", "root").contains("'ssb.conf'"));
        for user in ["", "a b", "root\n", "-x", "a%b"] {
            assert!(wrong("/etc/crontab", user).contains("such as root"), "{user}");
        }
        assert!(SystemCrontab::new(Path::new("/etc/other.d/ssb.conf"), "root").is_ok());
    }

    #[test]
    fn what_cron_would_cut_off_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_COMMAND_BYTES));
        let sentence = block(&call(&long), Every::default(), None).unwrap_err().to_string();
        assert!(sentence.contains("shorter"), "{sentence}");
    }

    #[test]
    fn blocks_of_other_configs_stay() {
        let (mine, other) = (block_of(CONFIG), block_of("/other.toml"));
        let both = with_block(other.as_bytes(), CONFIG, &mine, "it").unwrap();
        assert_eq!(both, format!("{other}{mine}").as_bytes());
        let swift = block(&call("/other.toml"), "1m".parse().unwrap(), None).unwrap();
        let both = with_block(&both, "/other.toml", &swift, "it").unwrap();
        assert_eq!(both, format!("{swift}{mine}").as_bytes());
        assert_eq!(without_block(&both, "/other.toml", "it").unwrap(), mine.as_bytes());
    }

    #[test]
    fn of_several_blocks_one_stays() {
        let mine = block_of(CONFIG);
        let twice = format!("a\n{mine}b\n{mine}c");
        assert_eq!(with_block(twice.as_bytes(), CONFIG, &mine, "it").unwrap(), format!("a\n{mine}b\nc").as_bytes());
        assert_eq!(without_block(twice.as_bytes(), CONFIG, "it").unwrap(), b"a\nb\nc");
    }

    #[test]
    fn a_torn_block_is_left_alone() {
        let mine = block_of(CONFIG);
        let half = mine.rsplit_once("# ssb end").unwrap().0;
        for torn in [half.to_owned(), format!("{half}5 * * * * other\n"), format!("{half}{mine}")] {
            let sentence = with_block(torn.as_bytes(), CONFIG, &mine, "the crontab").unwrap_err().to_string();
            assert!(
                sentence.contains("the crontab") && sentence.contains("'# ssb end /etc/ssb/config.toml'"),
                "{sentence}"
            );
            assert!(without_block(torn.as_bytes(), CONFIG, "it").is_err());
        }
    }

    proptest! {
        #[test]
        fn all_else_stays_byte_for_byte(
            before in collection::vec(any::<u8>(), 0..200),
            after in collection::vec(any::<u8>(), 0..200),
        ) {
            let mine = block_of(CONFIG);
            let installed = with_block(&before, CONFIG, &mine, "it").unwrap();
            prop_assert!(installed.starts_with(&before) && installed.ends_with(mine.as_bytes()));
            let edited = [installed.as_slice(), &after].concat();
            let again = with_block(&edited, CONFIG, &mine, "it").unwrap();
            prop_assert_eq!(&again, &edited);
            let removed = without_block(&edited, CONFIG, "it").unwrap();
            let newline: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
            prop_assert_eq!(removed, [before.as_slice(), newline, &after].concat());
        }

        #[test]
        fn the_shell_gets_the_path_as_it_is(path in "/[-a%\\\\' $\"`!~*&;|<>()#äö]{0,20}") {
            let quoted = as_cron_reads(&quote(&path));
            let printed = Command::new("/bin/sh").args(["-c", &format!("printf %s {quoted}")]).output().unwrap();
            prop_assert_eq!(String::from_utf8(printed.stdout).unwrap(), path);
        }
    }
}
