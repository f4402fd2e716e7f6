//! Compressing chunks, with a compressor and a buffer per thread that are used again and again. Leaves alone what does not
//! shrink.

use super::error::{RepoError, Result};
use crate::chunker::is_noise;
use std::cell::RefCell;

/// What is looked at of a chunk that begins like noise; if that does not shrink by a thirty-second, the chunk is not tried.
const SAMPLE_BYTES: usize = 16 << 10;
const SAMPLE_PARTS: usize = 8;

/// Calls `store` with the chunk compressed, or as it is if that is not longer.
pub fn with_compressor<T>(level: i32, plain: &[u8], store: impl FnOnce(&[u8], bool) -> Result<T>) -> Result<T> {
    thread_local! {
        static PACKER: RefCell<Option<(i32, zstd::bulk::Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    }
    PACKER.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(made_for, ..)| *made_for != level) {
            let packer = zstd::bulk::Compressor::new(level).map_err(|e| RepoError::Seal(e.to_string()))?;
            *slot = Some((level, packer, Vec::new()));
        }
        let Some((_, packer, buffer)) = slot else { return store(plain, false) };
        // Room for less than the plaintext: what does not shrink fails early and is stored as it is.
        let room = plain.len().saturating_sub(1);
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        if let Some(sample) = sample_of(plain)
            && packer.compress_to_buffer(&sample, &mut buffer[..SAMPLE_BYTES - SAMPLE_BYTES / 32]).is_err()
        {
            return store(plain, false);
        }
        match packer.compress_to_buffer(plain, &mut buffer[..room]) {
            Ok(length) => store(&buffer[..length], true),
            Err(_) => store(plain, false),
        }
    })
}

/// No frame unpacks to more, whatever it says of itself: the shortest block, of four bytes, repeats one byte 128 Ki times.
/// So nobody has to make room for what cannot come.
pub fn most_unpacked_bytes(packed: &[u8]) -> usize {
    packed.len().saturating_mul((128 << 10) / 4)
}

/// Even parts of a long chunk that begins like noise.
fn sample_of(plain: &[u8]) -> Option<[u8; SAMPLE_BYTES]> {
    if plain.len() < 4 * SAMPLE_BYTES || !is_noise(plain) {
        return None;
    }
    let mut sample = [0; SAMPLE_BYTES];
    let parts = plain.chunks_exact(plain.len() / SAMPLE_PARTS);
    for (taken, part) in sample.chunks_exact_mut(SAMPLE_BYTES / SAMPLE_PARTS).zip(parts) {
        taken.copy_from_slice(&part[..taken.len()]);
    }
    Some(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn packed(plain: &[u8]) -> (Vec<u8>, bool) {
        with_compressor(3, plain, |bytes, compressed| Ok((bytes.to_vec(), compressed))).unwrap()
    }

    #[test]
    fn what_shrinks_is_compressed_and_comes_back() {
        // Noise in front and text behind: the samples tell.
        let mixed = [noise(100_000), b"all that follows is text ".repeat(20_000)].concat();
        for plain in [b"text ".repeat(1000), b"text ".repeat(100_000), mixed, vec![0; 2]] {
            let (bytes, compressed) = packed(&plain);
            assert_eq!(compressed, plain.len() > 2);
            assert!(!compressed || zstd::bulk::decompress(&bytes, plain.len()).unwrap() == plain);
        }
    }

    #[test]
    fn noise_is_left_alone() {
        for len in [0, 1, 100, 5000, 1 << 20] {
            assert_eq!(packed(&noise(len)), (noise(len), false));
        }
    }
}
