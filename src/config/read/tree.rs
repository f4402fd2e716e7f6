//! What a config file says before anybody knows what it means: values, each with its place in the text. Both formats are
//! read into it.

use super::Position;

/// A value and the byte that it begins at. Has no `Debug`: it may hold secrets.
pub struct Node {
    pub at: usize,
    pub value: Value,
}

pub enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Pair>),
    /// A date or time, which only TOML has.
    Date,
}

/// A key, the byte that it begins at, and its value.
pub struct Pair {
    pub key: String,
    pub key_at: usize,
    pub node: Node,
}

impl Pair {
    /// Where to look for what is said of the value: a table's key stands where it begins, its value may be anywhere.
    pub fn at(&self) -> usize {
        if matches!(self.node.value, Value::Table(_)) { self.key_at } else { self.node.at }
    }
}

impl Node {
    pub fn child(&self, name: &str) -> Option<&Node> {
        let Value::Table(pairs) = &self.value else { return None };
        pairs.iter().find(|pair| pair.key == name).map(|pair| &pair.node)
    }

    /// What it is, for a sentence that says what it is not.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Date => "a date",
        }
    }

    /// The same without places; `None` for what JSON cannot say.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(small), _) => small.into(),
                (_, Ok(large)) => large.into(),
                _ => return None,
            },
            Value::Float(value) => serde_json::Number::from_f64(*value)?.into(),
            Value::Text(text) => text.clone().into(),
            Value::List(nodes) => Json::Array(nodes.iter().map(Self::to_json).collect::<Option<_>>()?),
            Value::Table(pairs) => {
                let pairs = pairs.iter().map(|pair| Some((pair.key.clone(), pair.node.to_json()?)));
                Json::Object(pairs.collect::<Option<_>>()?)
            }
            Value::Date => return None,
        })
    }
}

/// Where the lines of a text begin.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(starts).collect() }
    }

    /// Line and column, in characters, of a byte; both begin at 1.
    pub fn position(&self, at: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..at.min(self.text.len())).unwrap_or_default();
        Position { line, column: String::from_utf8_lossy(before).chars().count() + 1 }
    }
}
