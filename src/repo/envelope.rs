//! The envelope around every sealed object: building it, and opening it again. Knows no payloads.

use super::compress::most_unpacked_bytes;
use super::error::{RepoError, Result};
use crate::base::Entropy;
use crate::base::edge::random;
use crate::crypto::{CryptoError, MasterKeys, Nonce, Sealer, SecretKey, WRAP_BYTES, unwrap_key, wrap_key};

pub const MAGIC: [u8; 4] = *b"ssb\0";
pub const VERSION: u8 = 1;
const METHOD_SYMMETRIC: u8 = 1;
/// Where a header tells its kind.
const KIND_AT: usize = 5;
/// Everything of a header before its wrap.
const FIXED_BYTES: usize = 13;
/// Length of a header with a symmetric wrap.
pub const HEADER_BYTES: usize = FIXED_BYTES + WRAP_BYTES;
/// The only text under its object's key.
const BODY_NONCE: Nonce = [0; 24];
/// Payloads are compressed at this level: they are small and read often.
const PAYLOAD_ZSTD_LEVEL: i32 = 3;
/// No payload is larger when unpacked; a bound against decompression bombs by a holder of the key.
const PAYLOAD_LIMIT_BYTES: usize = 1 << 30;

/// What an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ObjectKind {
    DataPack = 1,
    TreePack = 2,
    Segment = 3,
    Snapshot = 4,
    Session = 5,
    Condemned = 6,
}

impl ObjectKind {
    fn from_number(number: u8) -> Option<Self> {
        use ObjectKind::*;
        [DataPack, TreePack, Segment, Snapshot, Session, Condemned].into_iter().find(|&k| k as u8 == number)
    }

    /// What a header says that it begins, without opening it.
    pub fn of_header(header: &[u8]) -> Option<Self> {
        header.get(KIND_AT).copied().and_then(Self::from_number)
    }
}

/// A header and what can be done with the object key in it.
pub struct Header {
    pub kind: ObjectKind,
    pub bytes: Vec<u8>,
    pub sealer: Sealer,
}

impl Header {
    /// A header with a fresh object key.
    pub fn create(keys: &MasterKeys, entropy: &dyn Entropy, kind: ObjectKind) -> Result<Self> {
        let key = SecretKey::from_bytes(random(entropy));
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, kind as u8, METHOD_SYMMETRIC]);
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&(WRAP_BYTES as u16).to_le_bytes());
        let wrap = wrap_key(keys.object_wrap(), random(entropy), &bytes, &key).map_err(seal_error)?;
        bytes.extend_from_slice(&wrap);
        Ok(Self { kind, bytes, sealer: Sealer::new(&key) })
    }

    /// Reads the header at the front of `object`; `name` is for errors.
    pub fn parse(keys: &MasterKeys, name: &str, object: &[u8]) -> Result<Self> {
        let damaged = |what: &str| RepoError::damaged(name, what);
        let fixed = object.get(..FIXED_BYTES).ok_or_else(|| damaged("it is too short"))?;
        if fixed[..4] != MAGIC {
            return Err(damaged("it does not begin as an object of ssb does"));
        }
        if fixed[4] != VERSION {
            return Err(RepoError::TooNew { object: name.to_owned(), version: fixed[4].into() });
        }
        let kind = ObjectKind::from_number(fixed[KIND_AT]).ok_or_else(|| damaged("its kind is unknown"))?;
        if fixed[6] != METHOD_SYMMETRIC {
            return Err(damaged("its key is wrapped by an unknown method"));
        }
        let wrap_len = usize::from(u16::from_le_bytes([fixed[11], fixed[12]]));
        let wrap = object.get(FIXED_BYTES..FIXED_BYTES + wrap_len).ok_or_else(|| damaged("it is too short"))?;
        let key = unwrap_key(keys.object_wrap(), fixed, wrap).map_err(|_| damaged("its key does not unwrap"))?;
        Ok(Self { kind, bytes: object[..FIXED_BYTES + wrap_len].to_vec(), sealer: Sealer::new(&key) })
    }
}

/// A whole object that holds `payload`.
pub fn seal(keys: &MasterKeys, entropy: &dyn Entropy, kind: ObjectKind, payload: &[u8]) -> Result<Vec<u8>> {
    let header = Header::create(keys, entropy, kind)?;
    let packed = zstd::bulk::compress(payload, PAYLOAD_ZSTD_LEVEL).ok().filter(|p| p.len() < payload.len());
    let mut object = header.bytes.clone();
    object.push(packed.is_some().into());
    object.extend_from_slice(packed.as_deref().unwrap_or(payload));
    header.sealer.seal(&BODY_NONCE, &header.bytes, &mut object, header.bytes.len()).map_err(seal_error)?;
    Ok(object)
}

/// The payload of a whole object of the wanted kind; `name` is for errors.
pub fn open(keys: &MasterKeys, kind: ObjectKind, name: &str, object: &[u8]) -> Result<Vec<u8>> {
    let damaged = |what: &str| RepoError::damaged(name, what);
    let header = Header::parse(keys, name, object)?;
    if header.kind != kind {
        return Err(damaged("it is an object of another kind"));
    }
    let mut body = object[header.bytes.len()..].to_vec();
    let text =
        header.sealer.open(&BODY_NONCE, &header.bytes, &mut body).map_err(|_| damaged("its content does not open"))?;
    match text.split_first() {
        Some((0, payload)) => Ok(payload.to_vec()),
        Some((1, packed)) => decompress(packed).ok_or_else(|| damaged("its content does not decompress")),
        _ => Err(damaged("its content is packed by an unknown method")),
    }
}

fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let length = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    let most = most_unpacked_bytes(packed).min(PAYLOAD_LIMIT_BYTES);
    let length = usize::try_from(length).ok().filter(|&n| n <= most)?;
    zstd::bulk::decompress(packed, length).ok()
}

pub(super) fn seal_error(error: CryptoError) -> RepoError {
    RepoError::Seal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemEntropy;

    fn keys(n: u8) -> MasterKeys {
        MasterKeys::new(SecretKey::from_bytes([n; 32]))
    }

    #[test]
    fn payloads_come_back_and_every_flipped_bit_is_found() {
        for payload in [&b""[..], b"short", &[7; 4000]] {
            let mut object = seal(&keys(1), &SystemEntropy, ObjectKind::Snapshot, payload).unwrap();
            assert_eq!(open(&keys(1), ObjectKind::Snapshot, "o", &object).unwrap(), payload);
            assert!(open(&keys(2), ObjectKind::Snapshot, "o", &object).is_err());
            assert!(open(&keys(1), ObjectKind::Segment, "o", &object).is_err());
            for length in 0..object.len() {
                assert!(open(&keys(1), ObjectKind::Snapshot, "o", &object[..length]).is_err());
            }
            for bit in 0..object.len() * 8 {
                object[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&keys(1), ObjectKind::Snapshot, "o", &object).is_err(), "bit {bit}");
                object[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let mut object = seal(&keys(1), &SystemEntropy, ObjectKind::Snapshot, b"x").unwrap();
        object[4] = 2;
        let error = open(&keys(1), ObjectKind::Snapshot, "snapshots/1", &object).unwrap_err();
        assert!(matches!(error, RepoError::TooNew { version: 2, .. }));
    }
}
