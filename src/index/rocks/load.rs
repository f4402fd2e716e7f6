//! Taking in very many chunks at once: sorted outside of the database and handed to it as finished tables, so that nothing
//! is sorted twice and memory does not grow with their number.
//!
//! Numbers are given out as listings come. That two segments list the same pack shows only when pack ids are sorted; the
//! later number is dropped then, with the chunks that bear it. A crash leaves nothing behind that is believed: numbers are
//! reserved before anything bears them, and a segment is noted last, when its chunks and packs are in.

use super::spool::Spool;
use super::tables::{CHUNKS, NUMBERS, PACKS};
use super::{RocksIndex, lock};
use crate::base::{Cancel, SegmentId, parallel};
use crate::index::record::{LOCATION_BYTES, encode_location, encode_pack, number_key, number_of_key, pack_of};
use crate::index::{Load, Location, PackListing, PackNumber, Result};
use roaring::RoaringTreemap;
use rocksdb::{IteratorMode, SstFileWriter, WriteBatch};
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const ID: usize = 32;
const CHUNK_RECORD: usize = ID + LOCATION_BYTES;
const NUMBER_RECORD: usize = ID + 8;
/// What a finished table holds, about.
const TABLE_BYTES: u64 = 64 << 20;
/// Tables that are written side by side, each with a part of the records in memory.
const MOST_WRITERS: usize = 4;

/// Segments on their way into a [`RocksIndex`].
pub struct BulkLoad<'a> {
    index: &'a RocksIndex,
    folder: PathBuf,
    gathered: Mutex<Gathered<'a>>,
}

struct Gathered<'a> {
    chunks: Spool<CHUNK_RECORD>,
    numbers: Spool<NUMBER_RECORD>,
    /// Their numbers ascend as they come.
    packs: SstFileWriter<'a>,
    segments: Vec<(SegmentId, RoaringTreemap)>,
}

/// Packs that were listed before, or twice: their later numbers, and the ones that stay.
#[derive(Default)]
struct Doubles {
    dropped: RoaringTreemap,
    instead: HashMap<PackNumber, PackNumber>,
}

/// Where an index keeps what is on its way into it.
pub fn folder_in(index: &Path) -> PathBuf {
    index.join("load")
}

/// How a key and its value are put into a table.
type Write = fn(&mut SstFileWriter<'_>, &[u8], &[u8]) -> std::result::Result<(), rocksdb::Error>;
type Value<'a, const N: usize> = dyn Fn(&[[u8; N]]) -> Option<Vec<u8>> + Sync + 'a;

impl<'a> BulkLoad<'a> {
    /// Works in a folder of its own in the index's, which is removed in the end.
    pub fn begin(index: &'a RocksIndex) -> Result<Self> {
        let folder = folder_in(&index.folder);
        fs::create_dir_all(&folder).map_err(|e| index.error(e))?;
        let chunks = Spool::create(&folder.join("chunks")).map_err(|e| index.error(e))?;
        let numbers = Spool::create(&folder.join("numbers")).map_err(|e| index.error(e))?;
        let packs = index.table_writer(PACKS, &folder.join(PACKS))?;
        let gathered = Mutex::new(Gathered { chunks, numbers, packs, segments: Vec::new() });
        Ok(Self { index, folder, gathered })
    }

    fn take_in(&self, gathered: &mut Gathered<'_>) -> Result<()> {
        let doubles = self.find_doubles(&gathered.numbers)?;
        // What bears a number from here on outlives a crash; so must its being taken.
        self.index.flush(true)?;
        let are_first = self.index.each(CHUNKS, IteratorMode::Start).next().is_none();
        let how: Write = if are_first { |t, k, v| t.put(k, v) } else { |t, k, v| t.merge(k, v) };
        self.ingest(CHUNKS, &gathered.chunks, how, &|records| {
            let places = records.iter().map(|record| &record[ID..]);
            let places: Vec<&[u8]> = places.filter(|place| !doubles.dropped.contains(pack_of(place))).collect();
            (!places.is_empty()).then(|| places.concat())
        })?;
        if gathered.numbers.size_bytes() > 0 {
            gathered.packs.finish().map_err(|e| self.index.error(e))?;
            self.index.ingest(PACKS, vec![self.folder.join(PACKS)])?;
        }
        // Last, because who has a number is taken to be in the other tables.
        self.ingest(NUMBERS, &gathered.numbers, |t, k, v| t.put(k, v), &|records| {
            let stays = |record: &&[u8; NUMBER_RECORD]| !doubles.dropped.contains(number_in(record));
            records.iter().find(stays).map(|record| record[ID..].to_vec())
        })?;
        let mut batch = WriteBatch::default();
        for number in &doubles.dropped {
            batch.delete_cf(self.index.family(PACKS)?, number_key(number));
        }
        for (segment, packs) in &mut gathered.segments {
            doubles.replace_in(packs);
            self.index.put_segment(&mut batch, segment, packs)?;
        }
        self.index.write(batch)?;
        self.index.load_live()
    }

    fn find_doubles(&self, numbers: &Spool<NUMBER_RECORD>) -> Result<Doubles> {
        let mut doubles = Doubles::default();
        for part in 0..numbers.parts() {
            let records = numbers.sorted(part).map_err(|e| self.index.error(e))?;
            for of_pack in records.chunk_by(|a, b| a[..ID] == b[..ID]) {
                let known = self.index.get(NUMBERS, &of_pack[0][..ID])?.and_then(|value| number_of_key(&value));
                let mut given = of_pack.iter().map(number_in);
                if let Some(stays) = known.or_else(|| given.next()) {
                    doubles.instead.extend(given.map(|number| (number, stays)));
                }
            }
        }
        doubles.dropped = doubles.instead.keys().copied().collect();
        Ok(doubles)
    }

    /// Writes the records as tables and hands these to the database. `value` makes that of a key out of its records; there
    /// may be none.
    fn ingest<const N: usize>(
        &self,
        name: &'static str,
        spool: &Spool<N>,
        how: Write,
        value: &Value<'_, N>,
    ) -> Result<()> {
        let tables = (spool.size_bytes() / TABLE_BYTES + 1).min(spool.parts() as u64) as usize;
        let per_table = spool.parts().div_ceil(tables);
        let ranges = (0..spool.parts()).step_by(per_table).map(|first| first..(first + per_table).min(spool.parts()));
        let written = Mutex::new(Vec::new());
        let width = rayon::current_num_threads().min(MOST_WRITERS);
        parallel::for_each(ranges, width, &Cancel::new(), |range: Range<usize>| -> Result<()> {
            let path = self.folder.join(format!("{name}-{}", range.start));
            let mut table = self.index.table_writer(name, &path)?;
            let mut is_empty = true;
            for part in range {
                let records = spool.sorted(part).map_err(|e| self.index.error(e))?;
                for of_key in records.chunk_by(|a, b| a[..ID] == b[..ID]) {
                    if let Some(value) = value(of_key) {
                        how(&mut table, &of_key[0][..ID], &value).map_err(|e| self.index.error(e))?;
                        is_empty = false;
                    }
                }
            }
            if !is_empty {
                table.finish().map_err(|e| self.index.error(e))?;
                lock(&written).push(path);
            }
            Ok(())
        })?;
        let written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
        if written.is_empty() { Ok(()) } else { self.index.ingest(name, written) }
    }
}

impl Load for BulkLoad<'_> {
    fn add(&self, segment: SegmentId, packs: &[PackListing]) -> Result<()> {
        let mut listed = RoaringTreemap::new();
        // One at a time, so that numbers ascend.
        let gathered = &mut *lock(&self.gathered);
        let mut number = self.index.reserve_numbers(packs)?;
        for pack in packs {
            listed.insert(number);
            gathered.packs.put(number_key(number), encode_pack(pack)).map_err(|e| self.index.error(e))?;
            let numbered = record(pack.id.as_bytes(), &number_key(number));
            gathered.numbers.push(numbered).map_err(|e| self.index.error(e))?;
            for (ordinal, chunk) in pack.chunks.iter().enumerate() {
                let place = encode_location(&Location::of(number, ordinal, chunk));
                gathered.chunks.push(record(chunk.id.as_bytes(), &place)).map_err(|e| self.index.error(e))?;
            }
            number += pack.numbers();
        }
        gathered.segments.push((segment, listed));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        self.take_in(&mut lock(&self.gathered))
    }
}

impl Drop for BulkLoad<'_> {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

impl Doubles {
    fn replace_in(&self, packs: &mut RoaringTreemap) {
        let dropped = &*packs & &self.dropped;
        *packs -= &dropped;
        packs.extend(dropped.iter().filter_map(|number| self.instead.get(&number)));
    }
}

fn record<const N: usize>(id: &[u8; ID], rest: &[u8]) -> [u8; N] {
    let mut record = [0; N];
    let (key, value) = record.split_at_mut(ID);
    key.copy_from_slice(id);
    value.copy_from_slice(rest);
    record
}

fn number_in(record: &[u8; NUMBER_RECORD]) -> PackNumber {
    number_of_key(&record[ID..]).unwrap_or_default()
}
