//! The commented default against the code and the schema.

use super::read::{Format, read};
use super::schema::{alternatives, resolve, schema};
use super::{Config, Effective, Entry, check, explain};
use serde_json::Value;
use std::collections::BTreeMap;

const DEFAULT: &str = include_str!("../../config/config.toml");

/// The commented default with every setting in force: comments have a space behind the '#'.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    DEFAULT.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn every_setting() -> Config {
    read(&uncommented(), Format::Toml).unwrap_or_else(|problems| panic!("{problems:#?}")).config
}

/// Every key of the schema with what it is by default; `*` stands for names that people give.
fn keys(root: &Value, part: &Value, path: &str, found: &mut BTreeMap<String, Option<Value>>) {
    let schema = resolve(root, part);
    for way in alternatives(schema).into_iter().flatten() {
        keys(root, way, path, found);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        keys(root, property, &path, found);
        found.insert(path, property.get("default").cloned());
    }
    if let Some(others) = schema.get("additionalProperties").filter(|others| others.is_object()) {
        keys(root, others, &format!("{path}.*"), found);
    }
}

/// Everything that a file says, names that people give as `*`.
fn said(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        let is_name = ["policies", "entries", "report.webhook.headers"].contains(&path);
        let key = if is_name { "*" } else { key };
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        found.push((path.clone(), value.clone()));
        said(value, &path, found);
    }
}

#[test]
fn the_commented_default_changes_nothing() {
    assert_eq!(read(DEFAULT, Format::Toml).unwrap().config, Config::default());
}

#[test]
fn the_commented_default_is_sound_and_has_every_key_with_its_default() {
    let config = every_setting();
    let errors: Vec<_> = check::problems(&config).into_iter().map(|finding| finding.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");

    let raw: toml::Table = uncommented().parse().unwrap();
    let mut in_file = Vec::new();
    said(&serde_json::to_value(raw).unwrap(), "", &mut in_file);
    let schema = schema();
    let mut known = BTreeMap::new();
    keys(&schema, &schema, "", &mut known);
    assert!(known.len() > 100, "{}", known.len());
    for (key, default) in known {
        // An entry may say what a policy says; it is shown once.
        let of_policy = key.replacen("entries.*", "policies.*", 1);
        let values: Vec<_> = in_file.iter().filter(|(path, _)| *path == key || *path == of_policy).collect();
        // Of the forms of a secret any is shown somewhere.
        let is_secret_form =
            [".file", ".command", ".env"].iter().any(|form| key.ends_with(form)) && !key.starts_with("entries");
        assert!(!values.is_empty() || is_secret_form, "{key} is missing in config/config.toml");
        let Some(default) = default.filter(|default| !default.is_null() && !default.is_object()) else { continue };
        let is_empty = default.as_array().is_some_and(Vec::is_empty);
        let equal = |value: &Value| *value == default || value.as_f64().is_some() && value.as_f64() == default.as_f64();
        assert!(
            is_empty || values.iter().any(|(_, value)| equal(value)),
            "{key}: {default} is the default, not {values:?}"
        );
    }
}

#[test]
fn the_defaults_of_policies_and_of_the_repository_are_those_of_the_code() {
    let config = every_setting();
    let policy = serde_json::to_value(&config.policies["nightly"]).unwrap();
    let defaults = explain::settings(&Config::default(), &Entry::default());
    assert!(defaults.len() >= 6, "{defaults:?}");
    for explain::Setting { key, value, .. } in defaults {
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        assert!(is_empty || policy[&key] == value, "{key}: {value} is the default, not {}", policy[&key]);
    }
    let (repository, code) = (&config.repository, crate::store::OpenOptions::default());
    assert_eq!(repository.connections, Some(code.connections));
    assert_eq!((repository.limit_upload, repository.limit_download), (Some(0), Some(0)));
    assert_eq!(repository.request_timeout.unwrap().0, code.s3.request_timeout);
    assert_eq!(Effective::of(&Config::default(), &Entry::default()), Effective::default());
}
