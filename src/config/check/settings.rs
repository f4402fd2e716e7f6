//! The settings that policies and entries share.

use super::{Hits, Notes, shell};
use crate::config::words::{join, shown};
use crate::config::{Command, Hooks, Schedule, Settings, zone};
use crate::ops::retention::Keep;
use crate::source::Filter;
use jiff::tz::TimeZone;

pub fn check(notes: &mut Notes<'_>, key: &str, hits: Hits<'_>, settings: &Settings) {
    let at = |word: &str| join(key, word);
    let zone = zone(settings.time_zone.as_deref(), &TimeZone::UTC).unwrap_or_else(|error| {
        notes.error(&at("time-zone"), hits, error.to_string());
        TimeZone::UTC
    });
    if let Some(Err(error)) = settings.schedule.as_deref().map(|expression| Schedule::parse(expression, &zone)) {
        notes.error(&at("schedule"), hits, error.to_string());
    }
    for pattern in settings.exclude.iter().flatten() {
        if let Err(error) = Filter::new(std::slice::from_ref(pattern)) {
            notes.error(&at("exclude"), hits, error.to_string());
        }
    }
    for tag in settings.tags.iter().flatten() {
        if tag.trim().is_empty() || tag.contains(',') || tag.chars().any(char::is_control) {
            let what =
                format!("the tag {} cannot be asked for; give one that is not empty and has no comma", shown(tag));
            notes.error(&at("tags"), hits, what);
        }
    }
    if settings.retention.as_ref().is_some_and(|retention| Keep::from(retention).is_empty()) {
        let what = "it has no rule, so everything is kept; give one such as keep-daily = 7, or leave it out";
        notes.warn(&at("retention"), hits, what);
    }
    if let Some(hooks_of) = &settings.hooks {
        hooks(notes, &at("hooks"), hits, hooks_of);
    }
}

pub fn hooks(notes: &mut Notes<'_>, key: &str, hits: Hits<'_>, hooks: &Hooks) {
    let Hooks { before, after, on_success, on_failure, finally, timeout: _ } = hooks;
    let named = [
        ("before", before),
        ("after", after),
        ("on-success", on_success),
        ("on-failure", on_failure),
        ("finally", finally),
    ];
    for (name, hook) in named {
        if let Some(hook) = hook {
            command(notes, &join(key, name), hits, hook);
        }
    }
}

pub fn command(notes: &mut Notes<'_>, key: &str, hits: Hits<'_>, command: &Command) {
    let has_zero = |text: &str| text.contains('\0');
    match command {
        Command::Shell(line) if line.trim().is_empty() => notes.error(key, hits, "the command is empty; give one"),
        Command::Words(words) if words.first().is_none_or(|word| word.trim().is_empty()) => {
            notes.error(key, hits, "the command names no program; give one as the first word");
        }
        Command::Shell(line) if has_zero(line) => notes.error(key, hits, "no command holds a zero byte"),
        Command::Words(words) if words.iter().any(|word| has_zero(word)) => {
            notes.error(key, hits, "no command holds a zero byte");
        }
        Command::Shell(line) if shell::hides_failures(line) => {
            let what = "of a pipe '|' only the last part is heeded, and failures of the others go unnoticed; write \
                        [\"bash\", \"-o\", \"pipefail\", \"-c\", \"...\"]";
            notes.warn(key, hits, what);
        }
        Command::Shell(_) | Command::Words(_) => {}
    }
}
