//! The real program in an environment of its own: what it prints and how it ends.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use ssb::store::DirectoryStore;
use tempfile::TempDir;

use super::lab::{self, PASSPHRASE};

/// A home, and a repository in it that may not be there yet.
pub struct Shell {
    pub home: TempDir,
    pub repo: String,
    variables: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Shell {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let repo = home.path().join("repo").to_str().unwrap().to_owned();
        Self { home, repo, variables: vec![("SSB_PASSWORD".to_owned(), PASSPHRASE.to_owned())] }
    }

    /// With a repository whose key costs little to derive.
    pub fn with_repo() -> Self {
        let shell = Self::new();
        lab::create(Arc::new(DirectoryStore::create(&shell.repo).unwrap()), None).unwrap();
        shell
    }

    /// A path below the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// The program with nothing of this process's environment, no terminal and these words.
    pub fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        self.dress(Command::new(env!("CARGO_BIN_EXE_ssb")), words)
    }

    /// The words handed to any program that is to end up as ours.
    pub fn dress(&self, mut command: Command, words: &[impl AsRef<OsStr>]) -> Command {
        command.args(words).env_clear().env("HOME", self.home.path()).env("SSB_REPOSITORY", &self.repo);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, words: &[impl AsRef<OsStr>]) -> Ended {
        ended(self.command(words).output().unwrap())
    }

    /// A run that must end well.
    pub fn ok(&self, words: &[impl AsRef<OsStr>]) -> Ended {
        let ended = self.run(words);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended
    }

    /// The one JSON document that a run prints.
    pub fn json(&self, words: &[impl AsRef<OsStr>]) -> Value {
        let ended = self.run(words);
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
    }

    /// A run that must fail with this code and one sentence that holds these words.
    pub fn fails(&self, words: &[impl AsRef<OsStr>], code: i32, expected: &[&str]) -> Ended {
        let ended = self.run(words);
        ended.assert_failed(code, expected);
        ended
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

pub fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    for shown in [&ended.out, &ended.err] {
        assert!(!shown.contains("panicked") && !shown.contains(PASSPHRASE), "{ended:?}");
    }
    ended
}

impl Ended {
    pub fn assert_failed(&self, code: i32, expected: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        let sentence = self.err.trim_end();
        assert!(sentence.starts_with("ssb: ") && sentence.lines().count() == 1, "{self:?}");
        expected.iter().for_each(|word| assert!(sentence.contains(word), "'{word}' is missing: {self:?}"));
    }
}
