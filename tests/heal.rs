//! A backup heals: what the repository has lost is stored again from the live source, although nothing there has changed.

use ssb::base::{Cancel, Silent, SystemClock, SystemEntropy, SystemPacer};
use ssb::chunker::ChunkerParams;
use ssb::crypto::{KdfParams, SecretText};
use ssb::ops::backup::{BackupOptions, Source, run as back_up};
use ssb::ops::check::{ReadData, run as check};
use ssb::ops::restore::{RestoreOptions, run as restore};
use ssb::repo::{Edges, Repo, Snapshot, layout};
use ssb::source::{Filter, WalkOptions};
use ssb::store::{MemoryStore, ObjectStore, list_all};
use std::path::Path;
use std::sync::Arc;

const CHEAP: KdfParams = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };

fn create(store: Arc<dyn ObjectStore>) -> Arc<Repo> {
    let edges = Edges {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        pacer: Arc::new(SystemPacer::new(Cancel::new())),
        host: "host".into(),
        user: "user".into(),
        cache_root: None,
        observer: Arc::new(Silent),
    };
    let params = ChunkerParams::new(1 << 10, 4 << 10, 16 << 10).unwrap();
    Arc::new(Repo::create(store, &SecretText::new("p".into()), CHEAP, params, edges).unwrap())
}

fn backup(repo: &Arc<Repo>, source: &Path) -> Snapshot {
    let source = Source::Paths { paths: vec![source.into()], base: "/".into(), walk: WalkOptions::default() };
    let options = BackupOptions { zstd_level: 1, ..BackupOptions::new(source, "host", "test") };
    let outcome = back_up(repo, options, &Cancel::new()).unwrap();
    assert!(outcome.issues.is_empty(), "{:?}", outcome.issues);
    outcome.snapshot.unwrap()
}

/// Gives whether the two snapshots have the same tree, as they do unless somebody changes a directory above the source.
fn lose_and_heal() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let mut noise = vec![0; 20 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::fs::write(source.join("large"), &noise).unwrap();
    std::fs::write(source.join("small"), &noise[..5000]).unwrap();
    // What was changed just before a backup is read again anyway, which is not what is to be shown here.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let store = Arc::new(MemoryStore::new());
    let repo = create(store.clone());
    let first = backup(&repo, &source);
    for prefix in [layout::PACKS, layout::SEGMENTS] {
        list_all(&*store, prefix).unwrap().iter().for_each(|object| store.delete(&object.key).unwrap());
    }
    let healed = backup(&repo, &source);
    let out = dir.path().join("out");
    let path = Some(source.to_str().unwrap().as_bytes().to_vec());
    let options = RestoreOptions {
        path,
        target: out.clone(),
        include: Filter::default(),
        exclude: Filter::default(),
        set_owner: false,
    };
    let restored = restore(&repo, &healed, &options, &Cancel::new()).unwrap();
    assert!(restored.issues.is_empty(), "{:?}", restored.issues);
    assert!(std::fs::read(out.join("large")).unwrap() == noise);
    assert!(std::fs::read(out.join("small")).unwrap() == noise[..5000]);
    if healed.manifest.tree != first.manifest.tree {
        return false;
    }
    // So both are whole again.
    let checked = check(&repo, ReadData::All, 0, &Cancel::new()).unwrap();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    assert_eq!(checked.snapshots, 2);
    true
}

#[test]
fn lost_packs_are_stored_again_from_unchanged_sources() {
    assert!((0..20).any(|_| lose_and_heal()));
}
