//! Values that people write as text: durations and secrets.

use crate::crypto::SecretText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::path::PathBuf;

/// `90s`, `30m`, `2h`, `1h 30m` or `3d`; not none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::base::duration::short(self.0))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::base::duration::parse_some(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A duration such as 90s, 30m, 2h or 3d", "format": "ssb-duration" })
    }
}

/// Something that nobody may see: itself, or where it is found. Prints as `(hidden)`, or where it is found.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged, rename_all = "kebab-case", deny_unknown_fields)]
pub enum Secret {
    /// The secret itself: keep the file to yourself.
    Value(#[schemars(with = "String")] SecretText),
    /// The first line of a file.
    File { file: PathBuf },
    /// The first line that a command for /bin/sh prints.
    Command { command: String },
    /// A variable of the environment.
    Env { env: String },
}

/// The forms that name a place.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Place {
    File(PathBuf),
    Command(String),
    Env(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Value(String),
    Place(Place),
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = "a text, or one of { file = ... }, { command = ... } and { env = ... }, is wanted";
        Ok(match Written::deserialize(deserializer).map_err(|_| serde::de::Error::custom(wanted))? {
            Written::Value(text) => Self::Value(SecretText::new(text)),
            Written::Place(Place::File(file)) => Self::File { file },
            Written::Place(Place::Command(command)) => Self::Command { command },
            Written::Place(Place::Env(env)) => Self::Env { env },
        })
    }
}

impl Serialize for Secret {
    /// Shows where the secret is found, never the secret.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(_) => serializer.serialize_str("(hidden)"),
            Self::File { file } => Place::File(file.clone()).serialize(serializer),
            Self::Command { command } => Place::Command(command.clone()).serialize(serializer),
            Self::Env { env } => Place::Env(env.clone()).serialize(serializer),
        }
    }
}
