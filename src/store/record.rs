//! Keeps the sequence of calls of a store, for tests of the order in which a repository changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::{ListPage, ObjectMeta, ObjectStore, Operation, Result};

/// One call that has returned. `started` and `finished` are places in one common order of events: a call with
/// `a.finished < b.started` was over before `b` began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCall {
    pub operation: Operation,
    /// The key or prefix. Many deletes at once are recorded as one [`Operation::DeleteMany`] per key.
    pub key: String,
    pub started: u64,
    pub finished: u64,
    pub ok: bool,
}

/// Records every call that goes through to `inner`.
pub struct RecordStore<S> {
    inner: S,
    ticks: AtomicU64,
    calls: Mutex<Vec<RecordedCall>>,
    is_distant: bool,
}

impl<S: ObjectStore> RecordStore<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, ticks: AtomicU64::new(0), calls: Mutex::default(), is_distant: false }
    }

    /// Records, and passes off a local store as one that is worth a cache.
    pub fn distant(inner: S) -> Self {
        Self { is_distant: true, ..Self::new(inner) }
    }

    /// The calls that have returned, in the order in which they started.
    pub fn calls(&self) -> Vec<RecordedCall> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        calls.sort_by_key(|call| call.started);
        calls
    }

    /// Gives the calls as [`Self::calls`] does, and forgets them.
    pub fn take(&self) -> Vec<RecordedCall> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        calls.sort_by_key(|call| call.started);
        calls
    }

    /// What the calls go through to.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn record<T>(&self, operation: Operation, key: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = self.tick();
        let result = call();
        self.push(operation, key, started, self.tick(), result.is_ok());
        result
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn push(&self, operation: Operation, key: &str, started: u64, finished: u64, ok: bool) {
        let call = RecordedCall { operation, key: key.to_owned(), started, finished, ok };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

impl<S: ObjectStore> ObjectStore for RecordStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.record(Operation::Put, key, || self.inner.put(key, body))
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.record(Operation::PutNew, key, || self.inner.put_new(key, body))
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        self.record(Operation::Get, key, || self.inner.get(key))
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.record(Operation::GetRange, key, || self.inner.get_range(key, offset, len_bytes))
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.record(Operation::Head, key, || self.inner.head(key))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        self.record(Operation::List, prefix, || self.inner.list(prefix, each))
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        self.record(Operation::List, prefix, || self.inner.list_page(prefix, next))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.record(Operation::Delete, key, || self.inner.delete(key))
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        let started = self.tick();
        let result = self.inner.delete_many(keys);
        let finished = self.tick();
        keys.iter().for_each(|key| self.push(Operation::DeleteMany, key, started, finished, result.is_ok()));
        result
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn is_local(&self) -> bool {
        !self.is_distant && self.inner.is_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn tells_what_was_called_in_which_order_and_whether_it_worked() {
        let store = RecordStore::new(MemoryStore::new());
        store.put_new("a", Bytes::new()).unwrap();
        store.get("b").unwrap_err();
        store.delete_many(&["a".to_owned(), "b".to_owned()]).unwrap();

        let calls = store.take();
        let short: Vec<_> = calls.iter().map(|c| (c.operation, c.key.as_str(), c.ok)).collect();
        let many = Operation::DeleteMany;
        assert_eq!(
            short,
            [(Operation::PutNew, "a", true), (Operation::Get, "b", false), (many, "a", true), (many, "b", true)]
        );
        assert!(calls[0].finished < calls[1].started && calls[1].finished < calls[2].started);
        assert!(store.calls().is_empty());
    }
}
