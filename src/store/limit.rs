//! Bounds how many calls of a store run at once. Does not order them and does not limit bandwidth.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

use bytes::Bytes;

use super::{ListPage, ObjectMeta, ObjectStore, Result, list_by_pages};

/// Lets at most so many calls through to `inner` at a time; the others wait. Stands below the retries, so that a call
/// that waits for its next try lets others pass.
pub struct LimitStore<S> {
    inner: S,
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to one call; gives itself back.
struct Permit<'a, S>(&'a LimitStore<S>);

impl<S> Drop for Permit<'_, S> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl<S: ObjectStore> LimitStore<S> {
    pub fn new(inner: S, max_calls: NonZeroUsize) -> Self {
        Self { inner, free: Mutex::new(max_calls.get()), freed: Condvar::new() }
    }

    fn permit(&self) -> Permit<'_, S> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Permit(self)
    }
}

impl<S: ObjectStore> ObjectStore for LimitStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let _permit = self.permit();
        self.inner.put(key, body)
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        let _permit = self.permit();
        self.inner.put_new(key, body)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        let _permit = self.permit();
        self.inner.get(key)
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        let _permit = self.permit();
        self.inner.get_range(key, offset, len_bytes)
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let _permit = self.permit();
        self.inner.head(key)
    }

    // Page by page, and `each` runs without a permit: it may call the store, and with one permit in all it would wait
    // for itself.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        list_by_pages(|next| self.list_page(prefix, next), each)
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        let _permit = self.permit();
        self.inner.list_page(prefix, next)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let _permit = self.permit();
        self.inner.delete(key)
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        let _permit = self.permit();
        self.inner.delete_many(keys)
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
    use crate::store::{Call, Fault, FaultStore, MemoryStore};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn never_more_than_the_limit_and_no_call_is_lost() {
        let inside = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        // The plan is asked inside the limit, and the answer is given outside of it: a probe for overlap.
        let (count, peak) = (inside.clone(), most.clone());
        let probe = FaultStore::new(MemoryStore::new(), move |_: &Call<'_>| {
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            count.fetch_sub(1, Ordering::SeqCst);
            Fault::None
        });
        let store = LimitStore::new(probe, NonZeroUsize::new(3).unwrap());
        std::thread::scope(|scope| {
            for t in 0..16 {
                let store = &store;
                scope.spawn(move || (0..50).for_each(|i| store.put(&format!("{t}/{i}"), Bytes::new()).unwrap()));
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 3);
        assert_eq!(crate::store::list_all(&store, "").unwrap().len(), 800);
    }

    #[test]
    fn one_permit_is_enough_to_list_and_read() {
        let store = LimitStore::new(MemoryStore::new(), NonZeroUsize::MIN);
        store.put("a", Bytes::from_static(b"x")).unwrap();
        let mut seen = 0;
        store.list("", &mut |meta| seen += store.get(&meta.key).unwrap().len()).unwrap();
        assert_eq!(seen, 1);
        store.get("absent").unwrap_err();
        store.get("a").unwrap();
    }
}
