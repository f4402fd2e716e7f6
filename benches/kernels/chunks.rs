//! What is done to a chunk: finding its end, naming, compressing, sealing, and back.

use crate::data::{CHUNK_BYTES, NOISE, TEXT, keys, secret_key};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ssb::chunker::{Chunker, ChunkerParams};
use ssb::crypto::Sealer;
use zstd::bulk::{Compressor, Decompressor};

const SEALED_BYTES: usize = 1 << 20;

fn cut(bencher: Bencher, data: &[u8]) {
    let chunker = Chunker::new(ChunkerParams::default(), &keys().gear_bytes());
    bencher.counter(BytesCount::of_slice(data)).bench(|| chunker.chunks(black_box(data)).count());
}

#[divan::bench]
fn cut_text(bencher: Bencher) {
    cut(bencher, &TEXT);
}

#[divan::bench]
fn cut_noise(bencher: Bencher) {
    cut(bencher, &NOISE);
}

/// Of a small file and of a chunk.
#[divan::bench(args = [4 << 10, CHUNK_BYTES])]
fn chunk_id(bencher: Bencher, length: usize) {
    let (keys, plain) = (keys(), &TEXT[..length]);
    bencher.counter(BytesCount::of_slice(plain)).bench(|| keys.chunk_id(black_box(plain)));
}

#[divan::bench(args = [1, 3, 6])]
fn compress(bencher: Bencher, level: i32) {
    let plain = &TEXT[..CHUNK_BYTES];
    let mut compressor = Compressor::new(level).unwrap();
    let mut packed = vec![0; CHUNK_BYTES];
    let pack = || compressor.compress_to_buffer(black_box(plain), &mut packed[..]).unwrap();
    bencher.counter(BytesCount::of_slice(plain)).bench_local(pack);
}

#[divan::bench(args = [1, 3, 6])]
fn decompress(bencher: Bencher, level: i32) {
    let packed = zstd::bulk::compress(&TEXT[..CHUNK_BYTES], level).unwrap();
    let mut decompressor = Decompressor::new().unwrap();
    let mut plain = vec![0; CHUNK_BYTES];
    let unpack = || decompressor.decompress_to_buffer(black_box(&packed), &mut plain[..]).unwrap();
    bencher.counter(BytesCount::new(CHUNK_BYTES)).bench_local(unpack);
}

#[divan::bench]
fn seal(bencher: Bencher) {
    let sealer = Sealer::new(&secret_key());
    let mut buffer = NOISE[..SEALED_BYTES].to_vec();
    let mut nonce = [0; 24];
    let mut ordinal = 0u64;
    bencher.counter(BytesCount::new(SEALED_BYTES)).bench_local(|| {
        buffer.truncate(SEALED_BYTES);
        ordinal += 1;
        nonce[..8].copy_from_slice(&ordinal.to_le_bytes());
        sealer.seal(&nonce, &[0; 64], &mut buffer, 0).unwrap();
    });
}

#[divan::bench]
fn open(bencher: Bencher) {
    let sealer = Sealer::new(&secret_key());
    let mut sealed = NOISE[..SEALED_BYTES].to_vec();
    sealer.seal(&[0; 24], &[0; 64], &mut sealed, 0).unwrap();
    let open = |sealed: &mut Vec<u8>| sealer.open(&[0; 24], &[0; 64], sealed).map(|plain| plain.len()).unwrap();
    bencher.counter(BytesCount::new(SEALED_BYTES)).with_inputs(|| sealed.clone()).bench_refs(open);
}
