//! What the benchmarks work on: made up from seeds, the same on every machine and in every run.

use ssb::crypto::{MasterKeys, SecretKey};
use std::io::{BufReader, Read};
use std::sync::LazyLock;

/// Length of either sample; about that of a pack.
pub const SAMPLE_BYTES: usize = 16 << 20;
/// What text is cut towards.
pub const CHUNK_BYTES: usize = 512 << 10;

pub static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| Chance::new("text").text(SAMPLE_BYTES));
pub static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| Chance::new("noise").bytes(SAMPLE_BYTES));

pub fn keys() -> MasterKeys {
    MasterKeys::new(secret_key())
}

pub fn secret_key() -> SecretKey {
    SecretKey::from_bytes(*blake3::hash(b"key").as_bytes())
}

/// Chance that repeats itself: the same seed, the same draws.
pub struct Chance(BufReader<blake3::OutputReader>);

impl Chance {
    pub fn new(seed: &str) -> Self {
        Self(BufReader::new(blake3::Hasher::new().update(seed.as_bytes()).finalize_xof()))
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let mut word = [0; 8];
        self.0.read_exact(&mut word).unwrap();
        (u64::from_le_bytes(word) % end as u64) as usize
    }

    /// Something like source text: few words are frequent and many rare, lines are indented, runs of them come again.
    fn text(&mut self, length: usize) -> Vec<u8> {
        let mut letters = || -> Vec<u8> { (0..2 + self.below(9)).map(|_| b'a' + self.below(26) as u8).collect() };
        let words: Vec<Vec<u8>> = (0..4000).map(|_| letters()).collect();
        let mut text = Vec::with_capacity(length);
        while text.len() < length {
            let begin = self.below(text.len().max(1));
            if self.below(12) == 0 {
                text.extend_from_within(begin..text.len().min(begin + 600));
            }
            text.resize(text.len() + 4 * self.below(4), b' ');
            for _ in 0..2 + self.below(7) {
                let rank = self.below(words.len());
                text.extend_from_slice(&words[self.below(rank + 1)]);
                text.push(b" _.,(="[self.below(6)]);
            }
            text.extend_from_slice(b");\n");
        }
        text.truncate(length);
        text
    }
}
