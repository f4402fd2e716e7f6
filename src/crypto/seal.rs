//! XChaCha20-Poly1305 in place. Knows no objects: which nonce belongs to which text is for whoever seals it.

use super::{CryptoError, SecretKey};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

/// Sealing makes a text longer by this many bytes.
pub const TAG_BYTES: usize = 16;
/// A wrapped key: nonce, key, tag.
pub const WRAP_BYTES: usize = 24 + 32 + TAG_BYTES;

/// What tells two texts under one key apart.
pub type Nonce = [u8; 24];

/// Seals and opens under the random key of one object.
pub struct Sealer(XChaCha20Poly1305);

impl Sealer {
    pub fn new(key: &SecretKey) -> Self {
        Self(XChaCha20Poly1305::new(key.expose().into()))
    }

    /// Encrypts `buffer[from..]` in place and appends the tag. No two texts may have the same nonce under one key.
    ///
    /// # Errors
    /// [`CryptoError::NotAuthentic`] only for texts beyond the cipher's limit of 256 GiB.
    pub fn seal(&self, nonce: &Nonce, aad: &[u8], buffer: &mut Vec<u8>, from: usize) -> Result<(), CryptoError> {
        let tag = self
            .0
            .encrypt_inout_detached(nonce.into(), aad, (&mut buffer[from..]).into())
            .map_err(|_| CryptoError::NotAuthentic)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts `sealed` in place and returns the part of it that is plaintext.
    pub fn open<'a>(&self, nonce: &Nonce, aad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], CryptoError> {
        let length = sealed.len().checked_sub(TAG_BYTES).ok_or(CryptoError::NotAuthentic)?;
        let (text, tag) = sealed.split_at_mut(length);
        let tag = Tag::try_from(&*tag).map_err(|_| CryptoError::NotAuthentic)?;
        self.0
            .decrypt_inout_detached(nonce.into(), aad, (&mut *text).into(), &tag)
            .map_err(|_| CryptoError::NotAuthentic)?;
        Ok(text)
    }
}

/// Wraps `key` under `wrapping`; `nonce` must be random.
pub fn wrap_key(
    wrapping: &SecretKey,
    nonce: Nonce,
    aad: &[u8],
    key: &SecretKey,
) -> Result<[u8; WRAP_BYTES], CryptoError> {
    let mut wrapped = [0; WRAP_BYTES];
    wrapped[..24].copy_from_slice(&nonce);
    wrapped[24..56].copy_from_slice(key.expose());
    let tag = XChaCha20Poly1305::new(wrapping.expose().into())
        .encrypt_inout_detached(&nonce.into(), aad, (&mut wrapped[24..56]).into())
        .map_err(|_| CryptoError::NotAuthentic)?;
    wrapped[56..].copy_from_slice(&tag);
    Ok(wrapped)
}

/// The key inside `wrapped`.
pub fn unwrap_key(wrapping: &SecretKey, aad: &[u8], wrapped: &[u8]) -> Result<SecretKey, CryptoError> {
    let wrapped: &[u8; WRAP_BYTES] = wrapped.try_into().map_err(|_| CryptoError::NotAuthentic)?;
    let (nonce, sealed) = wrapped.split_at(24);
    let (text, tag) = sealed.split_at(32);
    let nonce = XNonce::try_from(nonce).map_err(|_| CryptoError::NotAuthentic)?;
    let tag = Tag::try_from(tag).map_err(|_| CryptoError::NotAuthentic)?;
    let mut key: [u8; 32] = text.try_into().map_err(|_| CryptoError::NotAuthentic)?;
    XChaCha20Poly1305::new(wrapping.expose().into())
        .decrypt_inout_detached(&nonce, aad, (&mut key[..]).into(), &tag)
        .map_err(|_| CryptoError::NotAuthentic)?;
    Ok(SecretKey::from_bytes(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_in_its_own_place_and_undamaged() {
        let sealer = Sealer::new(&SecretKey::from_bytes([1; 32]));
        let mut sealed = b"headtext".to_vec();
        sealer.seal(&[5; 24], b"aad", &mut sealed, 4).unwrap();
        assert_eq!(&sealed[..4], b"head");
        let mut body = sealed[4..].to_vec();
        assert_eq!(sealer.open(&[5; 24], b"aad", &mut body.clone()).unwrap(), b"text");
        assert!(sealer.open(&[6; 24], b"aad", &mut body.clone()).is_err());
        assert!(sealer.open(&[5; 24], b"AAD", &mut body.clone()).is_err());
        assert!(sealer.open(&[5; 24], b"aad", &mut body[..10].to_vec()).is_err());
        assert!(Sealer::new(&SecretKey::from_bytes([2; 32])).open(&[5; 24], b"aad", &mut body.clone()).is_err());
        for bit in 0..body.len() * 8 {
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&[5; 24], b"aad", &mut body.clone()).is_err(), "bit {bit}");
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn wrapped_keys_come_back() {
        let (outer, inner) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
        let wrapped = wrap_key(&outer, [3; 24], b"place", &inner).unwrap();
        assert_eq!(unwrap_key(&outer, b"place", &wrapped).unwrap(), inner);
        assert!(unwrap_key(&outer, b"other", &wrapped).is_err());
        assert!(unwrap_key(&inner, b"place", &wrapped).is_err());
        assert!(unwrap_key(&outer, b"place", &wrapped[1..]).is_err());
    }
}
