//! Where to cut: FastCDC over a keyed gear table. Decides lengths only; it neither reads files nor names chunks.
//!
//! FastCDC: Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication" (2016)
//! and "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems" (2020). Masks and cuts
//! are those of the `fastcdc` crate.

mod params;
mod scan;

pub use params::{ChunkerParams, ParamsError};

use fastcdc::v2020::{Normalization, select_masks};

/// Cuts byte runs at content-defined places. Cheap to share between threads.
pub struct Chunker {
    params: ChunkerParams,
    gear: Box<[u64; 256]>,
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

/// Whether data begins like something compressed or encrypted. Noise hardly ever repeats in parts, so it is cut into longer
/// chunks, which cost less to list.
pub fn is_noise(data: &[u8]) -> bool {
    let Some(sample) = data.get(..NOISE_SAMPLE_BYTES) else { return false };
    let mut seen = [0u64; 4];
    sample.iter().for_each(|&byte| seen[usize::from(byte >> 6)] |= 1 << (byte & 63));
    seen.iter().map(|word| word.count_ones()).sum::<u32>() >= NOISE_VALUES
}

/// How far the search for the end of a chunk has come.
#[derive(Debug, Default)]
pub struct Search {
    tested: usize,
    hash: u64,
}

impl Chunker {
    /// `gear_bytes` are secret random bytes with full entropy, read as little-endian words.
    pub fn new(params: ChunkerParams, gear_bytes: &[u8; 2048]) -> Self {
        let mut gear = Box::new([0u64; 256]);
        for (word, bytes) in gear.iter_mut().zip(gear_bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let (plain, noise) = (Target::new(params.average_bytes()), Target::new(params.noise_average_bytes()));
        Self { params, gear, plain, noise }
    }

    pub fn params(&self) -> &ChunkerParams {
        &self.params
    }

    /// Length of the first chunk of `data`, which holds the rest of the input; 0 only if it is empty.
    pub fn cut(&self, data: &[u8]) -> usize {
        self.go_on(&mut Search::default(), data).unwrap_or(data.len())
    }

    /// Goes on with the search for the end of a chunk. `data` is what is there of the chunk so far and of what follows: with
    /// each call the same bytes and more. `None` if the chunk does not end in it, unless the input does. Where the
    /// chunk ends does not depend on how the input comes in parts.
    pub fn search(&self, search: &mut Search, data: &[u8]) -> Option<usize> {
        if data.len() < NOISE_SAMPLE_BYTES { None } else { self.go_on(search, data) }
    }

    fn go_on(&self, search: &mut Search, data: &[u8]) -> Option<usize> {
        let (minimum, maximum) = (self.params.minimum_bytes() as usize, self.params.maximum_bytes() as usize);
        if data.len() <= minimum {
            return None;
        }
        let target = if is_noise(data) { &self.noise } else { &self.plain };
        // Tested are pairs of bytes; an odd one at the end is no place for a cut.
        let end = data.len().min(maximum) & !1;
        let centre = target.average_bytes.min(end);
        for (until, mask) in [(centre, target.mask_short), (end, target.mask_long)] {
            let from = search.tested.max(minimum);
            if from < until {
                if let Some(at) = scan::find(&self.gear, &mut search.hash, &data[from..until], mask) {
                    *search = Search::default();
                    return Some(from + at);
                }
                search.tested = until;
            }
        }
        if data.len() < maximum {
            return None;
        }
        *search = Search::default();
        Some(maximum)
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
    use fastcdc::v2020::cut_gear;

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

    fn sample(len: usize, is_text: bool) -> Vec<u8> {
        let noise = noise(len);
        if is_text { noise.iter().map(|byte| b'a' + byte % 32).collect() } else { noise }
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
        let text = sample(1 << 20, true);
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

    /// The crate's own loop, which is the reference.
    fn reference(chunker: &Chunker, data: &[u8]) -> usize {
        let p = &chunker.params;
        let target = if is_noise(data) { &chunker.noise } else { &chunker.plain };
        let [short, long] = [target.mask_short, target.mask_long];
        let shifted = chunker.gear.map(|word| word << 1);
        let [min, max] = [p.minimum_bytes(), p.maximum_bytes()].map(|bytes| bytes as usize);
        let (gear, average) = (&*chunker.gear, target.average_bytes);
        cut_gear(data, min, average, max, short, long, short << 1, long << 1, gear, &shifted).1
    }

    proptest::proptest! {
        #[test]
        fn cuts_are_those_of_the_crate(len in 0usize..40_000, seed: u8, is_text: bool) {
            let chunker = Chunker::new(small(), &gear(seed));
            let data = sample(len, is_text);
            let mut at = 0;
            while at < len {
                let length = chunker.cut(&data[at..]);
                assert_eq!(length, reference(&chunker, &data[at..]));
                at += length;
            }
        }

        #[test]
        fn parts_do_not_matter(len in 0usize..9000, parts in proptest::collection::vec(1usize..700, 0..40), seed: u8, is_text: bool) {
            let chunker = Chunker::new(small(), &gear(seed));
            let data = sample(len, is_text);
            let (mut search, mut given) = (Search::default(), 0);
            let mut found = None;
            for part in parts {
                given = (given + part).min(len);
                found = chunker.search(&mut search, &data[..given]);
                if found.is_some() {
                    break;
                }
            }
            let whole = chunker.cut(&data);
            let found = found.or_else(|| chunker.search(&mut search, &data));
            assert!(found == Some(whole) || found.is_none() && (whole == len || len < 512));
        }
    }
}
