//! Every store and every stack of decorators against the one suite.

mod support;

use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ssb::base::{Cancel, SystemPacer};
use ssb::store::{
    Counters, CountingStore, DirectoryStore, ErrorKind, Fault, FaultStore, LimitStore, Location, MemoryStore,
    ObjectStore, OpenOptions, Rates, RecordStore, RetryPolicy, RetryStore, S3Store, ThrottleStore, UploadCheck,
    list_all, open,
};
use support::conformance::{Promises, STRICT, conformance};
use support::s3_server::{self, S3Server};

/// s3s-fs looks before it writes, which is no atomic test, and makes file names of keys.
const S3S: Promises = Promises { atomic_put_new: false, max_key_bytes: 120 };

/// The stack of `open`, with failures to retry from.
fn decorated<S: ObjectStore>(store: S) -> impl ObjectStore {
    // Lost answers have tests of their own: after one, a winner of put_new does not know that it has won.
    let faulty = FaultStore::new(store, |call| match call.index % 5 {
        4 => Fault::FailBefore(ErrorKind::Transient),
        _ => Fault::None,
    });
    let counted = CountingStore::new(RecordStore::new(faulty), Arc::new(Counters::default()));
    throttled(patient(LimitStore::new(counted, NonZeroUsize::new(5).unwrap())))
}

/// Fast enough for a test, and slow enough that bodies wait for each other.
fn throttled<S: ObjectStore>(store: S) -> impl ObjectStore {
    let rate = NonZeroU64::new(400_000_000);
    let rates = Rates { upload: rate, download: rate };
    ThrottleStore::new(store, rates, Arc::new(SystemPacer::new(Cancel::new())))
}

/// Tries again what the contract lets fail, with waits that a test can afford.
fn patient<S: ObjectStore>(store: S) -> impl ObjectStore {
    let policy = RetryPolicy {
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(10),
        unreachable_total: Duration::from_secs(30),
        transient_total: Duration::from_secs(30),
    };
    RetryStore::new(store, policy, Arc::new(SystemPacer::new(Cancel::new())))
}

#[test]
fn memory() {
    conformance(&MemoryStore::new(), STRICT);
}

#[test]
fn memory_decorated() {
    conformance(&decorated(MemoryStore::new()), STRICT);
}

#[test]
fn memory_throttled() {
    conformance(&throttled(MemoryStore::new()), STRICT);
}

#[test]
fn directory() {
    let root = tempfile::tempdir().unwrap();
    conformance(&DirectoryStore::open(root.path()).unwrap(), STRICT);
    assert_no_leftovers(root.path());
}

#[test]
fn directory_decorated() {
    let root = tempfile::tempdir().unwrap();
    conformance(&decorated(DirectoryStore::create(root.path().join("new/er")).unwrap()), STRICT);
    assert_no_leftovers(root.path());
}

#[test]
fn directory_as_opened() {
    let root = tempfile::tempdir().unwrap();
    let location = Location::Directory(root.path().join("repo"));
    assert_eq!(open(&location, &OpenOptions::default()).unwrap_err().kind, ErrorKind::NoBucket);
    let opened = open(&location, &OpenOptions { create: true, ..Default::default() }).unwrap();
    conformance(&*opened.store, STRICT);
    let again = open(&location, &OpenOptions::default()).unwrap();
    again.store.put("a", Bytes::from_static(b"abc")).unwrap();
    assert_eq!((again.counters.snapshot().put, again.counters.snapshot().bytes_up), (1, 3));
    assert!(opened.counters.snapshot().put > 2300);
}

#[test]
fn s3_in_process() {
    let server = S3Server::start();
    let store = S3Store::connect(&server.location(""), &s3_server::settings()).unwrap();
    // A server that refuses a conditional write hangs up on a body that it has not read, and the client may see only that.
    conformance(&patient(store), S3S);
}

#[test]
fn s3_in_process_decorated_under_a_prefix() {
    let server = S3Server::start();
    let outside = S3Store::connect(&server.location(""), &s3_server::settings()).unwrap();
    outside.put("team/web-10/a", Bytes::from_static(b"not ours")).unwrap();
    let settings = ssb::store::S3Settings { upload_check: UploadCheck::ContentMd5, ..s3_server::settings() };
    let store = S3Store::connect(&server.location("team/web-1"), &settings).unwrap();
    conformance(&decorated(store), S3S);
    let left: Vec<_> = list_all(&outside, "").unwrap().into_iter().map(|meta| meta.key).collect();
    assert_eq!(left, ["team/web-10/a"]);
}

#[test]
fn s3_as_opened() {
    let server = S3Server::start();
    let rates = Rates { upload: NonZeroU64::new(1 << 30), download: NonZeroU64::new(1 << 30) };
    let options = OpenOptions { s3: s3_server::settings(), rates, ..Default::default() };
    let opened = open(&Location::S3(server.location("repo")), &options).unwrap();
    conformance(&*opened.store, S3S);
    assert!(!opened.store.is_local());
    assert_eq!(opened.store.describe(), format!("s3://{}/repo", s3_server::BUCKET));
}

/// A server of another make, started by `scripts/test-s3`. Its absence is a failure once the script has named it.
#[test]
fn external() {
    let Ok(endpoint) = std::env::var("SSB_TEST_S3_ENDPOINT") else {
        assert!(std::env::var_os("SSB_TEST_S3_REQUIRED").is_none(), "SSB_TEST_S3_ENDPOINT is not set");
        eprintln!("no external server is named; scripts/test-s3 starts one");
        return;
    };
    let bucket = std::env::var("SSB_TEST_S3_BUCKET").expect("SSB_TEST_S3_BUCKET names a bucket that exists");
    // Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as they do in production.
    let atomic_put_new = std::env::var_os("SSB_TEST_S3_RACY").is_none();
    let promises = Promises { atomic_put_new, max_key_bytes: 512 };
    for (upload_check, prefix) in [(UploadCheck::Crc32, ""), (UploadCheck::ContentMd5, "below/a/prefix")] {
        let mut options = OpenOptions::default();
        options.s3.upload_check = upload_check;
        let location = Location::S3(s3_server::location(&endpoint, &bucket, prefix));
        conformance(&*open(&location, &options).unwrap().store, promises);
    }
}

fn assert_no_leftovers(root: &std::path::Path) {
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            assert_no_leftovers(&entry.path());
        } else {
            assert!(!entry.file_name().to_str().unwrap().contains('~'), "{:?} was left", entry.path());
        }
    }
}

#[test]
fn directory_shows_only_objects_and_clears_away_old_temporary_files() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(root.path()).unwrap();
    store.put("packs/a", Bytes::from_static(b"x")).unwrap();
    let file = |name: &str| root.path().join(name);
    for name in ["README", ".DS_Store", "packs/~00fresh", "packs/~00old", "packs/a b"] {
        std::fs::write(file(name), "y").unwrap();
    }
    std::fs::create_dir(file("lost+found")).unwrap();
    std::fs::create_dir(file("empty")).unwrap();
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 86_400);
    std::fs::File::options().write(true).open(file("packs/~00old")).unwrap().set_modified(two_days_ago).unwrap();

    let listed: Vec<_> = list_all(&store, "").unwrap().into_iter().map(|meta| meta.key).collect();
    assert_eq!(listed, ["packs/a"]);
    assert!(file("packs/~00fresh").exists() && !file("packs/~00old").exists() && file("README").exists());
    assert_eq!(store.head("packs").unwrap(), None);
    assert_eq!(store.get("packs").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(store.get_range("packs", 0, 1).unwrap_err().kind, ErrorKind::NotFound);
    store.delete("packs").unwrap();
    assert!(file("packs/a").exists());
    // A directory's name is taken.
    assert_eq!(store.put("packs", Bytes::new()).unwrap_err().kind, ErrorKind::Permanent);
    assert_eq!(store.put_new("packs", Bytes::new()).unwrap_err().kind, ErrorKind::Permanent);
    assert_eq!(store.put("packs/a/b", Bytes::new()).unwrap_err().kind, ErrorKind::Permanent);
    assert_no_leftovers(&file("empty"));
}

#[test]
fn directory_modes_keep_others_out() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path().join("a/repo")).unwrap();
    store.put("packs/00/x", Bytes::from_static(b"x")).unwrap();
    store.put_new("packs/00/y", Bytes::from_static(b"y")).unwrap();
    let mode = |name: &str| std::fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o777;
    for dir in ["a", "a/repo", "a/repo/packs", "a/repo/packs/00"] {
        assert_eq!(mode(dir), 0o700, "{dir}");
    }
    assert_eq!((mode("a/repo/packs/00/x"), mode("a/repo/packs/00/y")), (0o600, 0o600));
}

#[test]
fn directory_leaves_no_empty_sub_directories() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(root.path()).unwrap();
    let keys = ["top", "packs/x", "packs/00/x", "packs/00/y", "packs/01/x", "a/b/c/d/x", "a/b/x"].map(str::to_owned);
    keys.iter().for_each(|key| store.put(key, Bytes::new()).unwrap());
    let there = |name: &str| root.path().join(name).exists();
    store.delete_many(&keys[2..3]).unwrap();
    assert!(there("packs/00/y") && there("packs/01/x"));
    store.delete_many(&keys[3..6]).unwrap();
    assert!(!there("packs/00") && !there("packs/01") && !there("a/b/c") && there("a/b/x"));
    store.delete_many(&keys).unwrap();
    // The first level stays.
    assert!(there("packs") && there("a") && !there("a/b") && !there("top"));
    keys.iter().for_each(|key| store.put(key, Bytes::new()).unwrap());
    assert_eq!(list_all(&store, "").unwrap().len(), keys.len());
}

/// Two processes, as far as the store can tell: what the one removes the other takes for there.
#[test]
fn directory_that_others_empty_while_it_is_written_to() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (DirectoryStore::open(root.path()).unwrap(), DirectoryStore::open(root.path()).unwrap());
    std::thread::scope(|scope| {
        for (number, store) in [&one, &other, &one, &other].into_iter().enumerate() {
            scope.spawn(move || {
                for round in 0..300 {
                    let key = format!("packs/00/{}{number}", if round % 2 == 0 { "deeper/" } else { "" });
                    assert!(store.put_new(&key, Bytes::from_static(b"x")).unwrap());
                    assert_eq!(store.get(&key).unwrap(), Bytes::from_static(b"x"));
                    let listed = list_all(store, "packs/").unwrap();
                    assert!(listed.iter().any(|meta| meta.key == key), "{key} is not in {listed:?}");
                    store.delete(&key).unwrap();
                    assert_eq!(store.head(&key).unwrap(), None);
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(root.path().join("packs")).unwrap().count(), 0);
}

#[test]
fn directory_that_vanishes_is_told_and_not_made_again() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("repo");
    let store = DirectoryStore::create(&path).unwrap();
    store.put("packs/a", Bytes::new()).unwrap();
    // Sub-directories may go, by other hands: they come again.
    std::fs::remove_dir_all(path.join("packs")).unwrap();
    store.put("packs/b", Bytes::new()).unwrap();
    assert_eq!(list_all(&store, "").unwrap().len(), 1);

    std::fs::remove_dir_all(&path).unwrap();
    let body = Bytes::new;
    let kinds = [
        store.put("packs/b", body()).unwrap_err().kind,
        store.put("top", body()).unwrap_err().kind,
        store.put_new("packs/c", body()).unwrap_err().kind,
        store.get("packs/b").unwrap_err().kind,
        store.get_range("packs/b", 0, 1).unwrap_err().kind,
        store.head("packs/b").unwrap_err().kind,
        store.delete("packs/b").unwrap_err().kind,
        list_all(&store, "").unwrap_err().kind,
        list_all(&store, "packs/").unwrap_err().kind,
    ];
    assert_eq!(kinds, [ErrorKind::NoBucket; 9]);
    assert!(!path.exists());

    std::fs::write(&path, "a file").unwrap();
    assert_eq!(DirectoryStore::open(&path).err().unwrap().kind, ErrorKind::Permanent);
    assert!(DirectoryStore::create(&path).is_err());
}

/// A file system of 1 MB, for a user that may mount one.
#[test]
fn directory_on_a_full_device() {
    let root = tempfile::tempdir().unwrap();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(root.path());
    if !mount.output().is_ok_and(|output| output.status.success()) {
        eprintln!("not allowed to mount a small file system; the mapping of ENOSPC has a test of its own");
        return;
    }
    let store = DirectoryStore::open(root.path()).unwrap();
    let result = store.put("packs/big", Bytes::from(vec![1; 4 << 20]));
    let left = list_all(&store, "").unwrap();
    let small = store.put("packs/small", Bytes::from_static(b"still works"));
    let leftovers = std::fs::read_dir(root.path().join("packs")).unwrap().count();
    std::process::Command::new("umount").arg(root.path()).status().unwrap();
    assert_eq!(result.unwrap_err().kind, ErrorKind::Full);
    assert_eq!((left, leftovers), (vec![], 1));
    small.unwrap();
}
