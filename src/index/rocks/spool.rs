//! Records on their way into a sorted table: thrown into a file by the first byte of their key, and taken out again in the
//! order of their keys, without ever being in memory all at once. Keys are hashes, so the parts are of one size.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

const PARTS: usize = 256;
/// Per part, so this times [`PARTS`] in memory while it is filled.
const BLOCK_BYTES: usize = 32 << 10;

/// Records of `N` bytes, which begin with the key.
pub struct Spool<const N: usize> {
    file: File,
    /// Blocks written so far.
    blocks: u64,
    parts: Vec<Part<N>>,
}

struct Part<const N: usize> {
    open: Vec<[u8; N]>,
    /// The blocks that are full, by their place in the file.
    blocks: Vec<u64>,
}

impl<const N: usize> Spool<N> {
    const PER_BLOCK: usize = BLOCK_BYTES / N;

    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        let parts = (0..PARTS).map(|_| Part { open: Vec::new(), blocks: Vec::new() }).collect();
        Ok(Self { file, blocks: 0, parts })
    }

    pub fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        let part = &mut self.parts[usize::from(record[0])];
        if part.open.capacity() == 0 {
            part.open.reserve_exact(Self::PER_BLOCK);
        }
        part.open.push(record);
        if part.open.len() == Self::PER_BLOCK {
            self.file.write_all(part.open.as_flattened())?;
            part.blocks.push(self.blocks);
            self.blocks += 1;
            part.open.clear();
        }
        Ok(())
    }

    /// All records.
    pub fn size_bytes(&self) -> u64 {
        let open: usize = self.parts.iter().map(|part| part.open.len()).sum();
        (self.blocks * Self::PER_BLOCK as u64 + open as u64) * N as u64
    }

    /// How many parts there are; all keys of one are less than those of the next.
    pub fn parts(&self) -> usize {
        PARTS
    }

    /// The records of a part, by their keys and, where these are the same, by what follows.
    pub fn sorted(&self, part: usize) -> io::Result<Vec<[u8; N]>> {
        let part = &self.parts[part];
        let full = part.blocks.len() * Self::PER_BLOCK;
        let mut records = vec![[0; N]; full];
        for (block, at) in records.chunks_exact_mut(Self::PER_BLOCK).zip(&part.blocks) {
            self.file.read_exact_at(block.as_flattened_mut(), at * (Self::PER_BLOCK * N) as u64)?;
        }
        records.extend_from_slice(&part.open);
        records.sort_unstable();
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_out_again_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool: Spool<40> = Spool::create(&dir.path().join("spool")).unwrap();
        let mut expected = Vec::new();
        for n in 0..300_000_u64 {
            let mut record = [0; 40];
            record[..32].copy_from_slice(blake3::hash(&(n % 290_000).to_le_bytes()).as_bytes());
            record[32..].copy_from_slice(&n.to_be_bytes());
            spool.push(record).unwrap();
            expected.push(record);
        }
        expected.sort_unstable();
        let found: Vec<_> = (0..spool.parts()).flat_map(|part| spool.sorted(part).unwrap()).collect();
        assert!(found == expected);
    }
}
