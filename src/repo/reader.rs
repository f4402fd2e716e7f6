//! Reading chunks: from whichever pack has them, with one ranged request, or from a tree pack that is fetched whole once.

use super::cache::CacheKind;
use super::envelope::{Header, ObjectKind};
use super::error::{RepoError, Result};
use super::layout;
use super::open::Repo;
use super::pack::{ChunkKind, open_packed, unpack};
use super::tree::NodeSource;
use super::view::View;
use crate::base::{Cancel, ChunkId, PackId, SegmentId, parallel};
use crate::crypto::Sealer;
use crate::index::{Location, PackNumber};
use bytes::Bytes;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Tree packs that are held in memory at a time.
const TREE_PACKS_HELD: usize = 8;
/// Unwrapped pack keys that are held at a time.
const OPEN_PACKS_HELD: usize = 4096;

/// How often the index is synced again for what is missing: beyond that it is damage and not a prune.
const MOST_VANISHED: usize = 16;
/// How often at most the index is synced for chunks that it does not know, while the segments keep changing.
const MOST_SYNCS: usize = 5;
/// Begins the name of a chunk that no pack lists.
const UNLISTED: &str = "chunk ";

/// A pack whose key has been unwrapped.
pub struct OpenPack {
    pub id: PackId,
    pub kind: ChunkKind,
    pub sealer: Sealer,
}

/// A tree pack, once whoever asked first has it. Others who need it wait for that, those who need another do not.
type TreePack = Arc<Mutex<Option<Bytes>>>;

/// Reads chunks through one view; shared by threads.
pub struct ChunkReader {
    pub repo: Arc<Repo>,
    pub view: Arc<View>,
    packs: Mutex<HashMap<PackNumber, Arc<OpenPack>>>,
    tree_packs: Mutex<VecDeque<(PackId, TreePack)>>,
    /// What was missed so far.
    vanished: Mutex<HashSet<String>>,
    /// How often the index may still be synced for the sake of chunks that it does not know.
    syncs_left: Mutex<usize>,
}

impl ChunkReader {
    pub fn new(repo: Arc<Repo>, view: Arc<View>) -> Self {
        let syncs_left = Mutex::new(MOST_SYNCS);
        Self {
            repo,
            view,
            packs: Mutex::default(),
            tree_packs: Mutex::default(),
            vanished: Mutex::default(),
            syncs_left,
        }
    }

    /// A chunk's plaintext, from the first place that gives it whole. If a pack has vanished, a prune may have moved what
    /// was in it, so the index is synced, once for each such pack, and asked again. The same if no pack lists the chunk.
    pub fn read(&self, id: &ChunkId) -> Result<Vec<u8>> {
        let (mut read, mut is_settled) = (self.read_anywhere(id), false);
        while let Err(RepoError::Missing { object }) = &read {
            if object.starts_with(UNLISTED) && !is_settled {
                is_settled = self.sync_for_unlisted()?;
            } else if !object.starts_with(UNLISTED) && self.is_first_time(object) {
                self.repo.refresh_by_looking(&self.view, &Cancel::new())?;
            } else {
                break;
            }
            read = self.read_anywhere(id);
        }
        read
    }

    fn is_first_time(&self, object: &str) -> bool {
        let mut vanished = self.vanished.lock().unwrap_or_else(PoisonError::into_inner);
        vanished.len() < MOST_VANISHED && vanished.insert(object.to_owned())
    }

    /// Syncs the index for the sake of chunks that it does not know; true if what it does not know now is missing.
    ///
    /// A listing of the segments takes its time: while a prune puts one in place of others, it may give neither the old ones
    /// nor the new one. So it is settled when two listings are the same.
    pub fn sync_for_unlisted(&self) -> Result<bool> {
        let mut syncs_left = self.syncs_left.lock().unwrap_or_else(PoisonError::into_inner);
        if *syncs_left > 0 {
            let before: HashSet<SegmentId> = self.view.index.segments()?.into_iter().collect();
            self.repo.refresh(&self.view, &Cancel::new())?;
            let now: HashSet<SegmentId> = self.view.index.segments()?.into_iter().collect();
            *syncs_left = if now == before { 0 } else { *syncs_left - 1 };
        }
        Ok(*syncs_left == 0)
    }

    fn read_anywhere(&self, id: &ChunkId) -> Result<Vec<u8>> {
        let mut failure = RepoError::Missing { object: format!("{UNLISTED}{id}") };
        for place in self.view.locate(id)? {
            match self.read_at(id, &place) {
                Ok(plain) => return Ok(plain),
                Err(error) if error.is_damage() => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn read_at(&self, id: &ChunkId, place: &Location) -> Result<Vec<u8>> {
        let pack = self.pack(place.pack)?;
        let mut sealed = match pack.kind {
            ChunkKind::Tree if !self.repo.store.is_local() => self.sealed_in_tree_pack(&pack, place)?,
            _ => self.fetch(&pack.id, place.offset.into(), place.sealed_len.into())?.into(),
        };
        self.open_chunk(&pack, id, place, &mut sealed, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    /// Opens a sealed chunk that was read from its pack, in place if it is not compressed, else into `buffer`.
    pub fn open_chunk<'a>(
        &self,
        pack: &OpenPack,
        id: &ChunkId,
        place: &Location,
        sealed: &'a mut [u8],
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let damaged = |what: &str| RepoError::damaged(layout::pack(&pack.id), format!("chunk {} {what}", id.short()));
        let packed = open_packed(&pack.sealer, pack.kind, id, sealed);
        let packed = packed.ok_or_else(|| damaged("does not open"))?;
        unpack(&self.repo.keys, id, packed, place.plain_len, place.compressed, buffer)
            .ok_or_else(|| damaged("does not unpack to what its id says"))
    }

    /// A range of a pack.
    pub fn fetch(&self, pack: &PackId, offset: u64, len_bytes: u64) -> Result<Bytes> {
        let key = layout::pack(pack);
        self.repo.store.get_range(&key, offset, len_bytes).map_err(|e| RepoError::reading(&key, e))
    }

    /// The pack with this number, its key unwrapped.
    pub fn pack(&self, number: PackNumber) -> Result<Arc<OpenPack>> {
        let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pack) = packs.get(&number) {
            return Ok(pack.clone());
        }
        let missing = || RepoError::Missing { object: format!("pack number {number} of the local index") };
        let record = self.view.index.pack(number)?.ok_or_else(missing)?;
        let name = layout::pack(&record.id);
        let header = Header::parse(&self.repo.keys, &name, &record.header)?;
        let kind =
            ChunkKind::of(header.kind).ok_or_else(|| RepoError::damaged(name, "its index entry is no pack's"))?;
        if packs.len() >= OPEN_PACKS_HELD {
            packs.clear();
        }
        let pack = Arc::new(OpenPack { id: record.id, kind, sealer: header.sealer });
        packs.insert(number, pack.clone());
        Ok(pack)
    }

    fn sealed_in_tree_pack(&self, pack: &OpenPack, place: &Location) -> Result<Vec<u8>> {
        let bytes = self.tree_pack(&pack.id)?;
        let (from, len) = (place.offset as usize, place.sealed_len as usize);
        let range = bytes.get(from..from + len);
        range.map(<[u8]>::to_vec).ok_or_else(|| RepoError::damaged(layout::pack(&pack.id), "it is too short"))
    }

    fn tree_pack(&self, id: &PackId) -> Result<Bytes> {
        let place = {
            let mut held = self.tree_packs.lock().unwrap_or_else(PoisonError::into_inner);
            match held.iter().find(|(pack, _)| pack == id) {
                Some((_, place)) => place.clone(),
                None => {
                    if held.len() >= TREE_PACKS_HELD {
                        held.pop_front();
                    }
                    let place = TreePack::default();
                    held.push_back((*id, place.clone()));
                    place
                }
            }
        };
        let mut bytes = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*bytes {
            return Ok(bytes.clone());
        }
        let read = match self.repo.cache.get(CacheKind::TreePacks, &id.to_string()) {
            Some(bytes) => bytes,
            None => self.fetch_tree_pack(id)?,
        };
        *bytes = Some(read.clone());
        Ok(read)
    }

    fn fetch_tree_pack(&self, id: &PackId) -> Result<Bytes> {
        let key = layout::pack(id);
        let bytes = self.repo.store.get(&key).map_err(|e| RepoError::reading(&key, e))?;
        self.repo.cache.put(CacheKind::TreePacks, &id.to_string(), &bytes);
        Ok(bytes)
    }

    /// Brings all tree packs of a remote store into the cache, several at a time, for who is about to read all trees. What
    /// cannot be read is left to whoever needs it.
    pub fn fetch_ahead(&self, cancel: &Cancel) -> Result<()> {
        if self.repo.store.is_local() || self.repo.cache.folder().is_none() {
            return Ok(());
        }
        let mut wanted = Vec::new();
        self.view.index.each_pack(&mut |pack| {
            let is_tree = ObjectKind::of_header(&pack.header) == Some(ObjectKind::TreePack);
            if is_tree && !self.repo.cache.contains(CacheKind::TreePacks, &pack.id.to_string()) {
                wanted.push((pack.id, pack.size_bytes));
            }
        })?;
        let width = parallel::fetch_width(wanted.iter().map(|(_, size_bytes)| *size_bytes)).min(wanted.len());
        parallel::for_each(wanted.iter(), width, cancel, |(id, _)| match self.fetch_tree_pack(id) {
            Err(error) if !error.is_damage() => Err(error),
            _ => Ok(()),
        })
    }
}

impl NodeSource for ChunkReader {
    fn node(&self, id: &ChunkId) -> Result<Vec<u8>> {
        self.read(id)
    }
}
