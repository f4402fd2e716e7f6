//! The settings that policies and entries share.

use super::{Hits, Notes, shell};
use crate::config::words::{join, shown};
use crate::config::{Command, Hooks, Settings};
use crate::ops::retention::Keep;
use crate::source::Filter;
use jiff::tz::TimeZone;

pub fn check(notes: &mut Notes<'_>, key: &str, hits: Hits<'_>, settings: &Settings) {
    let at = |word: &str| join(key, word);
    let zone = match settings.time_zone.as_deref().map(|name| (name, TimeZone::get(name))) {
        Some((name, Err(_))) => {
            let what = format!("the time zone {} is not known; give one such as Europe/Berlin or UTC", shown(name));
            notes.error(&at("time-zone"), hits, what);
            TimeZone::UTC
        }
        Some((_, Ok(zone))) => zone,
        None => TimeZone::UTC,
    };
    if let Some(what) = settings.schedule.as_deref().and_then(|expression| bad_schedule(expression, &zone)) {
        notes.error(&at("schedule"), hits, what);
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

/// Why a cron expression cannot be used.
fn bad_schedule(expression: &str, _zone: &TimeZone) -> Option<String> {
    let fields = match expression {
        "@hourly" | "@daily" | "@weekly" | "@monthly" => return None,
        fields => fields.split_whitespace().collect::<Vec<_>>(),
    };
    let is_good = fields.len() == 5 && cronexpr::parse_crontab(&format!("{} UTC", fields.join(" "))).is_ok();
    let wanted = "give five fields such as '30 2 * * *', or one of @hourly, @daily, @weekly and @monthly";
    (!is_good).then(|| format!("{} is no cron expression; {wanted}", shown(expression)))
}
