//! The program as a person or a script meets it: words in, words out, exit codes, and what it says when something is wrong.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::chance::Chance;
use support::lab::PASSPHRASE;
use support::s3_server::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use support::shell::{Ended, Shell, ended};

#[test]
fn a_life() {
    let shell = Shell::new();
    shell.ok(&["init"]);
    shell.write("data/a", "first");
    shell.write("data/deep/b", vec![7; 3_000_000]);
    shell.ok(&["backup", "data", "--tag", "one"]);
    shell.write("data/a", "second");
    shell.ok(&["backup", "data", "--tag", "two"]);
    shell.ok(&["check", "--read-data"]);
    let listed = shell.ok(&["snapshots"]).out;
    assert!(listed.contains("one") && listed.contains("two") && listed.contains("2 snapshots"), "{listed}");
    let data = shell.path("data").canonicalize().unwrap();
    let data = data.to_str().unwrap();
    assert!(shell.ok(&["ls", "latest"]).out.contains(&format!("{data}/deep/b")));
    shell.ok(&["restore", &format!("latest:{data}"), "--target", "back"]);
    assert_eq!(fs::read(shell.path("back/a")).unwrap(), b"second");
    assert_eq!(fs::read(shell.path("back/deep/b")).unwrap(), [7; 3_000_000]);
    shell.ok(&["restore", "latest", "--tag", "one", "--target", "older", "--include", "data"]);
    assert_eq!(fs::read(shell.path("older").join(&data[1..]).join("a")).unwrap(), b"first");
    shell.ok(&["forget", "--keep-last", "1", "--prune", "--max-unused", "0"]);
    assert!(shell.ok(&["snapshots"]).out.contains("1 snapshot"));
    shell.ok(&["check", "--read-data"]);
    assert!(shell.ok(&["stats"]).out.contains("packs"));
    shell.fails(&["init"], 1, &["already holds a repository", &shell.repo]);
}

#[test]
fn keys_and_passphrases() {
    let shell = Shell::with_repo().set("SSB_PASSWORD", "wrong-and-not-to-be-shown");
    shell.fails(&["snapshots"], 12, &["passphrase is wrong", &shell.repo]);
    let shell = shell.unset("SSB_PASSWORD");
    shell.fails(&["snapshots"], 2, &["SSB_PASSWORD", "--password-file"]);
    let file = shell.write("secret", format!("{PASSPHRASE}\nnot this line\n"));
    let file = file.to_str().unwrap();
    shell.ok(&["snapshots", "--password-file", file]);
    shell.ok(&["snapshots", "--password-command", &format!("cat {file}")]);
    shell.fails(&["snapshots", "--password-file", "no-such-file"], 2, &["no-such-file"]);
    shell.fails(&["snapshots", "--password-command", "exit 3"], 2, &["exit 3", "failed"]);
    let shell = shell.set("SSB_PASSWORD_FILE", file);
    shell.ok(&["snapshots"]);
    let shell = shell.unset("SSB_PASSWORD_FILE").set("SSB_PASSWORD_COMMAND", &format!("head -n1 {file}"));
    shell.ok(&["snapshots"]);
    Shell::new().set("SSB_PASSWORD", "").fails(&["init"], 2, &["empty passphrase"]);
}

#[test]
fn no_repository() {
    let mut shell = Shell::new();
    shell.fails(&["snapshots"], 10, &["there is no repository in", &shell.repo, "ssb init"]);
    fs::create_dir(&shell.repo).unwrap();
    shell.fails(&["snapshots"], 10, &["there is no repository in", &shell.repo]);
    shell.write("data/a", "x");
    shell.fails(&["backup", "data"], 10, &["there is no repository in"]);
    assert_eq!(fs::read_dir(&shell.repo).unwrap().count(), 0);
    shell.repo = String::new();
    shell.fails(&["snapshots"], 2, &["--repo", "SSB_REPOSITORY"]);
    shell.fails(&["snapshots", "--repo", "gs://bucket/x"], 2, &["gs://bucket/x", "s3://bucket/prefix"]);
}

#[test]
fn a_newer_format() {
    let shell = Shell::with_repo();
    let config = Path::new(&shell.repo).join("config");
    let newer = fs::read_to_string(&config).unwrap().replace("\"format\":1", "\"format\":2");
    fs::write(&config, newer).unwrap();
    for words in [&["snapshots"][..], &["backup", "."], &["check"], &["prune"]] {
        shell.fails(words, 13, &["format version 2", "newer ssb"]);
    }
}

/// A repository in a bucket that was made by the library, to spare the program the costly derivation.
fn bucket(server: &S3Server) -> Shell {
    let store = ssb::store::S3Store::connect(&server.location("repo"), &support::s3_server::settings()).unwrap();
    support::lab::create(std::sync::Arc::new(store), None).unwrap();
    let mut shell = Shell::new().set("AWS_ACCESS_KEY_ID", ACCESS_KEY).set("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    shell.repo = format!("s3://{BUCKET}/repo");
    shell.set("S3_ENDPOINT", &server.endpoint()).set("S3_REGION", "us-east-1")
}

#[test]
fn a_bucket() {
    let server = S3Server::start();
    let shell = bucket(&server);
    shell.write("data/a", vec![1; 2_000_000]);
    let first = shell.json(&["backup", "data", "--json"]);
    assert!(first["requests"]["put"].as_u64().unwrap() >= 4, "{first}");
    shell.ok(&["check", "--read-data"]);
    shell.ok(&["restore", "latest", "--target", "back", "--include", "a"]);
    let bad = shell.run(&["snapshots", "--repo", "s3://no-such-bucket/repo"]);
    bad.assert_failed(10, &["no-such-bucket"]);
    for (id, secret) in [(ACCESS_KEY, "not-the-secret"), ("AKIDNOBODY", SECRET_KEY)] {
        let mut command = shell.command(&["snapshots"]);
        let ended = ended(command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).output().unwrap());
        ended.assert_failed(1, &[id]);
        assert!(!ended.err.contains(secret), "{ended:?}");
    }
}

#[test]
fn one_connection_is_enough() {
    let server = S3Server::start();
    let shell = bucket(&server).set("SSB_CONNECTIONS", "1").set("SSB_REQUEST_TIMEOUT", "1m");
    shell.write("data/a", Chance::new(8).bytes(3_000_000));
    shell.ok(&["backup", "data"]);
    shell.ok(&["check", "--read-data", "--no-cache"]);
    shell.ok(&["restore", "latest", "--target", "back"]);
    shell.ok(&["prune"]);
}

#[test]
fn limits_of_speed() {
    let shell = Shell::with_repo();
    shell.write("data/a", Chance::new(8).bytes(300 << 10));
    let took = |words: &[&str]| {
        let begun = Instant::now();
        shell.ok(words);
        begun.elapsed()
    };
    // 300 KiB of noise, and nothing else of weight.
    let up = took(&["backup", "data", "--limit-upload", "200"]);
    assert!(up >= Duration::from_secs(1), "{up:?}");
    let down = took(&["restore", "latest", "--target", "back", "--limit-download", "200"]);
    assert!(down >= Duration::from_millis(700), "{down:?}");
    let source = shell.path("data/a").canonicalize().unwrap();
    let restored = shell.path("back").join(source.strip_prefix("/").unwrap());
    assert!(fs::read(restored).unwrap() == fs::read(source).unwrap());
    let shell = shell.set("SSB_LIMIT_UPLOAD", "1").set("SSB_LIMIT_DOWNLOAD", "1");
    // The option goes before the variable.
    shell.ok(&["backup", "data", "--force", "--limit-upload", "0", "--limit-download", "0"]);
    for words in [
        &["stats", "--limit-upload", "fast"][..],
        &["stats", "--limit-download", "-1"],
        &["stats", "--connections", "0"],
        &["stats", "--request-timeout", "60"],
    ] {
        let ended = shell.run(words);
        assert!(ended.code == 2 && ended.out.is_empty() && ended.err.starts_with("error: "), "{ended:?}");
    }
}

/// A server that takes a request and says nothing. Its silence is told within the time that was given.
#[test]
fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut shell = Shell::new().set("AWS_ACCESS_KEY_ID", "AKID").set("AWS_SECRET_ACCESS_KEY", "x");
    shell.repo = "s3://bucket/repo".to_owned();
    let words = ["snapshots", "--s3-endpoint", &format!("http://{address}"), "--request-timeout", "700ms"];
    let ended = shell.fails(&words, 1, &[&address, "0.7 s"]);
    drop((listener, ended));
}

#[test]
fn an_endpoint_that_does_not_answer() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let mut shell = Shell::new().set("AWS_ACCESS_KEY_ID", "AKID").set("AWS_SECRET_ACCESS_KEY", "x");
    shell.repo = "s3://bucket/repo".to_owned();
    let begun = Instant::now();
    shell.fails(&["snapshots", "--s3-endpoint", &format!("http://{closed}")], 1, &[&closed]);
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
}

#[test]
fn wrong_usage() {
    let shell = Shell::with_repo();
    shell.write("data/a", "x");
    shell.ok(&["backup", "data", "-q"]);
    shell.fails(&["restore", "latest", "--target", "data"], 2, &["data", "not empty"]);
    shell.fails(&["restore", "0123456789", "--target", "new"], 2, &["'0123456789'", "ssb snapshots"]);
    shell.fails(&["restore", "latest:/no/such", "--target", "new"], 2, &["/no/such", "ssb ls"]);
    shell.fails(&["ls", "latest", "--tag", "nobody-has-it"], 2, &["latest"]);
    shell.fails(&["forget"], 2, &["--keep-last"]);
    shell.fails(&["backup", "data", "--exclude", "a["], 2, &["'a['"]);
    shell.fails(&["backup", "no/such/a", "/no-such-b"], 2, &["no/such/a", "/no-such-b"]);
    shell.fails(&["backup", "--stdin", "--stdin-filename", "/"], 2, &["app.sql"]);
    assert_eq!(shell.json(&["snapshots", "--json"]).as_array().unwrap().len(), 1);
    for words in
        [&["backup"][..], &["nonsense"], &["check", "--read-data-subset", "4/3"], &["prune", "--max-unused", "x"]]
    {
        let ended = shell.run(words);
        assert!(ended.code == 2 && ended.out.is_empty() && ended.err.starts_with("error: "), "{ended:?}");
    }
    assert!(!shell.path("new").exists());
}

#[test]
fn a_prefix_that_fits_several_snapshots() {
    let shell = Shell::with_repo();
    let mut known: BTreeSet<char> = BTreeSet::new();
    let shared = (0..17).find_map(|n| {
        shell.write("data/a", format!("{n}"));
        let outcome = shell.json(&["backup", "data", "--json"]);
        let first = outcome["snapshot"].as_str().unwrap().chars().next().unwrap();
        (!known.insert(first)).then(|| first.to_string())
    });
    let shared = shared.unwrap();
    let ids: Vec<String> =
        shell.json(&["snapshots", "--json"]).as_array().unwrap().iter().map(|s| text(&s["id"])).collect();
    let fitting: Vec<&str> = ids.iter().filter(|id| id.starts_with(&shared)).map(|id| &id[..8]).collect();
    shell.fails(&["ls", &shared], 2, &[&[&shared, "more digits"][..], &fitting].concat());
    shell.ok(&["ls", fitting[0]]);
}

/// Two snapshots of `data` between which everything happens that can happen to an entry; the folder and the ids.
fn changed(shell: &Shell) -> (String, String, String) {
    for (name, content) in [("gone", "123456"), ("content", "old"), ("mode", "x"), ("same", "x"), ("turned", "1234567")]
    {
        shell.write(&format!("data/{name}"), content);
    }
    shell.write("data/sub/inner", "old");
    symlink("old", shell.path("data/link")).unwrap();
    let before = shell.json(&["backup", "data", "--json"]);
    for name in ["gone", "turned", "link"] {
        fs::remove_file(shell.path("data").join(name)).unwrap();
    }
    for (name, content) in [("content", "newer"), ("new", "123"), ("turned/inside", "new"), ("sub/inner", "changed")] {
        shell.write(&format!("data/{name}"), content);
    }
    symlink("new", shell.path("data/link")).unwrap();
    fs::set_permissions(shell.path("data/mode"), fs::Permissions::from_mode(0o400)).unwrap();
    let after = shell.json(&["backup", "data", "--json"]);
    let folder = shell.path("data").canonicalize().unwrap().to_str().unwrap().to_owned();
    (folder, text(&before["snapshot"]), text(&after["snapshot"]))
}

/// The changes that a run printed, the paths from the folder on.
fn changes(ended: &Ended, folder: &str) -> Vec<String> {
    let lines = ended.out.lines().take_while(|line| !line.is_empty());
    lines.map(|line| line.replace(&format!("    {folder}"), "")).collect()
}

#[test]
fn what_changed_between_two_snapshots() {
    let shell = Shell::with_repo();
    let (folder, before, after) = changed(&shell);
    let ended = shell.ok(&["diff", &before, &after]);
    let all = ["M/content", "-/gone", "M/link", "+/new", "T/turned", "M/sub/inner", "+/turned/inside"];
    assert_eq!(changes(&ended, &folder), all);
    assert!(ended.out.contains("18 B of content came, 19 B went") && ended.out.contains("--metadata"), "{ended:?}");
    let with_metadata = shell.ok(&["diff", &before[..8], "latest", "--metadata"]);
    let all = ["U", "M/content", "-/gone", "M/link", "U/mode", "+/new", "T/turned", "M/sub/inner", "+/turned/inside"];
    assert_eq!(changes(&with_metadata, &folder), all);
    let quiet = shell.ok(&["diff", &before, &after, "-q"]);
    assert!(quiet.out.lines().count() == 7 && quiet.out.lines().all(|line| line.contains(&folder)), "{quiet:?}");
    assert!(shell.ok(&["diff", "latest", &after]).out.starts_with("nothing changed"));
    assert!(shell.ok(&["diff", "latest", "latest", "--metadata"]).out.starts_with("nothing changed"));
    shell.fails(&["diff", "0123456789", "latest"], 2, &["'0123456789'", "ssb snapshots"]);
    shell.fails(&["diff", "latest", "0123456789"], 2, &["'0123456789'", "ssb snapshots"]);
    shell.fails(&["diff", "latest", "latest", "--tag", "nobody-has-it"], 2, &["latest"]);
    assert_eq!(shell.run(&["diff", "latest"]).code, 2);
}

#[test]
fn what_changed_at_and_below_a_path() {
    let shell = Shell::with_repo();
    let (folder, before, after) = changed(&shell);
    let at = |id: &str, name: &str| format!("{id}:{folder}/{name}");
    let paths = |words: [String; 2]| changes(&shell.ok(&["diff", &words[0], &words[1]]), &folder);
    assert_eq!(paths([at(&before, "sub"), after.clone()]), ["M/sub/inner"]);
    assert_eq!(paths([before.clone(), at(&after, "sub/")]), ["M/sub/inner"]);
    assert_eq!(paths([at(&before, "turned"), at(&after, "turned")]), ["T/turned", "+/turned/inside"]);
    assert_eq!(paths([at(&before, "gone"), after.clone()]), ["-/gone"]);
    assert_eq!(paths([at(&before, "new"), after.clone()]), ["+/new"]);
    assert_eq!(paths([at(&before, "content"), at(&after, "new")]), ["M/new"]);
    assert_eq!(paths([at(&after, "sub"), at(&after, "turned")]), ["-/sub/inner", "+/turned/inside"]);
    shell.fails(&["diff", &at(&before, "never"), &after], 2, &["/never", "ssb ls"]);
    shell.fails(&["diff", &at(&before, "new"), &at(&after, "content")], 2, &["/new", &before[..8]]);
    shell.fails(&["diff", &at(&before, "content"), &at(&after, "gone")], 2, &["/gone", &after[..8]]);
}

/// The changes and the summary of a run with `--json`.
fn json_changes(ended: &Ended) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    lines.iter().for_each(|line| has(line, &["change", "path", "before", "after"]));
    (lines, last["summary"].clone())
}

#[test]
fn changes_as_json() {
    let shell = Shell::with_repo();
    let (folder, before, after) = changed(&shell);
    let (lines, summary) = json_changes(&shell.ok(&["diff", &before, &after, "--json"]));
    let kinds: Vec<&str> = lines.iter().map(|line| line["change"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["modified", "removed", "modified", "added", "type", "modified", "added"]);
    let content = &lines[0];
    assert_eq!(text(&content["path"]), format!("{folder}/content"));
    assert_eq!((&content["before"]["size"], &content["after"]["size"]), (&Value::from(3), &Value::from(5)));
    has(&content["after"], &["path", "type", "mode", "uid", "gid", "size", "mtime"]);
    assert_eq!((&lines[1]["after"], &lines[3]["before"]), (&Value::Null, &Value::Null));
    assert_eq!((&lines[4]["before"]["type"], &lines[4]["after"]["type"]), (&Value::from("file"), &Value::from("dir")));
    let counts = |files: u64, directories: u64, others: u64| serde_json::json!({ "files": files, "directories": directories, "others": others });
    let wanted = serde_json::json!({
        "before": before, "after": after,
        "added": counts(2, 0, 0), "removed": counts(1, 0, 0), "modified": counts(2, 0, 1), "type": counts(0, 1, 0),
        "metadata": counts(1, 1, 0), "added_bytes": 18, "removed_bytes": 19, "issues": [],
    });
    assert_eq!(summary, wanted);
    let (lines, again) = json_changes(&shell.ok(&["diff", &before, &after, "--json", "--metadata"]));
    assert_eq!((lines.iter().filter(|line| line["change"] == "metadata").count(), again), (2, wanted));
    let (lines, _) = json_changes(&shell.ok(&["diff", &after, &after, "--json"]));
    assert!(lines.is_empty());
}

/// Of three snapshots the second made the tree's last leaf and the third its first. More files than a leaf holds stand
/// between the two, so that losing what the second stored hides the last file only.
#[test]
fn what_changed_in_a_damaged_tree() {
    let shell = Shell::with_repo();
    (0..300).for_each(|n| drop(shell.write(&format!("data/f{n:03}"), "x")));
    let first = text(&shell.json(&["backup", "data", "--json"])["snapshot"]);
    let packs = Path::new(&shell.repo).join("packs");
    let known: BTreeSet<PathBuf> = files(&packs).into_iter().collect();
    shell.write("data/f299", "changed");
    shell.ok(&["backup", "data"]);
    let new: Vec<PathBuf> = files(&packs).into_iter().filter(|pack| !known.contains(pack)).collect();
    shell.write("data/f000", "changed");
    shell.ok(&["backup", "data"]);
    new.iter().for_each(|pack| fs::remove_file(pack).unwrap());
    let ended = shell.run(&["diff", &first, "latest"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.out.contains("M    ") && ended.out.contains("/f000") && !ended.out.contains("/f299"), "{ended:?}");
    assert!(ended.err.contains("cannot be compared") && ended.err.contains("ssb check"), "{ended:?}");
    let ended = shell.run(&["diff", &first, "latest", "--json"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    let (lines, summary) = json_changes(&ended);
    assert_eq!((lines.len(), &summary["issues"][0]["code"]), (1, &Value::from("damaged-object")));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A file that may not be read, by root neither.
fn unreadable(shell: &Shell) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        // The kernel's files that can only be written to.
        return PathBuf::from("/sys/bus/platform/uevent");
    }
    let path = shell.write("data/secret", "x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    path
}

#[test]
fn sources_that_cannot_be_read() {
    let shell = Shell::with_repo();
    shell.write("data/a", "x");
    let bad = unreadable(&shell);
    let ended = shell.run(&["backup", "data/a", bad.to_str().unwrap()]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains(bad.to_str().unwrap()) && ended.err.contains("cannot be read"), "{ended:?}");
    let ended = shell.run(&["backup", "data/a", "data/missing", "--json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let outcome: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(outcome["issues"][0]["code"], "source-missing");
    assert_eq!(outcome["issues"][0]["subject"], shell.path("data/missing").to_str().unwrap());
    shell.ok(&["check"]);
}

#[test]
fn json_is_one_document_with_known_fields() {
    let shell = Shell::new();
    has(&shell.json(&["init", "--json"]), &["id", "repository"]);
    shell.write("data/a", "x");
    let outcome = shell.json(&["backup", "data", "--json"]);
    has(&outcome, &["snapshot", "parent", "totals", "issues", "dry_run", "requests"]);
    has(
        &outcome["totals"],
        &["files", "directories", "bytes", "new_bytes", "stored_bytes", "new_packs", "duration_ms"],
    );
    let dry = shell.json(&["backup", "data", "--json", "--dry-run"]);
    assert_eq!((&dry["snapshot"], &dry["dry_run"]), (&Value::Null, &Value::Bool(true)));
    assert_eq!(dry["parent"], outcome["snapshot"]);
    has(&shell.json(&["snapshots", "--json"])[0], &["id", "time", "host", "user", "sources", "tags", "tree", "totals"]);
    let listed = shell.ok(&["ls", "latest", "--json"]).out;
    for line in listed.lines() {
        has(&serde_json::from_str(line).unwrap(), &["path", "type", "mode", "uid", "gid", "size", "mtime"]);
    }
    let restored = shell.json(&["restore", "latest", "--target", "back", "--json"]);
    has(&restored, &["snapshot", "target", "files", "directories", "bytes", "issues", "requests"]);
    has(&shell.json(&["check", "--json"]), &["snapshots", "packs", "packs_read", "findings", "hits"]);
    has(&shell.json(&["forget", "--keep-last", "1", "--prune", "--json"]), &["groups", "remove", "dry_run", "prune"]);
    has(&shell.json(&["prune", "--json"]), &["used_bytes", "freed_bytes", "packs_unused", "deferred", "dry_run"]);
    has(&shell.json(&["stats", "--json"]), &["snapshots", "packs", "chunks", "stored_bytes", "ratio", "objects"]);
    has(&shell.json(&["version", "--json"]), &["version", "repository_format"]);
    let failed = shell.run(&["ls", "ffffffff", "--json"]);
    let error: Value = serde_json::from_str(&failed.err).unwrap();
    assert_eq!((failed.code, &error["error"]["code"]), (2, &Value::from(2)));
    assert!(text(&error["error"]["message"]).contains("ffffffff"));
}

fn has(document: &Value, fields: &[&str]) {
    fields.iter().for_each(|field| assert!(document.get(field).is_some(), "{field} is missing in {document}"));
}

#[test]
fn quiet_is_quiet() {
    let shell = Shell::new();
    shell.write("data/a", "x");
    let all: [&[&str]; 7] = [
        &["init", "-q"],
        &["backup", "data", "-q"],
        &["backup", "data", "--dry-run", "--quiet"],
        &["check", "--read-data", "-q"],
        &["restore", "latest", "--target", "back", "-q"],
        &["forget", "--keep-last", "1", "--prune", "-q"],
        &["prune", "-q"],
    ];
    for words in all {
        let ended = shell.ok(words);
        assert!(ended.out.is_empty() && ended.err.is_empty(), "{words:?}: {ended:?}");
    }
}

#[test]
fn help_shows_by_example() {
    let shell = Shell::new();
    let commands = [
        "init",
        "backup",
        "snapshots",
        "ls",
        "diff",
        "restore",
        "check",
        "forget",
        "prune",
        "sessions",
        "repair",
        "schedule",
        "stats",
        "version",
    ];
    let overview = shell.ok(&["--help"]).out;
    for command in commands {
        assert!(overview.contains(&format!("  {command} ")), "{command} is not in the overview");
        let help = shell.ok(&[command, "--help"]).out;
        assert!(help.contains("Example") && help.contains(&format!("ssb {command}")), "{help}");
    }
}

#[test]
fn damage_has_a_code_of_its_own() {
    let shell = Shell::with_repo();
    shell.write("data/a", Chance::new(1).bytes(100_000));
    shell.ok(&["backup", "data"]);
    let pack = files(&Path::new(&shell.repo).join("packs")).into_iter().max_by_key(|p| fs::metadata(p).unwrap().len());
    let pack = pack.unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    bytes[50_000] ^= 1;
    fs::write(&pack, bytes).unwrap();
    shell.ok(&["check"]);
    let found = shell.run(&["check", "--read-data"]);
    assert_eq!(found.code, 4, "{found:?}");
    assert!(
        found.out.contains(pack.file_name().unwrap().to_str().unwrap()) && found.out.contains("data/a"),
        "{found:?}"
    );
    let restored = shell.run(&["restore", "latest", "--target", "back"]);
    assert_eq!(restored.code, 4, "{restored:?}");
    assert!(restored.out.contains("data/a") && restored.out.contains("1 hole"), "{restored:?}");
}

fn files(top: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(top) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A backup of standard input is interrupted after the first pack has arrived; what was uploaded is found by the next one.
#[test]
fn an_interrupted_backup_is_gone_on_with() {
    let shell = Shell::with_repo();
    let content = Chance::new(4).bytes(40 << 20);
    let words = ["backup", "--stdin", "--stdin-filename", "dump", "--json"];
    let mut child = shell.command(&words).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&content).unwrap();
    while files(&Path::new(&shell.repo).join("packs")).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = ended(child.wait_with_output().unwrap());
    // What writes to it goes on and has nothing to say.
    drop(input);
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(ended.err.contains("interrupted"), "{ended:?}");
    assert_eq!(shell.json(&["snapshots", "--json"]).as_array().unwrap().len(), 0);
    assert!(files(&Path::new(&shell.repo).join("sessions")).is_empty(), "its session stayed behind");

    let mut child = shell.command(&words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&content).unwrap();
    let again = support::shell::ended(child.wait_with_output().unwrap());
    let outcome: Value = serde_json::from_str(&again.out).unwrap();
    let new_bytes = outcome["totals"]["new_bytes"].as_u64().unwrap();
    assert!(new_bytes < 30 << 20, "{new_bytes} bytes were stored again");
    shell.ok(&["check", "--read-data"]);
}

#[test]
fn an_interrupt_before_anything_came_in() {
    let shell = Shell::with_repo();
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = shell.command(&["backup", "--stdin"]).stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        while files(&Path::new(&shell.repo).join("sessions")).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = ended(child.wait_with_output().unwrap());
        ended.assert_failed(130, &["interrupted"]);
        assert!(files(&Path::new(&shell.repo).join("sessions")).is_empty(), "its session stayed behind");
        drop(input);
    }
}

/// Runs out of room, where a test may mount a small file system; elsewhere against a limit on file sizes.
#[test]
fn a_full_disk() {
    const SCRIPT: &str = "
        if mount -t tmpfs -o size=8m none \"$REPO\" 2>/dev/null; then
            cp -a \"$ORIGINAL/.\" \"$REPO\"
            \"$SSB\" backup data; echo \"code $?\"
            mount -o remount,size=100m \"$REPO\"
        else
            cp -a \"$ORIGINAL/.\" \"$REPO\"
            (trap '' XFSZ; ulimit -f 4096; \"$SSB\" backup data; echo \"code $?\")
        fi
        \"$SSB\" check || exit 91
        \"$SSB\" backup data || exit 92
        \"$SSB\" prune --max-unused 0 || exit 93
        \"$SSB\" check --read-data || exit 94";
    let shell = Shell::with_repo();
    shell.write("data/a", Chance::new(6).bytes(20 << 20));
    fs::create_dir(shell.path("mounted")).unwrap();
    let own = rustix::process::geteuid().is_root();
    let flags = if own { "-m" } else { "-rm" };
    let has_unshare = Command::new("unshare").args([flags, "true"]).status().is_ok_and(|status| status.success());
    let mut command = if has_unshare { Command::new("unshare") } else { Command::new("sh") };
    if has_unshare {
        command.args([flags, "sh"]);
    }
    let mut command = shell.dress(command, &["-c", SCRIPT]);
    command.env("REPO", shell.path("mounted")).env("SSB_REPOSITORY", shell.path("mounted"));
    command.env("ORIGINAL", &shell.repo).env("SSB", env!("CARGO_BIN_EXE_ssb"));
    let all = ended(command.output().unwrap());
    assert_eq!(all.code, 0, "{all:?}");
    assert!(all.out.contains("code 1\n"), "{all:?}");
    let full = Ended { code: 1, out: String::new(), err: all.err.clone() };
    full.assert_failed(1, &[shell.path("mounted").to_str().unwrap()]);
}
