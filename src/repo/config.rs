//! The repository's `config`: what a client must know before it has a key. One line of JSON, and one line that
//! authenticates it to whoever has the key.

use super::error::{RepoError, Result};
use super::layout;
use crate::base::RepoId;
use crate::chunker::ChunkerParams;
use crate::crypto::MasterKeys;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The format that this program reads and writes.
pub const FORMAT_VERSION: u64 = 1;

/// The parsed `config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoConfig {
    /// Always `repository`; tells the object from other JSON.
    pub ssb: String,
    pub format: u64,
    pub id: RepoId,
    pub created: Timestamp,
    pub chunker: ChunkerParams,
}

/// `config` as stored: parsed, but authentic only after [`StoredConfig::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfig {
    pub config: RepoConfig,
    line: String,
    mac: Vec<u8>,
}

impl StoredConfig {
    pub fn create(keys: &MasterKeys, config: RepoConfig) -> Result<Self> {
        let line = serde_json::to_string(&config).map_err(|e| RepoError::Seal(e.to_string()))?;
        let mac = keys.config_mac(line.as_bytes()).to_vec();
        Ok(Self { config, line, mac })
    }

    /// The stored text.
    pub fn encode(&self) -> String {
        format!("{}\n{}\n", self.line, hex::encode(&self.mac))
    }

    /// Reads the stored text, refusing other formats.
    pub fn decode(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            ssb: String,
            format: u64,
        }
        let damaged = |what: &str| RepoError::damaged(layout::CONFIG, what);
        let text = std::str::from_utf8(text).map_err(|_| damaged("it is not text"))?;
        let (line, mac) = text.split_once('\n').ok_or_else(|| damaged("its second line is missing"))?;
        // The version is looked at alone first: a newer format may have changed everything else.
        let version: Version = serde_json::from_str(line).map_err(|e| damaged(&format!("it does not parse ({e})")))?;
        if version.ssb != "repository" {
            return Err(damaged("it is not that of an ssb repository"));
        }
        if version.format > FORMAT_VERSION {
            return Err(RepoError::TooNew { object: "the repository".to_owned(), version: version.format });
        }
        let config = serde_json::from_str(line).map_err(|e| damaged(&format!("it does not parse ({e})")))?;
        let mac = hex::decode(mac.trim_end()).map_err(|_| damaged("its second line is not hexadecimal"))?;
        let stored = Self { config, line: line.to_owned(), mac };
        if stored.encode() != text { Err(damaged("it was changed")) } else { Ok(stored) }
    }

    /// Whether it was written by a holder of the key and not changed since.
    pub fn verify(&self, keys: &MasterKeys) -> Result<()> {
        use subtle::ConstantTimeEq;
        if keys.config_mac(self.line.as_bytes()).ct_eq(&self.mac).into() {
            return Ok(());
        }
        Err(RepoError::damaged(layout::CONFIG, "its text and its authentication code do not fit together"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    fn example(keys: &MasterKeys) -> StoredConfig {
        let config = RepoConfig {
            ssb: "repository".into(),
            format: 1,
            id: RepoId::from_bytes([1; 16]),
            created: Timestamp::UNIX_EPOCH,
            chunker: ChunkerParams::default(),
        };
        StoredConfig::create(keys, config).unwrap()
    }

    #[test]
    fn every_changed_byte_is_found() {
        let keys = MasterKeys::new(SecretKey::from_bytes([1; 32]));
        let text = example(&keys).encode().into_bytes();
        let read = StoredConfig::decode(&text).unwrap();
        read.verify(&keys).unwrap();
        assert_eq!(read, example(&keys));
        for at in 0..text.len() {
            for bit in [0x01, 0x20] {
                let mut bad = text.clone();
                bad[at] ^= bit;
                assert!(StoredConfig::decode(&bad).and_then(|c| c.verify(&keys)).is_err(), "byte {at}");
            }
            assert!(StoredConfig::decode(&text[..at]).and_then(|c| c.verify(&keys)).is_err(), "length {at}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let keys = MasterKeys::new(SecretKey::from_bytes([1; 32]));
        let text = example(&keys).encode().replace("\"format\":1", "\"format\":2");
        assert!(matches!(StoredConfig::decode(text.as_bytes()), Err(RepoError::TooNew { version: 2, .. })));
    }
}
