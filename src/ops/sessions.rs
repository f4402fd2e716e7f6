//! Open sessions: who is at work, and fencing by hand. Waits for nobody, and deletes nothing but sessions.

use super::error::{OpsError, Result};
use crate::repo::{OpenSession, Repo, open_sessions};
use jiff::SignedDuration;

/// An open session, and what a prune would make of it.
#[derive(Clone, Debug)]
pub struct SessionState {
    pub session: OpenSession,
    /// Since its last sign of life, by the store's clock.
    pub silence: SignedDuration,
    /// It has been silent for longer than the limit.
    pub counts_as_dead: bool,
}

/// Every open session, the longest silent first; `fence_after` is the limit of silence. Writes to the store only if a
/// session is open, to learn the store's time.
pub fn list(repo: &Repo, fence_after: SignedDuration) -> Result<Vec<SessionState>> {
    let sessions = open_sessions(repo)?;
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let now = repo.store_time()?;
    let state = |session: OpenSession| {
        let silence = session.silence(now);
        SessionState { session, silence, counts_as_dead: silence > fence_after }
    };
    Ok(sessions.into_iter().map(state).collect())
}

/// Fences the sessions that `wanted` names, by their ids or unique beginnings of them, however lively they are; gives what
/// they were just before. A writer that still runs notices before it commits, and withdraws its snapshot.
///
/// # Errors
/// [`OpsError::Usage`] if one of them is not open or not unique; nothing is fenced then.
pub fn fence(repo: &Repo, wanted: &[String], fence_after: SignedDuration) -> Result<Vec<SessionState>> {
    let open = list(repo, fence_after)?;
    let mut chosen: Vec<SessionState> = Vec::new();
    for text in wanted {
        let state = resolve(&open, text)?;
        if chosen.iter().all(|known| known.session.id != state.session.id) {
            chosen.push(state.clone());
        }
    }
    for state in &chosen {
        state.session.fence(repo)?;
    }
    Ok(chosen)
}

fn resolve<'a>(open: &'a [SessionState], wanted: &str) -> Result<&'a SessionState> {
    let prefix = wanted.to_ascii_lowercase();
    let fits = |state: &&SessionState| !prefix.is_empty() && state.session.id.to_string().starts_with(&prefix);
    let fitting: Vec<&SessionState> = open.iter().filter(fits).collect();
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => Err(OpsError::Usage(format!("no session is open that matches '{wanted}'; 'ssb sessions' lists them"))),
        several => {
            let ids: Vec<String> = several.iter().map(|state| state.session.id.to_string()[..16].to_owned()).collect();
            let what = format!("'{wanted}' matches several sessions: {}; give more digits", ids.join(", "));
            Err(OpsError::Usage(what))
        }
    }
}
