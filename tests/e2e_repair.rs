//! `ssb repair` as a person meets it: what a check says to do, done word for word; exit codes and JSON.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::chance::Chance;
use support::shell::Shell;

fn files(top: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(top) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn below(shell: &Shell, folder: &str) -> Vec<PathBuf> {
    files(&Path::new(&shell.repo).join(folder))
}

/// The pack of the largest file.
fn data_pack(shell: &Shell) -> PathBuf {
    below(shell, "packs").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A repository with one snapshot of a large and a small file.
fn shell() -> Shell {
    let shell = Shell::with_repo();
    shell.write("data/large", Chance::new(1).bytes(300_000));
    shell.write("data/small", "small");
    shell.ok(&["backup", "data", "--tag", "daily"]);
    shell
}

fn has(document: &Value, fields: &[&str]) {
    fields.iter().for_each(|field| assert!(document.get(field).is_some(), "{field} is missing in {document}"));
}

#[test]
fn a_damaged_pack() {
    let shell = shell();
    let pack = data_pack(&shell);
    let id = name(&pack);
    flip(&pack, 50_000);
    let found = shell.run(&["check", "--read-data"]);
    assert!(found.code == 4 && found.out.contains(&format!("'ssb repair packs {id}'")), "{found:?}");
    let dry = shell.run(&["repair", "packs", &id, "--dry-run"]);
    assert!(dry.code == 4 && dry.out.contains("would be saved") && dry.out.contains("data/large"), "{dry:?}");
    // By the name that the check prints, too.
    let done = shell.run(&["repair", "packs", &format!("packs/{}/{id}", &id[..2])]);
    assert_eq!(done.code, 4, "{done:?}");
    for word in ["1 lost", "data/large", "run the backups again", "ssb repair snapshots"] {
        assert!(done.out.contains(word), "'{word}' is missing: {done:?}");
    }
    assert_eq!(shell.run(&["check"]).code, 4);
    shell.ok(&["backup", "data"]);
    shell.ok(&["check", "--read-data"]);
    shell.ok(&["prune"]);
    assert!(!pack.exists());
    shell.ok(&["check", "--read-data"]);
    shell.ok(&["restore", "latest", "--target", "back"]);
    let data = shell.path("data").canonicalize().unwrap();
    let back = shell.path("back").join(data.strip_prefix("/").unwrap());
    assert_eq!(fs::read(back.join("large")).unwrap(), fs::read(data.join("large")).unwrap());
}

#[test]
fn a_damaged_frame_and_a_whole_pack() {
    let shell = shell();
    let pack = data_pack(&shell);
    let whole = shell.ok(&["repair", "packs", &name(&pack)]);
    assert!(whole.out.contains("is whole and was left as it is"), "{whole:?}");
    let length = fs::metadata(&pack).unwrap().len() as usize;
    fs::write(&pack, &fs::read(&pack).unwrap()[..length - 1]).unwrap();
    let index = shell.run(&["repair", "index"]);
    assert!(index.code == 4 && index.out.contains("ssb repair packs"), "{index:?}");
    let done = shell.ok(&["repair", "packs", &name(&pack)]);
    assert!(done.out.contains(" 0 lost"), "{done:?}");
    shell.ok(&["check", "--read-data"]);
}

#[test]
fn lost_segments() {
    let shell = shell();
    below(&shell, "index").iter().for_each(|segment| fs::remove_file(segment).unwrap());
    let found = shell.run(&["check"]);
    assert!(found.code == 4 && found.out.contains("'ssb repair index'"), "{found:?}");
    shell.fails(&["repair", "snapshots", "--forget"], 4, &["nothing was changed", "ssb repair index"]);
    let dry = shell.ok(&["repair", "index", "-n"]);
    assert!(dry.out.contains("would list 2 packs"), "{dry:?}");
    assert!(below(&shell, "index").is_empty());
    let done = shell.ok(&["repair", "index"]);
    assert!(done.out.contains("listed 2 packs that were in no segment") && done.out.contains("ssb check"), "{done:?}");
    shell.ok(&["check", "--read-data"]);
    let again = shell.ok(&["repair", "index", "--read-all"]);
    assert!(again.out.contains("left as it is"), "{again:?}");
}

#[test]
fn a_lost_pack() {
    let shell = shell();
    fs::remove_file(data_pack(&shell)).unwrap();
    let found = shell.run(&["check"]);
    assert!(found.code == 4 && found.out.contains("'ssb repair index'"), "{found:?}");
    let done = shell.run(&["repair", "index"]);
    assert!(done.code == 4 && done.out.contains("1 pack missing") && done.out.contains("backups"), "{done:?}");
    // Its sources are gone as well.
    fs::remove_dir_all(shell.path("data")).unwrap();
    shell.write("data/new", "new");
    shell.ok(&["backup", "data"]);
    let dry = shell.run(&["repair", "snapshots", "--dry-run"]);
    assert!(dry.code == 4 && dry.out.contains("data/large") && dry.out.contains("lost: 2 files"), "{dry:?}");
    let count = || shell.json(&["snapshots", "--json"]).as_array().unwrap().len();
    assert_eq!(count(), 2);
    let done = shell.run(&["repair", "snapshots"]);
    assert!(done.code == 4 && done.out.contains("the rest is snapshot") && done.out.contains("--forget"), "{done:?}");
    assert_eq!(count(), 3);
    let done = shell.ok(&["repair", "snapshots", "--forget"]);
    assert!(done.out.contains("it was removed"), "{done:?}");
    assert_eq!(count(), 2);
    assert!(shell.ok(&["snapshots"]).out.contains("daily,repaired"));
    shell.ok(&["check", "--read-data"]);
    shell.ok(&["prune"]);
    let whole = shell.ok(&["repair", "snapshots"]);
    assert!(whole.out.contains("none has lost anything"), "{whole:?}");
}

#[test]
fn a_damaged_manifest() {
    let shell = shell();
    let manifest = below(&shell, "snapshots").pop().unwrap();
    flip(&manifest, 50);
    // This machine has a copy of what it has written.
    shell.ok(&["repair", "snapshots"]);
    shell.ok(&["check"]);
    flip(&manifest, 50);
    let found = shell.run(&["check", "--no-cache"]);
    assert!(found.code == 4 && found.out.contains("'ssb repair snapshots --forget'"), "{found:?}");
    let told = shell.run(&["repair", "snapshots", "--no-cache"]);
    assert!(told.code == 4 && told.out.contains(&name(&manifest)), "{told:?}");
    shell.ok(&["repair", "snapshots", "--forget", "--no-cache"]);
    assert!(!manifest.exists());
    shell.ok(&["check"]);
}

#[test]
fn wrong_usage() {
    let shell = shell();
    shell.fails(&["repair", "packs", "nonsense"], 2, &["'nonsense' is no pack", "64 digits"]);
    let unknown = "ab".repeat(32);
    shell.fails(&["repair", "packs", &unknown], 2, &["there is no pack", &unknown, "ssb check"]);
    for words in [&["repair"][..], &["repair", "packs"], &["repair", "nonsense"], &["repair", "index", "x"]] {
        let ended = shell.run(words);
        assert!(ended.code == 2 && ended.out.is_empty() && !ended.err.is_empty(), "{ended:?}");
    }
    for what in ["index", "packs", "snapshots"] {
        let help = shell.ok(&["repair", what, "--help"]).out;
        assert!(help.contains("Example") && help.contains(&format!("ssb repair {what}")), "{help}");
    }
    for words in
        [&["repair", "index", "-q"][..], &["repair", "snapshots", "-q"], &["repair", "index", "--read-all", "-q"]]
    {
        let ended = shell.ok(words);
        assert!(ended.out.is_empty() && ended.err.is_empty(), "{words:?}: {ended:?}");
    }
}

#[test]
fn json() {
    let shell = shell();
    let pack = data_pack(&shell);
    flip(&pack, 50_000);
    let index = shell.json(&["repair", "index", "--read-all", "--json"]);
    let counts = [
        "packs",
        "packs_added",
        "packs_put_back",
        "packs_missing",
        "packs_damaged",
        "packs_condemned",
        "footers_read",
        "segments_kept",
        "segments_damaged",
        "segments_replaced",
        "segments_written",
    ];
    has(&index, &counts);
    assert_eq!((&index["findings"], &index["dry_run"]), (&serde_json::json!([]), &Value::Bool(false)));
    assert_eq!((&index["packs"], &index["footers_read"]), (&Value::from(2), &Value::from(2)));
    let packs = shell.json(&["repair", "packs", &name(&pack), "--json"]);
    has(&packs, &["packs", "segments_replaced", "hits", "dry_run"]);
    has(&packs["packs"][0], &["pack", "whole", "chunks", "saved", "saved_bytes", "lost"]);
    assert_eq!((&packs["packs"][0]["lost"], &packs["hits"][0]["file_count"]), (&Value::from(1), &Value::from(1)));
    let dry = shell.json(&["repair", "snapshots", "--json", "--dry-run"]);
    has(&dry, &["snapshots", "manifests_put_back", "damaged", "dry_run"]);
    let fields = ["snapshot", "unreadable", "files", "file_count", "repaired", "forgotten"];
    has(&dry["damaged"][0], &fields);
    assert_eq!((&dry["damaged"][0]["repaired"], &dry["dry_run"]), (&Value::Null, &Value::Bool(true)));
    let done = shell.json(&["repair", "snapshots", "--json", "--forget"]);
    let listed = shell.json(&["snapshots", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], done["damaged"][0]["repaired"]);
    assert_eq!(listed[0]["original"], done["damaged"][0]["snapshot"]);
    assert_eq!(listed[0]["issues"][0]["code"], "repair-left-out");
    assert_eq!(listed[0]["tags"], serde_json::json!(["daily", "repaired"]));
}
