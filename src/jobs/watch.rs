//! Ends a job when its time is over or the run is interrupted. Ends nothing by force: the job sees its flag.

use crate::base::{Cancel, Pacer};
use crossbeam_channel::{RecvTimeoutError, bounded};
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// Calls `work` with a flag of its own, which is raised when `cancel` is or when the time is over; tells whether it was.
pub(super) fn within<T>(
    limit: Option<Duration>,
    pacer: &dyn Pacer,
    cancel: &Cancel,
    work: impl FnOnce(&Cancel) -> T,
) -> (T, bool) {
    let own = Cancel::new();
    let (done, watched) = bounded::<()>(0);
    let end = limit.map(|limit| pacer.now().saturating_add(limit));
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            // Ends at once when the other side is gone.
            while let Err(RecvTimeoutError::Timeout) = watched.recv_timeout(LOOK) {
                let is_late = end.is_some_and(|end| pacer.now() >= end);
                if is_late || cancel.is_cancelled() {
                    own.cancel();
                    return is_late && !cancel.is_cancelled();
                }
            }
            false
        });
        let result = work(&own);
        drop(done);
        (result, watch.join().unwrap_or(false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemPacer;

    #[test]
    fn time_over_interrupted_or_done() {
        let cancel = Cancel::new();
        let pacer = SystemPacer::new(cancel.clone());
        let wait = |own: &Cancel| {
            while !own.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        assert_eq!(within(Some(Duration::from_millis(10)), &pacer, &cancel, wait), ((), true));
        assert_eq!(within(Some(Duration::from_secs(3600)), &pacer, &cancel, |_| 7), (7, false));
        cancel.cancel();
        assert_eq!(within(None, &pacer, &cancel, wait), ((), false));
    }
}
