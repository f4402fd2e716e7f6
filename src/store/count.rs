//! Counts the requests and bytes that go to a store. Stands below the retries, so that it sees every try.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ListPage, ObjectMeta, ObjectStore, Result, list_by_pages};

/// How many keys go into one delete request; what S3 allows.
pub(super) const DELETE_BATCH: usize = 1000;

/// Requests by what they are billed as, and bytes of bodies. Failed tries count as requests but not as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    pub put: u64,
    pub get: u64,
    pub list: u64,
    pub head: u64,
    pub delete: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
}

impl RequestCounts {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.put + self.get + self.list + self.head + self.delete
    }
}

impl Sub for RequestCounts {
    type Output = Self;

    /// What came after `earlier`; 0 and not less where it counted more.
    fn sub(self, earlier: Self) -> Self {
        Self {
            put: self.put.saturating_sub(earlier.put),
            get: self.get.saturating_sub(earlier.get),
            list: self.list.saturating_sub(earlier.list),
            head: self.head.saturating_sub(earlier.head),
            delete: self.delete.saturating_sub(earlier.delete),
            bytes_up: self.bytes_up.saturating_sub(earlier.bytes_up),
            bytes_down: self.bytes_down.saturating_sub(earlier.bytes_down),
        }
    }
}

/// The running counts; shared between the store and whoever reports.
#[derive(Debug, Default)]
pub struct Counters {
    put: AtomicU64,
    get: AtomicU64,
    list: AtomicU64,
    head: AtomicU64,
    delete: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl Counters {
    /// The counts now; of counts that change meanwhile, each is right by itself.
    pub fn snapshot(&self) -> RequestCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RequestCounts {
            put: read(&self.put),
            get: read(&self.get),
            list: read(&self.list),
            head: read(&self.head),
            delete: read(&self.delete),
            bytes_up: read(&self.bytes_up),
            bytes_down: read(&self.bytes_down),
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Counts what goes through to `inner`. A page of a listing and a batch of deletes are one request each.
pub struct CountingStore<S> {
    inner: S,
    counters: Arc<Counters>,
}

impl<S: ObjectStore> CountingStore<S> {
    pub fn new(inner: S, counters: Arc<Counters>) -> Self {
        Self { inner, counters }
    }

    fn received(&self, got: Result<Bytes>) -> Result<Bytes> {
        if let Ok(body) = &got {
            add(&self.counters.bytes_down, body.len() as u64);
        }
        got
    }
}

impl<S: ObjectStore> ObjectStore for CountingStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        add(&self.counters.put, 1);
        let len = body.len() as u64;
        self.inner.put(key, body).inspect(|()| add(&self.counters.bytes_up, len))
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        add(&self.counters.put, 1);
        let len = body.len() as u64;
        self.inner.put_new(key, body).inspect(|&written| add(&self.counters.bytes_up, if written { len } else { 0 }))
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        add(&self.counters.get, 1);
        self.received(self.inner.get(key))
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        add(&self.counters.get, 1);
        self.received(self.inner.get_range(key, offset, len_bytes))
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        add(&self.counters.head, 1);
        self.inner.head(key)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        list_by_pages(|next| self.list_page(prefix, next), each)
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        add(&self.counters.list, 1);
        self.inner.list_page(prefix, next)
    }

    fn delete(&self, key: &str) -> Result<()> {
        add(&self.counters.delete, 1);
        self.inner.delete(key)
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        keys.chunks(DELETE_BATCH).try_for_each(|batch| {
            add(&self.counters.delete, 1);
            self.inner.delete_many(batch)
        })
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn counts_requests_and_bytes_and_what_came_after() {
        let counters = Arc::new(Counters::default());
        let store = CountingStore::new(MemoryStore::new(), counters.clone());
        store.put("a", Bytes::from_static(b"1234")).unwrap();
        let before = counters.snapshot();
        assert_eq!(before, RequestCounts { put: 1, bytes_up: 4, ..Default::default() });

        assert!(!store.put_new("a", Bytes::from_static(b"12345678")).unwrap());
        store.get("a").unwrap();
        store.get_range("a", 1, 2).unwrap();
        store.get("absent").unwrap_err();
        store.head("a").unwrap();
        crate::store::list_all(&store, "").unwrap();
        store.delete("a").unwrap();
        store.delete_many(&(0..1001).map(|i| format!("k{i}")).collect::<Vec<_>>()).unwrap();

        let wanted = RequestCounts { put: 1, get: 3, list: 1, head: 1, delete: 3, bytes_up: 0, bytes_down: 6 };
        assert_eq!(counters.snapshot() - before, wanted);
        assert_eq!(wanted.requests(), 9);
        assert_eq!(before - counters.snapshot(), RequestCounts::default());
    }
}
