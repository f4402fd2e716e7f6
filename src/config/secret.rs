//! From where a secret is found to the secret. Neither the secret nor the command that prints it stands in an error.

use super::words::join;
use super::{Config, Secret};
use crate::crypto::SecretText;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Why a secret cannot be had; one sentence each. `of` says whose it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{of} cannot be read from the file {}: {error}", file.display())]
    File { of: String, file: PathBuf, error: std::io::Error },
    #[error("the command that prints {of} cannot be run: {error}")]
    NoCommand { of: String, error: std::io::Error },
    #[error("the command that prints {of} failed ({status}); try it by hand")]
    Command { of: String, status: ExitStatus },
    #[error("the command that prints {of} printed something that is not text")]
    NotText { of: String },
    #[error("{of} is to be found in the variable {name}, which is not set; set it in the environment or in .env")]
    NoVariable { of: String, name: String },
}

impl Config {
    /// Every secret that the file names, with its key.
    pub fn secrets(&self) -> Vec<(String, &Secret)> {
        let (repository, report) = (&self.repository, &self.report);
        let prometheus = report.prometheus.as_ref();
        let single = [
            ("repository.password", repository.password.as_ref()),
            ("repository.access-key-id", repository.access_key_id.as_ref()),
            ("repository.secret-access-key", repository.secret_access_key.as_ref()),
            ("report.email.password", report.email.as_ref().and_then(|mail| mail.password.as_ref())),
            ("report.slack.webhook", report.slack.as_ref().map(|slack| &slack.webhook)),
            ("report.webhook.url", report.webhook.as_ref().map(|webhook| &webhook.url)),
            ("report.prometheus.pushgateway", prometheus.and_then(|prometheus| prometheus.pushgateway.as_ref())),
            ("report.ping.url", report.ping.as_ref().map(|ping| &ping.url)),
        ];
        let headers = report.webhook.iter().flat_map(|webhook| &webhook.headers);
        let headers = headers.map(|(name, secret)| (join("report.webhook.headers", name), secret));
        let single = single.into_iter().filter_map(|(key, secret)| Some((key.to_owned(), secret?)));
        single.chain(headers).collect()
    }
}

impl Secret {
    /// The secret. `of` says whose it is (`repository.password`), `lookup` asks the environment. A command inherits the
    /// environment and standard error, and is waited for.
    pub fn resolve(&self, of: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<SecretText, SecretError> {
        match self {
            Self::Value(text) => Ok(text.clone()),
            Self::File { file } => from_file(of, file),
            Self::Command { command } => from_command(of, command),
            Self::Env { env } => match lookup(env) {
                Some(value) => Ok(SecretText::new(value)),
                None => Err(SecretError::NoVariable { of: of.to_owned(), name: env.clone() }),
            },
        }
    }
}

fn from_file(of: &str, file: &Path) -> Result<SecretText, SecretError> {
    let text = std::fs::read_to_string(file);
    let error = |error| SecretError::File { of: of.to_owned(), file: file.to_owned(), error };
    text.map(first_line).map_err(error)
}

fn from_command(of: &str, command: &str) -> Result<SecretText, SecretError> {
    let of = of.to_owned();
    let run = Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    match run {
        Err(error) => Err(SecretError::NoCommand { of, error }),
        Ok(output) if !output.status.success() => Err(SecretError::Command { of, status: output.status }),
        Ok(output) => String::from_utf8(output.stdout).map(first_line).map_err(|_| SecretError::NotText { of }),
    }
}

fn first_line(text: String) -> SecretText {
    let text = zeroize::Zeroizing::new(text);
    SecretText::new(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_looked_at() {
        let lookup = |name: &str| (name == "TOKEN").then(|| "from the environment".to_owned());
        let resolve = |secret: Secret| secret.resolve("report.slack.webhook", &lookup);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "from a file\nand no more\n").unwrap();
        for (secret, expected) in [
            (Secret::Value(SecretText::new("itself".to_owned())), "itself"),
            (Secret::File { file: file.clone() }, "from a file"),
            (Secret::Command { command: "echo from a command; echo no more".to_owned() }, "from a command"),
            (Secret::Env { env: "TOKEN".to_owned() }, "from the environment"),
        ] {
            assert_eq!(resolve(secret).unwrap().expose(), expected);
        }
        for (secret, expected) in [
            (Secret::File { file: folder.path().join("none") }, "none: No such file"),
            (Secret::Command { command: "hush=geheim; exit 3".to_owned() }, "failed (exit status: 3)"),
            (Secret::Command { command: "printf '\\377'".to_owned() }, "not text"),
            (Secret::Env { env: "NONE".to_owned() }, "variable NONE"),
        ] {
            let error = resolve(secret).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("report.slack.webhook"), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
