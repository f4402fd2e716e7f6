//! The index in RocksDB: flat in memory for any number of chunks. Written without a log; what a crash loses is absorbed
//! again at the next sync, because a segment counts as absorbed only together with its chunks (atomic flush).

use super::record::{
    LOCATION_BYTES, decode_locations, decode_pack, encode_location, encode_pack, number_key, number_of_key,
};
use super::{Index, IndexError, Location, PackListing, PackNumber, PackRecord, Result};
use crate::base::{ChunkId, PackId, SegmentId, SnapshotId};
use roaring::RoaringTreemap;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBPinnableSlice,
    DataBlockIndexType, Direction, IteratorMode, MergeOperands, Options, WriteBatch, WriteOptions,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

/// chunk id -> locations, strung together by the merge operator
const CHUNKS: &str = "chunks";
/// pack number -> record
const PACKS: &str = "packs";
/// pack id -> pack number; under [`END`] one more than the highest chunk number ever given; and [`WHOLE`] keys
const NUMBERS: &str = "numbers";
/// segment id -> bitmap of the numbers of its packs
const SEGMENTS: &str = "segments";

/// Shorter than any pack id.
const END: &[u8] = b"end";
/// Begins the keys, longer than any pack id, of snapshots of which all chunks are known.
const WHOLE: &[u8] = b"whole/";

/// How many processes of one user may work on one repository at the same time, each with an index folder of its own.
const FOLDERS: usize = 16;
const BLOCK_CACHE_BYTES: usize = 16 << 20;
const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// Chunks per write batch while absorbing.
const BATCH_CHUNKS: usize = 4096;

/// Key and value.
type Row = (Box<[u8]>, Box<[u8]>);

/// An index on disk, held by this process alone.
pub struct RocksIndex {
    db: DB,
    folder: PathBuf,
    /// Packs that present segments list; the union of the segments' bitmaps.
    live: RwLock<RoaringTreemap>,
    /// One more than the highest chunk number; held while numbers are handed out.
    end: Mutex<u64>,
    retirements: AtomicU64,
}

impl RocksIndex {
    /// Opens or creates an index below `parent`: the first of the folders `index-0`, `index-1`, ... that no other
    /// process holds. One that is damaged is emptied. The second value says so, if that happened.
    pub fn open(parent: &Path) -> Result<(Self, Option<String>)> {
        let mut failure = None;
        for n in 0..FOLDERS {
            let folder = parent.join(format!("index-{n}"));
            let first = match Self::open_folder(&folder) {
                Ok(index) => return Ok((index, None)),
                Err(error) => error,
            };
            if first.message.contains("LOCK") || first.message.contains("lock ") {
                failure = Some(first);
                continue;
            }
            DB::destroy(&Options::default(), &folder).ok();
            std::fs::remove_dir_all(&folder).ok();
            let index = Self::open_folder(&folder)?;
            return Ok((index, Some(format!("the local index was damaged and is built again ({})", first.message))));
        }
        Err(failure.unwrap_or_else(|| error_at(parent, "no folder is free")))
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| error_at(folder, e))?;
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_atomic_flush(true);
        options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_open_files(256);
        options.set_keep_log_file_num(1);
        options.set_max_log_file_size(1 << 20);
        options.set_log_level(rocksdb::LogLevel::Error);
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = [CHUNKS, PACKS, NUMBERS, SEGMENTS].map(|name| {
            let mut family = Options::default();
            let mut table = BlockBasedOptions::default();
            table.set_block_cache(&cache);
            table.set_bloom_filter(10.0, false);
            // In parts of a block's size: one look-up needs one of them, and a whole filter would push all else out of the cache.
            table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
            table.set_partition_filters(true);
            table.set_cache_index_and_filter_blocks(true);
            table.set_pin_top_level_index_and_filter(true);
            table.set_pin_l0_filter_and_index_blocks_in_cache(true);
            // Blocks are asked for single keys nearly always, and a hash finds one without comparing.
            table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            family.set_block_based_table_factory(&table);
            if name == CHUNKS {
                family.set_merge_operator_associative("append", append);
            }
            ColumnFamilyDescriptor::new(name, family)
        });
        let db = DB::open_cf_descriptors(&options, folder, families).map_err(|e| error_at(folder, e))?;
        let index = Self {
            db,
            folder: folder.to_owned(),
            live: RwLock::default(),
            end: Mutex::new(0),
            retirements: AtomicU64::new(0),
        };
        index.load_live()?;
        let end = index.get(NUMBERS, END)?.and_then(|value| number_of_key(&value));
        *index.end() = end.unwrap_or(0);
        Ok(index)
    }

    fn load_live(&self) -> Result<()> {
        let mut live = RoaringTreemap::new();
        for row in self.each(SEGMENTS, IteratorMode::Start) {
            live |= self.bitmap(&row?.1)?;
        }
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        Ok(())
    }

    fn family(&self, name: &'static str) -> Result<&ColumnFamily> {
        self.db.cf_handle(name).ok_or_else(|| self.error(format!("table {name} is missing")))
    }

    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>> {
        self.db.get_pinned_cf(self.family(family)?, key).map_err(|e| self.error(e))
    }

    /// All rows of a family; a missing family gives none, which a freshly opened one never is.
    fn each(&self, family: &'static str, from: IteratorMode<'_>) -> impl Iterator<Item = Result<Row>> + '_ {
        let rows = self.db.cf_handle(family).map(|cf| self.db.iterator_cf(cf, from));
        rows.into_iter().flatten().map(|row| row.map_err(|e| self.error(e)))
    }

    fn bitmap(&self, value: &[u8]) -> Result<RoaringTreemap> {
        RoaringTreemap::deserialize_from(value).map_err(|e| self.error(e))
    }

    fn write(&self, batch: WriteBatch) -> Result<()> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(|e| self.error(e))
    }

    fn end(&self) -> MutexGuard<'_, u64> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_live(&self, number: PackNumber) -> bool {
        self.live.read().unwrap_or_else(PoisonError::into_inner).contains(number)
    }

    fn live_locations(&self, value: &[u8]) -> Vec<Location> {
        debug_assert_eq!(value.len() % LOCATION_BYTES, 0);
        let mut locations = decode_locations(value);
        locations.retain(|l| self.is_live(l.pack));
        locations
    }

    fn error(&self, message: impl ToString) -> IndexError {
        error_at(&self.folder, message)
    }
}

fn error_at(place: &Path, message: impl ToString) -> IndexError {
    IndexError { place: place.display().to_string(), message: message.to_string() }
}

fn whole_key(snapshot: &SnapshotId) -> Vec<u8> {
    [WHOLE, snapshot.as_bytes()].concat()
}

fn append(_key: &[u8], existing: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let mut all = existing.unwrap_or_default().to_vec();
    operands.iter().for_each(|operand| all.extend_from_slice(operand));
    Some(all)
}

impl Index for RocksIndex {
    fn locate(&self, id: &ChunkId) -> Result<Vec<Location>> {
        let value = self.get(CHUNKS, id.as_bytes())?;
        Ok(value.map_or_else(Vec::new, |value| self.live_locations(&value)))
    }

    fn locate_all(&self, ids: &[ChunkId]) -> Result<Vec<Vec<Location>>> {
        let keys = ids.iter().map(|id| id.as_bytes());
        let values = self.db.batched_multi_get_cf(self.family(CHUNKS)?, keys, true).into_iter();
        let locations = |value: Option<DBPinnableSlice<'_>>| value.map_or_else(Vec::new, |v| self.live_locations(&v));
        values.map(|value| value.map(locations).map_err(|e| self.error(e))).collect()
    }

    fn pack(&self, number: PackNumber) -> Result<Option<PackRecord>> {
        if !self.is_live(number) {
            return Ok(None);
        }
        Ok(self.get(PACKS, &number_key(number))?.and_then(|value| decode_pack(number, &value)))
    }

    fn pack_number(&self, id: &PackId) -> Result<Option<PackNumber>> {
        let number = self.get(NUMBERS, id.as_bytes())?.and_then(|value| number_of_key(&value));
        Ok(number.filter(|&n| self.is_live(n)))
    }

    fn each_pack(&self, each: &mut dyn FnMut(PackRecord)) -> Result<()> {
        for row in self.each(PACKS, IteratorMode::Start) {
            let (key, value) = row?;
            if let Some(record) = number_of_key(&key).and_then(|number| decode_pack(number, &value))
                && self.is_live(record.number)
            {
                each(record);
            }
        }
        Ok(())
    }

    fn segments(&self) -> Result<Vec<SegmentId>> {
        let rows = self.each(SEGMENTS, IteratorMode::Start);
        rows.filter_map(|row| row.map(|(key, _)| SegmentId::from_slice(&key)).transpose()).collect()
    }

    fn packs_of(&self, segment: &SegmentId) -> Result<Vec<PackNumber>> {
        match self.get(SEGMENTS, segment.as_bytes())? {
            Some(value) => Ok(self.bitmap(&value)?.iter().collect()),
            None => Ok(Vec::new()),
        }
    }

    fn absorb(&self, segment: SegmentId, packs: &[PackListing]) -> Result<()> {
        let (chunks, records) = (self.family(CHUNKS)?, self.family(PACKS)?);
        let (numbers, segments) = (self.family(NUMBERS)?, self.family(SEGMENTS)?);
        let mut end = self.end();
        let mut listed = RoaringTreemap::new();
        let mut places: Vec<(ChunkId, [u8; LOCATION_BYTES])> = Vec::new();
        let mut batch = WriteBatch::default();
        let mut given: HashMap<PackId, PackNumber> = HashMap::new();
        for pack in packs {
            let known = self.get(NUMBERS, pack.id.as_bytes())?.and_then(|value| number_of_key(&value));
            if let Some(number) = known.or_else(|| given.get(&pack.id).copied()) {
                listed.insert(number);
                continue;
            }
            let number = *end;
            *end += pack.chunks.len().max(1) as u64;
            listed.insert(number);
            given.insert(pack.id, number);
            let record = encode_pack(&pack.id, pack.size_bytes, pack.chunks.len() as u32, &pack.header);
            batch.put_cf(records, number_key(number), record);
            batch.put_cf(numbers, pack.id.as_bytes(), number_key(number));
            let located = pack.chunks.iter().enumerate();
            places.extend(located.map(|(ordinal, c)| (c.id, encode_location(&Location::of(number, ordinal, c)))));
        }
        // Before anything is written under the new numbers: what a crash leaves behind of them is never taken for others'.
        let mut reserved = WriteBatch::default();
        reserved.put_cf(numbers, END, number_key(*end));
        self.write(reserved)?;
        // Sorted batches cost the least in the memtable and in compaction.
        places.sort_unstable_by_key(|(id, _)| *id);
        for run in places.chunks(BATCH_CHUNKS) {
            let mut batch = WriteBatch::default();
            run.iter().for_each(|(id, place)| batch.merge_cf(chunks, id.as_bytes(), place));
            self.write(batch)?;
        }
        let mut bitmap = Vec::with_capacity(listed.serialized_size());
        listed.serialize_into(&mut bitmap).map_err(|e| self.error(e))?;
        batch.put_cf(segments, segment.as_bytes(), bitmap);
        self.write(batch)?;
        *self.live.write().unwrap_or_else(PoisonError::into_inner) |= listed;
        Ok(())
    }

    fn retire(&self, gone: &[SegmentId]) -> Result<()> {
        let segments = self.family(SEGMENTS)?;
        let before = self.live.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.retirements.fetch_add(1, Relaxed);
        let mut batch = WriteBatch::default();
        gone.iter().for_each(|s| batch.delete_cf(segments, s.as_bytes()));
        // In the same batch: what was whole may have lost what these listed.
        for row in self.each(NUMBERS, IteratorMode::From(WHOLE, Direction::Forward)) {
            let (key, _) = row?;
            if !key.starts_with(WHOLE) {
                break;
            }
            batch.delete_cf(self.family(NUMBERS)?, key);
        }
        self.write(batch)?;
        self.load_live()?;
        // Locations of dead packs stay behind in the chunk table; their numbers are never given again, so they are
        // passed over for ever.
        let mut batch = WriteBatch::default();
        for number in before.iter().filter(|&number| !self.is_live(number)) {
            if let Some(record) = self.get(PACKS, &number_key(number))?.and_then(|v| decode_pack(number, &v)) {
                batch.delete_cf(self.family(NUMBERS)?, record.id.as_bytes());
            }
            batch.delete_cf(self.family(PACKS)?, number_key(number));
        }
        self.write(batch)
    }

    fn retirements(&self) -> u64 {
        self.retirements.load(Relaxed)
    }

    fn set_whole(&self, snapshot: &SnapshotId, instead_of: Option<&SnapshotId>) -> Result<()> {
        let numbers = self.family(NUMBERS)?;
        let mut batch = WriteBatch::default();
        if let Some(before) = instead_of {
            batch.delete_cf(numbers, whole_key(before));
        }
        batch.put_cf(numbers, whole_key(snapshot), b"");
        self.write(batch)
    }

    fn is_whole(&self, snapshot: &SnapshotId) -> Result<bool> {
        Ok(self.get(NUMBERS, &whole_key(snapshot))?.is_some())
    }

    fn chunk_numbers_end(&self) -> u64 {
        *self.end()
    }

    fn flush(&self) -> Result<()> {
        let families = [CHUNKS, PACKS, NUMBERS, SEGMENTS];
        let handles = families.into_iter().map(|name| self.family(name)).collect::<Result<Vec<_>>>()?;
        self.db.flush_cfs_opt(&handles, &rocksdb::FlushOptions::default()).map_err(|e| self.error(e))
    }
}
