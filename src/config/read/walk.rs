//! What was read against the schema: every unknown key, wrong type, word and number at once. Says nothing about what
//! settings mean together.

use super::tree::{Node, Pair, Value};
use crate::base::duration;
use crate::config::schema::{alternatives, resolve};
use crate::config::words::{any_of, hint, join, shown};
use crate::ops::retention::Span;
use crate::store::Location;
use serde_json::Value as Schema;

/// What is wrong, at which key, and the byte where that is seen.
pub struct Fault {
    pub path: String,
    pub at: usize,
    pub what: String,
}

/// All faults, in the order of the file.
pub fn faults(schema: &Schema, node: &Node) -> Vec<Fault> {
    let mut faults = Walk { root: schema }.value(schema, node, node.at, "");
    faults.sort_by_key(|fault| fault.at);
    faults
}

struct Walk<'a> {
    root: &'a Schema,
}

impl Walk<'_> {
    fn value(&self, schema: &Schema, node: &Node, at: usize, path: &str) -> Vec<Fault> {
        let schema = resolve(self.root, schema);
        if let Some(alternatives) = alternatives(schema) {
            return self.one_of(schema, alternatives, node, at, path);
        }
        let fault = |what: String| vec![Fault { path: path.to_owned(), at, what }];
        let words = words(schema);
        if !self.is_kind(schema, node) || (!words.is_empty() && !self.is_word(&words, node)) {
            return fault(self.mismatch(schema, node));
        }
        match &node.value {
            Value::Table(pairs) => self.table(schema, pairs, at, path),
            Value::List(nodes) => {
                let items = nodes.iter().enumerate().zip(std::iter::repeat(schema.get("items")));
                let items = items.filter_map(|((index, node), schema)| Some((index, node, schema?)));
                items.flat_map(|(i, node, schema)| self.value(schema, node, node.at, &format!("{path}[{i}]"))).collect()
            }
            Value::Integer(_) | Value::Float(_) if !is_in_range(schema, node) => fault(self.mismatch(schema, node)),
            Value::Text(text) => match misformed(schema, text) {
                Some(what) => fault(what),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn table(&self, schema: &Schema, pairs: &[Pair], at: usize, path: &str) -> Vec<Fault> {
        let known = schema.get("properties").and_then(Schema::as_object);
        let names = || known.into_iter().flatten().map(|(name, _)| name.as_str());
        let others = schema.get("additionalProperties").filter(|others| **others != Schema::Bool(false));
        let mut faults = Vec::new();
        for pair in pairs {
            let path = join(path, &pair.key);
            match known.and_then(|known| known.get(&pair.key)).or(others) {
                Some(schema) => faults.extend(self.value(schema, &pair.node, pair.at(), &path)),
                None => {
                    let listed: Vec<String> = names().map(str::to_owned).collect();
                    let otherwise = format!("; known here are {}", listed.join(", "));
                    let what = format!("unknown key{}", hint(&pair.key, names(), &otherwise));
                    faults.push(Fault { path, at: pair.key_at, what });
                }
            }
        }
        let required = schema.get("required").and_then(Schema::as_array).into_iter().flatten();
        for name in required.filter_map(Schema::as_str).filter(|name| pairs.iter().all(|pair| pair.key != **name)) {
            faults.push(Fault { path: path.to_owned(), at, what: format!("the key '{name}' is missing") });
        }
        faults
    }

    /// One of several ways to write a value.
    fn one_of(&self, schema: &Schema, alternatives: &[Schema], node: &Node, at: usize, path: &str) -> Vec<Fault> {
        let mut meant = Vec::new();
        for alternative in alternatives {
            let faults = self.value(alternative, node, at, path);
            if faults.is_empty() {
                return faults;
            }
            let alternative = resolve(self.root, alternative);
            if words(alternative).is_empty() && self.is_kind(alternative, node) {
                meant.push(faults);
            }
        }
        match (meant.pop(), meant.is_empty()) {
            // Whoever wrote this meant that one way, and what is wrong with it is known.
            (Some(faults), true) => faults,
            _ => vec![Fault { path: path.to_owned(), at, what: self.mismatch(schema, node) }],
        }
    }

    fn is_kind(&self, schema: &Schema, node: &Node) -> bool {
        if let Some(ways) = alternatives(schema) {
            return ways.iter().any(|way| self.is_kind(resolve(self.root, way), node));
        }
        let is = |kind: &str| match (kind, &node.value) {
            ("null", Value::Null)
            | ("boolean", Value::Bool(_))
            | ("integer" | "number", Value::Integer(_))
            | ("string", Value::Text(_))
            | ("array", Value::List(_))
            | ("object", Value::Table(_)) => true,
            ("number", Value::Float(number)) => number.is_finite(),
            _ => false,
        };
        match schema.get("type") {
            Some(Schema::String(kind)) => is(kind),
            Some(Schema::Array(kinds)) => kinds.iter().filter_map(Schema::as_str).any(is),
            _ => true,
        }
    }

    fn is_word(&self, words: &[&str], node: &Node) -> bool {
        match &node.value {
            Value::Text(text) => words.contains(&text.as_str()),
            value => matches!(value, Value::Null),
        }
    }

    /// What is wanted and what was found instead.
    fn mismatch(&self, schema: &Schema, node: &Node) -> String {
        let mut wanted = Vec::new();
        self.wanted(schema, &mut wanted);
        let wanted = any_of(&wanted);
        let found = match &node.value {
            // What stands where nothing of its kind may stand can be a secret that lacks its quotes, or went astray.
            Value::Integer(number) if self.is_kind(schema, node) => number.to_string(),
            Value::Float(number) if number.is_finite() && self.is_kind(schema, node) => number.to_string(),
            Value::Text(text) if !self.words_of(schema).is_empty() => shown(text),
            Value::Table(pairs) if !pairs.is_empty() => {
                let keys: Vec<String> = pairs.iter().map(|pair| shown(&pair.key)).collect();
                format!("a table with {}", keys.join(", "))
            }
            _ => node.kind().to_owned(),
        };
        let near = match &node.value {
            Value::Text(text) => hint(text, self.words_of(schema), ""),
            _ => String::new(),
        };
        format!("{wanted} is wanted, not {found}{near}")
    }

    fn words_of<'s>(&'s self, schema: &'s Schema) -> Vec<&'s str> {
        let schema = resolve(self.root, schema);
        let inner = alternatives(schema).into_iter().flatten().flat_map(|way| self.words_of(way));
        words(schema).into_iter().chain(inner).collect()
    }

    /// The ways to write it, in words.
    fn wanted(&self, schema: &Schema, out: &mut Vec<String>) {
        let schema = resolve(self.root, schema);
        if let Some(ways) = alternatives(schema) {
            return ways.iter().for_each(|way| self.wanted(way, out));
        }
        let words = words(schema);
        if !words.is_empty() {
            return out.extend(words.iter().map(|word| format!("'{word}'")));
        }
        let kinds: Vec<&str> = match schema.get("type") {
            Some(Schema::String(kind)) => vec![kind],
            Some(Schema::Array(kinds)) => kinds.iter().filter_map(Schema::as_str).collect(),
            _ => Vec::new(),
        };
        let required = || schema.get("required").and_then(Schema::as_array).filter(|keys| keys.len() == 1);
        out.extend(kinds.into_iter().filter_map(|kind| {
            Some(match kind {
                "boolean" => "true or false".to_owned(),
                "integer" => format!("a whole number{}", range(schema)),
                "number" => format!("a number{}", range(schema)),
                "array" => "a list".to_owned(),
                "object" => match required().and_then(|keys| keys[0].as_str()) {
                    Some(key) => format!("{{ {key} = ... }}"),
                    None => "a table".to_owned(),
                },
                "string" => match schema.get("format").and_then(Schema::as_str) {
                    Some("ssb-duration") => "a duration such as 30m".to_owned(),
                    Some("ssb-span") => "a span of time such as 30d or 1y6m".to_owned(),
                    _ => "a text".to_owned(),
                },
                _ => return None,
            })
        }));
    }
}

/// The words that a value must be one of; none for any other kind of value.
fn words(schema: &Schema) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Schema::as_array).into_iter().flatten();
    schema.get("const").into_iter().chain(listed).filter_map(Schema::as_str).collect()
}

/// The least and the greatest number.
fn bounds(schema: &Schema) -> (Option<f64>, Option<f64>) {
    let of_type = match schema.get("format").and_then(Schema::as_str) {
        Some("uint8") => (Some(0.0), Some(f64::from(u8::MAX))),
        Some("uint16") => (Some(0.0), Some(f64::from(u16::MAX))),
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("uint" | "uint64") => (Some(0.0), Some(u64::MAX as f64)),
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("int64") => (Some(i64::MIN as f64), Some(i64::MAX as f64)),
        _ => (None, None),
    };
    let bound = |word: &str| schema.get(word).and_then(Schema::as_f64);
    (bound("minimum").or(of_type.0), bound("maximum").or(of_type.1))
}

fn is_in_range(schema: &Schema, node: &Node) -> bool {
    let (least, most) = bounds(schema);
    let number = match &node.value {
        // What no JSON number holds is in no range.
        Value::Integer(number) if u64::try_from(*number).is_err() && i64::try_from(*number).is_err() => return false,
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        _ => return true,
    };
    least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
}

/// ` from 0 to 19`
fn range(schema: &Schema) -> String {
    // Bounds that only computers have are no help to people.
    let (least, most) = bounds(schema);
    let most = most.filter(|most| *most < 1e9);
    let least = least.filter(|least| *least > -1e9);
    match (least, most) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" from {least}"),
        (None, Some(most)) => format!(" up to {most}"),
        (None, None) => String::new(),
    }
}

/// What is wrong with a text that must have a certain form.
fn misformed(schema: &Schema, text: &str) -> Option<String> {
    match schema.get("format").and_then(Schema::as_str)? {
        "ssb-duration" => duration::parse_some(text).err(),
        "ssb-span" => text.parse::<Span>().err().map(|error| error.to_string()),
        "ssb-location" => Location::parse(text).err().map(|error| error.to_string()),
        _ => None,
    }
}
