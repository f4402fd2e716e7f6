//! Key slots: the master key wrapped for one passphrase, with the parameters that the derivation used, and a copy of
//! `config` so that losing that object loses nothing.

use super::config::StoredConfig;
use super::envelope::seal_error;
use super::error::{RepoError, Result};
use crate::base::Entropy;
use crate::base::edge::random;
use crate::crypto::{
    KdfParams, MasterKeys, SecretKey, SecretText, WRAP_BYTES, derive_from_passphrase, unwrap_key, wrap_key,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A slot as stored: JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Slot {
    /// Always `key slot`.
    ssb: String,
    format: u64,
    created: Timestamp,
    /// Who made it, for people who list slots.
    host: String,
    user: String,
    kdf: Kdf,
    /// Hex of nonce, sealed master key, tag.
    wrapped_key: String,
    /// The repository's `config`, as stored.
    config: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kdf {
    algorithm: String,
    #[serde(flatten)]
    params: KdfParams,
    /// Hex.
    salt: String,
}

impl Kdf {
    /// What the wrap is bound to.
    fn aad(&self) -> String {
        let KdfParams { memory_kib, passes, lanes } = self.params;
        format!("ssb 1 key slot {} {memory_kib} {passes} {lanes} {}", self.algorithm, self.salt)
    }

    fn derive(&self, passphrase: &SecretText) -> Option<SecretKey> {
        let salt = hex::decode(&self.salt).ok()?;
        if self.algorithm != "argon2id" {
            return None;
        }
        derive_from_passphrase(passphrase, &salt, self.params).ok()
    }
}

/// Who makes a slot, and when.
#[derive(Clone, Debug)]
pub struct SlotMaker {
    pub created: Timestamp,
    pub host: String,
    pub user: String,
}

impl Slot {
    pub fn create(
        keys: &MasterKeys,
        config: &StoredConfig,
        passphrase: &SecretText,
        params: KdfParams,
        maker: SlotMaker,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let salt = hex::encode(random::<16>(entropy));
        let kdf = Kdf { algorithm: "argon2id".to_owned(), params, salt };
        let key = kdf.derive(passphrase).ok_or_else(|| RepoError::Seal("the key derivation failed".to_owned()))?;
        let wrapped = wrap_key(&key, random(entropy), kdf.aad().as_bytes(), keys.master()).map_err(seal_error)?;
        Ok(Self {
            ssb: "key slot".to_owned(),
            format: 1,
            created: maker.created,
            host: maker.host,
            user: maker.user,
            kdf,
            wrapped_key: hex::encode(wrapped),
            config: config.encode(),
        })
    }

    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| RepoError::Seal(e.to_string()))
    }

    /// Reads a slot; `name` is for errors.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let slot: Self =
            serde_json::from_slice(bytes).map_err(|e| RepoError::damaged(name, format!("it does not parse ({e})")))?;
        if slot.format > 1 {
            return Err(RepoError::TooNew { object: name.to_owned(), version: slot.format });
        }
        if slot.ssb != "key slot" || slot.wrapped_key.len() != 2 * WRAP_BYTES {
            return Err(RepoError::damaged(name, "it is not a key slot"));
        }
        Ok(slot)
    }

    /// The master key; `None` if the passphrase is not this slot's, or the slot is damaged: the two look the same.
    pub fn open(&self, passphrase: &SecretText) -> Option<MasterKeys> {
        let wrapped = hex::decode(&self.wrapped_key).ok()?;
        let key = self.kdf.derive(passphrase)?;
        unwrap_key(&key, self.kdf.aad().as_bytes(), &wrapped).ok().map(MasterKeys::new)
    }

    /// The copy of `config`.
    pub fn config(&self) -> Result<StoredConfig> {
        StoredConfig::decode(self.config.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::RepoConfig;
    use super::*;
    use crate::base::{RepoId, SystemEntropy};
    use crate::chunker::ChunkerParams;

    #[test]
    fn only_the_right_passphrase_opens_and_changed_parameters_do_not() {
        let keys = MasterKeys::new(SecretKey::from_bytes([9; 32]));
        let config = RepoConfig {
            ssb: "repository".into(),
            format: 1,
            id: RepoId::from_bytes([1; 16]),
            created: Timestamp::UNIX_EPOCH,
            chunker: ChunkerParams::default(),
        };
        let config = StoredConfig::create(&keys, config).unwrap();
        let maker = SlotMaker { created: Timestamp::UNIX_EPOCH, host: "h".into(), user: "u".into() };
        let cheap = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
        let (good, bad) = (SecretText::new("good".into()), SecretText::new("bad".into()));
        let slot = Slot::create(&keys, &config, &good, cheap, maker, &SystemEntropy).unwrap();
        let mut read = Slot::decode("keys/1", &slot.encode().unwrap()).unwrap();
        assert_eq!(read.open(&good).unwrap().master(), keys.master());
        assert!(read.open(&bad).is_none());
        assert_eq!(read.config().unwrap(), config);
        read.kdf.params.passes = 2;
        assert!(read.open(&good).is_none());
        assert!(Slot::decode("keys/1", b"{}").is_err());
    }
}
