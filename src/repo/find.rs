//! Opening a repository that is there, in one round trip where the key slots are remembered. Changes nothing but a lost
//! `config`, which it puts back.

use super::config::StoredConfig;
use super::error::{RepoError, Result};
use super::layout;
use super::open::{Edges, Repo};
use super::slot::Slot;
use super::slot_cache::SlotCache;
use crate::base::{Cancel, Issue, IssueCode, parallel};
use crate::crypto::SecretText;
use crate::store::{ErrorKind, ObjectMeta, ObjectStore, Result as StoreResult, list_all};
use bytes::Bytes;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What is asked for beside what is needed to open the repository, in the same round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    Nothing,
    /// The names of the snapshots, for [`Repo::snapshots_at_opening`].
    Snapshots,
}

/// A repository that was found but not unlocked yet.
pub struct Found {
    store: Arc<dyn ObjectStore>,
    config: Option<StoredConfig>,
    config_problem: Option<RepoError>,
    slots: Vec<FoundSlot>,
    slot_problem: Option<RepoError>,
    slot_cache: SlotCache,
    snapshots: Option<Vec<ObjectMeta>>,
}

struct FoundSlot {
    key: String,
    slot: Slot,
    bytes: Bytes,
    is_remembered: bool,
}

impl Repo {
    /// Looks for a repository, without a key. `cache_root` is where key slots are remembered.
    pub fn find(store: Arc<dyn ObjectStore>, cache_root: Option<&Path>, ahead: Ahead) -> Result<Found> {
        let place = store.describe();
        let Answers { config, slots, snapshots } = ask(&*store, ahead);
        let (config, config_problem) = match config {
            Ok(bytes) => match StoredConfig::decode(&bytes) {
                Ok(config) => (Some(config), None),
                Err(error @ RepoError::TooNew { .. }) => return Err(error),
                Err(error) => (None, Some(error)),
            },
            Err(e) if e.kind == ErrorKind::NotFound => (None, None),
            Err(e) if e.kind == ErrorKind::NoBucket && store.is_local() => {
                return Err(RepoError::NoRepository { place });
            }
            Err(e) => return Err(e.into()),
        };
        let listed = slots?;
        if listed.is_empty() {
            if config.is_some() || config_problem.is_some() {
                return Err(RepoError::NoSlots { place });
            }
            let orphaned = !list_all(&*store, layout::SNAPSHOTS)?.is_empty();
            return Err(if orphaned { RepoError::NoConfig { place } } else { RepoError::NoRepository { place } });
        }
        let slot_cache = SlotCache::for_store(&*store, cache_root);
        let (slots, slot_problem) = read_slots(&*store, &listed, &slot_cache)?;
        let snapshots = snapshots.transpose()?;
        Ok(Found { store, config, config_problem, slots, slot_problem, slot_cache, snapshots })
    }
}

/// Everything that is asked for at once.
struct Answers {
    config: StoreResult<Bytes>,
    slots: StoreResult<Vec<ObjectMeta>>,
    snapshots: Option<StoreResult<Vec<ObjectMeta>>>,
}

fn ask(store: &dyn ObjectStore, ahead: Ahead) -> Answers {
    let names = || match ahead {
        Ahead::Nothing => None,
        Ahead::Snapshots => Some(list_all(store, layout::SNAPSHOTS)),
    };
    let (snapshots, (slots, config)) =
        parallel::both(names, || parallel::both(|| list_all(store, layout::KEYS), || store.get(layout::CONFIG)));
    Answers { config, slots, snapshots }
}

/// The slots that can be read, and what is wrong with one that cannot.
fn read_slots(
    store: &dyn ObjectStore,
    listed: &[ObjectMeta],
    cache: &SlotCache,
) -> Result<(Vec<FoundSlot>, Option<RepoError>)> {
    let read = Mutex::new((Vec::new(), None));
    // Whoever can write to the bucket can put there as many as they like.
    let width = parallel::fetch_width(listed.iter().map(|object| object.size_bytes)).min(listed.len());
    parallel::for_each(listed.iter(), width, &Cancel::new(), |object| {
        let slot = match FoundSlot::remembered(object, cache) {
            Some(slot) => Ok(slot),
            None => FoundSlot::fetch(store, &object.key),
        };
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        match slot {
            Ok(slot) => read.0.push(slot),
            Err(error @ RepoError::Store(_)) => return Err(error),
            Err(error) => read.1 = Some(error),
        }
        Ok(())
    })?;
    let (mut slots, problem) = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    slots.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((slots, problem))
}

impl FoundSlot {
    fn remembered(object: &ObjectMeta, cache: &SlotCache) -> Option<Self> {
        let bytes = cache.get(&object.key).filter(|bytes| bytes.len() as u64 == object.size_bytes)?;
        let slot = Slot::decode(&object.key, &bytes).ok()?;
        Some(Self { key: object.key.clone(), slot, bytes, is_remembered: true })
    }

    fn fetch(store: &dyn ObjectStore, key: &str) -> Result<Self> {
        let bytes = store.get(key)?;
        let slot = Slot::decode(key, &bytes)?;
        Ok(Self { key: key.to_owned(), slot, bytes, is_remembered: false })
    }
}

impl Found {
    /// Opens the first slot that the passphrase fits. A lost `config` is put back from the slot's copy; a damaged one is
    /// worked around and left for `check` to name.
    pub fn unlock(mut self, passphrase: &SecretText, edges: Edges) -> Result<Repo> {
        let place = self.store.describe();
        let fits = |found: &FoundSlot| found.slot.open(passphrase);
        let mut opened = self.slots.iter().find_map(|found| Some((found, fits(found)?)));
        let read_again = if opened.is_none() { self.changed_slots()? } else { Vec::new() };
        if opened.is_none() {
            opened = read_again.iter().find_map(|found| Some((found, fits(found)?)));
        }
        let Some((found, keys)) = opened else {
            // With a damaged slot about, a passphrase that fits none says little.
            let wrong = RepoError::WrongKey { place, slots: self.slots.len() };
            return Err(self.slot_problem.filter(|_| self.slots.is_empty()).unwrap_or(wrong));
        };
        let is_missing = self.config.is_none() && self.config_problem.is_none();
        let verified = self.config.take().map(|config| config.verify(&keys).map(|()| config));
        let (stored, problem) = match verified {
            Some(Ok(config)) => (config, None),
            Some(Err(error)) => (found.slot.config()?, Some(error)),
            None => (found.slot.config()?, self.config_problem.take()),
        };
        stored.verify(&keys)?;
        if let Some(error) = problem {
            let next = "it was read from the key slot's copy; delete the object, and the next run puts it back";
            edges.observer.issue(&Issue::new(IssueCode::DamagedObject, layout::CONFIG, error.to_string(), next));
        }
        if is_missing {
            self.store.put_new(layout::CONFIG, stored.encode().into_bytes().into())?;
            edges.observer.note("the object 'config' was missing and was put back from the key slot's copy");
        }
        if !found.is_remembered {
            self.slot_cache.put(&found.key, &found.bytes);
        }
        let repo = Repo::assemble(self.store.clone(), keys, stored.config, edges);
        Ok(Repo { listed: self.snapshots.take(), ..repo })
    }

    /// The slots of which the bucket holds something else than is remembered.
    fn changed_slots(&self) -> Result<Vec<FoundSlot>> {
        let mut changed = Vec::new();
        for found in self.slots.iter().filter(|found| found.is_remembered) {
            match FoundSlot::fetch(&*self.store, &found.key) {
                Ok(fetched) if fetched.bytes != found.bytes => changed.push(fetched),
                Err(error @ RepoError::Store(_)) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Silent, SystemClock, SystemEntropy, SystemPacer};
    use crate::chunker::ChunkerParams;
    use crate::crypto::KdfParams;
    use crate::store::{Fault, FaultStore, MemoryStore, Operation, RecordStore};
    use std::collections::HashSet;
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    struct Lab {
        store: Arc<RecordStore<MemoryStore>>,
        cache: tempfile::TempDir,
    }

    impl Lab {
        fn new() -> Self {
            let lab =
                Self { store: Arc::new(RecordStore::distant(MemoryStore::new())), cache: tempfile::tempdir().unwrap() };
            let kdf = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
            let chunker = ChunkerParams::default();
            Repo::create(lab.store.clone(), &passphrase(), kdf, chunker, lab.edges()).unwrap();
            lab.store.take();
            lab
        }

        fn edges(&self) -> Edges {
            Edges {
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                pacer: Arc::new(SystemPacer::new(Cancel::new())),
                host: "h".to_owned(),
                user: "u".to_owned(),
                cache_root: Some(self.cache.path().to_owned()),
                observer: Arc::new(Silent),
            }
        }

        fn open(&self, passphrase: &SecretText) -> Result<Repo> {
            Repo::find(self.store.clone(), Some(self.cache.path()), Ahead::Snapshots)?.unlock(passphrase, self.edges())
        }

        fn remembered(&self) -> PathBuf {
            fs::read_dir(self.cache.path().join("keys")).unwrap().next().unwrap().unwrap().path()
        }
    }

    fn passphrase() -> SecretText {
        SecretText::new("right".to_owned())
    }

    #[test]
    fn a_client_that_knows_the_slot_asks_for_everything_at_once() {
        let lab = Lab::new();
        let repo = lab.open(&passphrase()).unwrap();
        assert!(repo.snapshots_at_opening().unwrap().snapshots.is_empty());
        let mut calls: Vec<_> = lab.store.take().into_iter().map(|call| (call.operation, call.key)).collect();
        calls.sort_by(|a, b| a.1.cmp(&b.1));
        let expected =
            [(Operation::Get, layout::CONFIG), (Operation::List, layout::KEYS), (Operation::List, layout::SNAPSHOTS)];
        assert_eq!(calls, expected.map(|(operation, key)| (operation, key.to_owned())));
    }

    /// Whoever can write to the bucket needs no key for it.
    #[test]
    fn very_many_key_slots_do_not_take_a_thread_each() {
        let lab = Lab::new();
        let threads = Arc::new(Mutex::new(HashSet::new()));
        let seen = threads.clone();
        let store = FaultStore::new(MemoryStore::new(), move |call| {
            if call.key.starts_with(layout::KEYS) && call.operation == Operation::Get {
                seen.lock().unwrap().insert(std::thread::current().id());
                // So that the first few do not do the work of all.
                return Fault::Delay(Duration::from_millis(5));
            }
            Fault::None
        });
        for object in list_all(&*lab.store, "").unwrap() {
            store.put(&object.key, lab.store.get(&object.key).unwrap()).unwrap();
        }
        for n in 0..2000 {
            store.put(&layout::slot(&format!("{n}")), Bytes::from_static(b"{}")).unwrap();
        }
        let found = Repo::find(Arc::new(store), None, Ahead::Nothing).unwrap();
        found.unlock(&passphrase(), lab.edges()).unwrap();
        assert!((1..=128).contains(&threads.lock().unwrap().len()));
    }

    #[test]
    fn what_is_remembered_is_believed_only_if_it_opens_and_is_in_the_bucket() {
        let lab = Lab::new();
        let sound = fs::read_to_string(lab.remembered()).unwrap();
        let other_key = sound.replace("\"wrapped_key\": \"", "\"wrapped_key\": \"0");
        let cut = other_key.rfind("\",\n  \"config\"").unwrap();
        let other_key = format!("{}{}", &other_key[..cut - 1], &other_key[cut..]);
        assert_eq!(other_key.len(), sound.len());
        for local in ["", "nonsense", &"x".repeat(sound.len()), &other_key] {
            fs::write(lab.remembered(), local).unwrap();
            lab.open(&passphrase()).unwrap();
            assert_eq!(fs::read_to_string(lab.remembered()).unwrap(), sound);
            let wrong = lab.open(&SecretText::new("wrong".to_owned()));
            assert!(matches!(wrong, Err(RepoError::WrongKey { slots: 1, .. })));
        }
        let key = layout::slot(&lab.remembered().file_name().unwrap().to_string_lossy());
        lab.store.delete(&key).unwrap();
        assert!(matches!(lab.open(&passphrase()), Err(RepoError::NoSlots { .. })));
    }
}
