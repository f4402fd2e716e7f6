//! Sessions: a writer says that it is at work, so that no prune deletes what it builds upon. Holds no lock and waits for
//! nobody.

use super::envelope::{self, ObjectKind};
use super::error::{RepoError, Result};
use super::layout;
use super::open::Repo;
use crate::base::SessionId;
use crate::base::edge::random;
use crate::store::{ObjectStore, list_all};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a writer gives a sign of life.
pub const HEARTBEAT: Duration = Duration::from_secs(5 * 60);

/// What `open` says in its envelope: JSON, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    pub host: String,
    pub user: String,
    pub pid: u32,
    pub command: String,
    pub started: Timestamp,
}

/// This process's own session; removed when dropped.
pub struct Session {
    store: Arc<dyn ObjectStore>,
    id: SessionId,
    stop: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

impl Session {
    /// (w1) Announces a writer and starts its heartbeat.
    pub fn open(repo: &Repo, command: &str) -> Result<Self> {
        let id = SessionId::from_bytes(random(&*repo.edges.entropy));
        let info = SessionInfo {
            host: repo.edges.host.clone(),
            user: repo.edges.user.clone(),
            pid: std::process::id(),
            command: command.to_owned(),
            started: repo.edges.clock.now(),
        };
        let payload = serde_json::to_vec(&info).map_err(|e| RepoError::Seal(e.to_string()))?;
        let object = envelope::seal(&repo.keys, &*repo.edges.entropy, ObjectKind::Session, &payload)?;
        repo.store.put_new(&layout::session_open(&id), object.into())?;
        let (stop, stopped) = channel();
        let (store, beat) = (repo.store.clone(), layout::session_beat(&id));
        let heart = std::thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(HEARTBEAT) {
                // A missed beat is made up by the next; a writer that cannot reach the store has worse to report.
                store.put(&beat, "beat\n".into()).ok();
            }
        });
        Ok(Self { store: repo.store.clone(), id, stop: Some(stop), heart: Some(heart) })
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    /// (w5) Whether nobody has fenced this writer.
    pub fn is_still_open(&self) -> Result<bool> {
        Ok(self.store.head(&layout::session_open(&self.id))?.is_some())
    }

    /// (w6) Removes the session.
    pub fn close(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(stop) = self.stop.take() else { return Ok(()) };
        drop(stop);
        if let Some(heart) = self.heart.take() {
            heart.join().ok();
        }
        // `open` first: a heartbeat alone means nothing to anybody.
        self.store.delete_many(&[layout::session_open(&self.id), layout::session_beat(&self.id)])?;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The command has failed already; a session that stays behind is told about by the next prune.
        self.end().ok();
    }
}

/// A session in the bucket.
#[derive(Clone, Debug)]
pub struct OpenSession {
    pub id: SessionId,
    /// `None` if its object cannot be read; it counts as open all the same.
    pub info: Option<SessionInfo>,
    /// When it began, by the store's clock.
    pub opened: Timestamp,
    /// When it was last heard of, by the store's clock.
    pub last_sign: Timestamp,
}

impl OpenSession {
    /// Takes the writer for dead. If it is not, it finds out when it looks for its own `open`.
    pub fn fence(&self, repo: &Repo) -> Result<()> {
        let keys = [layout::session_open(&self.id), layout::session_beat(&self.id)];
        Ok(repo.store.delete_many(&keys)?)
    }

    /// How long it has not been heard of; `now` is by the store's clock too, which may tell whole seconds only.
    pub fn silence(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.last_sign).max(SignedDuration::ZERO)
    }

    /// Who it is, for a sentence.
    pub fn describe(&self) -> String {
        match &self.info {
            Some(i) => format!("{} by {} on {} (process {}, since {:.0})", i.command, i.user, i.host, i.pid, i.started),
            None => format!("the damaged object {}", layout::session_open(&self.id)),
        }
    }
}

impl Repo {
    /// The time by the store's clock, as shown by an object that is written for it.
    pub fn store_time(&self) -> Result<Timestamp> {
        self.store.put(layout::CLOCK, "tick\n".into())?;
        let written = self.store.head(layout::CLOCK)?;
        Ok(written.ok_or_else(|| RepoError::Missing { object: layout::CLOCK.to_owned() })?.modified)
    }
}

/// Every session that is open, the longest silent first.
pub fn open_sessions(repo: &Repo) -> Result<Vec<OpenSession>> {
    let mut found: HashMap<SessionId, Timestamp> = HashMap::new();
    let mut beats: HashMap<String, Timestamp> = HashMap::new();
    for object in list_all(&*repo.store, layout::SESSIONS)? {
        match layout::parse_session_open(&object.key) {
            Some(id) => drop(found.insert(id, object.modified)),
            None => drop(beats.insert(object.key, object.modified)),
        }
    }
    let mut sessions = Vec::new();
    for (id, opened) in found {
        let key = layout::session_open(&id);
        let info = match repo.store.get(&key) {
            Err(e) if e.kind == crate::store::ErrorKind::NotFound => continue,
            Err(e) => return Err(e.into()),
            Ok(bytes) => envelope::open(&repo.keys, ObjectKind::Session, &key, &bytes).ok(),
        };
        let info = info.and_then(|payload| serde_json::from_slice(&payload).ok());
        let last_sign = beats.get(&layout::session_beat(&id)).map_or(opened, |&beat| beat.max(opened));
        sessions.push(OpenSession { id, info, opened, last_sign });
    }
    sessions.sort_by_key(|s| s.last_sign);
    Ok(sessions)
}
