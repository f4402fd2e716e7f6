//! Where the passphrase comes from: options first, then the environment, then a hidden prompt. It is never printed.

use super::args::Global;
use super::exit::CliError;
use crate::crypto::SecretText;
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};

/// The passphrase of an existing repository.
pub fn existing(global: &Global) -> Result<SecretText, CliError> {
    match configured(global)? {
        Some(passphrase) => Ok(passphrase),
        None => prompt("passphrase: "),
    }
}

/// The passphrase of a new repository: not empty, and typed twice if it is typed.
pub fn new(global: &Global) -> Result<SecretText, CliError> {
    let passphrase = match configured(global)? {
        Some(passphrase) => passphrase,
        None => {
            let first = prompt("passphrase for the new repository: ")?;
            if prompt("once more: ")? != first {
                return Err(CliError::usage("the two passphrases differ; nothing was created"));
            }
            first
        }
    };
    if passphrase.is_empty() {
        return Err(CliError::usage("an empty passphrase protects nothing; give one with at least one character"));
    }
    Ok(passphrase)
}

fn configured(global: &Global) -> Result<Option<SecretText>, CliError> {
    if let Some(path) = &global.password_file {
        return from_file(path).map(Some);
    }
    if let Some(command) = &global.password_command {
        return from_command(command).map(Some);
    }
    if let Ok(passphrase) = std::env::var("SSB_PASSWORD") {
        return Ok(Some(SecretText::new(passphrase)));
    }
    if let Some(path) = std::env::var_os("SSB_PASSWORD_FILE") {
        return from_file(Path::new(&path)).map(Some);
    }
    match std::env::var("SSB_PASSWORD_COMMAND") {
        Ok(command) => from_command(&command).map(Some),
        Err(_) => Ok(None),
    }
}

fn from_file(path: &Path) -> Result<SecretText, CliError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(first_line(text)),
        Err(e) => Err(CliError::usage(format!("the passphrase file {} cannot be read: {e}", path.display()))),
    }
}

fn from_command(command: &str) -> Result<SecretText, CliError> {
    let fails = |why: String| CliError::usage(format!("the passphrase command '{command}' {why}"));
    let run = Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = run.map_err(|e| fails(format!("cannot be run: {e}")))?;
    if !output.status.success() {
        return Err(fails(format!("failed ({})", output.status)));
    }
    String::from_utf8(output.stdout).map(first_line).map_err(|_| fails("printed something that is not text".to_owned()))
}

fn first_line(text: String) -> SecretText {
    let text = zeroize::Zeroizing::new(text);
    SecretText::new(text.lines().next().unwrap_or_default().to_owned())
}

fn prompt(question: &str) -> Result<SecretText, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage(
            "no passphrase was given and there is no terminal to ask on; set SSB_PASSWORD, SSB_PASSWORD_FILE or \
             SSB_PASSWORD_COMMAND, or use --password-file or --password-command",
        ));
    }
    let typed = rpassword::prompt_password(question);
    typed.map(SecretText::new).map_err(|e| CliError::usage(format!("the passphrase could not be read: {e}")))
}
