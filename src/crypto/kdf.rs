//! From a passphrase to a key: Argon2id (RFC 9106) with parameters that are stored beside what they protect.

use super::{CryptoError, SecretKey, SecretText};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

/// Argon2id's cost: memory in KiB, passes, lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfParams {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl KdfParams {
    /// RFC 9106's second recommended choice: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };

    /// Parameters come from the bucket before anything is authenticated, so they are bounded: at most 4 GiB, 64
    /// passes, 64 lanes.
    fn is_bounded(&self) -> bool {
        self.memory_kib <= 4 << 20 && (1..=64).contains(&self.passes) && (1..=64).contains(&self.lanes)
    }
}

/// The key for `passphrase`; takes about a tenth of a second and [`KdfParams::memory_kib`] of memory.
pub fn derive_from_passphrase(
    passphrase: &SecretText,
    salt: &[u8],
    params: KdfParams,
) -> Result<SecretKey, CryptoError> {
    let bad = || CryptoError::BadKdf(format!("{params:?}"));
    if !params.is_bounded() {
        return Err(bad());
    }
    let settings = Params::new(params.memory_kib, params.passes, params.lanes, Some(32)).map_err(|_| bad())?;
    let mut key = [0; 32];
    // Touching so much fresh memory is a third of the work, so all threads do it.
    let mut memory: Vec<Block> = (0..settings.block_count()).into_par_iter().map(|_| Block::new()).collect();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, settings)
        .hash_password_into_with_memory(passphrase.expose().as_bytes(), salt, &mut key, &mut memory[..])
        .map_err(|_| bad())?;
    Ok(SecretKey::from_bytes(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_every_input_and_refuses_absurd_costs() {
        let cheap = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
        let key = |p: &str, salt: &[u8], params| derive_from_passphrase(&SecretText::new(p.into()), salt, params);
        let base = key("a", &[1; 16], cheap).unwrap();
        assert_eq!(base, key("a", &[1; 16], cheap).unwrap());
        assert_ne!(base, key("b", &[1; 16], cheap).unwrap());
        assert_ne!(base, key("a", &[2; 16], cheap).unwrap());
        assert_ne!(base, key("a", &[1; 16], KdfParams { passes: 2, ..cheap }).unwrap());
        assert!(key("a", &[1; 16], KdfParams { memory_kib: u32::MAX, ..cheap }).is_err());
        assert!(key("a", &[1; 16], KdfParams { passes: 0, ..cheap }).is_err());
    }
}
