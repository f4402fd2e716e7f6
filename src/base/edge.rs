//! Time, waiting and randomness as things that are passed in, so that everything above them is repeatable in a test.

use super::Cancel;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Tells the time. Decisions take a `Timestamp`; only the edges ask a clock.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Waits, and tells how long that took.
pub trait Pacer: Send + Sync {
    /// A time that only goes forward.
    fn now(&self) -> Duration;

    /// Waits; `false` if it was told to stop and what is waited for is to be given up.
    fn sleep(&self, time: Duration) -> bool;

    /// An even draw from 0 to below 1.
    fn jitter(&self) -> f64;
}

/// Gives random bytes fit for keys.
pub trait Entropy: Send + Sync {
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's wall clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The machine's stopwatch; a raised [`Cancel`] ends a wait.
pub struct SystemPacer {
    start: Instant,
    cancel: Cancel,
}

impl SystemPacer {
    pub fn new(cancel: Cancel) -> Self {
        Self { start: Instant::now(), cancel }
    }
}

impl Pacer for SystemPacer {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, time: Duration) -> bool {
        // Short enough that whoever interrupts does not notice, long enough to cost nothing.
        const STEP: Duration = Duration::from_millis(50);
        let end = self.now().saturating_add(time);
        while !self.cancel.is_cancelled() {
            let left = end.saturating_sub(self.now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(STEP));
        }
        false
    }

    fn jitter(&self) -> f64 {
        let drawn = u32::from_le_bytes(random(&SystemEntropy));
        f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The operating system's random number generator.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// If the operating system has no randomness to give: no key may be made without it, and nothing can go on.
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}

/// Draws `N` random bytes.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_ends_a_wait() {
        let cancel = Cancel::new();
        let pacer = SystemPacer::new(cancel.clone());
        assert!(pacer.sleep(Duration::from_millis(1)) && pacer.now() >= Duration::from_millis(1));
        cancel.cancel();
        assert!(!pacer.sleep(Duration::from_secs(3600)));
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let pacer = SystemPacer::new(Cancel::new());
        assert!((0..1000).map(|_| pacer.jitter()).all(|j| (0.0..1.0).contains(&j)));
    }
}
