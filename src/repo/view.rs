//! A client's view of the bucket's index: the local index brought up to date with the segments, and the condemned
//! lists. What it does not know may still exist; what it knows was there when it was synced.

use super::cache::CacheKind;
use super::condemned::CondemnedList;
use super::envelope::{self, ObjectKind};
use super::error::{RepoError, Result};
use super::layout;
use super::open::Repo;
use super::segment;
use crate::base::{Cancel, ChunkId, Issue, IssueCode, PackId, SegmentId, SnapshotId, Stage, parallel};
use crate::index::{Index, Location, MemoryIndex, PackListing, PackNumber, RocksIndex};
use crate::store::{ObjectMeta, list_all};
use jiff::Timestamp;
use roaring::RoaringTreemap;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How often the bucket is listed again when a segment vanishes between its listing and its reading.
const SYNC_TRIES: usize = 5;

/// A condemned list in the bucket.
#[derive(Clone, Debug)]
pub struct StoredList {
    pub key: String,
    /// By the store's clock.
    pub written: Timestamp,
    pub packs: Vec<PackId>,
}

/// The synced view; shared by the threads of a command.
pub struct View {
    pub index: Arc<dyn Index>,
    /// Packs of the index that a condemned list names.
    condemned: RwLock<RoaringTreemap>,
    condemned_ids: RwLock<HashSet<PackId>>,
    /// Segments and lists that could not be read, and why.
    pub damaged: Mutex<Vec<(String, RepoError)>>,
    pub lists: Mutex<Vec<StoredList>>,
    refreshes: AtomicU64,
}

impl View {
    /// Where the chunk lies, in packs that will stay first.
    pub fn locate(&self, id: &ChunkId) -> Result<Vec<Location>> {
        let mut places = self.index.locate(id)?;
        self.put_staying_first(&mut places);
        Ok(places)
    }

    /// [`View::locate`] for many chunks; `ids` ascend.
    pub fn locate_all(&self, ids: &[ChunkId]) -> Result<Vec<Vec<Location>>> {
        let mut all = self.index.locate_all(ids)?;
        all.iter_mut().for_each(|places| self.put_staying_first(places));
        Ok(all)
    }

    fn put_staying_first(&self, places: &mut [Location]) {
        if places.len() > 1 {
            places.sort_by_key(|l| self.is_condemned(l.pack));
        }
    }

    /// (w2) Whether a writer may count on the chunk: it lies in a pack that nobody has condemned.
    pub fn is_trusted(&self, id: &ChunkId) -> Result<bool> {
        Ok(self.index.locate(id)?.iter().any(|l| !self.is_condemned(l.pack)))
    }

    /// How often it was brought up to date.
    pub fn refreshes(&self) -> u64 {
        self.refreshes.load(Relaxed)
    }

    /// What [`View::note_whole`] wants to know at the end of a run.
    pub fn retirements(&self) -> u64 {
        self.index.retirements()
    }

    /// (w2) Whether every chunk of a snapshot is trusted, without looking each up: all were when it was written here, no
    /// segment was retired since, and no pack is condemned.
    pub fn is_snapshot_trusted(&self, snapshot: &SnapshotId) -> Result<bool> {
        Ok(self.trusts_all_packs() && self.index.is_whole(snapshot)?)
    }

    /// Notes that a snapshot was written of trusted chunks only, if nothing was retired since `retirements` were.
    pub fn note_whole(&self, snapshot: &SnapshotId, parent: Option<&SnapshotId>, retirements: u64) -> Result<()> {
        if self.trusts_all_packs() && self.index.retirements() == retirements {
            self.index.set_whole(snapshot, parent)?;
        }
        Ok(())
    }

    fn trusts_all_packs(&self) -> bool {
        self.is_whole() && self.condemned.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub fn is_condemned(&self, pack: PackNumber) -> bool {
        self.condemned.read().unwrap_or_else(PoisonError::into_inner).contains(pack)
    }

    pub fn condemned_ids(&self) -> HashSet<PackId> {
        self.condemned_ids.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds the numbers of the condemned packs, once the index knows all packs.
    fn number_condemned(&self) -> Result<()> {
        let mut numbers = RoaringTreemap::new();
        for pack in self.condemned_ids.read().unwrap_or_else(PoisonError::into_inner).iter() {
            numbers.extend(self.index.pack_number(pack)?);
        }
        *self.condemned.write().unwrap_or_else(PoisonError::into_inner) = numbers;
        Ok(())
    }

    /// Whether every segment and list could be read.
    pub fn is_whole(&self) -> bool {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Repo {
    /// The local index of this repository, brought up to date with the bucket.
    pub fn sync(&self, cancel: &Cancel) -> Result<View> {
        self.edges.observer.stage(Stage::SyncingIndex);
        let view = View {
            index: self.open_index(),
            condemned: RwLock::default(),
            condemned_ids: RwLock::default(),
            damaged: Mutex::default(),
            lists: Mutex::default(),
            refreshes: AtomicU64::new(0),
        };
        self.refresh(&view, cancel)?;
        Ok(view)
    }

    /// Takes in what has come and gone since `view` was synced.
    pub fn refresh(&self, view: &View, cancel: &Cancel) -> Result<()> {
        view.refreshes.fetch_add(1, Relaxed);
        view.damaged.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // (w2) In any order: a list is removed long after its packs are gone from the segments, so none is missed that names a
        // pack which the segments still list.
        let (lists, segments) = parallel::both(|| self.sync_lists(view, cancel), || self.sync_segments(view, cancel));
        lists.and(segments)?;
        view.number_condemned()?;
        for (object, error) in view.damaged.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let next = "the run goes on without it; run 'ssb check'";
            let issue = Issue::new(IssueCode::DamagedObject, object.clone(), error.to_string(), next);
            self.edges.observer.issue(&issue);
        }
        Ok(())
    }

    fn open_index(&self) -> Arc<dyn Index> {
        let Some(folder) = self.cache.folder() else { return Arc::new(MemoryIndex::new()) };
        match RocksIndex::open(folder) {
            Ok((index, note)) => {
                note.iter().for_each(|sentence| self.note(sentence));
                Arc::new(index)
            }
            Err(error) => {
                let next = "this run keeps its index in memory";
                let issue = Issue::new(IssueCode::CacheUnusable, error.place.clone(), error.message.clone(), next);
                self.edges.observer.issue(&issue);
                Arc::new(MemoryIndex::new())
            }
        }
    }

    fn sync_segments(&self, view: &View, cancel: &Cancel) -> Result<()> {
        for _ in 0..SYNC_TRIES {
            let listed = self.list_present(layout::SEGMENTS)?;
            let present: HashSet<SegmentId> = listed.iter().filter_map(|o| layout::parse_segment(&o.key)).collect();
            let known: HashSet<SegmentId> = view.index.segments()?.into_iter().collect();
            let vanished = Mutex::new(false);
            let sized = |o: &ObjectMeta| Some((layout::parse_segment(&o.key)?, o.size_bytes));
            let new: Vec<_> = listed.iter().filter_map(sized).filter(|(id, _)| !known.contains(id)).collect();
            let width = parallel::fetch_width(new.iter().map(|(_, size_bytes)| *size_bytes));
            let load = view.index.load(new.iter().map(|(_, size_bytes)| size_bytes).sum())?;
            parallel::for_each(new.iter(), width.min(new.len()), cancel, |&(id, _)| {
                match self.read_segment(&id) {
                    Ok(packs) => load.add(id, &packs)?,
                    Err(RepoError::Missing { .. }) => {
                        self.gone.note(layout::segment(&id));
                        *vanished.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    }
                    Err(error) if error.is_damage() => {
                        let mut damaged = view.damaged.lock().unwrap_or_else(PoisonError::into_inner);
                        damaged.push((layout::segment(&id), error));
                    }
                    Err(error) => return Err(error),
                }
                Ok(())
            })?;
            if cancel.is_cancelled() {
                return Err(RepoError::Interrupted);
            }
            load.finish()?;
            drop(load);
            // Only now: what a new segment lists again must not lose its place with the old one.
            let gone: Vec<SegmentId> = known.difference(&present).copied().collect();
            if !gone.is_empty() {
                view.index.retire(&gone)?;
                self.forget_cached_packs(view)?;
            }
            if present != known {
                view.index.begin_flush()?;
            }
            if !vanished.into_inner().unwrap_or_else(PoisonError::into_inner) {
                return Ok(());
            }
            let mut damaged = view.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            damaged.retain(|(object, _)| !object.starts_with(layout::SEGMENTS));
        }
        Err(RepoError::Missing { object: "a segment that is listed again and again".to_owned() })
    }

    fn forget_cached_packs(&self, view: &View) -> Result<()> {
        if self.store.is_local() {
            return Ok(());
        }
        let mut keep = HashSet::new();
        view.index.each_pack(&mut |pack| keep.extend([pack.id.to_string()]))?;
        self.cache.retain(CacheKind::TreePacks, &keep);
        Ok(())
    }

    /// The packs that a segment lists.
    pub fn read_segment(&self, id: &SegmentId) -> Result<Vec<PackListing>> {
        let key = layout::segment(id);
        let object = self.store.get(&key).map_err(|e| RepoError::reading(&key, e))?;
        let payload = envelope::open(&self.keys, ObjectKind::Segment, &key, &object)?;
        if blake3::hash(&object).as_bytes() != id.as_bytes() {
            return Err(RepoError::damaged(key, "it is another segment under this name"));
        }
        segment::decode(&payload).map_err(|e| RepoError::damaged(key, e.0))
    }

    /// Writes a segment for these packs.
    pub fn put_segment(&self, packs: &[PackListing]) -> Result<SegmentId> {
        let payload = segment::encode(packs);
        let object = envelope::seal(&self.keys, &*self.edges.entropy, ObjectKind::Segment, &payload)?;
        let id = SegmentId::from_bytes(*blake3::hash(&object).as_bytes());
        self.store.put_new(&layout::segment(&id), object.into())?;
        Ok(id)
    }

    fn sync_lists(&self, view: &View, cancel: &Cancel) -> Result<()> {
        let listed = list_all(&*self.store, layout::CONDEMNED)?;
        let names = listed.iter().filter_map(|object| object.key.strip_prefix(layout::CONDEMNED));
        let names: HashSet<String> = names.map(str::to_owned).collect();
        let lists = Mutex::new(Vec::new());
        let width = parallel::fetch_width(listed.iter().map(|object| object.size_bytes)).min(listed.len());
        parallel::for_each(listed.into_iter(), width, cancel, |object| {
            let Some(name) = object.key.strip_prefix(layout::CONDEMNED) else { return Ok(()) };
            match self.read_list(&object.key, name) {
                Ok(list) => {
                    view.condemned_ids.write().unwrap_or_else(PoisonError::into_inner).extend(&list.packs);
                    let list = StoredList { key: object.key, written: object.modified, packs: list.packs };
                    lists.lock().unwrap_or_else(PoisonError::into_inner).push(list);
                }
                Err(RepoError::Missing { .. }) => {}
                Err(error) if error.is_damage() => {
                    let mut damaged = view.damaged.lock().unwrap_or_else(PoisonError::into_inner);
                    damaged.push((object.key, error));
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        if cancel.is_cancelled() {
            return Err(RepoError::Interrupted);
        }
        self.cache.retain(CacheKind::Condemned, &names);
        let mut lists = lists.into_inner().unwrap_or_else(PoisonError::into_inner);
        lists.sort_by(|a, b| a.key.cmp(&b.key));
        *view.lists.lock().unwrap_or_else(PoisonError::into_inner) = lists;
        Ok(())
    }

    fn read_list(&self, key: &str, name: &str) -> Result<CondemnedList> {
        let object = match self.cache.get(CacheKind::Condemned, name) {
            Some(object) => object,
            None => {
                let object = self.store.get(key).map_err(|e| RepoError::reading(key, e))?;
                self.cache.put(CacheKind::Condemned, name, &object);
                object
            }
        };
        let payload = envelope::open(&self.keys, ObjectKind::Condemned, key, &object)?;
        CondemnedList::decode(key, &payload)
    }

    /// (p3) Publishes packs as condemned; gives the list's key.
    pub fn put_condemned(&self, packs: Vec<PackId>) -> Result<String> {
        let list = CondemnedList { format: 1, time: self.edges.clock.now(), host: self.edges.host.clone(), packs };
        let object = envelope::seal(&self.keys, &*self.edges.entropy, ObjectKind::Condemned, &list.encode()?)?;
        let key = layout::condemned(blake3::hash(&object).to_hex().as_str());
        self.store.put_new(&key, object.into())?;
        Ok(key)
    }
}
