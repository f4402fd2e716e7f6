//! Where to cut: FastCDC over a keyed gear table. Decides lengths only; it neither reads files nor names chunks.
//!
//! FastCDC: Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication" (2016)
//! and "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems" (2020); the inner loop
//! is the `fastcdc` crate's.

mod params;

pub use params::{ChunkerParams, ParamsError};

use fastcdc::v2020::{Normalization, cut_gear, select_masks};

/// Cuts byte runs at content-defined places. Cheap to share between threads.
pub struct Chunker {
    params: ChunkerParams,
    gear: Box<[u64; 256]>,
    /// The gear table shifted left by one: FastCDC rolls two bytes a step.
    gear_shifted: Box<[u64; 256]>,
    plain: Target,
    noise: Target,
}

/// What chunks are cut towards.
struct Target {
    average_bytes: usize,
    mask_short: u64,
    mask_long: u64,
}

impl Target {
    fn new(average_bytes: u32) -> Self {
        let (mask_short, mask_long) = select_masks(average_bytes as usize, Normalization::Level1);
        Self { average_bytes: average_bytes as usize, mask_short, mask_long }
    }
}

/// A chunk whose first bytes, so many, hold so many different values is taken for noise: compressed or encrypted data.
/// Of random bytes 221 values are expected with a deviation of 5; text has fewer than 100, programs fewer than 180.
const NOISE_SAMPLE_BYTES: usize = 512;
const NOISE_VALUES: u32 = 200;

/// Noise hardly ever repeats in parts, so it is cut into longer chunks, which cost less to list.
fn is_noise(data: &[u8]) -> bool {
    let Some(sample) = data.get(..NOISE_SAMPLE_BYTES) else { return false };
    let mut seen = [0u64; 4];
    sample.iter().for_each(|&byte| seen[usize::from(byte >> 6)] |= 1 << (byte & 63));
    seen.iter().map(|word| word.count_ones()).sum::<u32>() >= NOISE_VALUES
}

impl Chunker {
    /// `gear_bytes` are secret random bytes with full entropy, read as little-endian words.
    pub fn new(params: ChunkerParams, gear_bytes: &[u8; 2048]) -> Self {
        let mut gear = Box::new([0u64; 256]);
        for (word, bytes) in gear.iter_mut().zip(gear_bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let gear_shifted = Box::new(gear.map(|word| word << 1));
        let (plain, noise) = (Target::new(params.average_bytes()), Target::new(params.noise_average_bytes()));
        Self { params, gear, gear_shifted, plain, noise }
    }

    pub fn params(&self) -> &ChunkerParams {
        &self.params
    }

    /// Length of the first chunk of `data`, 0 only if `data` is empty.
    ///
    /// `data` must either hold the rest of the input or at least [`ChunkerParams::maximum_bytes`]; otherwise the cut
    /// would depend on where a buffer happened to end.
    pub fn cut(&self, data: &[u8]) -> usize {
        let p = &self.params;
        let target = if is_noise(data) { &self.noise } else { &self.plain };
        cut_gear(
            data,
            p.minimum_bytes() as usize,
            target.average_bytes,
            p.maximum_bytes() as usize,
            target.mask_short,
            target.mask_long,
            target.mask_short << 1,
            target.mask_long << 1,
            &*self.gear,
            &*self.gear_shifted,
        )
        .1
    }

    /// The chunks of `data`, which is a whole input.
    pub fn chunks<'a>(&'a self, mut data: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let (chunk, rest) = data.split_at(self.cut(data));
            data = rest;
            (!chunk.is_empty()).then_some(chunk)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gear(seed: u8) -> [u8; 2048] {
        let mut bytes = [0; 2048];
        blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn small() -> ChunkerParams {
        ChunkerParams::new(256, 1024, 4096).unwrap()
    }

    #[test]
    fn sizes_stay_within_bounds_and_near_the_average() {
        let chunker = Chunker::new(small(), &gear(1));
        let data = noise(1 << 20);
        let lens: Vec<usize> = chunker.chunks(&data).map(<[u8]>::len).collect();
        assert_eq!(lens.iter().sum::<usize>(), data.len());
        assert!(lens.iter().all(|&l| l <= 4096));
        assert!(lens[..lens.len() - 1].iter().all(|&l| l >= 256));
        let mean = data.len() / lens.len();
        assert!((1400..3000).contains(&mean), "mean of noise {mean}");
        let text: Vec<u8> = data.iter().map(|byte| b'a' + byte % 32).collect();
        let mean = text.len() / chunker.chunks(&text).count();
        assert!((700..1700).contains(&mean), "mean of text {mean}");
    }

    #[test]
    fn an_insertion_moves_few_cuts_and_another_key_moves_nearly_all() {
        let data = noise(1 << 20);
        let mut edited = data.clone();
        edited.splice(5000..5000, *b"inserted");
        let ends = |chunker: &Chunker, data: &[u8]| -> std::collections::HashSet<usize> {
            chunker
                .chunks(data)
                .scan(0, |at, c| {
                    *at += c.len();
                    Some(data.len() - *at)
                })
                .collect()
        };
        let (a, b) = (Chunker::new(small(), &gear(1)), Chunker::new(small(), &gear(2)));
        let (before, after, other) = (ends(&a, &data), ends(&a, &edited), ends(&b, &data));
        assert!(before.intersection(&after).count() > before.len() * 95 / 100);
        assert!(before.intersection(&other).count() < before.len() / 20);
    }

    proptest::proptest! {
        #[test]
        fn a_buffer_of_the_maximum_is_enough_to_find_the_cut(len in 0usize..40_000, seed: u8) {
            let chunker = Chunker::new(small(), &gear(seed));
            let data = &noise(len)[..];
            let whole = chunker.cut(data);
            assert_eq!(chunker.cut(&data[..len.min(4096)]), whole);
            assert_eq!(whole == 0, data.is_empty());
        }
    }
}
