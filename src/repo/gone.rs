//! What is listed and yet gone. A server of several machines may go on listing for minutes what was deleted while one of
//! them was away, although every read says that it is gone. Names of segments, snapshots and condemned lists do not come
//! back, so one that was once found gone is left out of what is listed. Decides nothing: who meets something missing says
//! what is looked for.

use super::error::Result;
use super::layout;
use super::open::Repo;
use super::view::View;
use crate::base::{Cancel, parallel};
use crate::store::{ObjectMeta, list_all};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Names that are looked for at a time.
const WIDTH: usize = 64;

/// Names of objects that this client has deleted, or looked for and not found.
#[derive(Debug, Default)]
pub(super) struct Gone(Mutex<HashSet<String>>);

impl Gone {
    pub fn note(&self, key: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    pub fn contains(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl Repo {
    /// What is below `prefix`, of names that never come back, without those that are known to be gone.
    pub fn list_present(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let mut listed = list_all(&*self.store, prefix)?;
        listed.retain(|object| !self.gone.contains(&object.key));
        Ok(listed)
    }

    /// The names of all snapshots, segments and condemned lists. If they are the same before and after something was missed, and
    /// all are there, it is damage, for whatever lists a chunk now did so all the while. If not, others may have moved it, or
    /// freed it with the snapshots that needed it.
    pub fn names(&self) -> Result<HashSet<String>> {
        let mut names = HashSet::new();
        for prefix in [layout::SNAPSHOTS, layout::SEGMENTS, layout::CONDEMNED] {
            names.extend(self.list_present(prefix)?.into_iter().map(|object| object.key));
        }
        Ok(names)
    }

    /// Whether, since the names were as `before`, something has gone or a condemned list has come: for those to whom it costs
    /// too much to look again because of every backup.
    pub fn has_met_a_prune(&self, before: &HashSet<String>) -> Result<bool> {
        let now = self.names()?;
        let has_come = now.difference(before).any(|name| name.starts_with(layout::CONDEMNED));
        Ok(has_come || !before.is_subset(&now) || self.is_any_gone(before)?)
    }

    /// Looks for each of these names, which never come back; whether any is gone.
    pub fn is_any_gone(&self, names: &HashSet<String>) -> Result<bool> {
        let found = AtomicBool::new(false);
        parallel::for_each(names.iter(), WIDTH.min(names.len()), &Cancel::new(), |name| -> Result<()> {
            if self.gone.contains(name) || self.store.head(name)?.is_none() {
                self.gone.note(name.clone());
                found.store(true, Relaxed);
            }
            Ok(())
        })?;
        Ok(found.into_inner())
    }

    /// Takes in what has come and gone, by looking and not by listing alone: for who has missed what `view` says is there.
    pub fn refresh_by_looking(&self, view: &View, cancel: &Cancel) -> Result<()> {
        let known = view.index.segments()?.iter().map(layout::segment).collect();
        self.is_any_gone(&known)?;
        self.refresh(view, cancel)
    }
}
