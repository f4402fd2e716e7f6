//! JSON into the common tree: what the standard says and no more, each key once. Knows no key but `$schema`.

use super::toml::Faults;
use super::tree::{Node, Pair, Value};
use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Where editors look for the schema.
const SCHEMA: &str = "$schema";

pub fn parse(text: &str) -> Result<Node, Faults> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT).map_err(|error| {
        let what = error.kind().to_string();
        let mut letters = what.chars();
        let first = letters.next().map(|c| c.to_ascii_lowercase());
        let what: String = first.into_iter().chain(letters).collect();
        vec![(error.range().start, format!("this is no JSON: {what}"))]
    })?;
    let Some(value) = parsed.value else {
        return Err(vec![(0, "the file is empty; write at least {}".to_owned())]);
    };
    let mut faults = Faults::new();
    let mut root = node(value, &mut faults);
    if let Value::Table(pairs) = &mut root.value {
        pairs.retain(|pair| pair.key != SCHEMA);
    }
    if faults.is_empty() { Ok(root) } else { Err(faults) }
}

fn node(value: ast::Value<'_>, faults: &mut Faults) -> Node {
    let at = value.range().start;
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::StringLit(literal) => Value::Text(literal.value.into_owned()),
        ast::Value::NumberLit(literal) => match literal.value.parse() {
            Ok(integer) => Value::Integer(integer),
            Err(_) => Value::Float(literal.value.parse().unwrap_or(f64::NAN)),
        },
        ast::Value::Array(array) => Value::List(array.elements.into_iter().map(|value| node(value, faults)).collect()),
        ast::Value::Object(object) => {
            let mut pairs: Vec<Pair> = Vec::with_capacity(object.properties.len());
            let mut seen = std::collections::BTreeSet::new();
            for property in object.properties {
                let key_at = property.range.start;
                let key = property.name.into_string();
                if !seen.insert(key.clone()) {
                    faults.push((key_at, format!("the key {} is given twice", crate::config::words::shown(&key))));
                }
                pairs.push(Pair { key, key_at, node: node(property.value, faults) });
            }
            Value::Table(pairs)
        }
    };
    Node { at, value }
}
