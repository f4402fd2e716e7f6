//! Trying out what safety without locks rests on: that a store shows at once what was written, replaced and deleted. Writes
//! one object under a name of its own and removes it again; touches nothing else.

use super::error::{OpsError, Result};
use crate::base::edge::random;
use crate::base::{Clock, Entropy};
use crate::repo::layout;
use crate::store::{ErrorKind, ObjectStore, list_all};
use serde::Serialize;

/// What a store that can be used does beyond what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// It refuses to write an object that exists, where that is asked for. Nothing depends on it but that two `init` at the
    /// same moment do not both succeed.
    pub refuses_to_overwrite: bool,
    /// By how much its clock is ahead of this machine's, to a second or so. Only its own is ever used.
    pub clock_ahead_ms: i64,
}

/// Tries a store out.
///
/// # Errors
/// [`OpsError::StaleStore`] if it shows something else than what was last done.
pub fn run(store: &dyn ObjectStore, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Probed> {
    let key = layout::probe(&hex::encode(random::<16>(entropy)));
    let probed = write_and_look(store, &key, clock);
    // Whatever was found; and what cannot be deleted is no reason to hide it.
    let deleted = store.delete(&key);
    let probed = probed?;
    deleted?;
    let is_gone = matches!(store.get(&key), Err(error) if error.kind == ErrorKind::NotFound);
    if !is_gone || is_listed(store, &key)? {
        return Err(stale(store, "still shows an object after it was deleted"));
    }
    Ok(probed)
}

fn write_and_look(store: &dyn ObjectStore, key: &str, clock: &dyn Clock) -> Result<Probed> {
    let shows = |body: &str| matches!(store.get(key), Ok(bytes) if bytes == body);
    store.put_new(key, "first".into())?;
    let written = store.head(key)?;
    let Some(written) = written.filter(|_| shows("first") && matches!(is_listed(store, key), Ok(true))) else {
        return Err(stale(store, "does not show an object right after it was written"));
    };
    let clock_ahead_ms = written.modified.duration_since(clock.now()).as_millis() as i64;
    let refuses_to_overwrite = !store.put_new(key, "second".into())?;
    if !shows(if refuses_to_overwrite { "first" } else { "second" }) {
        return Err(stale(store, "does not do what it says when an object is written that exists"));
    }
    store.put(key, "third".into())?;
    if !shows("third") {
        return Err(stale(store, "shows the old content of an object after it was replaced"));
    }
    Ok(Probed { refuses_to_overwrite, clock_ahead_ms })
}

fn is_listed(store: &dyn ObjectStore, key: &str) -> Result<bool> {
    Ok(list_all(store, layout::PROBES)?.iter().any(|object| object.key == key))
}

fn stale(store: &dyn ObjectStore, what: &'static str) -> OpsError {
    OpsError::StaleStore { store: store.describe(), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{SystemClock, SystemEntropy};
    use crate::store::{DryRunStore, MemoryStore};

    #[test]
    fn a_sound_store_is_left_as_it_was() {
        let store = MemoryStore::new();
        let probed = run(&store, &SystemClock, &SystemEntropy).unwrap();
        assert!(probed.refuses_to_overwrite && probed.clock_ahead_ms.abs() < 10_000, "{probed:?}");
        assert!(list_all(&store, "").unwrap().is_empty());
    }

    #[test]
    fn a_store_that_does_not_show_what_was_written_is_refused() {
        let store = DryRunStore::new(MemoryStore::new());
        let error = run(&store, &SystemClock, &SystemEntropy).unwrap_err();
        assert!(matches!(error, OpsError::StaleStore { what, .. } if what.contains("right after")), "{error}");
    }
}
