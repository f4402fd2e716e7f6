//! The contract of a store as one suite, which every store and every stack of decorators must pass.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ssb::base::{Clock, SystemClock, SystemEntropy, edge};
use ssb::store::{ErrorKind, ObjectStore, list_all};

/// Where stores may differ.
#[derive(Clone, Copy)]
pub struct Promises {
    /// Of several `put_new` at once on one key exactly one wins.
    pub atomic_put_new: bool,
    /// The longest key that is tried, in bytes.
    pub max_key_bytes: usize,
}

pub const STRICT: Promises = Promises { atomic_put_new: true, max_key_bytes: 512 };

/// Runs everything, in a part of the store that nothing else uses, and leaves it empty.
pub fn conformance(store: &dyn ObjectStore, promises: Promises) {
    let random: [u8; 8] = edge::random(&SystemEntropy);
    let place = format!("suite-{}/", hex::encode(random));
    let at = |name: &str| format!("{place}{name}");

    reads_what_was_written(store, &at("rw"));
    put_new_leaves_alone(store, &at("new"));
    absent_objects(store, &at("absent"));
    ranges(store, &at("range"));
    empty_objects(store, &at("empty"));
    a_large_object(store, &at("large"));
    all_kinds_of_keys(store, &at("keys/"), promises.max_key_bytes);
    refuses_what_is_no_key(store);
    long_listings(store, &at("many/"));
    listings_end_at_slashes(store, &at("slash"));
    deletes(store, &at("delete/"));
    racing_put_new(store, &at("race/"), promises.atomic_put_new);
    racing_writers(store, &at("writers/"));
    readers_never_see_halves(store, &at("halves"));
    modified_is_sane(store, &at("modified"));

    let left: Vec<_> = list_all(store, &place).unwrap().into_iter().map(|meta| meta.key).collect();
    store.delete_many(&left).unwrap();
    assert_eq!(list_all(store, &place).unwrap(), vec![]);
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn keys(store: &dyn ObjectStore, prefix: &str) -> BTreeSet<String> {
    let found = list_all(store, prefix).unwrap();
    let keys: BTreeSet<_> = found.iter().map(|meta| meta.key.clone()).collect();
    assert_eq!(keys.len(), found.len(), "an object was listed twice");
    keys
}

fn in_parallel<T: Sync>(items: &[T], threads: usize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item)
                }
            });
        }
    });
}

fn reads_what_was_written(store: &dyn ObjectStore, key: &str) {
    for text in ["first", "second, and longer", "3"] {
        store.put(key, bytes(text)).unwrap();
        assert_eq!(store.get(key).unwrap(), text);
        let meta = store.head(key).unwrap().unwrap();
        assert_eq!((meta.key.as_str(), meta.size_bytes), (key, text.len() as u64));
    }
}

fn put_new_leaves_alone(store: &dyn ObjectStore, key: &str) {
    assert!(store.put_new(key, bytes("mine")).unwrap());
    assert!(!store.put_new(key, bytes("theirs")).unwrap());
    assert_eq!(store.get(key).unwrap(), "mine");
    store.delete(key).unwrap();
    assert!(store.put_new(key, bytes("again")).unwrap());
    assert_eq!(store.get(key).unwrap(), "again");
}

fn absent_objects(store: &dyn ObjectStore, key: &str) {
    for key in [key.to_owned(), format!("{key}/deeper/still")] {
        assert_eq!(store.get(&key).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(store.get_range(&key, 0, 1).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(store.head(&key).unwrap(), None);
        store.delete(&key).unwrap();
        store.delete_many(&[key.clone(), key.clone() + "-too"]).unwrap();
        assert_eq!(list_all(store, &(key + "/")).unwrap(), vec![]);
    }
    store.delete_many(&[]).unwrap();
}

fn ranges(store: &dyn ObjectStore, key: &str) {
    store.put(key, bytes("0123456789")).unwrap();
    for (offset, len, expected) in [(0, 10, "0123456789"), (0, 1, "0"), (9, 1, "9"), (3, 4, "3456")] {
        assert_eq!(store.get_range(key, offset, len).unwrap(), expected);
    }
    for (offset, len) in [(0, 11), (9, 2), (10, 1), (1000, 1), (0, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        let error = store.get_range(key, offset, len).unwrap_err();
        assert_eq!(error.kind, ErrorKind::OutOfRange, "{offset}+{len}: {error}");
    }
}

fn empty_objects(store: &dyn ObjectStore, key: &str) {
    store.put(key, Bytes::new()).unwrap();
    assert!(store.get(key).unwrap().is_empty());
    assert_eq!(store.head(key).unwrap().unwrap().size_bytes, 0);
    assert_eq!(store.get_range(key, 0, 1).unwrap_err().kind, ErrorKind::OutOfRange);
    assert!(!store.put_new(key, bytes("x")).unwrap());
    assert_eq!(keys(store, &format!("{}/", key.rsplit_once('/').unwrap().0)).len(), 4, "rw, new, range and this");
}

fn a_large_object(store: &dyn ObjectStore, key: &str) {
    // Neither a power of two nor a multiple of a page, and different at every offset.
    let body: Bytes = (0..20_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert!(store.put_new(key, body.clone()).unwrap());
    assert!(store.get(key).unwrap() == body, "20 MB differ");
    let part = store.get_range(key, 9_999_999, 7_654_321).unwrap();
    assert!(part == body.slice(9_999_999..9_999_999 + 7_654_321), "a part of 20 MB differs");
    store.delete(key).unwrap();
}

fn all_kinds_of_keys(store: &dyn ObjectStore, place: &str, max_key_bytes: usize) {
    let mut names: Vec<String> = [
        "abcdefghijklmnopqrstuvwxyz0123456789._-",
        "-",
        "_",
        "...",
        ".hidden",
        "a.",
        "..a",
        "0/1/2/3/4/5/6/7/8/9",
        "a..b/--/__/.x",
    ]
    .map(|name| format!("{place}{name}"))
    .to_vec();
    // As long as it may be, in parts that every file system takes.
    let mut longest = format!("{place}long");
    while longest.len() < max_key_bytes {
        longest.push(if longest.len() % 100 == 0 && longest.len() + 1 < max_key_bytes { '/' } else { 'x' });
    }
    names.push(longest);
    for name in &names {
        store.put_new(name, bytes(name)).unwrap();
    }
    for name in &names {
        assert_eq!(store.get(name).unwrap(), name.as_str());
        assert!(store.head(name).unwrap().is_some());
    }
    assert_eq!(keys(store, place), names.iter().cloned().collect());
    names.iter().for_each(|name| store.delete(name).unwrap());
    assert!(keys(store, place).is_empty());
}

fn refuses_what_is_no_key(store: &dyn ObjectStore) {
    for bad in
        ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "A", "a b", "a~", "ä", "a\\b", "a\nb", "a?b", "a%2fb"]
    {
        let body = || bytes("x");
        let kinds = [
            store.put(bad, body()).unwrap_err().kind,
            store.put_new(bad, body()).unwrap_err().kind,
            store.get(bad).unwrap_err().kind,
            store.get_range(bad, 0, 1).unwrap_err().kind,
            store.head(bad).unwrap_err().kind,
            store.delete(bad).unwrap_err().kind,
            store.delete_many(&[bad.to_owned()]).unwrap_err().kind,
        ];
        assert_eq!(kinds, [ErrorKind::Permanent; 7], "{bad:?}");
    }
    for bad in ["a", "/", "../", "a//", "A/"] {
        assert_eq!(list_all(store, bad).unwrap_err().kind, ErrorKind::Permanent, "{bad:?}");
    }
}

fn long_listings(store: &dyn ObjectStore, place: &str) {
    let names: Vec<String> = (0..2300).map(|i| format!("{place}{:02x}/{i:05}", i % 7)).collect();
    in_parallel(&names, 16, |name| assert!(store.put_new(name, bytes(&name[name.len() - 3..])).unwrap()));
    assert_eq!(keys(store, place), names.iter().cloned().collect());
    assert!(list_all(store, place).unwrap().iter().all(|meta| meta.size_bytes == 3));
    assert_eq!(keys(store, &format!("{place}03/")).len(), names.iter().filter(|n| n.contains("/03/")).count());

    // By pages, as a decorator sees it: every object once, whatever the pages are.
    let (mut next, mut found) = (None, 0);
    loop {
        let page = store.list_page(place, next.as_deref()).unwrap();
        found += page.objects.len();
        match page.next {
            Some(token) => next = Some(token),
            None => break,
        }
    }
    assert_eq!(found, 2300);

    let (gone, kept) = names.split_at(2200);
    store.delete_many(gone).unwrap();
    assert_eq!(keys(store, place), kept.iter().cloned().collect());
    // Again, half of them absent.
    store.delete_many(&names).unwrap();
    assert!(keys(store, place).is_empty());
}

fn listings_end_at_slashes(store: &dyn ObjectStore, place: &str) {
    let names = ["/a", "/a-b", "/b/c", "/b/d/e", "s/a", "-/a", "0"].map(|name| format!("{place}{name}"));
    names.iter().for_each(|name| store.put(name, Bytes::new()).unwrap());
    let expected: BTreeSet<_> = names[..4].iter().cloned().collect();
    assert_eq!(keys(store, &format!("{place}/")), expected);
    assert_eq!(keys(store, &format!("{place}/b/")), names[2..4].iter().cloned().collect());
    assert!(keys(store, &format!("{place}/a/")).is_empty(), "an object is not a folder");
    assert!(keys(store, "").is_superset(&names.iter().cloned().collect()));
}

fn deletes(store: &dyn ObjectStore, place: &str) {
    let names: Vec<_> = ["a", "b", "c", "d"].map(|name| format!("{place}{name}")).to_vec();
    names.iter().for_each(|name| store.put(name, bytes("x")).unwrap());
    store.delete(&names[0]).unwrap();
    store.delete(&names[0]).unwrap();
    store.delete_many(&names[..2]).unwrap();
    assert_eq!(keys(store, place), names[2..].iter().cloned().collect());
    assert_eq!(store.get(&names[1]).unwrap_err().kind, ErrorKind::NotFound);
    store.delete_many(&names).unwrap();
    // The same name can be written again.
    assert!(store.put_new(&names[0], bytes("y")).unwrap());
    assert_eq!(store.get(&names[0]).unwrap(), "y");
}

fn racing_put_new(store: &dyn ObjectStore, place: &str, atomic: bool) {
    for round in 0..8 {
        let key = format!("{place}{round}");
        let (start, winners) = (Barrier::new(16), AtomicUsize::new(0));
        let winner = AtomicUsize::new(usize::MAX);
        std::thread::scope(|scope| {
            for t in 0..16 {
                let (key, start, winners, winner) = (&key, &start, &winners, &winner);
                scope.spawn(move || {
                    // Bodies of many pages: a torn one would show.
                    let body = Bytes::from(vec![b'a' + t as u8; 50_000]);
                    start.wait();
                    if store.put_new(key, body).unwrap() {
                        winners.fetch_add(1, Ordering::SeqCst);
                        winner.store(t, Ordering::SeqCst);
                    }
                });
            }
        });
        let got = store.get(&key).unwrap();
        assert_eq!(got.len(), 50_000);
        assert!(got.iter().all(|b| *b == got[0] && (b'a'..b'a' + 16).contains(b)), "two bodies are mixed");
        let winners = winners.load(Ordering::SeqCst);
        assert!(winners >= 1, "nobody wrote it");
        if atomic {
            assert_eq!(winners, 1);
            assert_eq!(usize::from(got[0] - b'a'), winner.load(Ordering::SeqCst), "not the winner's body");
        }
    }
}

fn racing_writers(store: &dyn ObjectStore, place: &str) {
    let names: Vec<_> = (0..64).map(|i| format!("{place}{}/{i}", i % 5)).collect();
    in_parallel(&names, 16, |name| {
        store.put(name, bytes(name)).unwrap();
        assert_eq!(store.get(name).unwrap(), name.as_str());
        assert!(keys(store, place).contains(name), "not listed after it was written");
    });
    assert_eq!(keys(store, place).len(), 64);
}

fn readers_never_see_halves(store: &dyn ObjectStore, key: &str) {
    store.put(key, Bytes::from(vec![0; 100_000])).unwrap();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (1..=20).for_each(|i| store.put(key, Bytes::from(vec![i; 100_000 + usize::from(i)])).unwrap());
            done.store(1, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while done.load(Ordering::SeqCst) == 0 {
                let got = store.get(key).unwrap();
                assert!(got.iter().all(|b| *b == got[0]), "old and new bytes are mixed");
                assert_eq!(got.len(), 100_000 + usize::from(got[0]));
            }
        });
    });
    assert_eq!(store.get(key).unwrap()[0], 20);
}

fn modified_is_sane(store: &dyn ObjectStore, key: &str) {
    store.put(key, bytes("x")).unwrap();
    let meta = store.head(key).unwrap().unwrap();
    // Servers' clocks differ a little and some tell whole seconds; a wrong unit or zone is off by far more.
    let off = meta.modified.duration_until(SystemClock.now()).abs();
    assert!(off.as_secs() < 600, "{} is {off} away from now", meta.modified);
    let place = format!("{}/", key.rsplit_once('/').unwrap().0);
    let listed = list_all(store, &place).unwrap().into_iter().find(|m| m.key == key).unwrap();
    assert_eq!(listed.size_bytes, meta.size_bytes);
    assert!(listed.modified.duration_until(meta.modified).abs().as_secs() <= 1);
}
