//! Which failures are tried again, how often, and what becomes of lost answers.

use super::*;
use crate::store::{Call, Fault, FaultStore, MemoryStore, Operation, list_all};
use std::sync::Mutex;

/// A clock that only the sleeps and the tries move.
#[derive(Default)]
struct FakePacer {
    now: Mutex<Duration>,
    sleeps: Mutex<Vec<Duration>>,
    jitter: f64,
    stop_after: Option<usize>,
}

impl Pacer for FakePacer {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, time: Duration) -> bool {
        *self.now.lock().unwrap() += time;
        let mut sleeps = self.sleeps.lock().unwrap();
        sleeps.push(time);
        self.stop_after.is_none_or(|n| sleeps.len() < n)
    }

    fn jitter(&self) -> f64 {
        self.jitter
    }
}

fn retrying(
    pacer: &Arc<FakePacer>,
    plan: impl FnMut(&Call<'_>) -> Fault + Send + 'static,
) -> RetryStore<FaultStore<MemoryStore>> {
    let store = FaultStore::new(MemoryStore::new(), plan);
    RetryStore::new(store, RetryPolicy::default(), pacer.clone())
}

fn fail_first(n: u64, kind: ErrorKind) -> impl FnMut(&Call<'_>) -> Fault + Send + 'static {
    move |call| if call.index < n { Fault::FailBefore(kind) } else { Fault::None }
}

#[test]
fn a_passing_failure_is_not_seen() {
    let pacer = Arc::new(FakePacer::default());
    let store = retrying(&pacer, fail_first(3, ErrorKind::Transient));
    store.put("a", Bytes::from_static(b"x")).unwrap();
    assert_eq!(store.get("a").unwrap().as_ref(), b"x");
    assert_eq!(store.inner.calls(), 5);
}

#[test]
fn waits_double_up_to_the_bound_and_jitter_takes_at_most_half() {
    for (jitter, share) in [(0.0, 0.5), (0.999_999, 1.0)] {
        let pacer = Arc::new(FakePacer { jitter, ..Default::default() });
        let store = retrying(&pacer, fail_first(9, ErrorKind::Transient));
        store.head("a").unwrap();
        let sleeps = pacer.sleeps.lock().unwrap().clone();
        for (i, sleep) in sleeps.iter().enumerate() {
            let bound = Duration::from_millis(250 << i).min(Duration::from_secs(20)).mul_f64(share);
            assert!(sleep.abs_diff(bound) < Duration::from_millis(1), "{i}: {sleep:?} is not {bound:?}");
        }
        assert_eq!(sleeps.len(), 9);
    }
}

#[test]
fn what_cannot_help_is_not_tried_again() {
    use ErrorKind::{Denied, Full, NoBucket, NotFound, OutOfRange, Permanent};
    for kind in [NotFound, OutOfRange, NoBucket, Denied, Full, Permanent] {
        let pacer = Arc::new(FakePacer::default());
        let store = retrying(&pacer, fail_first(1, kind));
        assert_eq!(store.get("a").unwrap_err().kind, kind);
        assert_eq!(store.inner.calls(), 1, "{kind:?}");
    }
}

#[test]
fn a_store_that_never_answers_is_given_up_within_its_total() {
    let pacer = Arc::new(FakePacer { jitter: 0.5, ..Default::default() });
    let store = retrying(&pacer, fail_first(u64::MAX, ErrorKind::Unreachable));
    assert_eq!(store.get("a").unwrap_err().kind, ErrorKind::Unreachable);
    assert!(pacer.now() <= RetryPolicy::default().unreachable_total);
    assert!(store.inner.calls() >= 3);
}

#[test]
fn a_store_that_answered_before_is_waited_for_longer() {
    let pacer = Arc::new(FakePacer::default());
    let store = retrying(&pacer, |call| match call.index {
        0 => Fault::None,
        _ => Fault::FailBefore(ErrorKind::Unreachable),
    });
    store.put("a", Bytes::new()).unwrap();
    store.get("a").unwrap_err();
    assert!(pacer.now() > RetryPolicy::default().unreachable_total);
    assert!(pacer.now() <= RetryPolicy::default().transient_total);
}

#[test]
fn a_lost_answer_of_put_new_is_no_error() {
    let pacer = Arc::new(FakePacer::default());
    let store = retrying(&pacer, |call| match call.index {
        0 => Fault::LoseAnswer(ErrorKind::Transient),
        _ => Fault::None,
    });
    assert!(!store.put_new("a", Bytes::from_static(b"mine")).unwrap());
    assert_eq!(store.get("a").unwrap().as_ref(), b"mine");
}

#[test]
fn a_listing_that_failed_gives_nothing_twice() {
    let pacer = Arc::new(FakePacer::default());
    let mut lists = 0;
    let store = retrying(&pacer, move |call| {
        lists += u64::from(call.operation == Operation::List);
        if call.operation == Operation::List && lists <= 2 {
            Fault::LoseAnswer(ErrorKind::Transient)
        } else {
            Fault::None
        }
    });
    for i in 0..10 {
        store.put(&format!("k{i}"), Bytes::new()).unwrap();
    }
    assert_eq!(list_all(&store, "").unwrap().len(), 10);
}

#[test]
fn an_interrupt_ends_the_waiting() {
    let pacer = Arc::new(FakePacer { stop_after: Some(2), ..Default::default() });
    let store = retrying(&pacer, fail_first(u64::MAX, ErrorKind::Transient));
    store.get("a").unwrap_err();
    assert_eq!(store.inner.calls(), 2);
}

#[test]
fn what_comes_after_a_call_was_given_up_is_given_up_soon() {
    let pacer = Arc::new(FakePacer { jitter: 0.5, ..Default::default() });
    let is_out = Arc::new(AtomicBool::new(false));
    let out = is_out.clone();
    let store = retrying(&pacer, move |_| match out.load(Ordering::Relaxed) {
        true => Fault::FailBefore(ErrorKind::Transient),
        false => Fault::None,
    });
    let policy = RetryPolicy::default();
    let took = |call: &dyn Fn() -> bool| {
        let begun = pacer.now();
        assert!(!call(), "the store is out");
        pacer.now() - begun
    };
    store.put("a", Bytes::new()).unwrap();
    for _ in 0..2 {
        is_out.store(true, Ordering::Relaxed);
        assert!(took(&|| store.put("b", Bytes::new()).is_ok()) > policy.transient_total / 2);
        assert!(took(&|| store.get("a").is_ok()) <= policy.unreachable_total);
        assert!(took(&|| store.delete("a").is_ok()) <= policy.unreachable_total);
        // Back again, it is waited for as before.
        is_out.store(false, Ordering::Relaxed);
        store.get("a").unwrap();
    }
}

#[test]
fn who_gives_up_says_how_often_and_how_long_was_tried() {
    let pacer = Arc::new(FakePacer { jitter: 0.5, ..Default::default() });
    let store = retrying(&pacer, |_| Fault::FailBefore(ErrorKind::Transient));
    let message = store.get("a").unwrap_err().message;
    let expected = format!("a fault on purpose (tried {} times in {} s)", store.inner.calls(), pacer.now().as_secs());
    assert_eq!(message, expected);
    let refused = retrying(&pacer, |_| Fault::FailBefore(ErrorKind::Denied));
    assert_eq!(refused.get("a").unwrap_err().message, "a fault on purpose");
}
