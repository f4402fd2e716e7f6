//! Object stores: flat names to immutable bytes. Knows nothing of what the bytes mean.
//!
//! The contract that every implementation keeps, and that one conformance suite holds them to:
//!
//! * A key is 1 to 512 bytes of `a-z 0-9 . _ - /`, without empty, `.` or `..` components. No key is a proper
//!   component-wise prefix of another (`a` and `a/b` never both exist).
//! * `put` and `put_new` are atomic: at every moment a reader sees either nothing (or, for `put`, the old bytes) or all
//!   of the new bytes. After they return, every later call of any client sees the object, and it survives a power cut.
//! * `put_new` never changes an existing object where the store has conditional writes; where it has none (see
//!   [`ObjectStore::put_new`]) it may replace it. Callers therefore use it only for names that are hashes of the bytes
//!   or random, where both amount to the same.
//! * `list` gives every object that existed during the whole call; one written or deleted meanwhile may be given or not.
//! * `delete` of what is not there succeeds.
//! * Errors tell by [`ErrorKind`] whether trying again can help. An error of a write says nothing about whether the
//!   write took place.

mod count;
mod directory;
mod dry;
mod error;
mod fault;
mod key;
mod limit;
mod location;
mod memory;
mod open;
mod operation;
mod record;
mod retry;
mod s3;
mod throttle;

pub use count::{Counters, CountingStore, RequestCounts};
pub use directory::DirectoryStore;
pub use dry::{Dropped, DryRunStore};
pub use error::{ErrorKind, StoreError};
pub use fault::{Call, Fault, FaultStore};
pub use key::{MAX_KEY_BYTES, is_key, is_prefix};
pub use limit::LimitStore;
pub use location::{Location, LocationError, S3Location};
pub use memory::MemoryStore;
pub use open::{OpenOptions, Opened, open};
pub use operation::Operation;
pub use record::{RecordStore, RecordedCall};
pub use retry::{RetryPolicy, RetryStore};
pub use s3::{S3Settings, S3Store, ServerEncryption, StaticCredentials, UploadCheck};
pub use throttle::{Rates, ThrottleStore};

use bytes::Bytes;
use jiff::Timestamp;

/// Result of every store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What a store tells of an object without giving its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    pub key: String,
    pub size_bytes: u64,
    /// When it was last written, by the store's clock.
    pub modified: Timestamp,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    pub objects: Vec<ObjectMeta>,
    /// What to ask for the next page with; `None` after the last.
    pub next: Option<String>,
}

/// A flat, strongly consistent object store; blocking calls, shared by many threads.
pub trait ObjectStore: Send + Sync {
    /// Writes `body`, replacing what is there.
    fn put(&self, key: &str, body: Bytes) -> Result<()>;

    /// Writes `body` unless the key exists. `Ok(true)`: written; `Ok(false)`: it existed and was left alone. A store
    /// without conditional writes may answer `Ok(true)` and have replaced the object.
    fn put_new(&self, key: &str, body: Bytes) -> Result<bool>;

    /// The whole object; [`ErrorKind::NotFound`] if there is none.
    fn get(&self, key: &str) -> Result<Bytes>;

    /// Exactly `len_bytes` bytes from `offset`; [`ErrorKind::NotFound`] if there is no object,
    /// [`ErrorKind::OutOfRange`] if it is shorter than that. `len_bytes` is not 0.
    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes>;

    /// `None` if there is no such object.
    fn head(&self, key: &str) -> Result<Option<ObjectMeta>>;

    /// Calls `each` for every object whose key starts with `prefix` (which ends with `/` or is empty), in no promised
    /// order.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()>;

    /// One page of [`ObjectStore::list`], so that a long listing can go on after a failure: the first with `None`, the
    /// others with the `next` of the page before. A store without pages gives everything at once.
    fn list_page(&self, prefix: &str, _next: Option<&str>) -> Result<ListPage> {
        let mut objects = Vec::new();
        self.list(prefix, &mut |meta| objects.push(meta))?;
        Ok(ListPage { objects, next: None })
    }

    /// Removes the object if it is there.
    fn delete(&self, key: &str) -> Result<()>;

    /// Removes many objects with as few requests as the store allows; stops at the first error.
    fn delete_many(&self, keys: &[String]) -> Result<()> {
        keys.iter().try_for_each(|key| self.delete(key))
    }

    /// What a person calls this store: a path or a URL, without credentials.
    fn describe(&self) -> String;

    /// True if reads cost no network round trip, so that a local copy of an object is not worth its space.
    fn is_local(&self) -> bool;
}

/// Every object under `prefix`, in one vector, ordered by key.
pub fn list_all(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<ObjectMeta>> {
    let mut found = Vec::new();
    store.list(prefix, &mut |meta| found.push(meta))?;
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// [`ObjectStore::list`] by way of [`ObjectStore::list_page`], for stores and decorators that do something per page.
fn list_by_pages(
    mut page: impl FnMut(Option<&str>) -> Result<ListPage>,
    each: &mut dyn FnMut(ObjectMeta),
) -> Result<()> {
    let mut next = None;
    loop {
        let found = page(next.as_deref())?;
        found.objects.into_iter().for_each(&mut *each);
        match found.next {
            Some(token) => next = Some(token),
            None => return Ok(()),
        }
    }
}

/// A shared store is a store, so that a decorator can stand on one that others use too.
impl<S: ObjectStore + ?Sized> ObjectStore for std::sync::Arc<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        (**self).put(key, body)
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        (**self).put_new(key, body)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        (**self).get(key)
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        (**self).get_range(key, offset, len_bytes)
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        (**self).head(key)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        (**self).list(prefix, each)
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        (**self).list_page(prefix, next)
    }

    fn delete(&self, key: &str) -> Result<()> {
        (**self).delete(key)
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        (**self).delete_many(keys)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}
