//! TOML into the common tree. Knows no key.

use super::tree::{Node, Pair, Value};
use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

/// Messages and the bytes that they speak of.
pub type Faults = Vec<(usize, String)>;

/// All syntax errors, if there are any.
pub fn parse(text: &str) -> Result<Node, Faults> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let at = table.span().start;
        return Ok(Node { at, value: pairs(table.into_inner()) });
    }
    let place = |error: &::toml::de::Error| error.span().map_or(text.len(), |span| span.start);
    Err(errors.iter().map(|error| (place(error), format!("this is no TOML: {}", error.message()))).collect())
}

/// In the order of the file, which the parser does not keep.
fn pairs(table: DeTable<'_>) -> Value {
    let pair = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let key_at = key.span().start;
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        Pair { key: key.into_owned(), key_at, node: node(value) }
    };
    let mut pairs: Vec<Pair> = table.into_iter().map(pair).collect();
    pairs.sort_by_key(|pair| pair.key_at);
    Value::Table(pairs)
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let at = value.span().start;
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => Value::Float(f64::INFINITY),
        },
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(values) => Value::List(values.into_iter().map(node).collect()),
        DeValue::Table(table) => pairs(table),
    };
    Node { at, value }
}
