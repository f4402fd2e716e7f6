//! Doing one blocking thing for many items on a few threads.

use super::Cancel;
use std::sync::{Mutex, PoisonError};

/// Bytes of objects that are fetched at a time, and bounds for their number: the smaller they are, the more a round trip
/// weighs.
const FETCH_BYTES: u64 = 16 << 20;
const FETCH_FEWEST: u64 = 4;
const FETCH_MOST: u64 = 128;

/// How many objects of these sizes are best fetched at a time.
pub fn fetch_width(sizes_bytes: impl Iterator<Item = u64>) -> usize {
    let largest = sizes_bytes.max().unwrap_or(0).max(1);
    (FETCH_BYTES / largest).clamp(FETCH_FEWEST, FETCH_MOST) as usize
}

/// Does two blocking things at the same time, the first on a thread of its own.
pub fn both<A: Send, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), second)
    })
}

/// Calls `work` for each item, on up to `width` threads, until one fails or `cancel` is raised; gives the first error.
/// `items` is drawn from lazily, so nothing piles up.
pub fn for_each<T: Send, E: Send>(
    items: impl Iterator<Item = T> + Send,
    width: usize,
    cancel: &Cancel,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let items = Mutex::new(items.fuse());
    let failure: Mutex<Option<E>> = Mutex::new(None);
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let lane = || {
        while !cancel.is_cancelled() && !failed() {
            let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(item) = next else { break };
            if let Err(error) = work(item) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..width {
            scope.spawn(lane);
        }
        lane();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn all_items_or_the_first_error() {
        let sum = AtomicU32::new(0);
        let add = |n: u32| {
            sum.fetch_add(n, Ordering::Relaxed);
            if n == 77 { Err(n) } else { Ok(()) }
        };
        assert_eq!(for_each(0..50, 4, &Cancel::new(), add), Ok(()));
        assert_eq!(sum.load(Ordering::Relaxed), 1225);
        assert_eq!(for_each(0..1000, 4, &Cancel::new(), add), Err(77));
        assert!(sum.load(Ordering::Relaxed) < 1225 + 1000 * 999 / 2);
    }

    #[test]
    fn cancelled_work_is_not_begun() {
        let cancel = Cancel::new();
        cancel.cancel();
        assert_eq!(for_each(0..10, 2, &cancel, |_| Err(())), Ok(()));
    }
}
