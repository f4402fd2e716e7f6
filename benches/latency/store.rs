//! A store that answers as a distant one does: late. Objects lie in a directory. It limits no bandwidth and never fails.

use crate::support::Outcome;
use bytes::Bytes;
use ssb::base::{Cancel, SystemPacer};
use ssb::store::{
    Counters, CountingStore, DirectoryStore, LimitStore, ListPage, ObjectMeta, ObjectStore, OpenOptions, Result,
    RetryPolicy, RetryStore, list_all,
};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// Keys in one page of a listing and in one request to delete; what S3 allows.
const KEYS_PER_REQUEST: usize = 1000;

/// Waits before every request that an S3 server would be asked.
struct LatencyStore {
    inner: DirectoryStore,
    delay: Duration,
}

/// The store at `folder`, made if it is not there, below the decorators that stand on S3, with the same limit of calls at a
/// time.
pub fn distant(folder: &Path, delay: Duration, counters: Arc<Counters>) -> Outcome<Arc<dyn ObjectStore>> {
    let late = LatencyStore { inner: DirectoryStore::create(folder)?, delay };
    let limited = LimitStore::new(CountingStore::new(late, counters), OpenOptions::default().connections);
    let pacer = Arc::new(SystemPacer::new(Cancel::new()));
    Ok(Arc::new(RetryStore::new(limited, RetryPolicy::default(), pacer)))
}

impl ObjectStore for LatencyStore {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        sleep(self.delay);
        self.inner.put(key, body)
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        sleep(self.delay);
        self.inner.put_new(key, body)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        sleep(self.delay);
        self.inner.get(key)
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        sleep(self.delay);
        self.inner.get_range(key, offset, len_bytes)
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        sleep(self.delay);
        self.inner.head(key)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        let mut next = None;
        loop {
            let page = self.list_page(prefix, next.as_deref())?;
            page.objects.into_iter().for_each(&mut *each);
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    // A page begins after the last key of the page before, as on S3. The directory is read anew for each: that takes
    // nothing beside the delay.
    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        sleep(self.delay);
        let mut objects = list_all(&self.inner, prefix)?;
        objects.retain(|object| next.is_none_or(|after| object.key.as_str() > after));
        let has_more = objects.len() > KEYS_PER_REQUEST;
        objects.truncate(KEYS_PER_REQUEST);
        let next = objects.last().filter(|_| has_more).map(|last| last.key.clone());
        Ok(ListPage { objects, next })
    }

    fn delete(&self, key: &str) -> Result<()> {
        sleep(self.delay);
        self.inner.delete(key)
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        keys.chunks(KEYS_PER_REQUEST).try_for_each(|batch| {
            sleep(self.delay);
            self.inner.delete_many(batch)
        })
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    /// What it is there for: all layers above treat it as they treat a bucket.
    fn is_local(&self) -> bool {
        false
    }
}
