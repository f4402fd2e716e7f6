//! Condemned lists: packs that are, or will be, deleted. A pack that any list names is never trusted again.

use super::error::{RepoError, Result};
use crate::base::PackId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A list as stored in its envelope: JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CondemnedList {
    pub format: u64,
    /// By the pruner's clock; for people only.
    pub time: Timestamp,
    pub host: String,
    pub packs: Vec<PackId>,
}

impl CondemnedList {
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| RepoError::Seal(e.to_string()))
    }

    /// Reads a payload; `name` is for errors.
    pub fn decode(name: &str, payload: &[u8]) -> Result<Self> {
        let list: Self = serde_json::from_slice(payload)
            .map_err(|e| RepoError::damaged(name, format!("it does not parse ({e})")))?;
        if list.format > 1 {
            return Err(RepoError::TooNew { object: name.to_owned(), version: list.format });
        }
        Ok(list)
    }
}
