//! Snapshot manifests: the JSON that says who backed up what, when, and where its tree begins.

use super::error::{RepoError, Result};
use crate::base::{ChunkId, Issue, SnapshotId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A manifest. Unknown fields are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u64,
    /// When the backup began.
    pub time: Timestamp,
    pub host: String,
    pub user: String,
    /// Absolute paths in text form, ordered.
    pub sources: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    /// Of a scheduled run: the names of the policy and of the entry or the group that this is a snapshot of.
    #[serde(flatten)]
    pub label: Label,
    /// Names and contents in short, where a later run is to find out whether they have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// Of a snapshot that a repair wrote: the one that it was made from, which had lost something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<SnapshotId>,
    /// The root node.
    pub tree: ChunkId,
    pub totals: Totals,
    /// Name and version of the program that wrote it.
    pub program: String,
    /// What could not be read, or was worth a notice.
    #[serde(default)]
    pub issues: Vec<Issue>,
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Whose snapshot it is, of a run by a config; empty for one that was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Label {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Label {
    /// Of the entry or the group.
    pub fn name(&self) -> Option<&str> {
        self.entry.as_deref().or(self.group.as_deref())
    }

    /// Whether both are of the same entry, or of the same group. Nothing is of the same as what has neither.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.entry.is_some() || self.group.is_some()) && (&self.entry, &self.group) == (&other.entry, &other.group)
    }
}

/// What a backup met and wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Regular files.
    pub files: u64,
    pub directories: u64,
    /// Links and special files.
    pub others: u64,
    /// Content bytes of all files.
    pub bytes: u64,
    pub files_new: u64,
    pub files_changed: u64,
    pub files_unchanged: u64,
    /// Chunks that the repository did not have, and their plaintext bytes.
    pub new_chunks: u64,
    pub new_bytes: u64,
    /// Bytes of the packs that were written for this snapshot.
    pub stored_bytes: u64,
    pub new_packs: u64,
    pub duration_ms: u64,
}

/// A manifest with its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub manifest: Manifest,
}

impl Manifest {
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| RepoError::Seal(e.to_string()))
    }

    /// Reads a payload; `name` is for errors.
    pub fn decode(name: &str, payload: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        let parse_error = |e: serde_json::Error| RepoError::damaged(name, format!("it does not parse ({e})"));
        let version: Version = serde_json::from_slice(payload).map_err(parse_error)?;
        if version.format > 1 {
            return Err(RepoError::TooNew { object: name.to_owned(), version: version.format });
        }
        serde_json::from_slice(payload).map_err(parse_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_kept_and_newer_formats_refused() {
        let text = r#"{"format":1,"time":"2026-01-02T03:04:05.678Z","host":"h","user":"u","sources":["/a"],"tree":"TREE","totals":{"files":3},"program":"ssb 9","future":{"x":[1]}}"#
            .replace("TREE", &"ab".repeat(32));
        let manifest = Manifest::decode("s", text.as_bytes()).unwrap();
        assert_eq!(manifest.totals.files, 3);
        let again = Manifest::decode("s", &manifest.encode().unwrap()).unwrap();
        assert_eq!(again, manifest);
        assert!(again.other.contains_key("future"));
        let newer = text.replace("\"format\":1", "\"format\":2");
        assert!(matches!(Manifest::decode("s", newer.as_bytes()), Err(RepoError::TooNew { .. })));
        assert!(Manifest::decode("s", b"[]").is_err());
    }
}
