//! What chunk sizes cost and save: folders of files cut with one average after the other, and a compression dictionary for
//! the short chunks. Stores nothing and measures on one thread; ratios matter, not seconds.
//!
//! `cargo bench --bench sizes -- FOLDER...` prints two tables. Folders are read in the order given, so that successive
//! versions of something can be named one after the other.

use ssb::base::edge::random;
use ssb::base::{Cancel, ChunkId, SystemEntropy};
use ssb::chunker::{Chunker, ChunkerParams, is_noise};
use ssb::crypto::{MasterKeys, SecretKey};
use ssb::source::{FileReader, Found, Kind, Roots, WalkOptions, Walker};
use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zstd::bulk::Compressor;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const AVERAGES_KIB: [u32; 6] = [64, 128, 256, 512, 1024, 2048];
const LEVELS: [i32; 3] = [1, 3, 6];
const ZSTD_LEVEL: i32 = 3;
/// What a chunk costs besides its bytes: tag, footer, segment, id list (see the format).
const OVERHEAD_BYTES: u64 = 118;
/// Longer files are read and cut in parts of this length, which costs each tried size alike.
const PART_BYTES: usize = 256 << 20;
/// The dictionary's length, and how much it is made from: about what zstd's manual calls sensible.
const DICTIONARY_BYTES: usize = 112 << 10;
const SAMPLES_BYTES: usize = 16 << 20;
const FEWEST_SAMPLES: usize = 100;
/// Chunks up to this length gain from a dictionary; in longer ones their own beginning serves.
const SHORT_BYTES: usize = 64 << 10;

fn main() -> Result<()> {
    // `cargo bench` adds a word for benchmarks with a harness.
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).filter(|w| w != "--bench").map(PathBuf::from).collect();
    if folders.is_empty() {
        eprintln!("usage: cargo bench --bench sizes -- FOLDER...");
        return Ok(());
    }
    let files = files_below(&folders)?;
    let secret: [u8; 32] = random(&SystemEntropy);
    let keys = MasterKeys::new(SecretKey::from_bytes(secret));
    println!("| average KiB | chunks | new chunks | new MB | stored MB | overhead MB | total MB | cut and name s |");
    println!("|---|---|---|---|---|---|---|---|");
    for average in AVERAGES_KIB {
        let cut = Cut::all(&files, &keys, average << 10)?;
        let overhead = cut.new_chunks * OVERHEAD_BYTES;
        let [new, stored, extra, total] =
            [cut.new_bytes, cut.stored_bytes, overhead, cut.stored_bytes + overhead].map(|bytes| bytes as f64 / 1e6);
        let seconds = cut.time.as_secs_f64();
        let (chunks, new_chunks) = (cut.chunks, cut.new_chunks);
        println!(
            "| {average} | {chunks} | {new_chunks} | {new:.1} | {stored:.2} | {extra:.2} | {total:.2} | {seconds:.2} |"
        );
    }
    let short = short_chunks(&files, &keys)?;
    if short.len() < FEWEST_SAMPLES {
        println!("\ntoo few short chunks for a dictionary: {}", short.len());
        return Ok(());
    }
    let dictionary = train(&short)?;
    println!("\n| short chunks at level | MB | without dictionary MB | with dictionary MB | s without | s with |");
    println!("|---|---|---|---|---|---|");
    for level in LEVELS {
        let plain = compressed(&short, Compressor::new(level)?)?;
        let helped = compressed(&short, Compressor::with_dictionary(level, &dictionary)?)?;
        let all: usize = short.iter().map(Vec::len).sum();
        let [all, without, with] = [all as u64, plain.0, helped.0].map(|bytes| bytes as f64 / 1e6);
        let [plain, helped] = [plain.1, helped.1].map(|time| time.as_secs_f64());
        println!("| {level} | {all:.1} | {without:.2} | {with:.2} | {plain:.2} | {helped:.2} |");
    }
    Ok(())
}

fn files_below(folders: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for folder in folders {
        let folder = std::fs::canonicalize(folder)?;
        let roots = Roots::new(std::slice::from_ref(&folder), Path::new("/"));
        let mut add = |found: Found| {
            if found.metadata.kind == Kind::File {
                files.push(found.path());
            }
            true
        };
        let mut issues = Vec::new();
        Walker::run(&roots, &WalkOptions::default(), &Cancel::new(), &mut add, &mut |issue| issues.push(issue));
        if let Some(issue) = issues.first() {
            return Err(issue.to_string().into());
        }
    }
    Ok(files)
}

/// Calls `each` with the contents of all files, long ones in parts.
fn each_part(files: &[Vec<u8>], mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = Vec::new();
    for path in files {
        let Some(mut reader) = FileReader::open(path)? else { continue };
        let wanted = PART_BYTES.min(usize::try_from(reader.metadata().size)?.max(1));
        buffer.resize(wanted.max(buffer.len()), 0);
        loop {
            let length = reader.read(&mut buffer[..wanted])?;
            each(&buffer[..length])?;
            if length < wanted || wanted < PART_BYTES {
                break;
            }
        }
    }
    Ok(())
}

/// What cutting with one average amounts to.
#[derive(Default)]
struct Cut {
    chunks: u64,
    new_chunks: u64,
    new_bytes: u64,
    stored_bytes: u64,
    /// For cutting and naming; reading and compressing are left out.
    time: Duration,
}

impl Cut {
    /// The bounds stand to the average as the defaults do.
    fn all(files: &[Vec<u8>], keys: &MasterKeys, average: u32) -> Result<Self> {
        let chunker = chunker(average)?;
        let mut packer = Compressor::new(ZSTD_LEVEL)?;
        let (mut known, mut cut) = (HashSet::new(), Self::default());
        let mut room = Vec::new();
        each_part(files, |part| {
            let begun = Instant::now();
            let named: Vec<(ChunkId, &[u8])> = chunker.chunks(part).map(|c| (keys.chunk_id(c), c)).collect();
            cut.time += begun.elapsed();
            for (id, chunk) in named {
                cut.chunks += 1;
                if known.insert(id) {
                    cut.new_chunks += 1;
                    cut.new_bytes += chunk.len() as u64;
                    cut.stored_bytes += packed_len(&mut packer, chunk, &mut room) as u64;
                }
            }
            Ok(())
        })?;
        Ok(cut)
    }
}

fn chunker(average: u32) -> Result<Chunker> {
    let params = ChunkerParams::new(average / 2, average, 8 * average)?;
    Ok(Chunker::new(params, &random(&SystemEntropy)))
}

/// Bytes of a chunk as it is stored: compressed if that is shorter.
fn packed_len(packer: &mut Compressor<'_>, chunk: &[u8], room: &mut Vec<u8>) -> usize {
    room.resize(room.len().max(chunk.len()), 0);
    packer.compress_to_buffer(chunk, &mut room[..chunk.len()]).unwrap_or(chunk.len())
}

/// All different short chunks that a dictionary could help, of the default size.
fn short_chunks(files: &[Vec<u8>], keys: &MasterKeys) -> Result<Vec<Vec<u8>>> {
    let chunker = chunker(ChunkerParams::default().average_bytes())?;
    let (mut known, mut short) = (HashSet::new(), Vec::new());
    each_part(files, |part| {
        for chunk in chunker.chunks(part).filter(|chunk| chunk.len() <= SHORT_BYTES && !is_noise(chunk)) {
            if known.insert(keys.chunk_id(chunk)) {
                short.push(chunk.to_vec());
            }
        }
        Ok(())
    })?;
    Ok(short)
}

/// A dictionary from chunks strewn evenly over all.
fn train(chunks: &[Vec<u8>]) -> Result<Vec<u8>> {
    let all: usize = chunks.iter().map(Vec::len).sum();
    let samples: Vec<&Vec<u8>> = chunks.iter().step_by(all / SAMPLES_BYTES + 1).collect();
    Ok(zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?)
}

fn compressed(chunks: &[Vec<u8>], mut packer: Compressor<'_>) -> Result<(u64, Duration)> {
    let (mut sum, mut room) = (0, Vec::new());
    let begun = Instant::now();
    for chunk in chunks {
        sum += packed_len(&mut packer, chunk, &mut room) as u64;
    }
    Ok((sum, begun.elapsed()))
}
