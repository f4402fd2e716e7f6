//! Faults on purpose, for tests: a plan says for every call whether it fails, and how. Never used outside tests, but
//! part of the library so that the tests of every layer can share it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{ErrorKind, ListPage, ObjectMeta, ObjectStore, Operation, Result, StoreError};

/// The call that a plan decides on.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// 0 for the first call of the store.
    pub index: u64,
    pub operation: Operation,
    /// The key or prefix; the first key of many deletes.
    pub key: &'a str,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Fails and does nothing.
    FailBefore(ErrorKind),
    /// Does it all, and fails: the answer was lost.
    LoseAnswer(ErrorKind),
    /// A read gives the first half of its bytes and calls that success: a damaged object. Other calls are unharmed.
    Truncate,
    /// Waits before it does what it should.
    Delay(Duration),
}

type Plan = dyn FnMut(&Call<'_>) -> Fault + Send;

/// Does to the calls of `inner` what its plan says.
pub struct FaultStore<S> {
    inner: S,
    calls: AtomicU64,
    plan: Mutex<Box<Plan>>,
}

impl<S: ObjectStore> FaultStore<S> {
    /// `plan` is asked once for each call, one call at a time.
    pub fn new(inner: S, plan: impl FnMut(&Call<'_>) -> Fault + Send + 'static) -> Self {
        Self { inner, calls: AtomicU64::new(0), plan: Mutex::new(Box::new(plan)) }
    }

    /// Call number `index` (from 0) is hit by `fault`, the others are not.
    pub fn nth(inner: S, index: u64, fault: Fault) -> Self {
        Self::new(inner, move |call| if call.index == index { fault } else { Fault::None })
    }

    /// Every call from number `index` on fails before it does anything, for good: as if the process had died there.
    pub fn dead_from(inner: S, index: u64) -> Self {
        Self::new(
            inner,
            move |call| if call.index >= index { Fault::FailBefore(ErrorKind::Permanent) } else { Fault::None },
        )
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// What the calls go through to.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn run<T>(&self, operation: Operation, key: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        self.run_torn(operation, key, call, |whole| whole)
    }

    fn run_torn<T>(
        &self,
        operation: Operation,
        key: &str,
        call: impl FnOnce() -> Result<T>,
        tear: impl FnOnce(T) -> T,
    ) -> Result<T> {
        let fault = {
            // Numbered under the lock, so that the plan sees the calls in the order of their numbers.
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan(&Call { index: self.calls.fetch_add(1, Ordering::SeqCst), operation, key })
        };
        match fault {
            Fault::None => call(),
            Fault::FailBefore(kind) => Err(self.error(kind, operation, key)),
            Fault::LoseAnswer(kind) => {
                call()?;
                Err(self.error(kind, operation, key))
            }
            Fault::Truncate => call().map(tear),
            Fault::Delay(time) => {
                std::thread::sleep(time);
                call()
            }
        }
    }

    fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> StoreError {
        StoreError::new(kind, operation.name(), key, self.describe(), "a fault on purpose")
    }
}

fn half(body: Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

impl<S: ObjectStore> ObjectStore for FaultStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.run(Operation::Put, key, || self.inner.put(key, body))
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.run(Operation::PutNew, key, || self.inner.put_new(key, body))
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        self.run_torn(Operation::Get, key, || self.inner.get(key), half)
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.run_torn(Operation::GetRange, key, || self.inner.get_range(key, offset, len_bytes), half)
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.run(Operation::Head, key, || self.inner.head(key))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        self.run(Operation::List, prefix, || self.inner.list(prefix, each))
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        self.run(Operation::List, prefix, || self.inner.list_page(prefix, next))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.run(Operation::Delete, key, || self.inner.delete(key))
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        let first = keys.first().map_or("", String::as_str);
        self.run(Operation::DeleteMany, first, || self.inner.delete_many(keys))
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
    fn each_fault_does_what_it_says() {
        let store = FaultStore::nth(MemoryStore::new(), 0, Fault::FailBefore(ErrorKind::Transient));
        assert_eq!(store.put("a", Bytes::new()).unwrap_err().kind, ErrorKind::Transient);
        assert!(store.head("a").unwrap().is_none());

        let store = FaultStore::nth(MemoryStore::new(), 0, Fault::LoseAnswer(ErrorKind::Unreachable));
        assert_eq!(store.put("a", Bytes::from_static(b"1234")).unwrap_err().kind, ErrorKind::Unreachable);
        assert_eq!(store.get("a").unwrap().as_ref(), b"1234");

        let store = FaultStore::nth(store, 0, Fault::Truncate);
        assert_eq!(store.get("a").unwrap().as_ref(), b"12");
        assert_eq!(store.get("a").unwrap().as_ref(), b"1234");
    }

    #[test]
    fn dead_means_dead() {
        let store = FaultStore::dead_from(MemoryStore::new(), 1);
        store.put("a", Bytes::new()).unwrap();
        for _ in 0..3 {
            assert_eq!(store.put("b", Bytes::new()).unwrap_err().kind, ErrorKind::Permanent);
        }
        assert_eq!((store.calls(), store.inner().head("b").unwrap()), (4, None));
    }
}
