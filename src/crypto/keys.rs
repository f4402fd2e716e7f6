//! The master key and the sub-keys derived from it.

use super::SecretKey;
use crate::base::ChunkId;
use zeroize::Zeroizing;

/// The master key with all its sub-keys, derived once.
#[derive(Clone)]
pub struct MasterKeys {
    master: SecretKey,
    chunk_id: SecretKey,
    tree_cut: SecretKey,
    object_wrap: SecretKey,
    config_mac: SecretKey,
}

impl MasterKeys {
    pub fn new(master: SecretKey) -> Self {
        let derive = |context| SecretKey::from_bytes(blake3::derive_key(context, master.expose()));
        Self {
            chunk_id: derive("ssb 1 chunk id"),
            tree_cut: derive("ssb 1 tree cut"),
            object_wrap: derive("ssb 1 object key wrap"),
            config_mac: derive("ssb 1 config mac"),
            master,
        }
    }

    /// The master key itself, to be wrapped for a slot.
    pub fn master(&self) -> &SecretKey {
        &self.master
    }

    /// The id of the chunk with this plaintext.
    pub fn chunk_id(&self, plain: &[u8]) -> ChunkId {
        ChunkId::from_bytes(*blake3::keyed_hash(self.chunk_id.expose(), plain).as_bytes())
    }

    /// A number that depends on the path alone and that nobody without the key can foresee.
    pub fn tree_cut(&self, path: &[u8]) -> u64 {
        let hash = blake3::keyed_hash(self.tree_cut.expose(), path);
        let (first, _) = hash.as_bytes().split_at(8);
        first.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
    }

    /// The key that wraps the keys of objects.
    pub fn object_wrap(&self) -> &SecretKey {
        &self.object_wrap
    }

    /// The authentication tag of the repository's `config`.
    pub fn config_mac(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(self.config_mac.expose(), bytes).as_bytes()
    }

    /// The secret bytes of the chunker's gear table.
    pub fn gear_bytes(&self) -> Zeroizing<[u8; 2048]> {
        let key = Zeroizing::new(blake3::derive_key("ssb 1 gear table", self.master.expose()));
        let mut bytes = Zeroizing::new([0; 2048]);
        blake3::Hasher::new_keyed(&key).finalize_xof().fill(&mut *bytes);
        bytes
    }
}
