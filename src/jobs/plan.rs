//! Which jobs a run has, in which order, and why: from config, selection, and what was done last. Looks at no source.

use super::JobsError;
use super::due::{Last, judge, judge_refusal};
use super::state::State;
use crate::config::{Command, Config, Effective, Entry, Schedule, zone};
use crate::repo::{Label, Snapshot};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is wanted of the config.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names of entries and groups; all if there is none.
    pub names: Vec<String>,
    /// Only what its schedule says.
    pub due_only: bool,
    /// Read everything, and make a snapshot also if nothing has changed.
    pub force: bool,
}

/// What a job backs up.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Absolute paths with globs.
    Paths(Vec<String>),
    Command {
        words: Vec<String>,
        filename: PathBuf,
    },
}

/// One entry, or the entries of one group.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub is_group: bool,
    pub entries: Vec<String>,
    pub policy: Option<String>,
    pub settings: Effective,
    pub content: Content,
    pub zone: TimeZone,
    /// Why it is run, or why it is not.
    pub verdict: Verdict,
}

/// What becomes of a job, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    Run {
        why: String,
    },
    /// Left out.
    Skip {
        why: String,
    },
    /// The config says something of it that cannot be.
    Refuse {
        why: String,
    },
}

/// Every job that was asked for, in the order of the config.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub jobs: Vec<Job>,
}

/// The facts that a plan rests on.
pub struct Facts<'a> {
    pub config: &'a Config,
    /// The names of the entries, in the order of the file.
    pub order: &'a [String],
    /// What is wrong with single entries.
    pub refused: &'a BTreeMap<String, String>,
    pub snapshots: &'a [Snapshot],
    pub state: &'a State,
    pub host: &'a str,
    pub system_zone: &'a TimeZone,
    pub now: Timestamp,
}

impl Job {
    pub fn label(&self) -> Label {
        let (entry, group) = if self.is_group { (None, Some(&self.name)) } else { (Some(&self.name), None) };
        Label { policy: self.policy.clone(), entry: entry.cloned(), group: group.cloned() }
    }
}

/// # Errors
/// [`JobsError::Unknown`] for a name that the config does not have.
pub fn plan(facts: &Facts<'_>, selection: &Selection) -> Result<Plan, JobsError> {
    let mut jobs: Vec<Job> = Vec::new();
    for name in facts.order {
        let Some(entry) = facts.config.entries.get(name) else { continue };
        match jobs.iter_mut().find(|job| job.is_group && entry.group.as_ref() == Some(&job.name)) {
            Some(job) => job.join(facts, name, entry),
            None => jobs.push(Job::of(facts, name, entry)),
        }
    }
    if let Some(name) = selection.names.iter().find(|name| !jobs.iter().any(|job| job.is_called(name))) {
        let known = jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(JobsError::Unknown { name: name.clone(), known });
    }
    jobs.retain(|job| selection.names.is_empty() || selection.names.iter().any(|name| job.is_called(name)));
    for job in &mut jobs {
        let is_named = !selection.names.is_empty();
        let is_disabled = || job.entries.iter().any(|name| facts.config.entries.get(name).is_some_and(|e| e.disabled));
        if !is_named && is_disabled() {
            job.verdict = Verdict::Skip { why: "it is disabled".to_owned() };
        } else if selection.due_only {
            job.verdict = job.judge(facts);
        }
    }
    Ok(Plan { jobs })
}

impl Job {
    fn of(facts: &Facts<'_>, name: &str, entry: &Entry) -> Self {
        let settings = Effective::of(facts.config, entry);
        let content = match &entry.command {
            None => Content::Paths(entry.paths.clone()),
            Some(command) => {
                let filename = entry.filename.clone().unwrap_or_else(|| PathBuf::from(name));
                Content::Command { words: words(command), filename }
            }
        };
        let zone = zone(settings.time_zone.as_deref(), facts.system_zone);
        let verdict = match facts.refused.get(name) {
            Some(why) => Verdict::Refuse { why: why.clone() },
            None => Verdict::Run { why: "it was asked for".to_owned() },
        };
        Self {
            name: entry.group.clone().unwrap_or_else(|| name.to_owned()),
            is_group: entry.group.is_some(),
            entries: vec![name.to_owned()],
            policy: entry.policy.clone(),
            settings,
            content,
            zone: zone.unwrap_or_else(|_| facts.system_zone.clone()),
            verdict,
        }
    }

    /// Takes a further entry of the same group in. The first one's settings hold for all of it.
    fn join(&mut self, facts: &Facts<'_>, name: &str, entry: &Entry) {
        let other = Self::of(facts, name, entry);
        self.entries.extend(other.entries);
        self.settings.exclude.extend(other.settings.exclude);
        self.settings.tags.extend(other.settings.tags);
        for list in [&mut self.settings.exclude, &mut self.settings.tags] {
            list.sort();
            list.dedup();
        }
        if let (Content::Paths(mine), Content::Paths(paths)) = (&mut self.content, other.content) {
            mine.extend(paths);
        }
        // A group is whole or not at all.
        if matches!(other.verdict, Verdict::Refuse { .. }) {
            self.verdict = other.verdict;
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.entries.iter().any(|entry| entry == name)
    }

    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let last = self.last(facts);
        let schedule = self.settings.schedule.as_ref().map(|text| Schedule::parse(text, &self.zone)).transpose();
        let judged = match (&self.verdict, schedule) {
            (Verdict::Refuse { .. }, _) => judge_refusal(&self.zone, last, facts.now).map(|()| self.verdict.clone()),
            (_, Err(error)) => Ok(Verdict::Refuse { why: error.to_string() }),
            (_, Ok(schedule)) => judge(schedule.as_ref(), &self.zone, last, facts.now).map(|why| Verdict::Run { why }),
        };
        judged.unwrap_or_else(|why| Verdict::Skip { why })
    }

    /// By the snapshots, and by what is remembered here of runs that made none.
    fn last(&self, facts: &Facts<'_>) -> Last {
        let label = self.label();
        let mine = |s: &&Snapshot| s.manifest.host == facts.host && s.manifest.label.is_same(&label);
        let newest = facts.snapshots.iter().filter(mine).map(|s| s.manifest.time).max();
        let state = facts.state.jobs.get(&self.name).cloned().unwrap_or_default();
        Last { success: newest.max(state.last_success), begun: state.last_try }
    }
}

/// The program and its arguments.
pub(super) fn words(command: &Command) -> Vec<String> {
    match command {
        Command::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        Command::Words(words) => words.clone(),
    }
}
