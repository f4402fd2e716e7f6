//! `ssb config show`: what is in force, and who said so.

use super::mask;
use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::settings::variable;
use crate::cli::{dotenv, output};
use crate::config::explain::{self, Origin, leaves};
use crate::config::find::LoadedConfig;
use crate::config::{Config, entry_key, policy_key};
use crate::store::{OpenOptions, S3Settings};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};
use serde::Serialize;
use serde_json::Value;

/// Who said so.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
enum From {
    Option { option: String },
    Environment { variable: &'static str },
    Dotenv { variable: &'static str },
    File { line: usize },
    Policy(OfPolicy),
    EntryAndPolicy(OfPolicy),
    Default,
}

#[derive(Serialize)]
struct OfPolicy {
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

#[derive(Serialize)]
struct Row {
    key: String,
    value: Value,
    #[serde(flatten)]
    from: From,
}

#[derive(Serialize)]
struct Shown {
    file: Option<String>,
    settings: Vec<Row>,
    entries: Vec<ShownEntry>,
}

#[derive(Serialize)]
struct ShownEntry {
    name: String,
    settings: Vec<Row>,
    /// What keeps it from being run.
    errors: Vec<String>,
}

pub fn run(context: &Context) -> Result<u8, CliError> {
    let loaded = context.config()?;
    let mut settings = repository(loaded)?;
    let none = Config::default();
    let all = serde_json::to_value(loaded.map_or(&none, |loaded| &loaded.config)).unwrap_or_default();
    for section in ["run", "log", "report", "prune"] {
        let rows = leaves(&serde_json::json!({ section: all[section] }));
        settings.extend(rows.into_iter().map(|(key, value)| Row { from: of_file(loaded, &key), key, value }));
    }
    let entries = loaded.into_iter().flat_map(|loaded| loaded.entry_order.iter().map(|name| entry(loaded, name)));
    let file = loaded.map(|loaded| loaded.path.display().to_string());
    let mut shown = Shown { file, settings, entries: entries.collect() };
    let rows = shown.settings.iter_mut().chain(shown.entries.iter_mut().flat_map(|entry| &mut entry.settings));
    rows.for_each(|row| mask::passwords_in_urls(&mut row.value));
    if context.global.json {
        output::json(&shown)?;
    } else {
        print(&shown)?;
    }
    Ok(code::DONE)
}

/// From the file if it is there, else by default.
fn of_file(loaded: Option<&LoadedConfig>, key: &str) -> From {
    match loaded.and_then(|loaded| loaded.places.get(key)) {
        Some(position) => From::File { line: position.line },
        None => From::Default,
    }
}

fn entry(loaded: &LoadedConfig, name: &str) -> ShownEntry {
    let errors = loaded.errors_of(name).map(ToString::to_string).collect();
    let Some(entry) = loaded.config.entries.get(name) else {
        return ShownEntry { name: name.to_owned(), settings: Vec::new(), errors };
    };
    let line = |above: &str, key: &str| loaded.place(&format!("{above}.{key}")).map(|position| position.line);
    let path = entry_key(name);
    let own = |key: &str| From::File { line: line(&path, key).unwrap_or_default() };
    let whole = serde_json::to_value(entry).unwrap_or_default();
    let words = ["policy", "paths", "command", "filename", "group", "disabled"];
    let said = words.iter().filter(|word| loaded.places.contains_key(&format!("{path}.{word}")));
    let mut settings: Vec<Row> =
        said.map(|word| Row { key: (*word).to_owned(), value: whole[*word].clone(), from: own(word) }).collect();
    let policy = entry.policy.clone().unwrap_or_default();
    let of_policy = |key: &str| OfPolicy { line: line(&policy_key(&policy), key), policy: policy.clone() };
    for explain::Setting { key, value, origin } in explain::settings(&loaded.config, entry) {
        let from = match origin {
            Origin::Entry => own(&key),
            Origin::Policy => From::Policy(of_policy(&key)),
            Origin::Both => From::EntryAndPolicy(of_policy(&key)),
            Origin::Default => From::Default,
        };
        settings.push(Row { key, value, from });
    }
    ShownEntry { name: name.to_owned(), settings, errors }
}

/// A setting of the repository: its key, the options and variables that go before the config, what holds without any.
struct Known {
    key: &'static str,
    options: &'static [&'static str],
    variables: &'static [&'static str],
    is_secret: bool,
}

const REPOSITORY: [Known; 12] = [
    known("location", &["repo"], &["SSB_REPOSITORY", "S3_BUCKET"]),
    Known {
        key: "password",
        options: &["password_file", "password_command"],
        variables: &["SSB_PASSWORD", "SSB_PASSWORD_FILE", "SSB_PASSWORD_COMMAND"],
        is_secret: true,
    },
    known("s3-region", &["s3_region"], &["S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"]),
    known("s3-endpoint", &["s3_endpoint"], &["S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
    known("s3-path-style", &["s3_path_style"], &["S3_PATH_STYLE"]),
    Known { key: "access-key-id", options: &[], variables: &["AWS_ACCESS_KEY_ID"], is_secret: true },
    Known { key: "secret-access-key", options: &[], variables: &["AWS_SECRET_ACCESS_KEY"], is_secret: true },
    known("connections", &["connections"], &["SSB_CONNECTIONS"]),
    known("limit-upload", &["limit_upload"], &["SSB_LIMIT_UPLOAD"]),
    known("limit-download", &["limit_download"], &["SSB_LIMIT_DOWNLOAD"]),
    known("request-timeout", &["request_timeout"], &["SSB_REQUEST_TIMEOUT"]),
    known("cache-dir", &["cache_dir"], &["SSB_CACHE_DIR"]),
];

const fn known(key: &'static str, options: &'static [&'static str], variables: &'static [&'static str]) -> Known {
    Known { key, options, variables, is_secret: false }
}

fn repository(loaded: Option<&LoadedConfig>) -> Result<Vec<Row>, CliError> {
    // Once more, since what was parsed no longer says where it was found.
    let matches = Cli::command().try_get_matches_from(std::env::args_os());
    let matches = matches.map_err(|error| CliError::usage(error.to_string()))?;
    let mut innermost = &matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    let said = loaded.map(|loaded| serde_json::to_value(&loaded.config.repository).unwrap_or_default());
    let row = |known: &Known| {
        let key = format!("repository.{}", known.key);
        if let Some((option, value)) = known.options.iter().find_map(|id| Some((*id, typed(innermost, id)?))) {
            let from = From::Option { option: format!("--{}", option.replace('_', "-")) };
            return Some(Row { key, value: hidden(known, option, value), from });
        }
        for name in known.variables {
            if let Some(value) = variable(name) {
                let from = match dotenv::gives(name, &value) {
                    true => From::Dotenv { variable: name },
                    false => From::Environment { variable: name },
                };
                let value = if *name == "S3_BUCKET" { format!("s3://{value}") } else { value };
                return Some(Row { key, value: hidden(known, name, value), from });
            }
        }
        let value = said.as_ref().map(|said| said[known.key].clone()).filter(|value| !value.is_null());
        let from = of_file(loaded, &key);
        Some(Row { value: value.or_else(|| by_default(known.key))?, from, key })
    };
    Ok(REPOSITORY.iter().filter_map(row).collect())
}

fn typed(matches: &ArgMatches, id: &str) -> Option<String> {
    let is_typed = matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut raw = is_typed.then(|| matches.get_raw(id)).flatten()?;
    raw.next().map(|value| value.to_string_lossy().into_owned())
}

fn hidden(known: &Known, said_by: &str, value: String) -> Value {
    // Where a secret is found is none.
    let is_place = |ending: &str| said_by.to_ascii_lowercase().ends_with(ending);
    match (known.is_secret, is_place("_file"), is_place("_command")) {
        (true, true, _) => serde_json::json!({ "file": value }),
        (true, _, true) => serde_json::json!({ "command": value }),
        (true, false, false) => "(hidden)".into(),
        (false, ..) => value.parse::<u64>().map_or_else(|_| value.into(), Into::into),
    }
}

fn by_default(key: &str) -> Option<Value> {
    Some(match key {
        "connections" => OpenOptions::default().connections.get().into(),
        "limit-upload" | "limit-download" => 0.into(),
        "request-timeout" => crate::base::duration::short(S3Settings::default().request_timeout).into(),
        _ => return None,
    })
}

fn print(shown: &Shown) -> Result<(), CliError> {
    let file = shown.file.as_deref();
    output::line_out(&format!("# config file: {}", file.unwrap_or("none")))?;
    let mut section = "";
    let mut rows: Vec<(String, String)> = Vec::new();
    for row in &shown.settings {
        let (head, rest) = row.key.split_once('.').unwrap_or(("", &row.key));
        if head != section {
            print_rows(&mut rows)?;
            output::line_out(&format!("\n[{head}]"))?;
            section = head;
        }
        rows.push((format!("{rest} = {}", in_toml(&row.value)), words(&row.from, file)));
    }
    print_rows(&mut rows)?;
    for entry in &shown.entries {
        output::line_out(&format!("\n[{}]", entry_key(&entry.name)))?;
        rows = entry
            .settings
            .iter()
            .map(|r| (format!("{} = {}", r.key, in_toml(&r.value)), words(&r.from, file)))
            .collect();
        print_rows(&mut rows)?;
        for error in &entry.errors {
            output::line_out(&format!("# error: {error}"))?;
        }
    }
    Ok(())
}

/// The second halves stand below each other, unless the first ones are very long.
fn print_rows(rows: &mut Vec<(String, String)>) -> Result<(), CliError> {
    let lengths = rows.iter().map(|(said, _)| said.chars().count());
    let width = lengths.filter(|length| *length <= 60).max().unwrap_or(0);
    for (said, from) in rows.drain(..) {
        output::line_out(&format!("{said:width$}  # {from}"))?;
    }
    Ok(())
}

fn words(from: &From, file: Option<&str>) -> String {
    let name = file.unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let at = |line: Option<usize>| line.map(|line| format!(" ({name}:{line})")).unwrap_or_default();
    match from {
        From::Option { option } => format!("option {option}"),
        From::Environment { variable } => format!("environment, {variable}"),
        From::Dotenv { variable } => format!(".env, {variable}"),
        From::File { line } => format!("{name}:{line}"),
        From::Policy(OfPolicy { policy, line }) => format!("policy {policy}{}", at(*line)),
        From::EntryAndPolicy(OfPolicy { policy, line }) => format!("policy {policy}{} and entry", at(*line)),
        From::Default => "default".to_owned(),
    }
}

/// As TOML writes it.
fn in_toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(in_toml).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, value)| format!("{key} = {}", in_toml(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}
