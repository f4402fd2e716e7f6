//! When a snapshot is made: only if something has changed, where that is wanted; and of what belongs together only whole and
//! of one moment.

mod support;

use std::fs::{self, File, FileTimes};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use ssb::base::Cancel;
use ssb::ops::OpsError;
use ssb::ops::backup::{BackupOptions, BackupOutcome, Commit, Source, Whole, run};
use ssb::repo::{Label, Repo};
use ssb::source::WalkOptions;
use ssb::store::MemoryStore;
use support::chance::Chance;
use support::lab::{assert_sound, create};
use support::restored::restore;

fn lab() -> (tempfile::TempDir, Arc<Repo>) {
    (tempfile::tempdir().unwrap(), create(Arc::new(MemoryStore::new()), None).unwrap())
}

fn paths(paths: &[PathBuf]) -> Source {
    Source::Paths { paths: paths.to_vec(), base: "/".into(), walk: WalkOptions::default() }
}

fn back_up(repo: &Arc<Repo>, source: Source, commit: Commit) -> BackupOutcome {
    let label = Label { entry: Some("entry".to_owned()), ..Label::default() };
    let read_all = commit == Commit::IfContentsChanged;
    let options = BackupOptions { commit, label, read_all, ..BackupOptions::new(source, "lab", "a test") };
    run(repo, options, &Cancel::new()).unwrap()
}

/// Far enough away from every clock's grain for a change to be seen.
fn set_time(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(3600 * hours);
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn count(repo: &Repo) -> usize {
    repo.snapshots().unwrap().snapshots.len()
}

#[test]
fn what_has_not_changed_makes_no_snapshot() {
    for (commit, sees_times) in [(Commit::IfChanged, true), (Commit::IfContentsChanged, false)] {
        let (folder, repo) = lab();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        let file = top.join("file");
        fs::write(&file, Chance::new(1).bytes(50_000)).unwrap();
        let again = || {
            let outcome = back_up(&repo, paths(std::slice::from_ref(&top)), commit);
            assert_eq!(outcome.unchanged, outcome.snapshot.is_none());
            outcome.snapshot.is_some()
        };
        assert!(again(), "{commit:?}: the first");
        assert!(!again() && !again(), "{commit:?}: nothing has changed");
        set_time(&file, 5);
        assert_eq!(again(), sees_times, "{commit:?}: a time");
        fs::write(&file, Chance::new(2).bytes(50_000)).unwrap();
        assert!(again() && !again(), "{commit:?}: a content");
        fs::rename(&file, top.join("other")).unwrap();
        assert!(again() && !again(), "{commit:?}: a name");
        fs::create_dir(top.join("deep")).unwrap();
        assert!(again() && !again(), "{commit:?}: a directory");
        fs::remove_file(top.join("other")).unwrap();
        assert!(again() && !again(), "{commit:?}: one less");
        assert_sound(&repo, &format!("{commit:?}"));
        assert_eq!(count(&repo), if sees_times { 6 } else { 5 });
    }
}

#[test]
fn a_stream_is_compared_by_what_it_says() {
    for commit in [Commit::IfChanged, Commit::IfContentsChanged] {
        let (_folder, repo) = lab();
        let stored = |text: &[u8], commit| {
            let content = Box::new(Cursor::new(text.to_vec()));
            let source = Source::Stream { path: "dump.sql".into(), content, uid: 0, gid: 0 };
            back_up(&repo, source, commit).snapshot.is_some()
        };
        assert!(stored(b"one", commit) && !stored(b"one", commit) && stored(b"two", commit) && stored(b"one", commit));
        assert!(stored(b"one", Commit::Always));
        // The one before was not made to be compared with.
        assert!(stored(b"one", commit) && !stored(b"one", commit), "{commit:?}");
    }
}

#[test]
fn a_source_that_cannot_be_read_is_always_worth_a_snapshot() {
    let (folder, repo) = lab();
    let (there, absent) = (folder.path().join("there"), folder.path().join("absent"));
    fs::write(&there, "x").unwrap();
    for _ in 0..2 {
        let outcome = back_up(&repo, paths(&[there.clone(), absent.clone()]), Commit::IfChanged);
        assert!(outcome.snapshot.is_some() && outcome.issues.len() == 1);
    }
}

#[test]
fn an_entry_is_compared_with_its_own_last_snapshot() {
    let (folder, repo) = lab();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    fs::write(&a, "x").unwrap();
    let first = back_up(&repo, paths(std::slice::from_ref(&a)), Commit::Always).snapshot.unwrap();
    // Its paths have become more, by a glob or by hand.
    fs::write(&b, "y").unwrap();
    let second = back_up(&repo, paths(&[a.clone(), b]), Commit::IfChanged);
    assert_eq!(second.parent.unwrap().id, first.id);
    assert_eq!((second.totals.files_unchanged, second.totals.files_new), (1, 1));
    // Another entry of the same paths has a history of its own.
    let label = Label { entry: Some("another".to_owned()), ..Label::default() };
    let options = BackupOptions { label, ..BackupOptions::new(paths(&[a]), "lab", "a test") };
    assert_eq!(run(&repo, options, &Cancel::new()).unwrap().parent.unwrap().id, first.id);
}

fn whole(repo: &Arc<Repo>, source: Source) -> Result<BackupOutcome, OpsError> {
    let options = BackupOptions { whole: Whole::OrNotAtAll, ..BackupOptions::new(source, "lab", "a test") };
    run(repo, options, &Cancel::new())
}

#[test]
fn whole_or_not_at_all() {
    let (folder, repo) = lab();
    let (there, absent) = (folder.path().join("there"), folder.path().join("absent"));
    fs::write(&there, "x").unwrap();
    let error = whole(&repo, paths(&[there.clone(), absent.clone()])).unwrap_err();
    assert!(matches!(&error, OpsError::NotWhole(what) if what.contains("absent")), "{error}");
    assert_eq!(count(&repo), 0);
    fs::write(&absent, "y").unwrap();
    assert!(whole(&repo, paths(&[there, absent])).unwrap().snapshot.is_some());
    assert_sound(&repo, "whole");
}

#[test]
fn what_never_rests_is_told_and_not_stored() {
    let (folder, repo) = lab();
    let (still, restless) = (folder.path().join("still"), folder.path().join("restless"));
    fs::write(&still, "x").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                fs::write(&restless, format!("{n}")).unwrap();
                std::thread::sleep(Duration::from_millis(3));
                if is_over.load(Relaxed) {
                    break;
                }
            }
        });
        while !restless.exists() {
            std::thread::yield_now();
        }
        let outcome = whole(&repo, paths(&[still.clone(), restless.clone()]));
        is_over.store(true, Relaxed);
        let error = outcome.unwrap_err();
        assert!(matches!(&error, OpsError::Restless { what, .. } if what.ends_with("/restless")), "{error}");
    });
    assert_eq!(count(&repo), 0);
    assert!(whole(&repo, paths(&[still, restless])).unwrap().snapshot.is_some());
}

/// Two files that a database writes one after the other, again and again with rests in between: whatever is committed has
/// both of the same turn.
#[test]
fn what_is_committed_is_of_one_moment() {
    let (folder, repo) = lab();
    let (first, second) = (folder.path().join("dump.rdb"), folder.path().join("appendonly.aof"));
    let turn = |n: u32| {
        fs::write(&first, format!("{n}")).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        fs::write(&second, format!("{n}")).unwrap();
    };
    turn(0);
    let is_over = AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut chance = Chance::new(4);
            for n in 1.. {
                std::thread::sleep(Duration::from_millis(chance.below(250) as u64));
                turn(n);
                if is_over.load(Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..20 {
            let Ok(outcome) = whole(&repo, paths(&[first.clone(), second.clone()])) else { continue };
            let snapshot = outcome.snapshot.unwrap();
            let target = folder.path().join(format!("back-{}", seen.len()));
            restore(&repo, &snapshot, folder.path(), &target).unwrap();
            let read = |path: &Path| fs::read(target.join(path.file_name().unwrap())).unwrap();
            seen.push((read(&first), read(&second)));
        }
        is_over.store(true, Relaxed);
    });
    assert!(seen.len() > 3, "{} of 20", seen.len());
    for (first, second) in seen {
        assert_eq!(first, second);
    }
}
