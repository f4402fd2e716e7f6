//! The JSON schema of the config file, as the types make it: for editors, and for the check of what was read.

use super::Config;
use serde_json::Value;

/// The schema, complete in itself.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), "The config file of ssb".into());
    schema.to_value()
}

/// A part of it, or what that refers to.
pub fn resolve<'a>(root: &'a Value, part: &'a Value) -> &'a Value {
    let name = part.get("$ref").and_then(Value::as_str).and_then(|place| place.strip_prefix("#/$defs/"));
    name.and_then(|name| root.get("$defs")?.get(name)).unwrap_or(part)
}

/// The ways in which a value may be written.
pub fn alternatives(part: &Value) -> Option<&Vec<Value>> {
    part.get("anyOf").or_else(|| part.get("oneOf")).and_then(Value::as_array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn each_object<'a>(value: &'a Value, see: &mut dyn FnMut(&'a serde_json::Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                see(object);
                // Below these stand names and values of ours, not words of the schema.
                let parts = object.iter().filter(|(key, _)| key.as_str() != "default");
                parts.for_each(|(_, part)| each_object(part, see));
            }
            Value::Array(parts) => parts.iter().for_each(|part| each_object(part, see)),
            _ => {}
        }
    }

    #[test]
    fn the_check_knows_every_word_of_the_schema() {
        let known = [
            "$ref",
            "additionalProperties",
            "anyOf",
            "const",
            "default",
            "description",
            "enum",
            "format",
            "items",
            "maximum",
            "minimum",
            "oneOf",
            "pattern",
            "properties",
            "required",
            "type",
            "$schema",
            "title",
            "$defs",
        ];
        let schema = schema();
        let names: BTreeSet<&str> = {
            let mut names = BTreeSet::new();
            each_object(&schema, &mut |object| {
                for container in ["properties", "$defs"] {
                    let inner = object.get(container).and_then(Value::as_object);
                    names.extend(inner.into_iter().flatten().map(|(name, _)| name.as_str()));
                }
            });
            names
        };
        each_object(&schema, &mut |object| {
            for word in object.keys() {
                assert!(known.contains(&word.as_str()) || names.contains(word.as_str()), "{word}");
            }
            // A pattern is for editors; here a parser says better what is wrong.
            if let Some(Value::String(_)) = object.get("pattern") {
                let format = object.get("format").and_then(Value::as_str).unwrap_or_default();
                assert!(format.starts_with("ssb-"), "{object:?}");
            }
        });
    }

    #[test]
    fn editors_complain_of_unknown_keys_everywhere() {
        each_object(&schema(), &mut |object| {
            if object.get("type").and_then(Value::as_str) == Some("object") {
                let others = object.get("additionalProperties").unwrap_or_else(|| panic!("{object:?}"));
                assert!(*others == Value::Bool(false) || others.is_object(), "{object:?}");
            }
        });
    }
}
