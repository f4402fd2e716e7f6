//! Repairing: lists what is there and listed nowhere, saves what is whole in damaged packs, and writes snapshots anew
//! without what is lost. Brings back nothing that is neither in the bucket nor in this machine's cache, and deletes no pack.
//!
//! All three are writers as the repository's format means it, and safe beside backups, prunes and each other:
//!
//! * Each opens a session (w1) before it reads anything (w2). Whatever no condemned list names then stays until the session
//!   ends, because every prune meets the session before it deletes. What is condemned may vanish at any moment, so nothing
//!   is built upon it alone.
//! * Each writes packs, then segments, then snapshots, and looks for its own session (w5) before it deletes or condemns
//!   anything. One that was fenced leaves its segments: others may count on them, and what they list that is gone by then
//!   has been condemned before.
//! * A segment is deleted only after others list all that it listed and that is there. The segments are looked at before
//!   the packs, so a pack is never taken for missing because it came late; what writers list meanwhile is left alone.
//! * Packs are condemned, not deleted: that is left to a prune, which meets every writer that may count on them.
//! * The clients' own indexes drop the packs of a deleted segment, and with them whatever they had noted as whole, when
//!   they sync. So the next backup stores again what no segment lists any more.
//!
//! A crash at any point leaves what was there, or things listed or stored twice.

pub mod index;
pub mod packs;
mod present;
mod rewrite;
mod segments;
pub mod snapshots;

use super::error::{OpsError, Result};
use crate::base::Cancel;
use crate::repo::{Repo, RepoError, Session, View, layout};
use crate::store::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// This repair's session; none for a dry run, which only looks.
struct Announced(Option<Session>);

impl Announced {
    /// (w1)
    fn open(repo: &Repo, command: &str, dry_run: bool) -> Result<Self> {
        Ok(Self(if dry_run { None } else { Some(Session::open(repo, command)?) }))
    }

    /// (w5) Before anything is deleted, condemned or taken for committed.
    fn check(&self) -> Result<()> {
        match &self.0 {
            Some(session) if !session.is_still_open()? => Err(OpsError::Fenced),
            _ => Ok(()),
        }
    }

    /// (w6)
    fn close(self) -> Result<()> {
        self.0.map_or(Ok(()), |session| Ok(session.close()?))
    }
}

fn stop_if(cancel: &Cancel) -> Result<()> {
    if cancel.is_cancelled() { Err(RepoError::Interrupted.into()) } else { Ok(()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong with an object that is named beside it.
fn reason(error: &RepoError) -> String {
    match error {
        RepoError::Damaged { what, .. } => what.clone(),
        RepoError::Missing { .. } => "it is missing".to_owned(),
        other => other.to_string(),
    }
}

/// Whether an object that cannot be read is none of this version's: its bytes are those that its name is the hash of. A
/// damaged version number is told apart by that.
fn is_newer(repo: &Repo, key: &str, error: &RepoError) -> Result<bool> {
    if !matches!(error, RepoError::TooNew { .. }) {
        return Ok(false);
    }
    match repo.store.get(key) {
        Ok(bytes) => Ok(key.ends_with(blake3::hash(&bytes).to_hex().as_str())),
        Err(e) if e.kind == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// For repairs that rely on the segments.
fn refuse_unreadable_segments(view: &View) -> Result<()> {
    let damaged = lock(&view.damaged);
    let Some((object, error)) = damaged.iter().find(|(object, _)| object.starts_with(layout::SEGMENTS)) else {
        return Ok(());
    };
    let what = format!("{object} cannot be read ({}), so what it listed is not known", reason(error));
    Err(OpsError::RepairFirst(format!("{what}; run 'ssb repair index' first")))
}
