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
    mask_short: u64,
    mask_long: u64,
}

impl Chunker {
    /// `gear_bytes` are secret random bytes with full entropy, read as little-endian words.
    pub fn new(params: ChunkerParams, gear_bytes: &[u8; 2048]) -> Self {
        let mut gear = Box::new([0u64; 256]);
        for (word, bytes) in gear.iter_mut().zip(gear_bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let gear_shifted = Box::new(gear.map(|word| word << 1));
        let (mask_short, mask_long) = select_masks(params.average_bytes() as usize, Normalization::Level1);
        Self { params, gear, gear_shifted, mask_short, mask_long }
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
        cut_gear(
            data,
            p.minimum_bytes() as usize,
            p.average_bytes() as usize,
            p.maximum_bytes() as usize,
            self.mask_short,
            self.mask_long,
            self.mask_short << 1,
            self.mask_long << 1,
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
        assert!((700..1700).contains(&mean), "mean {mean}");
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
