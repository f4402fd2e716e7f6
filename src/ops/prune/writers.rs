//! (p4) The writers that the deleting has to wait for: finds them, takes dead ones for dead, and waits for the others if that
//! is wanted. Deletes nothing but the sessions of the dead.

use crate::base::{Cancel, SessionId, Stage};
use crate::ops::error::Result;
use crate::repo::{OpenSession, Repo, RepoError, open_sessions};
use jiff::SignedDuration;
use std::collections::HashSet;
use std::time::Duration;

/// The pause before sessions are looked for again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Bound of the doubling.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many writers are named in a sentence.
const NAMED: usize = 3;

/// The sessions that are open now. Those of the dead are fenced: their `open` is deleted, which no heartbeat brings back.
pub(super) fn at_work(repo: &Repo, fence_after: SignedDuration) -> Result<Vec<OpenSession>> {
    let mut sessions = open_sessions(repo)?;
    if sessions.is_empty() {
        return Ok(sessions);
    }
    let now = repo.store_time()?;
    for dead in sessions.extract_if(.., |s| s.silence(now) > fence_after) {
        dead.fence(repo)?;
        let who = dead.describe();
        repo.note(&format!("{who} gave no sign of life since {:.0} and was taken for dead", dead.last_sign));
    }
    Ok(sessions)
}

/// Waits until all that are at work now have ended; gives those that had not after `at_most`.
///
/// Whoever begins later is not waited for. The condemned list is there before this is called (p3); a session that the first
/// look does not give was opened after that look began, so its writer reads the list (w2) and counts on nothing in it. No
/// clock has a part in this.
pub(super) fn wait(
    repo: &Repo,
    fence_after: SignedDuration,
    at_most: Option<Duration>,
    cancel: &Cancel,
) -> Result<Vec<OpenSession>> {
    let pacer = &repo.edges.pacer;
    let begun = pacer.now();
    let mut open = at_work(repo, fence_after)?;
    let waited_for = ids(&open);
    let mut told = HashSet::new();
    let mut pause = FIRST_PAUSE;
    while let Some(who) = name(&open) {
        let left = at_most.map(|at_most| at_most.saturating_sub(pacer.now().saturating_sub(begun)));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        if ids(&open) != told {
            told = ids(&open);
            repo.edges.observer.stage(Stage::Waiting);
            repo.note(&format!("waiting for {who} to end"));
        }
        if !pacer.sleep(left.map_or(pause, |left| left.min(pause))) || cancel.is_cancelled() {
            return Err(RepoError::Interrupted.into());
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        open = at_work(repo, fence_after)?;
        open.retain(|session| waited_for.contains(&session.id));
    }
    Ok(open)
}

/// Why the deleting is left to a later prune; `None` if nobody is at work.
pub(super) fn why_deferred(open: &[OpenSession]) -> Option<String> {
    let who = name(open)?;
    let are = if open.len() == 1 { "a writer is".to_owned() } else { format!("{} writers are", open.len()) };
    Some(format!("{are} at work: {who}; nothing was deleted, a later prune will"))
}

/// Who they are, since when they are at work, and when each was last heard of by the store's clock.
fn name(open: &[OpenSession]) -> Option<String> {
    if open.is_empty() {
        return None;
    }
    let one = |session: &OpenSession| format!("{}, last heard of {:.0}", session.describe(), session.last_sign);
    let mut names: Vec<String> = open.iter().take(NAMED).map(one).collect();
    if open.len() > NAMED {
        names.push(format!("{} more, which 'ssb sessions' lists", open.len() - NAMED));
    }
    Some(names.join("; "))
}

fn ids(open: &[OpenSession]) -> HashSet<SessionId> {
    open.iter().map(|session| session.id).collect()
}
