//! Bounds how many bytes of bodies go through a store in a second, over all of its calls. It holds on average: a single
//! body passes as fast as it can, and the next one waits until its turn has come. Does not count what is not a body
//! (listings, headers), and does not bound how many calls run at once.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{ListPage, ObjectMeta, ObjectStore, Result};
use crate::base::Pacer;

/// Bodies up to this length queue apart from longer ones, so that a sign of life does not wait behind minutes of packs.
const SMALL_BYTES: u64 = 64 << 10;

/// Bytes per second; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub upload: Option<NonZeroU64>,
    pub download: Option<NonZeroU64>,
}

/// Lets calls through to `inner` at these rates. Stands above the retries, so that waiting for a turn is no part of a
/// call's time, and above the limit of calls, so that nobody holds a place while waiting. A raised cancel flag (by the
/// pacer) ends the waiting; what is still to be done is then done at once.
pub struct ThrottleStore<S> {
    inner: S,
    up: Option<Queue>,
    down: Option<Queue>,
    pacer: Arc<dyn Pacer>,
}

impl<S: ObjectStore> ThrottleStore<S> {
    pub fn new(inner: S, rates: Rates, pacer: Arc<dyn Pacer>) -> Self {
        Self { inner, up: rates.upload.map(Queue::new), down: rates.download.map(Queue::new), pacer }
    }

    fn send<T>(&self, bytes: usize, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(queue) = &self.up else { return call() };
        let turn = queue.book(self.pacer.now(), bytes as u64);
        self.wait_until(turn.begin);
        let result = call();
        self.wait_until(turn.end);
        result
    }

    /// How long a body is shows when it is there, so its turn is booked afterwards; who got it waits for the turn's end.
    fn receive(&self, call: impl FnOnce() -> Result<Bytes>) -> Result<Bytes> {
        let body = call()?;
        if let Some(queue) = &self.down {
            self.wait_until(queue.book(self.pacer.now(), body.len() as u64).end);
        }
        Ok(body)
    }

    fn wait_until(&self, time: Duration) {
        let left = time.saturating_sub(self.pacer.now());
        if !left.is_zero() {
            // Interrupted or not, the call goes on.
            self.pacer.sleep(left);
        }
    }
}

/// When a body may pass, and when it would have passed at the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    begin: Duration,
    end: Duration,
}

/// Turns one after the other, in the order in which they are booked; every caller has one at a time, so all get the same
/// share. The lock is held for booking only.
struct Queue {
    bytes_per_s: NonZeroU64,
    ends: Mutex<Ends>,
}

/// When the last turns end that were booked.
#[derive(Default)]
struct Ends {
    /// That of all bytes, small bodies among them: a long body waits for everything that came before it.
    all: Duration,
    /// That of small bodies. They wait for each other only, but those behind them wait for them too, so that the rate holds
    /// in the long run.
    small: Duration,
}

impl Queue {
    fn new(bytes_per_s: NonZeroU64) -> Self {
        Self { bytes_per_s, ends: Mutex::default() }
    }

    fn book(&self, now: Duration, bytes: u64) -> Turn {
        let takes = self.time_for(bytes);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = if bytes <= SMALL_BYTES { ends.small.max(now) } else { ends.all.max(now) };
        ends.all = ends.all.max(now).saturating_add(takes);
        if bytes <= SMALL_BYTES {
            ends.small = begin.saturating_add(takes);
        }
        Turn { begin, end: begin.saturating_add(takes) }
    }

    fn time_for(&self, bytes: u64) -> Duration {
        let rate = self.bytes_per_s.get();
        let nanoseconds = u128::from(bytes % rate) * 1_000_000_000 / u128::from(rate);
        Duration::new(bytes / rate, nanoseconds as u32)
    }
}

impl<S: ObjectStore> ObjectStore for ThrottleStore<S> {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.send(body.len(), || self.inner.put(key, body))
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        self.send(body.len(), || self.inner.put_new(key, body))
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        self.receive(|| self.inner.get(key))
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        self.receive(|| self.inner.get_range(key, offset, len_bytes))
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
        self.inner.delete(key)
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
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
    use crate::base::{Cancel, SystemPacer};
    use crate::store::MemoryStore;

    /// Time that only sleeping moves, and that may refuse to.
    #[derive(Default)]
    struct FakePacer {
        now: Mutex<Duration>,
        is_cancelled: bool,
    }

    impl Pacer for FakePacer {
        fn now(&self) -> Duration {
            *self.now.lock().unwrap()
        }

        fn sleep(&self, time: Duration) -> bool {
            if !self.is_cancelled {
                *self.now.lock().unwrap() += time;
            }
            !self.is_cancelled
        }

        fn jitter(&self) -> f64 {
            0.0
        }
    }

    const MIB: usize = 1 << 20;

    fn rates(upload_bytes: u64, download_bytes: u64) -> Rates {
        Rates { upload: NonZeroU64::new(upload_bytes), download: NonZeroU64::new(download_bytes) }
    }

    fn throttled(pacer: &Arc<FakePacer>, rates: Rates) -> ThrottleStore<MemoryStore> {
        ThrottleStore::new(MemoryStore::new(), rates, pacer.clone())
    }

    fn mebibytes(count: usize) -> Bytes {
        Bytes::from(vec![7; count * MIB])
    }

    #[test]
    fn bodies_take_the_time_that_the_rates_give_them() {
        let pacer = Arc::new(FakePacer::default());
        let store = throttled(&pacer, rates(MIB as u64, 2 * MIB as u64));
        let seconds = || pacer.now().as_secs_f64();
        store.put("a", mebibytes(3)).unwrap();
        assert_eq!(seconds(), 3.0);
        assert!(!store.put_new("a", mebibytes(1)).unwrap());
        assert_eq!(seconds(), 4.0);
        store.get("a").unwrap();
        assert_eq!(seconds(), 5.5);
        store.get_range("a", 0, MIB as u64).unwrap();
        assert_eq!(seconds(), 6.0);
        // No body, no time.
        store.get("absent").unwrap_err();
        store.get_range("a", 0, u64::MAX).unwrap_err();
        store.head("a").unwrap();
        crate::store::list_all(&store, "").unwrap();
        store.delete("a").unwrap();
        assert_eq!(seconds(), 6.0);
    }

    #[test]
    fn one_direction_does_not_wait_for_the_other_and_none_is_no_limit() {
        let pacer = Arc::new(FakePacer::default());
        let store = throttled(&pacer, rates(0, 1));
        store.put("a", mebibytes(64)).unwrap();
        assert_eq!(pacer.now(), Duration::ZERO);
        let store = throttled(&pacer, rates(1, 0));
        store.put("a", Bytes::from_static(b"12")).unwrap();
        (0..100).for_each(|_| drop(store.get("a").unwrap()));
        assert_eq!(pacer.now(), Duration::from_secs(2));
    }

    /// What was not used while nothing was to be sent is not made up for.
    #[test]
    fn idle_time_is_no_credit() {
        let pacer = Arc::new(FakePacer::default());
        let store = throttled(&pacer, rates(MIB as u64, 0));
        pacer.sleep(Duration::from_secs(1000));
        (0..5).for_each(|_| store.put("a", mebibytes(1)).unwrap());
        assert_eq!(pacer.now(), Duration::from_secs(1005));
    }

    #[test]
    fn turns_follow_each_other_in_the_order_of_booking() {
        let queue = Queue::new(NonZeroU64::new(MIB as u64).unwrap());
        let turns: Vec<Turn> = (0..4).map(|_| queue.book(Duration::from_secs(1), 2 * MIB as u64)).collect();
        for (turn, begin) in turns.iter().zip([1, 3, 5, 7]) {
            assert_eq!((turn.begin.as_secs(), turn.end.as_secs()), (begin, begin + 2));
        }
    }

    #[test]
    fn small_bodies_do_not_wait_for_long_ones_but_count() {
        let queue = Queue::new(NonZeroU64::new(1024).unwrap());
        let (now, small) = (Duration::from_secs(5), SMALL_BYTES);
        assert_eq!(queue.book(now, 1 << 20).begin, now);
        assert_eq!(queue.book(now, small), Turn { begin: now, end: now + Duration::from_secs(64) });
        assert_eq!(queue.book(now, small).begin, now + Duration::from_secs(64), "small ones alone keep the rate too");
        assert_eq!(queue.book(now, small + 1).begin, now + Duration::from_secs(1024 + 64 + 64));
    }

    #[test]
    fn any_length_and_any_rate_has_a_time() {
        for (rate, bytes, seconds) in [(1, u64::MAX, u64::MAX), (u64::MAX, 1, 0), (u64::MAX, u64::MAX, 1), (3, 10, 3)] {
            let queue = Queue::new(NonZeroU64::new(rate).unwrap());
            assert_eq!(queue.time_for(bytes).as_secs(), seconds, "{bytes} at {rate}");
            queue.book(Duration::MAX, bytes);
            assert_eq!(queue.book(Duration::ZERO, bytes).end, Duration::MAX);
        }
    }

    #[test]
    fn an_interrupt_lets_everything_through() {
        let pacer = Arc::new(FakePacer { is_cancelled: true, ..Default::default() });
        let store = throttled(&pacer, rates(1, 1));
        store.put("a", mebibytes(1)).unwrap();
        assert_eq!(store.get("a").unwrap(), mebibytes(1));
    }

    #[test]
    fn many_threads_together_are_no_faster() {
        let pacer = Arc::new(SystemPacer::new(Cancel::new()));
        let store = ThrottleStore::new(MemoryStore::new(), rates(4_000_000, 0), pacer.clone());
        let begun = pacer.now();
        std::thread::scope(|scope| {
            for t in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    (0..2).for_each(|n| store.put(&format!("{t}/{n}"), Bytes::from(vec![1; 100_000])).unwrap());
                });
            }
        });
        assert!(pacer.now() - begun >= Duration::from_millis(400), "1.6 MB took {:?}", pacer.now() - begun);
        assert_eq!(crate::store::list_all(&store, "").unwrap().len(), 16);
    }
}
