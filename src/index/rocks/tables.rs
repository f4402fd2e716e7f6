//! The tables of the index and how RocksDB keeps them.

use super::super::{IndexError, Result};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DataBlockIndexType,
    LogLevel, MergeOperands, Options,
};
use std::path::Path;

/// chunk id -> locations, strung together by the merge operator
pub const CHUNKS: &str = "chunks";
/// pack number -> record
pub const PACKS: &str = "packs";
/// pack id -> pack number; under [`END`] one more than the highest chunk number ever given; and [`WHOLE`] keys
pub const NUMBERS: &str = "numbers";
/// segment id -> bitmap of the numbers of its packs
pub const SEGMENTS: &str = "segments";

pub const ALL: [&str; 4] = [CHUNKS, PACKS, NUMBERS, SEGMENTS];

/// Shorter than any pack id.
pub const END: &[u8] = b"end";
/// Begins the keys, longer than any pack id, of snapshots of which all chunks are known.
pub const WHOLE: &[u8] = b"whole/";

const BLOCK_CACHE_BYTES: usize = 16 << 20;
const WRITE_BUFFER_BYTES: usize = 16 << 20;

/// How each table is kept; they share one cache.
pub struct Tables([(&'static str, Options); 4]);

impl Tables {
    pub fn new() -> Self {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
        table.set_bloom_filter(10.0, false);
        // In parts of a block's size: one look-up needs one of them, and a whole filter would push all else out of the cache.
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_partition_filters(true);
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_top_level_index_and_filter(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // Blocks are asked for single keys nearly always, and a hash finds one without comparing.
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        Self(ALL.map(|name| (name, options(name, &table))))
    }

    pub fn options(&self, name: &str) -> Option<&Options> {
        self.0.iter().find(|(of, _)| *of == name).map(|(_, options)| options)
    }

    pub fn open(&self, folder: &Path) -> Result<DB> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_atomic_flush(true);
        options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_open_files(256);
        options.set_keep_log_file_num(1);
        options.set_max_log_file_size(1 << 20);
        options.set_log_level(LogLevel::Error);
        let families = self.0.iter().map(|(name, options)| ColumnFamilyDescriptor::new(*name, options.clone()));
        DB::open_cf_descriptors(&options, folder, families).map_err(|e| error_at(folder, e))
    }
}

fn options(name: &str, table: &BlockBasedOptions) -> Options {
    let mut options = Options::default();
    options.set_block_based_table_factory(table);
    // Hashes and places do not compress.
    options.set_compression_type(DBCompressionType::None);
    if name == CHUNKS {
        options.set_merge_operator_associative("append", append);
    }
    options
}

pub fn error_at(place: &Path, message: impl ToString) -> IndexError {
    IndexError { place: place.display().to_string(), message: message.to_string() }
}

fn append(_key: &[u8], existing: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let mut all = existing.unwrap_or_default().to_vec();
    operands.iter().for_each(|operand| all.extend_from_slice(operand));
    Some(all)
}
