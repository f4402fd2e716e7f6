//! Files to back up: invented, without chance, so that every run has the same. Nothing compresses them.

use crate::support::Outcome;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: u64 = 1 << 20;
const FILES_PER_FOLDER: u64 = 100;
const LARGEST_SMALL_BYTES: u64 = 4096;

/// Writes `len_bytes` bytes to `path`; the same seed, the same bytes.
pub fn random_file(path: &Path, seed: u64, len_bytes: u64) -> Outcome<()> {
    let mut noise = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut block = vec![0; len_bytes.min(BLOCK_BYTES) as usize];
    let mut file = File::create(path)?;
    let mut left = len_bytes;
    while left > 0 {
        let part = &mut block[..left.min(BLOCK_BYTES) as usize];
        noise.fill(part);
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(())
}

/// Where [`small_files`] puts the file with this number: a hundred files share a folder.
pub fn small_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{:05}", number / FILES_PER_FOLDER)).join(format!("{number:07}"))
}

/// Writes files of 1 to 4,096 bytes, one for each number.
pub fn small_files(folder: &Path, numbers: Range<u64>) -> Outcome<()> {
    for number in numbers {
        let path = small_file(folder, number);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let [a, b, ..] = *blake3::hash(&number.to_le_bytes()).as_bytes();
        random_file(&path, number, 1 + u64::from(u16::from_le_bytes([a, b])) % LARGEST_SMALL_BYTES)?;
    }
    Ok(())
}
