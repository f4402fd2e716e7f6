//! Where the passphrase comes from: options first, then the environment, then the config, then a hidden prompt. It is
//! never printed.

use super::args::Global;
use super::exit::CliError;
use crate::config::Secret;
use crate::crypto::SecretText;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The passphrase of an existing repository; `otherwise` is what the config says.
pub fn existing(
    global: &Global,
    otherwise: impl FnOnce() -> Result<Option<SecretText>, CliError>,
) -> Result<SecretText, CliError> {
    match configured(global, otherwise)? {
        Some(passphrase) => Ok(passphrase),
        None => prompt("passphrase: "),
    }
}

/// The passphrase of a new repository: not empty, and typed twice if it is typed.
pub fn new(
    global: &Global,
    otherwise: impl FnOnce() -> Result<Option<SecretText>, CliError>,
) -> Result<SecretText, CliError> {
    let passphrase = match configured(global, otherwise)? {
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

/// Whether an option or the environment says where the passphrase is.
pub fn is_named(global: &Global) -> bool {
    let variables = ["SSB_PASSWORD", "SSB_PASSWORD_FILE", "SSB_PASSWORD_COMMAND"];
    let is_option = global.password_file.is_some() || global.password_command.is_some();
    is_option || variables.iter().any(|name| std::env::var_os(name).is_some())
}

fn configured(
    global: &Global,
    otherwise: impl FnOnce() -> Result<Option<SecretText>, CliError>,
) -> Result<Option<SecretText>, CliError> {
    if let Some(file) = &global.password_file {
        return from_file(file.clone()).map(Some);
    }
    if let Some(command) = &global.password_command {
        return from_command(command.clone()).map(Some);
    }
    if let Ok(passphrase) = std::env::var("SSB_PASSWORD") {
        return Ok(Some(SecretText::new(passphrase)));
    }
    if let Some(file) = std::env::var_os("SSB_PASSWORD_FILE") {
        return from_file(file.into()).map(Some);
    }
    match std::env::var("SSB_PASSWORD_COMMAND") {
        Ok(command) => from_command(command).map(Some),
        Err(_) => otherwise(),
    }
}

fn from_file(file: PathBuf) -> Result<SecretText, CliError> {
    resolve(&Secret::File { file })
}

fn from_command(command: String) -> Result<SecretText, CliError> {
    let shown = command.clone();
    resolve(&Secret::Command { command }).map_err(|error| CliError::usage(format!("{error}; it is '{shown}'")))
}

fn resolve(secret: &Secret) -> Result<SecretText, CliError> {
    secret.resolve("the passphrase", &super::settings::variable).map_err(|error| CliError::usage(error.to_string()))
}

fn prompt(question: &str) -> Result<SecretText, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage(
            "no passphrase was given and there is no terminal to ask on; set SSB_PASSWORD, SSB_PASSWORD_FILE or \
             SSB_PASSWORD_COMMAND, use --password-file or --password-command, or write password into a config file",
        ));
    }
    let typed = rpassword::prompt_password(question);
    typed.map(SecretText::new).map_err(|e| CliError::usage(format!("the passphrase could not be read: {e}")))
}
