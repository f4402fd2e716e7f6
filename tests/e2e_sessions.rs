//! `ssb sessions`: who is at work, and fencing by hand.

mod support;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use ssb::repo::{Repo, Session, layout};
use ssb::store::DirectoryStore;
use support::lab;
use support::shell::Shell;

fn client(shell: &Shell) -> Arc<Repo> {
    lab::open(Arc::new(DirectoryStore::open(&shell.repo).unwrap()), None).unwrap()
}

/// As if the writer had been killed; gives the session's id.
fn killed(shell: &Shell, command: &str) -> String {
    let session = Session::open(&client(shell), command).unwrap();
    let id = session.id().to_string();
    std::mem::forget(session);
    id
}

/// Lets a session look as if it had last been heard of so long ago.
fn age(shell: &Shell, id: &str, hours: u64) {
    let open = Path::new(&shell.repo).join(layout::session_open(&id.parse().unwrap()));
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::options().write(true).open(open).unwrap().set_modified(then).unwrap();
}

#[test]
fn nobody_is_at_work() {
    let shell = Shell::with_repo();
    assert_eq!(shell.ok(&["sessions"]).out, "no session is open\n");
    assert_eq!(shell.json(&["sessions", "--json"]), Value::Array(Vec::new()));
    assert!(!Path::new(&shell.repo).join(layout::CLOCK).exists(), "the clock was read for nobody");
}

#[test]
fn who_has_ended_leaves_nothing_behind() {
    let shell = Shell::with_repo();
    shell.write("data/a", "a");
    shell.ok(&["backup", "data"]);
    let sessions = Path::new(&shell.repo).join("sessions");
    assert_eq!(std::fs::read_dir(&sessions).unwrap().count(), 0);
    let id = killed(&shell, "backup");
    shell.ok(&["sessions", "--fence", &id]);
    assert_eq!(std::fs::read_dir(&sessions).unwrap().count(), 0);
}

#[test]
fn who_is_at_work_and_who_was_killed() {
    let shell = Shell::with_repo();
    let (lively, dead) = (killed(&shell, "backup"), killed(&shell, "backup"));
    age(&shell, &dead, 7);
    let listed = shell.ok(&["sessions"]).out;
    let line = |id: &str| listed.lines().find(|line| line.contains(&id[..8])).unwrap();
    let pid = std::process::id().to_string();
    for word in ["backup", "tester", "lab", &pid, "at work"] {
        assert!(line(&lively).contains(word), "'{word}' is missing in {listed}");
    }
    assert!(line(&dead).contains("would be fenced") && line(&dead).contains("7 h 0 min"), "{listed}");
    assert!(listed.contains("2 sessions"), "{listed}");

    let shown = shell.json(&["sessions", "--json"]);
    let [first, second] = shown.as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&first["id"], &second["id"]), (&Value::from(dead), &Value::from(lively)), "the longest silent first");
    assert_eq!((&first["would_be_fenced"], &second["would_be_fenced"]), (&Value::Bool(true), &Value::Bool(false)));
    assert!(first["silent_ms"].as_u64().unwrap() >= 7 * 3_600_000, "{first}");
    for (field, value) in [("command", "backup"), ("user", "tester"), ("host", "lab")] {
        assert_eq!(second[field], value, "{second}");
    }
    assert_eq!((&second["pid"], &second["fenced"]), (&Value::from(std::process::id()), &Value::Bool(false)));
    ["started", "opened", "last_sign"].iter().for_each(|field| assert!(second[field].is_string(), "{second}"));
}

#[test]
fn a_session_that_cannot_be_read_is_listed_and_can_be_fenced() {
    let shell = Shell::with_repo();
    let id = killed(&shell, "backup");
    std::fs::write(Path::new(&shell.repo).join(layout::session_open(&id.parse().unwrap())), "damaged").unwrap();
    assert!(shell.ok(&["sessions"]).out.contains("unreadable"));
    let shown = shell.json(&["sessions", "--json"]);
    assert_eq!((&shown[0]["id"], &shown[0]["command"]), (&Value::from(id.clone()), &Value::Null));
    shell.ok(&["sessions", "--fence", &id]);
    assert_eq!(shell.json(&["sessions", "--json"]), Value::Array(Vec::new()));
}

#[test]
fn fenced_by_hand() {
    let shell = Shell::with_repo();
    let repo = client(&shell);
    let (writer, other) = (Session::open(&repo, "backup").unwrap(), killed(&shell, "backup"));
    let id = writer.id().to_string();
    let fenced = shell.ok(&["sessions", "--fence", &id[..12]]).out;
    assert!(fenced.contains(&id[..8]) && fenced.contains("withdraws its snapshot"), "{fenced}");
    assert!(!writer.is_still_open().unwrap());
    writer.close().unwrap();

    assert!(shell.ok(&["prune"]).out.contains("deferred"), "the other one is still open");
    let shown = shell.json(&["sessions", "--json", "--fence", &other, &other.to_uppercase()[..20]]);
    assert_eq!(shown.as_array().unwrap().len(), 1, "named twice, fenced once");
    assert_eq!((&shown[0]["id"], &shown[0]["fenced"]), (&Value::from(other), &Value::Bool(true)));
    assert!(!shell.ok(&["prune"]).out.contains("deferred"));
}

#[test]
fn a_prune_that_waits() {
    let shell = Shell::with_repo();
    let id = killed(&shell, "backup");
    for words in [&["prune", "--wait=1s"][..], &["forget", "--keep-last", "1", "--prune", "--wait=1s"]] {
        let begun = Instant::now();
        let ended = shell.ok(words);
        assert!(begun.elapsed() >= Duration::from_secs(1), "it did not wait: {ended:?}");
        assert!(ended.out.contains("deferred: a writer is at work: backup by tester on lab"), "{ended:?}");
        assert!(ended.err.contains("note: waiting for backup by tester on lab"), "{ended:?}");
    }
    shell.ok(&["sessions", "--fence", &id]);
    assert!(shell.ok(&["prune", "--wait"]).out.contains("freed"));
    for words in [&["prune", "--wait=5"][..], &["forget", "--keep-last", "1", "--wait"]] {
        let ended = shell.run(words);
        assert!(ended.code == 2 && ended.err.starts_with("error: ") && ended.out.is_empty(), "{ended:?}");
    }
}

#[test]
fn the_limit_of_silence_is_a_duration() {
    let shell = Shell::with_repo();
    let id = killed(&shell, "backup");
    age(&shell, &id, 40);
    for limit in ["3d", "41h", "2d 12h"] {
        let ended = shell.ok(&["prune", "--fence-after", limit]);
        assert!(ended.out.contains("deferred") && !ended.err.contains("every 5 minutes"), "{limit}: {ended:?}");
    }
    for bad in ["20", "0s", "-3h", "soon"] {
        let ended = shell.run(&["prune", &format!("--fence-after={bad}")]);
        assert!(ended.code == 2 && ended.err.contains(&format!("'{bad}'")), "{ended:?}");
        assert!(ended.err.contains("90s, 30m, 2h or 3d"), "{ended:?}");
    }
    let ended = shell.ok(&["prune", "--fence-after", "20s"]);
    assert!(ended.out.contains("freed") && ended.err.contains("taken for dead"), "{ended:?}");
    assert!(ended.err.contains("note: writers give a sign of life every 5 minutes"), "{ended:?}");
    assert_eq!(shell.json(&["sessions", "--json"]), Value::Array(Vec::new()));
}

#[test]
fn names_of_no_or_of_several_sessions() {
    let shell = Shell::with_repo();
    let mut ids: Vec<String> = Vec::new();
    let shared = loop {
        ids.push(killed(&shell, "backup"));
        let last = &ids[ids.len() - 1][..1];
        if ids[..ids.len() - 1].iter().any(|id| id.starts_with(last)) {
            break last.to_owned();
        }
    };
    let fitting: Vec<&str> = ids.iter().filter(|id| id.starts_with(&shared)).map(|id| &id[..16]).collect();
    // One that fits does not save the others, and nothing is fenced.
    for (bad, words) in [
        (shared.as_str(), [&[shared.as_str(), "more digits"][..], &fitting].concat()),
        ("not-an-id", vec!["'not-an-id'", "ssb sessions"]),
        ("", vec!["''", "ssb sessions"]),
    ] {
        shell.fails(&["sessions", "--fence", &ids[0], bad], 2, &words);
    }
    assert_eq!(shell.json(&["sessions", "--json"]).as_array().unwrap().len(), ids.len());
}
