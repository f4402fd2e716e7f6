//! The index in RocksDB: flat in memory for any number of chunks. Written without a log; what a crash loses is absorbed
//! again at the next sync, because a segment counts as absorbed only together with its chunks (atomic flush).

mod load;
mod spool;
mod tables;

use super::record::{
    LOCATION_BYTES, decode_locations, decode_pack, encode_location, encode_pack, number_key, number_of_key,
};
use super::{Index, IndexError, Load, Location, OneByOne, PackListing, PackNumber, PackRecord, Result};
use crate::base::{ChunkId, PackId, SegmentId, SnapshotId};
use load::BulkLoad;
use roaring::RoaringTreemap;
use rocksdb::{
    ColumnFamily, DB, DBPinnableSlice, Direction, FlushOptions, IngestExternalFileOptions, IteratorMode, Options,
    ReadOptions, SstFileWriter, WriteBatch, WriteOptions,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tables::{CHUNKS, END, NUMBERS, PACKS, SEGMENTS, Tables, WHOLE, error_at};

/// How many processes of one user may work on one repository at the same time, each with an index folder of its own.
const FOLDERS: usize = 16;
/// Chunks per write batch while absorbing.
const BATCH_CHUNKS: usize = 4096;
/// Finding one chunk costs as much as passing by so many.
const ROWS_PER_LOOK_UP: u64 = 8;
/// Segments of so many bytes together, some 100,000 chunks, are sorted outside of the database.
const BULK_BYTES: u64 = 4 << 20;

/// Key and value.
type Row = (Box<[u8]>, Box<[u8]>);

/// An index on disk, held by this process alone.
pub struct RocksIndex {
    db: DB,
    tables: Tables,
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
        // Left by a process that was killed while it loaded.
        std::fs::remove_dir_all(load::folder_in(folder)).ok();
        let tables = Tables::new();
        let db = tables.open(folder)?;
        let index = Self {
            db,
            tables,
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
        let mut options = ReadOptions::default();
        // Rows that are passed once would push out of the cache what is asked for again and again.
        options.fill_cache(false);
        let rows = self.db.cf_handle(family).map(|cf| self.db.iterator_cf_opt(cf, options, from));
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

    fn flush(&self, wait: bool) -> Result<()> {
        let handles = tables::ALL.into_iter().map(|name| self.family(name)).collect::<Result<Vec<_>>>()?;
        let mut options = FlushOptions::default();
        options.set_wait(wait);
        self.db.flush_cfs_opt(&handles, &options).map_err(|e| self.error(e))
    }

    fn end(&self) -> MutexGuard<'_, u64> {
        lock(&self.end)
    }

    /// Before anything is written under new numbers: what a crash leaves behind of them is never taken for others'.
    fn put_end(&self, end: u64) -> Result<()> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(NUMBERS)?, END, number_key(end));
        self.write(batch)
    }

    /// A number for each pack, whether it has one or not; gives the first.
    fn reserve_numbers(&self, packs: &[PackListing]) -> Result<PackNumber> {
        let mut end = self.end();
        let first = *end;
        *end += packs.iter().map(PackListing::numbers).sum::<u64>();
        self.put_end(*end)?;
        Ok(first)
    }

    /// For writing a table beside the database.
    fn table_writer(&self, name: &str, path: &Path) -> Result<SstFileWriter<'_>> {
        let options = self.tables.options(name).ok_or_else(|| self.error(format!("table {name} is unknown")))?;
        let writer = SstFileWriter::create(options);
        writer.open(path).map_err(|e| self.error(e))?;
        Ok(writer)
    }

    /// Hands finished tables, which are moved, to the database.
    fn ingest(&self, name: &'static str, paths: Vec<PathBuf>) -> Result<()> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        self.db.ingest_external_file_cf_opts(self.family(name)?, &options, paths).map_err(|e| self.error(e))
    }

    fn put_segment(&self, batch: &mut WriteBatch, segment: &SegmentId, packs: &RoaringTreemap) -> Result<()> {
        let mut bitmap = Vec::with_capacity(packs.serialized_size());
        packs.serialize_into(&mut bitmap).map_err(|e| self.error(e))?;
        batch.put_cf(self.family(SEGMENTS)?, segment.as_bytes(), bitmap);
        Ok(())
    }

    fn is_live(&self, number: PackNumber) -> bool {
        self.live.read().unwrap_or_else(PoisonError::into_inner).contains(number)
    }

    /// Reads the index through from the first of `ids`, which ascend, to the last.
    fn locate_by_scan(&self, ids: &[ChunkId]) -> Result<Vec<Vec<Location>>> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let mut rows = self.db.raw_iterator_cf_opt(self.family(CHUNKS)?, options);
        rows.seek(ids.first().map_or(&[][..], |id| id.as_bytes()));
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            while rows.key().is_some_and(|key| key < &id.as_bytes()[..]) {
                rows.next();
            }
            let value = rows.item().filter(|(key, _)| key == id.as_bytes()).map(|(_, value)| value);
            all.push(value.map_or_else(Vec::new, |value| self.live_locations(value)));
        }
        rows.status().map_err(|e| self.error(e))?;
        Ok(all)
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn whole_key(snapshot: &SnapshotId) -> Vec<u8> {
    [WHOLE, snapshot.as_bytes()].concat()
}

impl Index for RocksIndex {
    fn locate(&self, id: &ChunkId) -> Result<Vec<Location>> {
        let value = self.get(CHUNKS, id.as_bytes())?;
        Ok(value.map_or_else(Vec::new, |value| self.live_locations(&value)))
    }

    fn locate_all(&self, ids: &[ChunkId]) -> Result<Vec<Vec<Location>>> {
        if ids.len() as u64 * ROWS_PER_LOOK_UP >= self.chunk_numbers_end() {
            return self.locate_by_scan(ids);
        }
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
        let (chunks, records, numbers) = (self.family(CHUNKS)?, self.family(PACKS)?, self.family(NUMBERS)?);
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
            *end += pack.numbers();
            listed.insert(number);
            given.insert(pack.id, number);
            batch.put_cf(records, number_key(number), encode_pack(pack));
            batch.put_cf(numbers, pack.id.as_bytes(), number_key(number));
            let located = pack.chunks.iter().enumerate();
            places.extend(located.map(|(ordinal, c)| (c.id, encode_location(&Location::of(number, ordinal, c)))));
        }
        self.put_end(*end)?;
        // Sorted batches cost the least in the memtable and in compaction.
        places.sort_unstable_by_key(|(id, _)| *id);
        for run in places.chunks(BATCH_CHUNKS) {
            let mut batch = WriteBatch::default();
            run.iter().for_each(|(id, place)| batch.merge_cf(chunks, id.as_bytes(), place));
            self.write(batch)?;
        }
        self.put_segment(&mut batch, &segment, &listed)?;
        self.write(batch)?;
        *self.live.write().unwrap_or_else(PoisonError::into_inner) |= listed;
        Ok(())
    }

    fn load(&self, segment_bytes: u64) -> Result<Box<dyn Load + '_>> {
        if segment_bytes < BULK_BYTES { Ok(Box::new(OneByOne(self))) } else { Ok(Box::new(BulkLoad::begin(self)?)) }
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

    fn begin_flush(&self) -> Result<()> {
        self.flush(false)
    }
}
