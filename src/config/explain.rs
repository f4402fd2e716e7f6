//! For each setting of an entry who said so: the entry, its policy, or nobody. Prints nothing.

use super::words::join;
use super::{Config, Effective, Entry, Settings};
use serde_json::{Map, Value};

/// Who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Entry,
    Policy,
    /// What both say, together.
    Both,
    Default,
}

/// A setting as it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As in the file, below the entry or the policy: `compression`, `hooks.before`.
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

/// All settings of an entry but those that nobody sets and that are nothing by default.
pub fn settings(config: &Config, entry: &Entry) -> Vec<Setting> {
    let policy = entry.policy.as_ref().and_then(|name| config.policies.get(name));
    let said = |settings: &Settings| leaves(&serde_json::to_value(settings).unwrap_or_default());
    let (of_entry, of_policy) = (said(&entry.settings), policy.map(said).unwrap_or_default());
    let holds = leaves(&serde_json::to_value(Effective::of(config, entry)).unwrap_or_default());
    let setting = |(key, value): (String, Value)| {
        // Of a retention, and of every list, one counts as a whole.
        let whole = key.split('.').next().filter(|word| *word != "hooks").unwrap_or(&key).to_owned();
        let is_said = |said: &Map<String, Value>| {
            said.keys().any(|other| *other == whole || other.split('.').next() == Some(whole.as_str()))
        };
        let adds_up = ["exclude", "tags"].contains(&key.as_str());
        let origin = match (is_said(&of_entry), is_said(&of_policy)) {
            (true, true) if adds_up => Origin::Both,
            (true, _) => Origin::Entry,
            (false, true) => Origin::Policy,
            (false, false) => Origin::Default,
        };
        Setting { key, value, origin }
    };
    holds.into_iter().map(setting).collect()
}

/// Every value that is no table, by the path of its key; nothing that is null.
pub fn leaves(value: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Map<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(object) => object.iter().for_each(|(key, value)| collect(value, &join(path, key), found)),
        leaf => drop(found.insert(path.to_owned(), leaf.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::{Format, read};

    #[test]
    fn each_setting_has_its_origin() {
        let text = "
            [policies.p]
            compression = 9
            tags = ['nightly']
            retention.keep-daily = 7
            hooks.before = 'a'
            exclude = ['*.tmp']
            [entries.e]
            policy = 'p'
            paths = ['/srv']
            retries = 5
            tags = ['db']
            hooks.finally = 'b'
        ";
        let config = read(text, Format::Toml).unwrap().config;
        let settings = settings(&config, &config.entries["e"]);
        let origin = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap().origin;
        for (key, expected) in [
            ("compression", Origin::Policy),
            ("retries", Origin::Entry),
            ("tags", Origin::Both),
            ("exclude", Origin::Policy),
            ("retention.keep-daily", Origin::Policy),
            ("hooks.before", Origin::Policy),
            ("hooks.finally", Origin::Entry),
            ("mode", Origin::Default),
            ("retry-wait", Origin::Default),
        ] {
            assert_eq!(origin(key), expected, "{key}");
        }
        assert!(settings.iter().all(|setting| setting.key != "schedule"));
    }
}
