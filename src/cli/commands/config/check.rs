//! `ssb config check`

use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::cli::settings::{self, variable};
use crate::config::check::{Finding, Level, stopped_with};
use crate::config::find::{self, FindError, LoadedConfig, Opened};
use crate::config::read::{Position, Problem};
use crate::config::{Effective, Secret, entry_key};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A line of the output.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    position: Option<Position>,
    level: Level,
    key: String,
    what: String,
    entries: Vec<String>,
}

impl From<Problem> for Told {
    fn from(Problem { position, key, what }: Problem) -> Self {
        Self { position: Some(position), level: Level::Error, key, what, entries: Vec::new() }
    }
}

#[derive(Serialize)]
struct Outcome {
    file: String,
    problems: Vec<Told>,
    entries: usize,
    /// Those that cannot be run.
    stopped: usize,
}

pub fn run(context: &Context) -> Result<u8, CliError> {
    let usage = |error: FindError| CliError::usage(error.to_string());
    let (path, opened) = settings::open(&context.global).map_err(usage)?.ok_or_else(settings::nowhere)?;
    let file = path.display().to_string();
    let (outcome, code) = match find::load(&path, &opened.text) {
        Ok(loaded) => judge(&loaded, &opened, file),
        Err(FindError::Unusable { problems, .. }) => {
            let problems = problems.into_iter().map(Told::from).collect();
            (Outcome { file, problems, entries: 0, stopped: 0 }, code::USAGE)
        }
        Err(error) => return Err(usage(error)),
    };
    if context.global.json {
        output::json(&outcome)?;
    } else {
        show(&outcome, code, context.global.quiet)?;
    }
    Ok(code)
}

fn judge(loaded: &LoadedConfig, opened: &Opened, file: String) -> (Outcome, u8) {
    let mut findings = loaded.findings.clone();
    findings.extend(missing_paths(loaded));
    findings.extend(secrets(loaded));
    findings.extend(settings::exposure(loaded, opened).map(|what| warning("", what)));
    let entries = loaded.config.entries.iter().filter(|(_, entry)| !entry.disabled);
    let is_stopped = |name: &str| findings.iter().any(|finding| finding.stops(name));
    let stopped = entries.clone().filter(|(name, _)| is_stopped(name)).count();
    let code = match findings.iter().any(Finding::is_fatal) {
        true => code::USAGE,
        false if stopped > 0 => code::SOURCES_UNREADABLE,
        false => code::DONE,
    };
    let mut problems: Vec<Told> = findings.into_iter().map(|finding| told(loaded, finding)).collect();
    problems.sort_by_key(|told| told.position.map(|at| (at.line, at.column)));
    (Outcome { file, problems, entries: entries.count(), stopped }, code)
}

fn told(loaded: &LoadedConfig, finding: Finding) -> Told {
    let Finding { level, key, what, entries } = finding;
    Told { position: loaded.place(&key), level, key, what, entries }
}

fn warning(key: &str, what: String) -> Finding {
    Finding { level: Level::Warning, key: key.to_owned(), what, entries: Vec::new() }
}

/// Paths that are not there now.
fn missing_paths(loaded: &LoadedConfig) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, entry) in loaded.config.entries.iter().filter(|(_, entry)| !entry.disabled) {
        for path in entry.paths.iter().filter(|path| path.starts_with('/')) {
            let fixed = before_globs(path);
            if let Err(error) = std::fs::symlink_metadata(&fixed) {
                let key = format!("{}.paths", entry_key(name));
                let makes_it = Effective::of(&loaded.config, entry).hooks.before.is_some();
                found.push(if makes_it {
                    warning(&key, format!("{} is not there now; the hook 'before' has to make it", fixed.display()))
                } else {
                    let what = format!("{} cannot be backed up: {error}", fixed.display());
                    Finding { level: Level::Error, key, what, entries: stopped_with(&loaded.config, name) }
                });
            }
        }
    }
    found
}

/// The folder, or the whole path, that must be there whatever globs mean.
fn before_globs(path: &str) -> PathBuf {
    let has_glob = |part: &&str| part.contains(['*', '?', '[', '{', '\\']);
    match path.split('/').position(|part| has_glob(&part)) {
        Some(count) => Path::new("/").join(path.split('/').take(count).collect::<Vec<_>>().join("/")),
        None => PathBuf::from(path),
    }
}

/// Secrets that cannot be had now, or that others can have.
fn secrets(loaded: &LoadedConfig) -> Vec<Finding> {
    let mut found = Vec::new();
    for (key, secret) in loaded.config.secrets() {
        let what = match secret {
            Secret::File { file } => match find::open(file) {
                Ok(Some(opened)) if opened.is_exposed() => {
                    Some(format!("others may read {0}; keep it to yourself: chmod 600 {0}", file.display()))
                }
                Ok(Some(_)) => None,
                Ok(None) => Some(format!("there is no file {}", file.display())),
                Err(error) => Some(format!("{} cannot be read: {error}", file.display())),
            },
            Secret::Env { env } if variable(env).is_none() => Some(format!("the variable {env} is not set here")),
            Secret::Env { .. } | Secret::Value(_) | Secret::Command { .. } => None,
        };
        found.extend(what.map(|what| warning(&key, what)));
    }
    found
}

fn show(outcome: &Outcome, code: u8, is_quiet: bool) -> Result<(), CliError> {
    let Outcome { file, problems, entries, stopped } = outcome;
    for told in problems {
        let place = told.position.map(|position| format!("{position}:")).unwrap_or_default();
        let level = if told.level == Level::Error { "error" } else { "warning" };
        let colon = if told.key.is_empty() { "" } else { ": " };
        output::line_out(&format!("{file}:{place} {level}: {}{colon}{}", told.key, told.what))?;
    }
    if is_quiet {
        return Ok(());
    }
    let of_level = |level| problems.iter().filter(|told| told.level == level).count() as u64;
    let found = match (of_level(Level::Error), of_level(Level::Warning)) {
        (0, 0) => "nothing is wrong".to_owned(),
        (errors, warnings) => {
            let errors = output::count(errors, "error", "errors");
            format!("{errors}, {}", output::count(warnings, "warning", "warnings"))
        }
    };
    let so = match code {
        code::USAGE => "; nothing can be run".to_owned(),
        code::SOURCES_UNREADABLE => {
            format!("; {stopped} of {} cannot be run", output::count(*entries as u64, "entry", "entries"))
        }
        _ => String::new(),
    };
    output::line_out(&format!("{file}: {found}{so}"))
}
