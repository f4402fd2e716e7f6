//! Tries a failed call again where that can help. Decides only how often and how long; what is worth another try says
//! [`ErrorKind::is_retryable`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{ErrorKind, ListPage, ObjectMeta, ObjectStore, Result, StoreError, list_by_pages};
use crate::base::Pacer;

/// How long a call is tried. Times count from the start of the call and include the tries themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest wait after the first failure; it doubles with each failure. Waits are drawn from the upper half.
    pub first_delay: Duration,
    /// Bound of the doubling.
    pub max_delay: Duration,
    /// No try starts later than this while the store has never answered: a wrong address is told soon. Nor once a call was
    /// given up and none has succeeded since: what a run still has to do at its end must not make an outage longer.
    pub unreachable_total: Duration,
    /// No try starts later than this otherwise, whether the store now fails or cannot be reached.
    pub transient_total: Duration,
}

impl Default for RetryPolicy {
    /// 10 s for a store that was never reached or is out, 5 minutes for one that may come back.
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(20),
            unreachable_total: Duration::from_secs(10),
            transient_total: Duration::from_secs(300),
        }
    }
}

/// Tries calls of `inner` again as its policy says. A write whose answer was lost is written again, so `put_new` may
/// answer `Ok(false)` for an object that this very call has written; its contract makes both the same.
pub struct RetryStore<S> {
    inner: S,
    policy: RetryPolicy,
    pacer: Arc<dyn Pacer>,
    answered: AtomicBool,
    /// A call was given up, and none has succeeded since.
    is_out: AtomicBool,
}

impl<S: ObjectStore> RetryStore<S> {
    pub fn new(inner: S, policy: RetryPolicy, pacer: Arc<dyn Pacer>) -> Self {
        Self { inner, policy, pacer, answered: AtomicBool::new(false), is_out: AtomicBool::new(false) }
    }

    fn run<T>(&self, mut call: impl FnMut() -> Result<T>) -> Result<T> {
        let start = self.pacer.now();
        let mut bound = self.policy.first_delay;
        let mut tries = 0_u64;
        loop {
            tries += 1;
            let error = match call() {
                Ok(value) => {
                    self.answered.store(true, Ordering::Relaxed);
                    self.is_out.store(false, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) => error,
            };
            if error.kind != ErrorKind::Unreachable {
                self.answered.store(true, Ordering::Relaxed);
            }
            if !error.kind.is_retryable() {
                self.is_out.store(false, Ordering::Relaxed);
                return Err(error);
            }
            let delay = bound.mul_f64(0.5 + 0.5 * self.pacer.jitter());
            let elapsed = self.pacer.now().saturating_sub(start);
            if elapsed + delay > self.total() {
                self.is_out.store(true, Ordering::Relaxed);
                return Err(given_up(error, tries, elapsed));
            }
            if !self.wait(&error, delay) {
                return Err(error);
            }
            bound = (bound * 2).min(self.policy.max_delay);
        }
    }

    fn total(&self) -> Duration {
        let is_worth_waiting = self.answered.load(Ordering::Relaxed) && !self.is_out.load(Ordering::Relaxed);
        if is_worth_waiting { self.policy.transient_total } else { self.policy.unreachable_total }
    }

    fn wait(&self, error: &StoreError, delay: Duration) -> bool {
        tracing::info!(%error, delay_ms = delay.as_millis() as u64, "the store failed; trying again");
        self.pacer.sleep(delay)
    }
}

/// Says how long the patience was, so that nobody takes an outage for a hiccup.
fn given_up(error: StoreError, tries: u64, elapsed: Duration) -> StoreError {
    let message = format!("{} (tried {tries} times in {} s)", error.message, elapsed.as_secs());
    StoreError { message, ..error }
}

impl<S: ObjectStore> ObjectStore for RetryStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.run(|| self.inner.put(key, body.clone()))
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.run(|| self.inner.put_new(key, body.clone()))
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        self.run(|| self.inner.get(key))
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.run(|| self.inner.get_range(key, offset, len_bytes))
    }

    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.run(|| self.inner.head(key))
    }

    // Page by page: a page that failed is asked for again before any of its objects is given, so none is given twice,
    // and a long listing does not start over.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        list_by_pages(|next| self.list_page(prefix, next), each)
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        self.run(|| self.inner.list_page(prefix, next))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.run(|| self.inner.delete(key))
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        // In batches, so that a failure late in a long list does not repeat all of it.
        keys.chunks(super::count::DELETE_BATCH).try_for_each(|batch| self.run(|| self.inner.delete_many(batch)))
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }
}

#[cfg(test)]
mod tests;
