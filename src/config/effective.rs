//! What holds for an entry: its own settings, its policy's where it says nothing, the defaults where neither does.

use super::{Config, Duration, Entry, Hooks, Mode, Retention, Settings, WhenChanged};
use serde::Serialize;
use std::time;

/// All settings of an entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Effective {
    pub schedule: Option<String>,
    pub time_zone: Option<String>,
    pub mode: Mode,
    pub when: WhenChanged,
    pub retention: Option<Retention>,
    pub compression: i32,
    pub exclude: Vec<String>,
    pub one_file_system: bool,
    pub timeout: Option<Duration>,
    pub retries: u32,
    pub retry_wait: Duration,
    pub tags: Vec<String>,
    pub hooks: Hooks,
}

impl Default for Effective {
    /// What holds if nobody says anything.
    fn default() -> Self {
        Self {
            schedule: None,
            time_zone: None,
            mode: Mode::default(),
            when: WhenChanged::default(),
            retention: None,
            compression: 3,
            exclude: Vec::new(),
            one_file_system: false,
            timeout: None,
            retries: 2,
            retry_wait: Duration(time::Duration::from_secs(30)),
            tags: Vec::new(),
            hooks: Hooks::default(),
        }
    }
}

impl Effective {
    /// For an entry whose policy is missing, its own settings and the defaults alone.
    pub fn of(config: &Config, entry: &Entry) -> Self {
        let policy = entry.policy.as_ref().and_then(|name| config.policies.get(name));
        let levels = policy.into_iter().chain([&entry.settings]);
        levels.fold(Self::default(), Self::with)
    }

    /// The same, but as these settings say where they say anything.
    fn with(mut self, settings: &Settings) -> Self {
        let Settings { schedule, time_zone, mode, when, retention, compression, exclude, .. } = settings.clone();
        let Settings { one_file_system, timeout, retries, retry_wait, tags, hooks, .. } = settings.clone();
        self.exclude.extend(exclude.into_iter().flatten());
        self.tags.extend(tags.into_iter().flatten());
        let hooks = hooks.unwrap_or_default();
        Self {
            schedule: schedule.or(self.schedule),
            time_zone: time_zone.or(self.time_zone),
            mode: mode.unwrap_or(self.mode),
            when: when.unwrap_or(self.when),
            retention: retention.or(self.retention),
            compression: compression.unwrap_or(self.compression),
            one_file_system: one_file_system.unwrap_or(self.one_file_system),
            timeout: timeout.or(self.timeout),
            retries: retries.unwrap_or(self.retries),
            retry_wait: retry_wait.unwrap_or(self.retry_wait),
            hooks: Hooks {
                before: hooks.before.or(self.hooks.before),
                after: hooks.after.or(self.hooks.after),
                on_success: hooks.on_success.or(self.hooks.on_success),
                on_failure: hooks.on_failure.or(self.hooks.on_failure),
                finally: hooks.finally.or(self.hooks.finally),
                timeout: hooks.timeout.or(self.hooks.timeout),
            },
            exclude: self.exclude,
            tags: self.tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Command;
    use std::collections::BTreeMap;

    #[test]
    fn the_entry_goes_before_its_policy_and_that_before_the_defaults() {
        let before = |line: &str| Hooks { before: Some(Command::Shell(line.to_owned())), ..Hooks::default() };
        let policy = Settings {
            compression: Some(9),
            mode: Some(Mode::Serial),
            tags: Some(vec!["nightly".to_owned()]),
            hooks: Some(Hooks { finally: Some(Command::Shell("end".to_owned())), ..before("policy") }),
            ..Settings::default()
        };
        let config = Config { policies: BTreeMap::from([("p".to_owned(), policy)]), ..Config::default() };
        let settings = Settings {
            compression: Some(1),
            tags: Some(vec!["db".to_owned()]),
            hooks: Some(before("entry")),
            ..Settings::default()
        };
        let entry = Entry { policy: Some("p".to_owned()), settings, ..Entry::default() };
        let effective = Effective::of(&config, &entry);
        assert_eq!((effective.compression, effective.mode, effective.retries), (1, Mode::Serial, 2));
        assert_eq!(effective.tags, ["nightly", "db"]);
        assert_eq!(effective.hooks.before, Some(Command::Shell("entry".to_owned())));
        assert_eq!(effective.hooks.finally, Some(Command::Shell("end".to_owned())));
        let stray = Entry { policy: Some("no such".to_owned()), ..Entry::default() };
        assert_eq!(Effective::of(&config, &stray), Effective::default());
    }
}
