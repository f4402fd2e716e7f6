//! A repository: what every command works with, and how one is made. [`Found`](super::Found) opens it again; what is done
//! with it lives in the layers above.

use super::cache::Cache;
use super::config::{FORMAT_VERSION, RepoConfig, StoredConfig};
use super::error::{RepoError, Result};
use super::gone::Gone;
use super::layout;
use super::slot::{Slot, SlotMaker};
use super::slot_cache::SlotCache;
use crate::base::edge::random;
use crate::base::{Clock, Entropy, Issue, IssueCode, Observer, Pacer, RepoId};
use crate::chunker::{Chunker, ChunkerParams};
use crate::crypto::{KdfParams, MasterKeys, SecretKey, SecretText};
use crate::store::{ObjectMeta, ObjectStore, list_all};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;

/// What comes in from outside: time, waiting, randomness, names, and where local copies may be kept.
#[derive(Clone)]
pub struct Edges {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// For waiting for others; ends it when the run is interrupted.
    pub pacer: Arc<dyn Pacer>,
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
    /// The snapshots that there were when the repository was opened, if that was asked for.
    pub(super) listed: Option<Vec<ObjectMeta>>,
    pub(super) gone: Gone,
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
        Self::refuse_existing(&*store)?;
        let keys = MasterKeys::new(SecretKey::from_bytes(random(&*edges.entropy)));
        let id = RepoId::from_bytes(random(&*edges.entropy));
        let created = edges.clock.now();
        let config = RepoConfig { ssb: "repository".to_owned(), format: FORMAT_VERSION, id, created, chunker };
        let stored = StoredConfig::create(&keys, config.clone())?;
        let maker = SlotMaker { created, host: edges.host.clone(), user: edges.user.clone() };
        let slot = Slot::create(&keys, &stored, passphrase, kdf, maker, &*edges.entropy)?;
        let slot_key = layout::slot(&hex::encode(random::<16>(&*edges.entropy)));
        let slot = Bytes::from(slot.encode()?);
        store.put_new(&slot_key, slot.clone())?;
        let text = stored.encode().into_bytes();
        // One that is there already may still be this one: a write whose answer was lost is tried again.
        if !store.put_new(layout::CONFIG, text.clone().into())? && store.get(layout::CONFIG)? != text {
            store.delete(&slot_key)?;
            return Err(RepoError::AlreadyExists { place: store.describe() });
        }
        SlotCache::for_store(&*store, edges.cache_root.as_deref()).put(&slot_key, &slot);
        Ok(Self::assemble(store, keys, config, edges))
    }

    /// # Errors
    /// [`RepoError::AlreadyExists`] if the store holds a repository, or what is left of one.
    pub fn refuse_existing(store: &dyn ObjectStore) -> Result<()> {
        if store.head(layout::CONFIG)?.is_some() || !list_all(store, layout::KEYS)?.is_empty() {
            return Err(RepoError::AlreadyExists { place: store.describe() });
        }
        Ok(())
    }

    pub(super) fn assemble(store: Arc<dyn ObjectStore>, keys: MasterKeys, config: RepoConfig, edges: Edges) -> Self {
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
        Self { store, keys, config, chunker, cache, edges, listed: None, gone: Gone::default() }
    }

    /// The same repository for another user of it in this process, who reaches it through a store of their own, is told
    /// things by an observer of their own and is stopped by a pacer of their own.
    pub fn beside(&self, store: Arc<dyn ObjectStore>, pacer: Arc<dyn Pacer>, observer: Arc<dyn Observer>) -> Self {
        let edges = Edges { pacer, observer, ..self.edges.clone() };
        Self::assemble(store, self.keys.clone(), self.config.clone(), edges)
    }

    /// A sentence for people, through the observer.
    pub fn note(&self, sentence: &str) {
        self.edges.observer.note(sentence);
    }
}
