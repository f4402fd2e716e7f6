//! What runs of one config on one machine remember, and that only one of them is at work. All of it may be deleted: what
//! is due is then judged by the snapshots alone.

use super::JobsError;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// When what was done last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By the name of the entry or the group.
    pub jobs: BTreeMap<String, JobState>,
    pub last_prune: Option<Timestamp>,
    /// When it was tried last, also if it failed or was left to a later one.
    pub last_prune_try: Option<Timestamp>,
    /// When somebody was told that a run could not begin; nothing once one could.
    pub last_error: Option<Timestamp>,
}

/// How long nobody is told again that runs cannot begin: they are called every few minutes.
const SILENCE: SignedDuration = SignedDuration::from_hours(1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobState {
    /// When the last one that was good began, also if it made no snapshot because nothing had changed.
    pub last_success: Option<Timestamp>,
    /// When the last one began, or was refused.
    pub last_try: Option<Timestamp>,
}

const FILE: &str = "state.json";

impl State {
    /// What stands in the folder; nothing if that cannot be read, for it can be done without.
    pub fn load(folder: &Path) -> Self {
        let text = fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Whether it was told so lately that runs cannot begin that it need not be told again.
    pub fn was_told_lately(&self, now: Timestamp) -> bool {
        self.last_error.is_some_and(|told| told <= now && now.duration_since(told) < SILENCE)
    }

    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let (draft, file) = (folder.join("state.json.new"), folder.join(FILE));
        fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        fs::rename(draft, file)
    }
}

/// Held while a run is at work; the system takes it back when the process ends, however that happens.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    pub folder: PathBuf,
}

impl Lock {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// [`JobsError::AtWork`] if another process holds it.
    pub fn take(folder: &Path, pid: u32) -> Result<Self, JobsError> {
        let fails = |source| JobsError::State { folder: folder.display().to_string(), source };
        fs::create_dir_all(folder).map_err(fails)?;
        let path = folder.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = open.map_err(fails)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(fails)?;
                return Err(JobsError::AtWork { pid: pid.trim().to_owned() });
            }
            Err(error) => return Err(fails(error.into())),
        }
        let note = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{pid}"));
        note.map_err(fails)?;
        Ok(Self { _file: file, folder: folder.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/state");
        let lock = Lock::take(&place, 7).unwrap();
        assert!(matches!(Lock::take(&place, 8), Err(JobsError::AtWork { pid }) if pid == "7"));
        drop(lock);
        Lock::take(&place, 9).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(Lock::take(&folder.path().join("file"), 1), Err(JobsError::State { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::load(folder.path()), State::default());
        let job = JobState { last_success: Some(Timestamp::UNIX_EPOCH), last_try: None };
        let state = State { jobs: BTreeMap::from([("etc".to_owned(), job)]), ..State::default() };
        state.save(folder.path()).unwrap();
        assert_eq!(State::load(folder.path()), state);
        fs::write(folder.path().join(FILE), "{\"jobs\":[").unwrap();
        assert_eq!(State::load(folder.path()), State::default());
    }
}
