//! Sends a run through channels whose ends a test holds.

use std::sync::Mutex;
use std::time::Duration;

use ssb::base::Pacer;
use ssb::config::{Reports, Secret};
use ssb::crypto::SecretText;
use ssb::report::{Courier, Delivery, Mask, Outcome, RunRecord};

/// Waits for nothing, and remembers how often it was asked to.
#[derive(Default)]
pub struct NoWait(pub Mutex<Vec<Duration>>);

impl Pacer for NoWait {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, time: Duration) -> bool {
        self.0.lock().unwrap().push(time);
        true
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

/// Secrets that stand in the config themselves; a variable of the environment is one that cannot be found.
pub fn resolve(_: &str, secret: &Secret) -> Result<SecretText, String> {
    match secret {
        Secret::Value(text) => Ok(text.clone()),
        _ => Err("the variable SLACK_URL is not set".to_owned()),
    }
}

pub fn reports(toml: &str) -> Reports {
    toml::from_str(toml).unwrap()
}

pub fn deliver(settings: &Reports, record: &RunRecord, history: &[RunRecord]) -> Vec<Outcome> {
    deliver_masked(settings, record, history, &Mask::default(), false)
}

pub fn deliver_masked(
    settings: &Reports,
    record: &RunRecord,
    history: &[RunRecord],
    mask: &Mask,
    is_test: bool,
) -> Vec<Outcome> {
    Courier { settings, resolve: &resolve, mask, pacer: &NoWait::default(), is_test }.deliver(record, history)
}

/// What became of the channel.
pub fn of<'o>(outcomes: &'o [Outcome], channel: &str) -> &'o Delivery {
    &outcomes.iter().find(|outcome| outcome.channel == channel).unwrap().delivery
}

/// Why the channel failed.
pub fn failure<'o>(outcomes: &'o [Outcome], channel: &str) -> &'o str {
    match of(outcomes, channel) {
        Delivery::Failed(sentence) => sentence,
        other => panic!("{channel}: {other:?}"),
    }
}
