//! What was backed up comes back: every byte, every name, every time and mode, from every store, with and without a cache.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ssb::base::Cancel;
use ssb::ops::backup::Source;
use ssb::ops::restore::{self, RestoreOptions, RestoreOutcome};
use ssb::repo::{Repo, Snapshot};
use ssb::source::{Filter, WalkOptions};
use ssb::store::{DirectoryStore, MemoryStore, ObjectStore, S3Store};
use support::lab::{assert_sound, back_up, backed_up, backup, create, open, prune};
use support::restored::assert_restores;
use support::s3_server::{S3Server, settings};
use support::tree::{Content, Tree, as_bytes, differences, read_tree};
use support::world::World;

/// A file is not compared by its times if it was changed just before a backup; nothing here waits for that.
fn everything(store: Arc<dyn ObjectStore>) {
    let (sources, cache, target) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut world = World::new(&sources.path().join("world"), 1);
    world.fill();
    let before = read_tree(&world.top);
    create(store.clone(), Some(cache.path())).unwrap();
    let repo = open(store.clone(), Some(cache.path())).unwrap();
    let snapshot = backed_up(&repo, &world.top);
    let totals = &snapshot.manifest.totals;
    let files = before.values().filter(|node| matches!(node.content, Content::File(_))).count() as u64;
    assert_eq!((totals.files, totals.files_new), (files, files));

    let outcome = support::restored::restore(&repo, &snapshot, &world.top, target.path()).unwrap();
    assert!(outcome.issues.is_empty(), "{:?}", outcome.issues);
    let found = differences(&before, &read_tree(target.path()));
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(rsync_differences(&world.top, target.path()), "");
    assert!(blocks(&target.path().join("a/sparse-large")) < 2 << 20, "holes were filled");

    assert_restores(&open(store.clone(), None).unwrap(), &snapshot, &world.top, &before, "without a cache");
    assert_sound(&open(store.clone(), None).unwrap(), "without a cache");
    assert_sound(&repo, "with a cache");
}

/// What rsync would do to make the second like the first.
fn rsync_differences(from: &Path, to: &Path) -> String {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHn", "--checksum", "--delete", "--itemize-changes"]);
    let run = rsync.arg(from.join("")).arg(to.join("")).output().expect("rsync is installed by scripts/setup");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// Bytes that a file takes on the disk.
fn blocks(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn everything_in_memory() {
    everything(Arc::new(MemoryStore::new()));
}

#[test]
fn everything_in_a_directory() {
    let root = tempfile::tempdir().unwrap();
    everything(Arc::new(DirectoryStore::create(root.path().join("repo")).unwrap()));
}

#[test]
fn everything_in_a_bucket() {
    let server = S3Server::start();
    everything(Arc::new(S3Store::connect(&server.location("team"), &settings()).unwrap()));
}

/// Many snapshots of a folder that keeps changing, each compared with how the folder was; the cache is lost now and then,
/// and snapshots are forgotten and pruned in between.
fn life(seed: u64, store: Arc<dyn ObjectStore>) {
    let sources = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut world = World::new(&sources.path().join("world"), seed);
    for folder in ["a/b", "a-b", "z"] {
        fs::create_dir_all(world.top.join(folder)).unwrap();
    }
    create(store.clone(), None).unwrap();
    let mut known: Vec<(Snapshot, Tree)> = Vec::new();
    let client = |world: &mut World| -> Arc<Repo> {
        match world.chance.below(3) {
            0 => open(store.clone(), None).unwrap(),
            1 => {
                fs::remove_dir_all(cache.path()).unwrap();
                open(store.clone(), Some(cache.path())).unwrap()
            }
            _ => open(store.clone(), Some(cache.path())).unwrap(),
        }
    };
    for round in 0..8 {
        for _ in 0..world.chance.below(12) {
            world.change();
        }
        let snapshot = backed_up(&client(&mut world), &world.top);
        known.push((snapshot, read_tree(&world.top)));
        let repo = client(&mut world);
        let (snapshot, tree) = &known[world.chance.below(known.len())];
        assert_restores(&repo, snapshot, &world.top, tree, &format!("seed {seed}, round {round}"));
        if round % 3 == 2 {
            let (snapshot, _) = known.remove(world.chance.below(known.len()));
            repo.delete_snapshots(&[snapshot.id]).unwrap();
            drop(repo);
            assert_eq!(prune(&client(&mut world)).unwrap().deferred, None);
        }
    }
    for (snapshot, tree) in &known {
        assert_restores(&client(&mut world), snapshot, &world.top, tree, &format!("seed {seed}, at the end"));
    }
    assert_sound(&client(&mut world), &format!("seed {seed}"));
}

#[test]
fn a_changing_folder_in_memory() {
    (0..12).for_each(|seed| life(seed, Arc::new(MemoryStore::new())));
}

#[test]
fn a_changing_folder_in_a_bucket() {
    let server = S3Server::start();
    life(100, Arc::new(S3Store::connect(&server.location("life"), &settings()).unwrap()));
}

/// Many small files in many directories: a tree of several leaves and levels.
#[test]
fn a_wide_tree() {
    let sources = tempfile::tempdir().unwrap();
    for n in 0..3000 {
        let folder = sources.path().join(format!("w/{}/{}", n % 7, n % 61));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{n}")), format!("file {n}")).unwrap();
    }
    let top = sources.path().join("w");
    let repo = create(Arc::new(MemoryStore::new()), None).unwrap();
    let first = backed_up(&repo, &top);
    assert_restores(&repo, &first, &top, &read_tree(&top), "3000 files");

    // One leaf and what leads to it are new; the file's single chunk is all that is new of the data.
    fs::write(top.join("3/59/changed"), "changed").unwrap();
    let outcome = backup(&repo, &top).unwrap();
    assert_eq!((outcome.totals.files_new, outcome.totals.files_unchanged), (1, 3000));
    assert!(outcome.totals.new_bytes < 200_000, "{:?}", outcome.totals);
    assert_restores(&repo, &outcome.snapshot.unwrap(), &top, &read_tree(&top), "3001 files");

    // A part of it, from the middle of the order.
    let part = top.join("5/33");
    assert_restores(&repo, &first, &part, &read_tree(&part), "a part");
}

#[test]
fn a_second_backup_of_the_same_stores_nothing() {
    let sources = tempfile::tempdir().unwrap();
    let mut world = World::new(&sources.path().join("world"), 7);
    world.fill();
    let repo = create(Arc::new(MemoryStore::new()), None).unwrap();
    let first = backed_up(&repo, &world.top);
    let second = backup(&repo, &world.top).unwrap();
    assert_eq!(second.parent.as_ref().map(|p| p.id), Some(first.id));
    assert_eq!((second.totals.new_packs, second.totals.new_chunks, second.totals.stored_bytes), (0, 0, 0));
    assert_eq!(second.snapshot.unwrap().manifest.tree, first.manifest.tree);
}

#[test]
fn what_comes_and_goes_beside_the_sources_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "content").unwrap();
    let repo = create(Arc::new(MemoryStore::new()), None).unwrap();
    let first = backed_up(&repo, &source);
    fs::write(folder.path().join("neighbour"), "changes the folder's time").unwrap();
    let second = backed_up(&repo, &source);
    assert_eq!(second.manifest.totals.new_packs, 0);
    assert_eq!(second.manifest.tree, first.manifest.tree);
}

fn stream(repo: &Arc<Repo>, name: &str, content: Vec<u8>) -> ssb::ops::Result<Snapshot> {
    let content = Box::new(std::io::Cursor::new(content));
    let source = Source::Stream { path: PathBuf::from(name), content, uid: 0, gid: 0 };
    back_up(repo, source).map(|outcome| outcome.snapshot.unwrap())
}

#[test]
fn streams() {
    let repo = create(Arc::new(MemoryStore::new()), None).unwrap();
    let mut chance = support::chance::Chance::new(3);
    for (name, size) in [("dump.sql", 20_000_000), ("deep/er/empty", 0), ("/abs/x", 8 << 20), ("a/../b", 5)] {
        let content = chance.bytes(size);
        let snapshot = stream(&repo, name, content.clone()).unwrap();
        let path = PathBuf::from(snapshot.manifest.sources[0].clone());
        let target = tempfile::tempdir().unwrap();
        support::restored::restore(&repo, &snapshot, &path, target.path()).unwrap();
        assert_eq!(fs::read(target.path().join(path.file_name().unwrap())).unwrap(), content, "{name}");
    }
    for name in ["", "/", ".", "..", "a/.."] {
        stream(&repo, name, b"x".to_vec()).expect_err(name);
    }
    assert_sound(&repo, "streams");
}

fn run_restore(repo: &Arc<Repo>, snapshot: &Snapshot, options: RestoreOptions) -> RestoreOutcome {
    let outcome = restore::run(repo, snapshot, &options, &Cancel::new()).unwrap();
    assert!(outcome.issues.is_empty(), "{:?}", outcome.issues);
    outcome
}

/// The files that are there, as text.
fn names(top: &Path) -> Vec<String> {
    let tree = read_tree(top);
    let others = tree.iter().filter(|(_, node)| node.content != Content::Directory);
    others.map(|(path, _)| String::from_utf8(path.clone()).unwrap()).collect()
}

#[test]
fn parts_of_a_snapshot() {
    let sources = tempfile::tempdir().unwrap();
    let top = sources.path().join("etc");
    for path in
        ["nginx/nginx.conf", "nginx/sites/a.conf", "nginx/sites/b.bak", "ssh/config", "nginx.conf", "nginx-old/x"]
    {
        fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
        fs::write(top.join(path), path).unwrap();
    }
    symlink("nginx.conf", top.join("link")).unwrap();
    let walk =
        WalkOptions { exclude: Filter::new(&["*.bak".to_owned(), "ssh".to_owned()]).unwrap(), one_file_system: true };
    let repo = create(Arc::new(MemoryStore::new()), None).unwrap();
    let source = Source::Paths { paths: vec![PathBuf::from("etc")], base: sources.path().to_owned(), walk };
    let snapshot = back_up(&repo, source).unwrap().snapshot.unwrap();
    assert_eq!(snapshot.manifest.sources, [top.to_str().unwrap()]);

    let part = |path: Option<&Path>, include: &[&str], exclude: &[&str]| -> Vec<String> {
        let target = tempfile::tempdir().unwrap();
        let filter =
            |patterns: &[&str]| Filter::new(&patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).unwrap();
        let options = RestoreOptions {
            path: path.map(as_bytes),
            target: target.path().join("new"),
            include: filter(include),
            exclude: filter(exclude),
            set_owner: false,
        };
        run_restore(&repo, &snapshot, options);
        names(&target.path().join("new"))
    };
    assert_eq!(
        part(Some(&top), &[], &[]),
        ["link", "nginx-old/x", "nginx.conf", "nginx/nginx.conf", "nginx/sites/a.conf"]
    );
    assert_eq!(part(Some(&top.join("nginx")), &[], &[]), ["nginx.conf", "sites/a.conf"]);
    assert_eq!(part(Some(&top.join("nginx.conf")), &[], &[]), ["nginx.conf"]);
    assert_eq!(part(Some(&top.join("link")), &[], &[]), ["link"]);
    assert_eq!(part(Some(&top), &["*.conf"], &[]), ["nginx.conf", "nginx/nginx.conf", "nginx/sites/a.conf"]);
    assert_eq!(part(Some(&top), &["*.conf"], &["sites"]), ["nginx.conf", "nginx/nginx.conf"]);
    // What is wanted is a directory somewhere below directories that are not.
    assert_eq!(part(Some(&top), &["sites"], &[]), ["nginx/sites/a.conf"]);
    let whole: Vec<String> = part(None, &["nginx"], &[]);
    let below = as_bytes(&top.join("nginx"));
    let below = std::str::from_utf8(&below[1..]).unwrap();
    assert_eq!(whole, [format!("{below}/nginx.conf"), format!("{below}/sites/a.conf")]);

    let missing = RestoreOptions {
        path: Some(as_bytes(&top.join("ssh"))),
        target: sources.path().join("never"),
        include: Filter::default(),
        exclude: Filter::default(),
        set_owner: false,
    };
    let error = restore::run(&repo, &snapshot, &missing, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("/etc/ssh is not in snapshot"), "{error}");
    assert!(!sources.path().join("never").exists());
}
