//! What is wrong with settings that can be read: with one entry only, so that the others go on without it, or with the
//! whole file. Pure: whether paths exist is for whoever backs them up.

mod reports;
mod settings;
mod shell;
#[cfg(test)]
mod tests;

use super::words::{hint, join, shown};
use super::{Config, Entry, entry_key, policy_key};
use crate::source::Filter;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The entries that it hits cannot be run; if it hits none in particular, nothing can.
    Error,
    /// Something works, but perhaps not as it is meant.
    Warning,
}

/// Something that is wrong, or looks like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// The path of the key that it is about, as TOML writes it.
    pub key: String,
    /// What is wrong and what to do.
    pub what: String,
    /// The entries that it hits; none: the file as a whole.
    pub entries: Vec<String>,
}

impl Finding {
    /// Whether nothing can be run.
    pub fn is_fatal(&self) -> bool {
        self.level == Level::Error && self.entries.is_empty()
    }

    pub fn is_warning(&self) -> bool {
        self.level == Level::Warning
    }

    /// Whether this entry cannot be run.
    pub fn stops(&self, entry: &str) -> bool {
        self.level == Level::Error && self.entries.iter().any(|hit| hit == entry)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// All that is found, first of the whole, then of policies and entries.
pub fn problems(config: &Config) -> Vec<Finding> {
    let mut notes = Notes { config, findings: Vec::new() };
    reports::check(&mut notes);
    whole(&mut notes);
    policies(&mut notes);
    for (name, entry) in &config.entries {
        entry_alone(&mut notes, name, entry);
    }
    groups(&mut notes);
    notes.findings
}

/// The entries that cannot be run if this one cannot: itself, and its group.
pub fn stopped_with(config: &Config, entry: &str) -> Vec<String> {
    Notes { config, findings: Vec::new() }.hit(Hits::Entry(entry))
}

/// Collects findings.
struct Notes<'a> {
    config: &'a Config,
    findings: Vec<Finding>,
}

/// Whom something hits.
#[derive(Clone, Copy)]
enum Hits<'a> {
    All,
    Entry(&'a str),
    Policy(&'a str),
}

impl Notes<'_> {
    /// An error; but what nobody uses stops nobody.
    fn error(&mut self, key: &str, hits: Hits<'_>, what: impl Into<String>) {
        let entries = self.hit(hits);
        let is_idle = entries.is_empty() && !matches!(hits, Hits::All);
        let level = if is_idle { Level::Warning } else { Level::Error };
        self.findings.push(Finding { level, key: key.to_owned(), what: what.into(), entries });
    }

    fn warn(&mut self, key: &str, hits: Hits<'_>, what: impl Into<String>) {
        let entries = self.hit(hits);
        self.findings.push(Finding { level: Level::Warning, key: key.to_owned(), what: what.into(), entries });
    }

    /// The entries that are not disabled and cannot be run if this is wrong: with an entry, its group.
    fn hit(&self, hits: Hits<'_>) -> Vec<String> {
        let entries = self.config.entries.iter().filter(|(_, entry)| !entry.disabled);
        let is_hit = |name: &str, entry: &Entry| match hits {
            Hits::All => false,
            Hits::Entry(hit) => name == hit,
            Hits::Policy(policy) => entry.policy.as_deref() == Some(policy),
        };
        let groups: BTreeSet<&String> =
            entries.clone().filter(|(name, entry)| is_hit(name, entry)).filter_map(|(_, e)| e.group.as_ref()).collect();
        let goes_along = |entry: &Entry| entry.group.as_ref().is_some_and(|group| groups.contains(group));
        entries.filter(|(name, entry)| is_hit(name, entry) || goes_along(entry)).map(|(name, _)| name.clone()).collect()
    }
}

fn whole(notes: &mut Notes<'_>) {
    let config = notes.config;
    if config.entries.values().all(|entry| entry.disabled) {
        let what =
            if config.entries.is_empty() { "there are none, so nothing is backed up" } else { "all are disabled" };
        notes.warn("entries", Hits::All, what);
    }
    let repository = &config.repository;
    if repository.access_key_id.is_some() != repository.secret_access_key.is_some() {
        let what = "access-key-id and secret-access-key go together: give both, or neither to have them looked for";
        notes.error("repository", Hits::All, what);
    }
    let folders = [
        ("repository.cache-dir", &repository.cache_dir),
        ("run.state-dir", &config.run.state_dir),
        ("log.folder", &config.log.folder),
    ];
    for (key, folder) in folders {
        if let Some(folder) = folder {
            not_relative(notes, key, folder);
        }
    }
    settings::hooks(notes, "run.hooks", Hits::All, &config.run.hooks);
}

/// Cron starts programs in a folder that nobody thinks of.
fn not_relative(notes: &mut Notes<'_>, key: &str, path: &Path) {
    if path.is_relative() {
        let what = format!("{} depends on where ssb is started; begin it with '/'", shown(&path.to_string_lossy()));
        notes.warn(key, Hits::All, what);
    }
}

fn policies(notes: &mut Notes<'_>) {
    let config = notes.config;
    let used: BTreeSet<&String> = config.entries.values().filter_map(|entry| entry.policy.as_ref()).collect();
    for (name, policy) in &config.policies {
        let key = policy_key(name);
        if let Some(what) = bad_name(name) {
            notes.error(&key, Hits::Policy(name), what);
        }
        if !used.contains(name) {
            notes.warn(&key, Hits::Policy(name), "no entry uses this policy");
        }
        settings::check(notes, &key, Hits::Policy(name), policy);
    }
}

/// What makes a name unfit for snapshots, file names and messages.
fn bad_name(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("the name is empty; give one".to_owned());
    }
    let bad = name.chars().find(|c| *c == '/' || c.is_control())?;
    Some(format!("the name {} has the character {bad:?} in it; leave that out", shown(name)))
}

fn entry_alone(notes: &mut Notes<'_>, name: &str, entry: &Entry) {
    let (key, hits) = (entry_key(name), Hits::Entry(name));
    if let Some(what) = bad_name(name) {
        notes.error(&key, hits, what);
    }
    policy_of(notes, &key, hits, entry);
    let at = |word: &str| join(&key, word);
    match (&entry.command, entry.paths.is_empty()) {
        (None, true) => notes.error(&key, hits, "it names nothing to back up; give paths or a command"),
        (Some(_), false) => notes.error(&key, hits, "it has both paths and a command; make two entries of it"),
        (Some(command), true) => settings::command(notes, &at("command"), hits, command),
        (None, false) => {}
    }
    for path in &entry.paths {
        if let Some(what) = bad_path(path) {
            notes.error(&at("paths"), hits, what);
        }
    }
    if entry.command.is_some() && entry.group.is_some() {
        notes.error(&at("command"), hits, "a group is of paths, and a command cannot be in one; leave out its group");
    }
    if let Some(filename) = &entry.filename {
        if entry.command.is_none() {
            notes.error(&at("filename"), hits, "only what a command prints gets a file name; leave it out");
        } else if filename.file_name().is_none() {
            let what = format!("{} cannot be the path of a file", shown(&filename.to_string_lossy()));
            notes.error(&at("filename"), hits, format!("{what}; give one such as app.sql"));
        }
    }
    settings::check(notes, &key, hits, &entry.settings);
}

fn policy_of(notes: &mut Notes<'_>, key: &str, hits: Hits<'_>, entry: &Entry) {
    let known = notes.config.policies.keys().map(String::as_str);
    let listed = known.clone().collect::<Vec<_>>().join(", ");
    let choice =
        if listed.is_empty() { "; write one below [policies]".to_owned() } else { format!("; there are {listed}") };
    match &entry.policy {
        None => notes.error(key, hits, format!("it has no policy{choice}")),
        Some(name) if !notes.config.policies.contains_key(name) => {
            let what = format!("there is no policy {}{}", shown(name), hint(name, known, &choice));
            notes.error(&join(key, "policy"), hits, what);
        }
        Some(_) => {}
    }
}

fn bad_path(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("the path {} is relative; begin it with '/'", shown(path)));
    }
    if path.contains('\0') {
        return Some(format!("no path holds a zero byte as {} does", shown(path)));
    }
    let has_globs = path.contains(['*', '?', '[', '{']);
    let refusal = if has_globs { Filter::new(&[path.to_owned()]).err() } else { None };
    refusal.map(|error| error.to_string())
}

fn groups(notes: &mut Notes<'_>) {
    let mut groups: BTreeMap<&str, Vec<(&String, &Entry)>> = BTreeMap::new();
    let config = notes.config;
    for (name, entry) in config.entries.iter().filter(|(_, entry)| !entry.disabled) {
        if let Some(group) = &entry.group {
            groups.entry(group).or_default().push((name, entry));
        }
    }
    for (group, members) in groups {
        let Some((first, of_first)) = members.first() else { continue };
        let key = |name: &str| join(&entry_key(name), "group");
        if let Some(what) = bad_name(group) {
            notes.error(&key(first), Hits::Entry(first), what);
        }
        if let Some((other, _)) = members.iter().find(|(_, entry)| entry.policy != of_first.policy) {
            let what = format!(
                "the group '{group}' becomes one snapshot, but '{first}' and '{other}' have different policies"
            );
            notes.error(&key(other), Hits::Entry(other), format!("{what}; give all the same"));
        }
        if config.entries.get(group).is_some_and(|entry| entry.group.as_deref() != Some(group)) {
            let what = format!("'{group}' is also the name of an entry that is not in the group; rename one of them");
            notes.error(&key(first), Hits::Entry(first), what);
        }
    }
}
