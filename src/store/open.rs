//! From a location to a store that is ready for use: the one place that knows which decorators stand on which.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{
    Counters, CountingStore, DirectoryStore, LimitStore, Location, ObjectStore, Result, RetryPolicy, RetryStore,
    S3Settings, S3Store,
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
    pub s3: S3Settings,
    pub retry: RetryPolicy,
    /// Ends the waiting for another try.
    pub cancel: Cancel,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: false,
            connections: NonZeroUsize::MIN.saturating_add(127),
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
    // waiting for another try.
    let store: Arc<dyn ObjectStore> = match location {
        Location::Directory(path) => {
            let directory = if options.create { DirectoryStore::create(path) } else { DirectoryStore::open(path) }?;
            Arc::new(RetryStore::new(CountingStore::new(directory, counters.clone()), options.retry.clone(), pacer))
        }
        Location::S3(location) => {
            let s3 = S3Store::connect(location, &options.s3)?;
            let limited = LimitStore::new(CountingStore::new(s3, counters.clone()), options.connections);
            Arc::new(RetryStore::new(limited, options.retry.clone(), pacer))
        }
    };
    Ok(Opened { store, counters })
}
