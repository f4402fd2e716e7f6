//! Which snapshots belong together, so that each machine and each set of paths keeps its own history. Decides nothing
//! about them.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// By which facts snapshots are told apart; none of them puts all into one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    pub host: bool,
    pub paths: bool,
    pub tags: bool,
    /// The entry or the group of the config.
    pub entry: bool,
}

impl Default for GroupBy {
    /// By host and paths.
    fn default() -> Self {
        Self { host: true, paths: true, tags: false, entry: false }
    }
}

impl GroupBy {
    /// The group that something with these facts belongs to; the order of paths and tags does not matter.
    pub fn key(self, facts: Facts<'_>) -> GroupKey {
        GroupKey {
            host: self.host.then(|| facts.host.to_owned()),
            paths: self.paths.then(|| as_set(facts.paths)),
            tags: self.tags.then(|| as_set(facts.tags)),
            entry: self.entry.then(|| facts.entry.unwrap_or_default().to_owned()),
        }
    }
}

fn as_set(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    words
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = [(self.host, "host"), (self.paths, "paths"), (self.tags, "tags"), (self.entry, "entry")];
        let names: Vec<&str> = given.into_iter().filter_map(|(is_given, name)| is_given.then_some(name)).collect();
        f.write_str(&names.join(","))
    }
}

/// A text that does not say by what to group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' does not say how to group snapshots: '{part}' is not one of host, paths, tags and entry")]
pub struct ParseGroupByError {
    text: String,
    part: String,
}

impl FromStr for GroupBy {
    type Err = ParseGroupByError;

    /// `host`, `paths`, `tags` and `entry` with commas between them; the empty text for one group of all.
    fn from_str(text: &str) -> Result<Self, ParseGroupByError> {
        let mut by = Self { host: false, paths: false, tags: false, entry: false };
        if text.is_empty() {
            return Ok(by);
        }
        for part in text.split(',') {
            match part {
                "host" | "hosts" => by.host = true,
                "path" | "paths" => by.paths = true,
                "tag" | "tags" => by.tags = true,
                "entry" | "entries" => by.entry = true,
                _ => return Err(ParseGroupByError { text: text.to_owned(), part: part.to_owned() }),
            }
        }
        Ok(by)
    }
}

impl Serialize for GroupBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for GroupBy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a snapshot tells that grouping may look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub host: &'a str,
    /// In text form, in any order.
    pub paths: &'a [String],
    /// In any order.
    pub tags: &'a [String],
    /// The name of the entry or the group of the config, if it was made by one.
    pub entry: Option<&'a str>,
}

/// The facts that the members of one group share; those not grouped by are absent. Paths and tags are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GroupKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Empty for what no config has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

impl fmt::Display for GroupKey {
    /// A line such as `host web1, paths /etc /home`; `all snapshots` for the group of all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |name: &str, words: &Vec<String>| match words.len() {
            0 => format!("no {name}"),
            _ => format!("{name} {}", words.join(" ")),
        };
        let mut parts: Vec<String> = self.host.iter().map(|host| format!("host {host}")).collect();
        parts.extend(self.paths.iter().map(|paths| words("paths", paths)));
        parts.extend(self.tags.iter().map(|tags| words("tags", tags)));
        let entry = |entry: &String| if entry.is_empty() { "no entry".to_owned() } else { format!("entry {entry}") };
        parts.extend(self.entry.iter().map(entry));
        f.write_str(&if parts.is_empty() { "all snapshots".to_owned() } else { parts.join(", ") })
    }
}

/// Sorts `items` into their groups by the key that `key` gives; the order within a group is that of the input.
pub fn group<T>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> GroupKey) -> BTreeMap<GroupKey, Vec<T>> {
    let mut groups: BTreeMap<GroupKey, Vec<T>> = BTreeMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn reads_and_prints() {
        for text in ["", "host", "paths", "tags", "host,paths", "host,tags", "host,paths,tags", "host,entry"] {
            assert_eq!(text.parse::<GroupBy>().unwrap().to_string(), text);
        }
        assert_eq!("tag,path".parse::<GroupBy>().unwrap().to_string(), "paths,tags");
        assert_eq!(GroupBy::default().to_string(), "host,paths");
        for (text, part) in [("hots", "hots"), ("host,", ""), ("host, paths", " paths"), (",", "")] {
            let error = text.parse::<GroupBy>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "'{text}' does not say how to group snapshots: '{part}' is not one of host, paths, tags and entry"
                )
            );
        }
    }

    #[test]
    fn order_of_paths_and_tags_makes_no_group() {
        let (paths, swapped, tags) = (words("/home /etc"), words("/etc /home /etc"), words("b a"));
        let by: GroupBy = "host,paths,tags".parse().unwrap();
        let key = by.key(Facts { host: "web1", paths: &paths, tags: &tags, ..Facts::default() });
        assert_eq!(key, by.key(Facts { host: "web1", paths: &swapped, tags: &words("a b"), ..Facts::default() }));
        assert_ne!(key, by.key(Facts { host: "web2", paths: &paths, tags: &tags, ..Facts::default() }));
        assert_ne!(key, by.key(Facts { host: "web1", paths: &words("/etc"), tags: &tags, ..Facts::default() }));
        assert_ne!(key, by.key(Facts { host: "web1", paths: &paths, tags: &[], ..Facts::default() }));
        assert_eq!(key.to_string(), "host web1, paths /etc /home, tags a b");
        assert_eq!(
            serde_json::to_string(&GroupBy::default().key(Facts {
                host: "web1",
                paths: &paths,
                tags: &tags,
                ..Facts::default()
            }))
            .unwrap(),
            r#"{"host":"web1","paths":["/etc","/home"]}"#
        );
    }

    #[test]
    fn sorts_into_groups() {
        let group_by = |by: GroupBy| {
            group(["b", "a", "b"], |host| by.key(Facts { host, paths: &[], tags: &[], ..Facts::default() }))
        };
        let groups = group_by("host".parse().unwrap());
        let sizes: Vec<_> = groups.iter().map(|(key, items)| (key.to_string(), items.len())).collect();
        assert_eq!(sizes, [("host a".to_owned(), 1), ("host b".to_owned(), 2)]);

        let groups = group_by("".parse().unwrap());
        assert_eq!(groups.keys().map(GroupKey::to_string).collect::<Vec<_>>(), ["all snapshots"]);
    }
}
