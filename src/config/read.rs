//! From the text of a config file to settings, or to all that is wrong with it, each with its line and column. Opens no
//! file; what settings mean together is for [`check`](super::check).

mod json;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod walk;

use super::schema::schema;
use super::words::join;
use super::{Config, words};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use tree::{Lines, Node, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Toml,
    Json,
}

impl Format {
    /// JSON if the name says so.
    pub fn of(path: &Path) -> Self {
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json { Self::Json } else { Self::Toml }
    }
}

/// A place in the file; both numbers begin at 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What makes a file useless as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub position: Position,
    /// The key that it is about; empty for the syntax of the file.
    pub key: String,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}: {}{colon}{}", self.position, self.key, self.what)
    }
}

/// Settings, and where they stand.
#[derive(Clone, Debug)]
pub struct Read {
    pub config: Config,
    /// The names of the entries in the order of the file.
    pub entry_order: Vec<String>,
    /// Where each key stands, by its path as TOML writes it: `policies.nightly.retention.keep-daily`.
    pub places: BTreeMap<String, Position>,
}

/// The settings that a text holds, or everything that is wrong with it, in the order of the file.
pub fn read(text: &str, format: Format) -> Result<Read, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    let parsed = match format {
        Format::Toml => toml::parse(text),
        Format::Json => json::parse(text),
    };
    let root = parsed.map_err(|faults| {
        let problem = |(at, what)| Problem { position: lines.position(at), key: String::new(), what };
        faults.into_iter().map(problem).collect::<Vec<_>>()
    })?;
    let faults = walk::faults(&schema(), &root);
    if !faults.is_empty() {
        let problem = |f: walk::Fault| Problem { position: lines.position(f.at), key: f.path, what: f.what };
        return Err(faults.into_iter().map(problem).collect());
    }
    let config = root.to_json().and_then(|json| Config::deserialize(json).ok()).ok_or_else(|| {
        let what = "this is not understood although it fits the schema, which is a bug in ssb; please report it";
        vec![Problem { position: lines.position(root.at), key: String::new(), what: what.to_owned() }]
    })?;
    let mut places = BTreeMap::new();
    note_places(&root, "", &lines, &mut places);
    let entry_order = match root.child("entries").map(|node| &node.value) {
        Some(Value::Table(pairs)) => pairs.iter().map(|pair| pair.key.clone()).collect(),
        _ => Vec::new(),
    };
    Ok(Read { config, entry_order, places })
}

fn note_places(node: &Node, path: &str, lines: &Lines<'_>, places: &mut BTreeMap<String, Position>) {
    let Value::Table(pairs) = &node.value else { return };
    for pair in pairs {
        let path = join(path, &pair.key);
        note_places(&pair.node, &path, lines, places);
        places.insert(path, lines.position(pair.key_at));
    }
}

/// The place of a key, or of the nearest above it that is in the file.
pub fn place(places: &BTreeMap<String, Position>, key: &str) -> Option<Position> {
    let mut key = key;
    loop {
        if let Some(position) = places.get(key) {
            return Some(*position);
        }
        key = words::above(key)?;
    }
}
