//! From a location to a store that is ready for use: the one place that knows which decorators stand on which.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{
    Counters, CountingStore, DirectoryStore, LimitStore, Location, ObjectStore, Rates, Result, RetryPolicy, RetryStore,
    S3Settings, S3Store, ThrottleStore,
};
use crate::base::{Cancel, SystemPacer};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Make the directory if it is not there. A bucket is never made: who may write objects often may not, and its
    /// region and rules are not ours to choose.
    pub create: bool,
    /// The most calls at a time, on S3; who calls sets narrower bounds where objects are large. A directory takes as many as
    /// come.
    pub connections: NonZeroUsize,
    /// Bytes of bodies per second, over all calls; on a directory too, which may lie on another machine.
    pub rates: Rates,
    pub s3: S3Settings,
    pub retry: RetryPolicy,
    /// Ends the waiting for another try, and for a turn.
    pub cancel: Cancel,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: false,
            connections: NonZeroUsize::MIN.saturating_add(127),
            rates: Rates::default(),
            s3: S3Settings::default(),
            retry: RetryPolicy::default(),
            cancel: Cancel::new(),
        }
    }
}

/// An open store and the counts of all requests that it makes, every try of them.
pub struct Opened {
    pub store: Arc<dyn ObjectStore>,
    pub counters: Arc<Counters>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("store", &self.store.describe()).field("counters", &self.counters).finish()
    }
}

/// Opens the store at `location`. An S3 server is not asked anything yet.
///
/// # Errors
/// [`NoBucket`](super::ErrorKind::NoBucket) if there is no such directory and `create` is off, and what
/// [`DirectoryStore::open`], [`DirectoryStore::create`] and [`S3Store::connect`] say.
pub fn open(location: &Location, options: &OpenOptions) -> Result<Opened> {
    let counters = Arc::new(Counters::default());
    let pacer = Arc::new(SystemPacer::new(options.cancel.clone()));
    // Counting stands lowest and sees every try; the limit stands below the retries, so that nobody holds a place while
    // waiting for another try; the rates stand above them, so that waiting for a turn takes no time from the tries.
    let store: Arc<dyn ObjectStore> = match location {
        Location::Directory(path) => {
            let directory = if options.create { DirectoryStore::create(path) } else { DirectoryStore::open(path) }?;
            let counted = CountingStore::new(directory, counters.clone());
            throttled(RetryStore::new(counted, options.retry.clone(), pacer.clone()), options.rates, pacer)
        }
        Location::S3(location) => {
            let s3 = S3Store::connect(location, &options.s3)?;
            let limited = LimitStore::new(CountingStore::new(s3, counters.clone()), options.connections);
            throttled(RetryStore::new(limited, options.retry.clone(), pacer.clone()), options.rates, pacer)
        }
    };
    Ok(Opened { store, counters })
}

fn throttled(store: impl ObjectStore + 'static, rates: Rates, pacer: Arc<SystemPacer>) -> Arc<dyn ObjectStore> {
    if rates == Rates::default() { Arc::new(store) } else { Arc::new(ThrottleStore::new(store, rates, pacer)) }
}
