//! A session's object: the first byte of the input says whether the rest is the object itself, or what is sealed in it, or that
//! as an object of another kind. Besides: whatever it holds, the session counts as open and can be told of, and what it says is
//! read if and only if it was sealed for a session.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::base::SessionId;
use ssb::repo::envelope::{ObjectKind, seal};
use ssb::repo::{Repo, SessionInfo, layout, open_sessions};
use ssb::store::{MemoryStore, ObjectStore};
use ssb_fuzz::{Chance, keys, repository};
use std::sync::{Arc, LazyLock};

static REPOSITORY: LazyLock<(Arc<MemoryStore>, Arc<Repo>)> = LazyLock::new(repository);

fuzz_target!(|input: &[u8]| {
    let Some((how, bytes)) = input.split_first() else { return };
    let sealed = |kind| seal(keys(), &Chance::default(), kind, bytes).unwrap();
    let (object, wanted) = match how % 3 {
        0 => (bytes.to_vec(), None),
        1 => (sealed(ObjectKind::Session), serde_json::from_slice::<SessionInfo>(bytes).ok()),
        _ => (sealed(ObjectKind::Condemned), None),
    };
    let (store, repo) = &*REPOSITORY;
    let id = SessionId::from_bytes([5; 16]);
    store.put(&layout::session_open(&id), object.into()).unwrap();
    let sessions = open_sessions(repo).unwrap();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [id]);
    assert!(!sessions[0].describe().is_empty());
    // A session that was really sealed may be among the objects.
    if how % 3 != 0 {
        assert_eq!(sessions[0].info, wanted);
    }
    if let Some(info) = &sessions[0].info {
        let again = serde_json::to_vec(info).unwrap();
        assert_eq!(&serde_json::from_slice::<SessionInfo>(&again).unwrap(), info);
    }
});
