//! A store that only looks as if it wrote: for dry runs. Reads see what the store really holds, never what was dropped.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::key::check_key;
use super::{ListPage, ObjectMeta, ObjectStore, Result};

/// What a dry run did not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub puts: u64,
    pub put_bytes: u64,
    /// Objects, not requests.
    pub deletes: u64,
}

/// Passes reads through to `inner`; counts and drops writes and deletes.
pub struct DryRunStore<S> {
    inner: S,
    puts: AtomicU64,
    put_bytes: AtomicU64,
    deletes: AtomicU64,
}

impl<S: ObjectStore> DryRunStore<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, puts: AtomicU64::new(0), put_bytes: AtomicU64::new(0), deletes: AtomicU64::new(0) }
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        Dropped {
            puts: self.puts.load(Ordering::Relaxed),
            put_bytes: self.put_bytes.load(Ordering::Relaxed),
            deletes: self.deletes.load(Ordering::Relaxed),
        }
    }
}

impl<S: ObjectStore> ObjectStore for DryRunStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        check_key("put", key, || self.describe())?;
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.put_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        if self.inner.head(key)?.is_some() {
            return Ok(false);
        }
        self.put(key, body).map(|()| true)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        self.inner.get(key)
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.inner.get_range(key, offset, len_bytes)
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.inner.head(key)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        self.inner.list(prefix, each)
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        self.inner.list_page(prefix, next)
    }

    fn delete(&self, key: &str) -> Result<()> {
        check_key("delete", key, || self.describe())?;
        self.deletes.fetch_add(1, Ordering::Relaxed);
        Ok(())
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
    use crate::store::{MemoryStore, list_all};

    #[test]
    fn writes_and_deletes_change_nothing_and_are_counted() {
        let inner = MemoryStore::new();
        inner.put("a", Bytes::from_static(b"old")).unwrap();
        let store = DryRunStore::new(inner);
        store.put("a", Bytes::from_static(b"newer")).unwrap();
        assert!(!store.put_new("a", Bytes::from_static(b"xx")).unwrap());
        assert!(store.put_new("b", Bytes::from_static(b"yy")).unwrap());
        store.delete("a").unwrap();
        store.delete_many(&["a".to_owned(), "b".to_owned()]).unwrap();

        assert_eq!(store.dropped(), Dropped { puts: 2, put_bytes: 7, deletes: 3 });
        assert_eq!(store.get("a").unwrap().as_ref(), b"old");
        assert_eq!(list_all(&store, "").unwrap().len(), 1);
        assert!(store.put("A", Bytes::new()).is_err(), "a dry run refuses what the store would refuse");
    }
}
