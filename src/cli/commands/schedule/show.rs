//! `ssb schedule show`: when what runs next.

use crate::base::{Clock, SystemClock};
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::config::find::LoadedConfig;
use crate::config::{Effective, Entry, Schedule, zone};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

const RUNS: usize = 3;

/// An entry or a group in JSON.
#[derive(Serialize)]
struct Shown {
    name: String,
    is_group: bool,
    entries: Vec<String>,
    policy: Option<String>,
    /// Without one it is due whenever somebody looks.
    schedule: Option<String>,
    time_zone: String,
    disabled: bool,
    next: Vec<Timestamp>,
    /// Why it will not run.
    problem: Option<String>,
    #[serde(skip)]
    zone: TimeZone,
}

#[derive(Serialize)]
struct All<'a> {
    config: String,
    jobs: &'a [Shown],
}

pub fn run(context: &Context) -> Result<u8, CliError> {
    let loaded = super::loaded(context)?;
    let (now, system) = (SystemClock.now(), TimeZone::system());
    let mut jobs: Vec<Shown> = Vec::new();
    for name in &loaded.entry_order {
        let Some(entry) = loaded.config.entries.get(name) else { continue };
        match jobs.iter_mut().find(|job| job.is_group && entry.group.as_ref() == Some(&job.name)) {
            // The first one's settings hold for the group.
            Some(group) => group.join(loaded, name, entry),
            None => jobs.push(Shown::of(loaded, name, entry, now, &system)),
        }
    }
    let config = loaded.path.display().to_string();
    if context.global.json {
        output::json(&All { config, jobs: &jobs })?;
    } else {
        output::line_out(&describe(&config, &jobs))?;
    }
    let is_wrong = jobs.iter().any(|job| job.problem.is_some());
    Ok(if is_wrong { code::SOURCES_UNREADABLE } else { code::DONE })
}

impl Shown {
    fn of(loaded: &LoadedConfig, name: &str, entry: &Entry, now: Timestamp, system: &TimeZone) -> Self {
        let settings = Effective::of(&loaded.config, entry);
        let zone = zone(settings.time_zone.as_deref(), system);
        let schedule = zone.as_ref().map_err(Clone::clone).and_then(|zone| {
            settings.schedule.as_deref().map(|expression| Schedule::parse(expression, zone)).transpose()
        });
        let (schedule, wrong) = match schedule {
            Ok(schedule) => (schedule, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let zone = zone.unwrap_or_else(|_| system.clone());
        let runs = |schedule: &Schedule| {
            std::iter::successors(schedule.next_after(now), |last| schedule.next_after(*last)).take(RUNS).collect()
        };
        let mut shown = Self {
            name: entry.group.clone().unwrap_or_else(|| name.to_owned()),
            is_group: entry.group.is_some(),
            entries: Vec::new(),
            policy: entry.policy.clone(),
            schedule: settings.schedule.clone(),
            time_zone: settings.time_zone.unwrap_or_else(|| zone.iana_name().unwrap_or("local time").to_owned()),
            disabled: false,
            next: schedule.as_ref().map(runs).unwrap_or_default(),
            problem: wrong,
            zone,
        };
        shown.join(loaded, name, entry);
        shown
    }

    /// Takes an entry in; what stops it, stops all of the group.
    fn join(&mut self, loaded: &LoadedConfig, name: &str, entry: &Entry) {
        self.entries.push(name.to_owned());
        self.disabled |= entry.disabled;
        let found = loaded.errors_of(name).next().map(|finding| finding.what.clone());
        self.problem = self.problem.take().or(found);
        if self.disabled || self.problem.is_some() {
            self.next.clear();
        }
    }

    fn next_runs(&self) -> String {
        let local = |time: &Timestamp| time.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string();
        match (&self.problem, self.disabled, &self.schedule) {
            (Some(_), ..) => "never, see below".to_owned(),
            (None, true, _) => "never, it is disabled".to_owned(),
            (None, false, None) => "whenever 'ssb run --due' is called".to_owned(),
            (None, false, Some(_)) => self.next.iter().map(local).collect::<Vec<_>>().join(", "),
        }
    }
}

fn describe(config: &str, jobs: &[Shown]) -> String {
    if jobs.is_empty() {
        return format!("{config} has no entries");
    }
    let row = |job: &Shown| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let name = if job.is_group { format!("{} ({})", job.name, job.entries.join(", ")) } else { job.name.clone() };
        vec![name, or_dash(&job.policy), or_dash(&job.schedule), job.time_zone.clone(), job.next_runs()]
    };
    let rows: Vec<_> = jobs.iter().map(row).collect();
    let mut lines =
        vec![output::table(&["Entry or group", "Policy", "Schedule", "Time zone", "Next runs"], &[], &rows)];
    lines.extend(jobs.iter().filter_map(|job| Some(format!("{}: {}", job.name, job.problem.as_ref()?))));
    lines.join("\n")
}
