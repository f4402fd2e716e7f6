//! A store in the memory of the process, for tests and dry experiments. It keeps the whole contract but survives
//! nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use super::key::{check_key, check_prefix};
use super::{ErrorKind, ObjectMeta, ObjectStore, Result, StoreError};
use crate::base::{Clock, SystemClock};

struct Object {
    body: Bytes,
    modified: Timestamp,
}

/// Objects in an ordered map behind a lock.
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Object>>,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// A store whose `modified` times are told by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Mutex::default(), clock }
    }

    // Nothing that runs under the lock can leave the map half changed, so a poisoned lock is as good as any.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, operation: &'static str, key: &str, message: &str) -> StoreError {
        StoreError::new(kind, operation, key, self.describe(), message)
    }

    fn insert(&self, operation: &'static str, key: &str, body: Bytes, only_new: bool) -> Result<bool> {
        check_key(operation, key, || self.describe())?;
        // A copy of its own: a small slice must not keep a large buffer of the caller alive.
        let body = Bytes::copy_from_slice(&body);
        let mut objects = self.objects();
        if only_new && objects.contains_key(key) {
            return Ok(false);
        }
        let taken = |name: &str| {
            let message = format!("the name is taken by {name}: no object lies inside another");
            Err(self.error(ErrorKind::Permanent, operation, key, &message))
        };
        if let Some((at, _)) = key.match_indices('/').find(|&(at, _)| objects.contains_key(&key[..at])) {
            return taken(&key[..at]);
        }
        if let Some((inside, _)) = objects.range(format!("{key}/")..).next().filter(|(k, _)| inside_of(k, key)) {
            return taken(inside);
        }
        objects.insert(key.to_owned(), Object { body, modified: self.clock.now() });
        Ok(true)
    }
}

fn inside_of(key: &str, parent: &str) -> bool {
    key.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

impl ObjectStore for MemoryStore {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.insert("put", key, body, false).map(|_| ())
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.insert("put", key, body, true)
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        check_key("get", key, || self.describe())?;
        match self.objects().get(key) {
            Some(object) => Ok(object.body.clone()),
            None => Err(self.error(ErrorKind::NotFound, "get", key, "there is no such object")),
        }
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        let body = self.get(key)?;
        let end = offset.checked_add(len_bytes).filter(|&end| end <= body.len() as u64);
        match end {
            Some(end) => Ok(body.slice(offset as usize..end as usize)),
            None => {
                let message = format!("bytes {offset}+{len_bytes} were asked for, but it has {} bytes", body.len());
                Err(self.error(ErrorKind::OutOfRange, "get", key, &message))
            }
        }
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        check_key("head", key, || self.describe())?;
        Ok(self.objects().get(key).map(|object| meta(key, object)))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        check_prefix(prefix, || self.describe())?;
        // Collected first: the caller may use the store while it looks at what it is given.
        let found: Vec<_> = self
            .objects()
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, object)| meta(key, object))
            .collect();
        found.into_iter().for_each(each);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        check_key("delete", key, || self.describe())?;
        self.objects().remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn is_local(&self) -> bool {
        true
    }
}

fn meta(key: &str, object: &Object) -> ObjectMeta {
    ObjectMeta { key: key.to_owned(), size_bytes: object.body.len() as u64, modified: object.modified }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    #[test]
    fn modified_comes_from_the_injected_clock() {
        let store = MemoryStore::with_clock(Arc::new(Fixed));
        store.put("a", Bytes::from_static(b"x")).unwrap();
        assert_eq!(store.head("a").unwrap().unwrap().modified, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn listing_may_use_the_store() {
        let store = MemoryStore::new();
        for key in ["a", "b", "c"] {
            store.put(key, Bytes::new()).unwrap();
        }
        store.list("", &mut |meta| store.delete(&meta.key).unwrap()).unwrap();
        assert_eq!(crate::store::list_all(&store, "").unwrap(), vec![]);
    }
}
