//! The store goes away in the middle of a backup, for good or for one call: the run says why it ended, and what was stored
//! by then is listed, so that the next run uses it.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ssb::base::Cancel;
use ssb::ops::OpsError;
use ssb::repo::{ChunkKind, ChunkWriter, RepoError, WriterOptions, layout};
use ssb::store::{Call, ErrorKind, Fault, FaultStore, MemoryStore, Operation};
use support::chance::Chance;
use support::lab::{assert_sound, backed_up, backup, check, create, open};
use support::restored::assert_restores;
use support::tree::read_tree;

/// Two packs fill up while this is read, a third is what is left.
const NOISE_BYTES: usize = 40 << 20;
const PACK_BYTES: u64 = 16 << 20;

fn is_put_below(call: &Call<'_>, prefix: &str) -> bool {
    matches!(call.operation, Operation::Put | Operation::PutNew) && call.key.starts_with(prefix)
}

/// Backs `top` up where the plan says what fails; gives the store and why the run failed.
fn failing(top: &Path, plan: impl FnMut(&Call<'_>) -> Fault + Send + 'static) -> (Arc<MemoryStore>, OpsError) {
    let store = Arc::new(MemoryStore::new());
    create(store.clone(), None).unwrap();
    let faulty = Arc::new(FaultStore::new(store.clone(), plan));
    let error = backup(&open(faulty, None).unwrap(), top).expect_err("the store fails");
    (store, error)
}

fn assert_is_of_the_store(error: &OpsError, key_prefix: &str) {
    match error {
        OpsError::Repo(RepoError::Store(e)) => assert!(e.key.starts_with(key_prefix), "{e}"),
        other => panic!("not the reason: {other}"),
    }
}

/// What is there is counted on: every pack is listed, and the next backup stores no more than `most_bytes`.
fn assert_goes_on(store: &Arc<MemoryStore>, top: &Path, most_bytes: u64) {
    let repo = open(store.clone(), None).unwrap();
    assert_sound(&repo, "after the failure");
    assert_eq!(check(&repo).unwrap().packs_unlisted, 0);
    let outcome = backup(&repo, top).unwrap();
    assert!(outcome.totals.stored_bytes <= most_bytes, "{:?}", outcome.totals);
    assert_restores(&repo, &outcome.snapshot.unwrap(), top, &read_tree(top), "after the failure");
}

fn one_file(content: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), content).unwrap();
    folder
}

#[test]
fn a_pack_that_cannot_be_stored_is_the_reason_and_those_before_it_are_listed() {
    let folder = one_file(&Chance::new(7).bytes(NOISE_BYTES));
    // Many threads come to see the failure: whoever is first must not keep the reason from the others.
    for _ in 0..5 {
        let mut packs = 0;
        let (store, error) = failing(folder.path(), move |call| {
            packs += u64::from(is_put_below(call, layout::PACKS));
            if packs > 1 && is_put_below(call, layout::PACKS) {
                Fault::FailBefore(ErrorKind::Transient)
            } else {
                Fault::None
            }
        });
        assert_is_of_the_store(&error, layout::PACKS);
        assert_goes_on(&store, folder.path(), NOISE_BYTES as u64 - PACK_BYTES + (4 << 20));
    }
}

/// Of many threads that put chunks, whoever is told first may not be the one whose word counts.
#[test]
fn everybody_is_told_why() {
    let store = Arc::new(MemoryStore::new());
    create(store.clone(), None).unwrap();
    let plan = |call: &Call<'_>| match is_put_below(call, layout::PACKS) {
        true => Fault::FailBefore(ErrorKind::Transient),
        false => Fault::None,
    };
    let repo = open(Arc::new(FaultStore::new(store, plan)), None).unwrap();
    let view = Arc::new(repo.sync(&Cancel::new()).unwrap());
    let writer = ChunkWriter::start(repo, view, WriterOptions { zstd_level: 1, lanes: 1, dry_run: false });
    let mut chance = Chance::new(9);
    let mut put = || writer.put(ChunkKind::Data, &chance.bytes(4096));
    let first = (0..10_000).find_map(|_| put().err()).expect("two packs' worth were put");
    let second = put().unwrap_err();
    for told in [first, second, writer.finish().unwrap_err()] {
        assert_is_of_the_store(&told.into(), layout::PACKS);
    }
}

#[test]
fn a_segment_that_could_not_be_stored_is_stored_at_the_end() {
    // More chunks than go into one segment.
    let text: String = Chance::new(8).bytes(24 << 20).iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = one_file(text.as_bytes());
    let segments = Arc::new(AtomicU64::new(0));
    let tried = segments.clone();
    let (store, error) = failing(folder.path(), move |call| {
        let is_first = is_put_below(call, layout::SEGMENTS) && tried.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first { Fault::FailBefore(ErrorKind::Transient) } else { Fault::None }
    });
    assert_is_of_the_store(&error, layout::SEGMENTS);
    assert_eq!(segments.load(Ordering::Relaxed), 2);
    assert_goes_on(&store, folder.path(), 4 << 20);
}

#[test]
fn a_store_that_is_gone_for_good_is_the_reason() {
    let folder = one_file(&Chance::new(7).bytes(NOISE_BYTES));
    let mut packs = 0;
    let (store, error) = failing(folder.path(), move |call| {
        packs += u64::from(is_put_below(call, layout::PACKS));
        if packs > 1 { Fault::FailBefore(ErrorKind::Unreachable) } else { Fault::None }
    });
    assert_is_of_the_store(&error, layout::PACKS);
    let repo = open(store, None).unwrap();
    let next = backed_up(&repo, folder.path());
    assert_restores(&repo, &next, folder.path(), &read_tree(folder.path()), "after the outage");
}
