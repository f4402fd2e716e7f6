//! The three sizes that define where chunks may end, with the bounds that the cutter and the memory budget need.

use serde::{Deserialize, Serialize};

/// Chunk sizes in bytes; valid by construction. Stored in the repository's `config` and never changed afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct ChunkerParams {
    minimum: u32,
    average: u32,
    maximum: u32,
}

/// Sizes that the chunker cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "chunk sizes minimum {minimum}, average {average}, maximum {maximum} are not usable: even numbers are wanted with \
     256 <= minimum <= average <= maximum <= {LARGEST} and an average of at most 4194304"
)]
pub struct ParamsError {
    minimum: u32,
    average: u32,
    maximum: u32,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Unchecked {
    minimum: u32,
    average: u32,
    maximum: u32,
}

/// No chunk is ever longer; buffers are sized by it.
const LARGEST: u32 = 16 << 20;

impl ChunkerParams {
    /// Sizes in bytes.
    pub fn new(minimum: u32, average: u32, maximum: u32) -> Result<Self, ParamsError> {
        let even = [minimum, average, maximum].iter().all(|n| n.is_multiple_of(2));
        let ordered = 256 <= minimum && minimum <= average && average <= maximum && maximum <= LARGEST;
        if !even || !ordered || average > 4 << 20 {
            return Err(ParamsError { minimum, average, maximum });
        }
        Ok(Self { minimum, average, maximum })
    }

    pub fn minimum_bytes(&self) -> u32 {
        self.minimum
    }

    pub fn average_bytes(&self) -> u32 {
        self.average
    }

    /// What noise is cut towards: twice the average.
    pub fn noise_average_bytes(&self) -> u32 {
        (2 * self.average).min(self.maximum)
    }

    pub fn maximum_bytes(&self) -> u32 {
        self.maximum
    }
}

impl Default for ChunkerParams {
    /// 256 KiB, 512 KiB, 4 MiB.
    fn default() -> Self {
        Self { minimum: 256 << 10, average: 512 << 10, maximum: 4 << 20 }
    }
}

impl TryFrom<Unchecked> for ChunkerParams {
    type Error = ParamsError;

    fn try_from(u: Unchecked) -> Result<Self, ParamsError> {
        Self::new(u.minimum, u.average, u.maximum)
    }
}

impl From<ChunkerParams> for Unchecked {
    fn from(p: ChunkerParams) -> Self {
        Self { minimum: p.minimum, average: p.average, maximum: p.maximum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        for (a, b, c) in
            [(255, 1024, 4096), (256, 1025, 4096), (2048, 1024, 4096), (256, 1024, 512), (256, 512, 1 << 30)]
        {
            assert!(ChunkerParams::new(a, b, c).is_err(), "{a} {b} {c}");
        }
        assert!(serde_json::from_str::<ChunkerParams>(r#"{"minimum":1,"average":2,"maximum":3}"#).is_err());
        assert!(ChunkerParams::new(256 << 10, 1 << 20, 4 << 20).is_ok());
    }
}
