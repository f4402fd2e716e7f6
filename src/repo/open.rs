//! A repository: created, found, unlocked. What is done with it lives in the layers above.

use super::cache::Cache;
use super::config::{FORMAT_VERSION, RepoConfig, StoredConfig};
use super::error::{RepoError, Result};
use super::layout;
use super::slot::{Slot, SlotMaker};
use crate::base::edge::random;
use crate::base::{Clock, Entropy, Issue, IssueCode, Observer, RepoId};
use crate::chunker::{Chunker, ChunkerParams};
use crate::crypto::{KdfParams, MasterKeys, SecretKey, SecretText};
use crate::store::{ErrorKind, ObjectMeta, ObjectStore, list_all};
use std::path::PathBuf;
use std::sync::Arc;

/// What comes in from outside: time, randomness, names, and where local copies may be kept.
#[derive(Clone)]
pub struct Edges {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub host: String,
    pub user: String,
    /// The folder that holds one cache per repository; `None` = keep nothing.
    pub cache_root: Option<PathBuf>,
    pub observer: Arc<dyn Observer>,
}

/// An unlocked repository.
pub struct Repo {
    pub store: Arc<dyn ObjectStore>,
    pub keys: MasterKeys,
    pub config: RepoConfig,
    pub chunker: Chunker,
    pub cache: Cache,
    pub edges: Edges,
}

/// A repository that was found but not unlocked yet.
pub struct Found {
    store: Arc<dyn ObjectStore>,
    config: Option<StoredConfig>,
    config_problem: Option<RepoError>,
    slots: Vec<(String, Slot)>,
    slot_problem: Option<RepoError>,
}

impl Repo {
    /// Makes a new repository. The slot is written before `config`, so that a crash in between leaves something that
    /// opens.
    pub fn create(
        store: Arc<dyn ObjectStore>,
        passphrase: &SecretText,
        kdf: KdfParams,
        chunker: ChunkerParams,
        edges: Edges,
    ) -> Result<Self> {
        let exists = || RepoError::AlreadyExists { place: store.describe() };
        if store.head(layout::CONFIG)?.is_some() || !list_all(&*store, layout::KEYS)?.is_empty() {
            return Err(exists());
        }
        let keys = MasterKeys::new(SecretKey::from_bytes(random(&*edges.entropy)));
        let id = RepoId::from_bytes(random(&*edges.entropy));
        let created = edges.clock.now();
        let config = RepoConfig { ssb: "repository".to_owned(), format: FORMAT_VERSION, id, created, chunker };
        let stored = StoredConfig::create(&keys, config.clone())?;
        let maker = SlotMaker { created, host: edges.host.clone(), user: edges.user.clone() };
        let slot = Slot::create(&keys, &stored, passphrase, kdf, maker, &*edges.entropy)?;
        let slot_key = layout::slot(&hex::encode(random::<16>(&*edges.entropy)));
        store.put_new(&slot_key, slot.encode()?.into())?;
        let text = stored.encode().into_bytes();
        // One that is there already may still be this one: a write whose answer was lost is tried again.
        if !store.put_new(layout::CONFIG, text.clone().into())? && store.get(layout::CONFIG)? != text {
            store.delete(&slot_key)?;
            return Err(exists());
        }
        Ok(Self::assemble(store, keys, config, edges))
    }

    /// Looks for a repository, without a key.
    pub fn find(store: Arc<dyn ObjectStore>) -> Result<Found> {
        let place = store.describe();
        let (config, config_problem) = match store.get(layout::CONFIG) {
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
        let listed = list_all(&*store, layout::KEYS)?;
        let (mut slots, mut slot_problem) = (Vec::new(), None);
        for ObjectMeta { key, .. } in &listed {
            match store.get(key).map_err(RepoError::from).and_then(|bytes| Slot::decode(key, &bytes)) {
                Ok(slot) => slots.push((key.clone(), slot)),
                Err(error @ RepoError::Store(_)) => return Err(error),
                Err(error) => slot_problem = Some(error),
            }
        }
        if listed.is_empty() {
            if config.is_some() || config_problem.is_some() {
                return Err(RepoError::NoSlots { place });
            }
            let orphaned = !list_all(&*store, layout::SNAPSHOTS)?.is_empty();
            return Err(if orphaned { RepoError::NoConfig { place } } else { RepoError::NoRepository { place } });
        }
        Ok(Found { store, config, config_problem, slots, slot_problem })
    }

    fn assemble(store: Arc<dyn ObjectStore>, keys: MasterKeys, config: RepoConfig, edges: Edges) -> Self {
        let cache = match &edges.cache_root {
            None => Cache::default(),
            Some(root) => Cache::open(root.join(config.id.to_string())).unwrap_or_else(|error| {
                let next = "the run goes on without it, but slower; set SSB_CACHE_DIR to a folder that can be written";
                let what = format!("cannot be used as a cache: {error}");
                edges.observer.issue(&Issue::new(IssueCode::CacheUnusable, root.display().to_string(), what, next));
                Cache::default()
            }),
        };
        let chunker = Chunker::new(config.chunker, &keys.gear_bytes());
        Self { store, keys, config, chunker, cache, edges }
    }

    /// A sentence for people, through the observer.
    pub fn note(&self, sentence: &str) {
        self.edges.observer.note(sentence);
    }
}

impl Found {
    /// Opens the first slot that the passphrase fits. A lost `config` is put back from the slot's copy; a damaged one is
    /// worked around and left for `check` to name.
    pub fn unlock(self, passphrase: &SecretText, edges: Edges) -> Result<Repo> {
        let place = self.store.describe();
        let Some((slot, keys)) = self.slots.iter().find_map(|(_, slot)| Some((slot, slot.open(passphrase)?))) else {
            // With a damaged slot about, a passphrase that fits none says little.
            let wrong = RepoError::WrongKey { place, slots: self.slots.len() };
            return Err(self.slot_problem.filter(|_| self.slots.is_empty()).unwrap_or(wrong));
        };
        let verified = self.config.map(|config| config.verify(&keys).map(|()| config));
        let (stored, problem) = match verified {
            Some(Ok(config)) => (config, None),
            Some(Err(error)) => (slot.config()?, Some(error)),
            None => (slot.config()?, self.config_problem),
        };
        stored.verify(&keys)?;
        match problem {
            Some(error) => {
                let next = "it was read from the key slot's copy; delete the object, and the next run puts it back";
                edges.observer.issue(&Issue::new(IssueCode::DamagedObject, layout::CONFIG, error.to_string(), next));
            }
            None if self.store.head(layout::CONFIG)?.is_none() => {
                self.store.put_new(layout::CONFIG, stored.encode().into_bytes().into())?;
                edges.observer.note("the object 'config' was missing and was put back from the key slot's copy");
            }
            None => {}
        }
        Ok(Repo::assemble(self.store, keys, stored.config, edges))
    }
}
