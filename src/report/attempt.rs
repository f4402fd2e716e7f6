//! Trying again what may pass. Knows nothing of channels.

use crate::base::Pacer;
use std::time::Duration;

const TRIES: usize = 3;
/// Between the tries, at most; drawn from the upper half.
const WAITS: [Duration; TRIES - 1] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Why a try failed, in words without secrets.
#[derive(Debug)]
pub(super) enum Fault {
    /// May go better in a moment.
    Passing(String),
    /// Will be the same next time.
    Lasting(String),
}

impl Fault {
    pub fn lasting(sentence: impl Into<String>) -> Self {
        Self::Lasting(sentence.into())
    }
}

/// Up to three tries.
pub(super) fn attempt(pacer: &dyn Pacer, mut call: impl FnMut() -> Result<(), Fault>) -> Result<(), String> {
    for wait in WAITS {
        match call() {
            Ok(()) => return Ok(()),
            Err(Fault::Lasting(sentence)) => return Err(sentence),
            Err(Fault::Passing(sentence)) => {
                tracing::debug!(error = sentence, "a channel failed; trying again");
                // Whoever interrupts does not want to wait, but one try is due to those who are to be told.
                if !pacer.sleep(wait.mul_f64(0.5 + 0.5 * pacer.jitter())) {
                    return Err(sentence);
                }
            }
        }
    }
    call().map_err(|fault| match fault {
        Fault::Lasting(sentence) => sentence,
        Fault::Passing(sentence) => format!("{sentence} (tried {TRIES} times)"),
    })
}
