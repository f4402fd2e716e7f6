//! Secrets and what is done with them: key derivation, chunk ids, sealing and opening. Knows no object formats.
//!
//! Primitives: XChaCha20-Poly1305 (`chacha20poly1305`), keyed BLAKE3 and its key derivation (`blake3`), Argon2id
//! (`argon2`, RFC 9106).

mod kdf;
mod keys;
mod seal;
mod secret;

pub use kdf::{KdfParams, derive_from_passphrase};
pub use keys::MasterKeys;
pub use seal::{Nonce, Sealer, TAG_BYTES, WRAP_BYTES, unwrap_key, wrap_key};
pub use secret::{SecretKey, SecretText};

/// Why a secret operation failed. Never tells anything of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The bytes were not sealed with this key for this place: damaged, moved, or another key.
    #[error("the bytes do not open with this key")]
    NotAuthentic,
    /// Key derivation parameters that are out of bounds.
    #[error("key derivation with {0} is not supported")]
    BadKdf(String),
}
