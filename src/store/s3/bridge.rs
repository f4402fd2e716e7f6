//! From blocking calls into the S3 client's own runtime and back. The only place that knows that there are futures.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

/// Enough for sockets and TLS on a fast link; the heavy work is done by the callers' threads.
const MAX_THREADS: usize = 4;

/// A runtime of its own, so that the rest of the program has none.
pub(super) struct Bridge {
    /// Always there until the drop.
    runtime: Option<Runtime>,
}

impl Bridge {
    pub(super) fn new() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, MAX_THREADS));
        let runtime = Builder::new_multi_thread().worker_threads(threads).thread_name("ssb-s3").enable_all().build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `future` and blocks the calling thread until it is done, from whatever thread: the future itself runs on the
    /// runtime's threads, so that one in another runtime may call this too. `None` if the future panicked.
    pub(super) fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.runtime.as_ref()?.spawn(async move {
            // The receiver waits below for as long as this runs.
            let _ = sender.send(future.await);
        });
        receiver.recv().ok()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // A plain drop waits for the threads, and panics inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_inside_another_runtime_and_survives_a_panic() {
        let outer = Builder::new_current_thread().build().unwrap();
        outer.block_on(async {
            let bridge = Bridge::new().unwrap();
            assert_eq!(bridge.run(async { 7 }), Some(7));
            assert_eq!(bridge.run(async { if true { panic!("on purpose") } else { 7 } }), None);
            assert_eq!(bridge.run(async { 8 }), Some(8));
        });
    }
}
