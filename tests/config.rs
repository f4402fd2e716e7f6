//! The config file as the program finds, reads, checks, shows and heeds it.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use support::lab::PASSPHRASE;
use support::s3_server::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use support::shell::Shell;

/// A shell whose environment says nothing of the repository.
fn bare() -> Shell {
    Shell::with_repo().unset("SSB_PASSWORD").set("SSB_REPOSITORY", "")
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A file that others may not read.
fn private(shell: &Shell, name: &str, content: &str) -> String {
    let path = shell.write(name, content);
    mode(&path, 0o600);
    path.to_str().unwrap().to_owned()
}

/// A config that names the repository and its passphrase.
fn repository(shell: &Shell) -> String {
    format!("[repository]\nlocation = {:?}\npassword = {PASSPHRASE:?}\n", shell.repo)
}

#[test]
fn every_command_takes_the_repository_from_the_config() {
    let shell = bare();
    shell.fails(&["snapshots"], 2, &["--repo", "config file"]);
    let text = repository(&shell);
    for place in ["config/config.toml", ".config/ssb/config.toml"] {
        let path = private(&shell, place, &text);
        let ended = shell.ok(&["snapshots"]);
        assert_eq!(ended.err, "");
        fs::remove_file(path).unwrap();
    }
    shell.fails(&["snapshots"], 2, &["--repo"]);
    let named = private(&shell, "elsewhere.toml", &text);
    shell.ok(&["snapshots", "--config", &named]);
    let shell = shell.set("SSB_CONFIG", &named);
    shell.write("data/a", "x");
    shell.ok(&["backup", "data"]);
    shell.ok(&["check"]);
    shell.fails(&["snapshots", "--config", "no-such-file"], 2, &["no-such-file", "no such file"]);
}

#[test]
fn options_go_before_the_environment_and_that_before_the_config() {
    let shell = bare();
    let config = private(&shell, "c.toml", "[repository]\nlocation = '/no/config'\npassword = { env = 'MINE' }\n");
    let shell = shell.set("SSB_CONFIG", &config);
    shell.fails(&["snapshots"], 10, &["/no/config"]);
    let shell = shell.set("SSB_REPOSITORY", "/no/environment");
    shell.fails(&["snapshots"], 10, &["/no/environment"]);
    shell.fails(&["snapshots", "--repo", "/no/option"], 10, &["/no/option"]);
    let repo = shell.repo.clone();
    shell.fails(&["snapshots", "--repo", &repo], 2, &["repository.password", "MINE", "not set"]);
    let shell = shell.set("MINE", "wrong");
    shell.fails(&["snapshots", "--repo", &repo], 12, &["passphrase is wrong"]);
    let shell = shell.set("SSB_PASSWORD", PASSPHRASE);
    shell.ok(&["snapshots", "--repo", &repo]);
}

#[test]
fn a_bucket_needs_nothing_but_the_config() {
    let server = S3Server::start();
    let shell = bare();
    let text = format!(
        "[repository]\nlocation = 's3://{BUCKET}/from-config'\npassword = {PASSPHRASE:?}\ns3-endpoint = '{}'\n\
         s3-region = 'us-east-1'\naccess-key-id = '{ACCESS_KEY}'\nsecret-access-key = {{ env = 'KEY' }}\nconnections = 3\n",
        server.endpoint()
    );
    private(&shell, "config/config.toml", &text);
    let shell = shell.set("KEY", SECRET_KEY);
    shell.ok(&["init"]);
    shell.write("data/a", "x");
    shell.ok(&["backup", "data"]);
    assert!(shell.ok(&["snapshots"]).out.contains("1 snapshot"));
    let shown = shell.ok(&["config", "show"]).out;
    assert!(!shown.contains(ACCESS_KEY) && !shown.contains(SECRET_KEY) && !shown.contains(PASSPHRASE), "{shown}");
    let shell = shell.set("KEY", "wrong");
    let refused = shell.run(&["snapshots"]);
    assert!(refused.code != 0 && !refused.err.contains("wrong\""), "{refused:?}");
}

#[test]
fn a_broken_config_is_an_error_where_it_is_needed() {
    let shell = bare();
    let path = private(&shell, "config/config.toml", "[repositry]\nlocation = '/x'\n[run]\nnice = 99\n");
    let expected = ["config.toml:1:2: repositry: unknown key; did you mean 'repository'?", "1 more"];
    shell.fails(&["snapshots"], 2, &expected);
    shell.fails(&["snapshots", "--repo", &shell.repo], 2, &expected);
    let shell = shell.set("SSB_PASSWORD", PASSPHRASE);
    let ended = shell.ok(&["snapshots", "--repo", &shell.repo]);
    assert!(ended.err.starts_with("warning: ") && ended.err.contains(expected[0]), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    shell.fails(&["snapshots", "--repo", &shell.repo, "--config", &path], 2, &expected);
    assert_eq!(shell.ok(&["version"]).err, "");
}

#[test]
fn what_others_may_have_written_is_not_used() {
    let shell = bare();
    let text = "[repository]\nlocation = '/x'\npassword = { command = 'touch stolen; echo x' }\n";
    let path = shell.write("config/config.toml", text);
    mode(&path, 0o622);
    let ended = shell.run(&["snapshots"]);
    assert!(ended.code == 2 && ended.err.contains("not used: others may write it"), "{ended:?}");
    shell.write(".env", "SSB_REPOSITORY=/x\nSSB_PASSWORD_COMMAND='touch stolen; echo x'\n");
    mode(&shell.path(".env"), 0o622);
    let ended = shell.run(&["snapshots"]);
    assert!(ended.code == 2 && ended.err.contains(".env in the working directory is not used"), "{ended:?}");
    assert!(!shell.path("stolen").exists());
}

#[test]
fn secrets_that_others_may_read_are_warned_of() {
    let shell = bare();
    let path = shell.write("config/config.toml", repository(&shell));
    mode(&path, 0o644);
    let ended = shell.ok(&["snapshots"]);
    assert!(ended.err.contains("warning: ") && ended.err.contains("chmod 600 ./config/config.toml"), "{ended:?}");
    mode(&path, 0o600);
    assert_eq!(shell.ok(&["snapshots"]).err, "");
    fs::remove_file(path).unwrap();
    shell.write(".env", format!("SSB_PASSWORD={PASSPHRASE}\n"));
    mode(&shell.path(".env"), 0o644);
    let ended = shell.ok(&["snapshots", "--repo", &shell.repo]);
    assert!(ended.err.lines().count() == 1 && ended.err.contains("chmod 600 .env"), "{ended:?}");
}

#[test]
fn dotenv_adds_what_the_environment_lacks() {
    let shell = Shell::with_repo().unset("SSB_PASSWORD");
    let text = format!(
        "# ours\nSSB_REPOSITORY=/not/this\nexport SSB_PASSWORD='{PASSPHRASE}'\nHOME=/nowhere\nSSB_LIMIT_UPLOAD=x\n"
    );
    private(&shell, ".env", &text);
    let ended = shell.run(&["snapshots"]);
    assert!(ended.code == 2 && ended.err.contains("'x' is no speed"), "{ended:?}");
    let shell = shell.set("SSB_LIMIT_UPLOAD", "7");
    shell.ok(&["snapshots"]);
    let shown = shell.json(&["config", "show", "--json", "--limit-download", "5"]);
    let from = |key: &str| {
        let rows = shown["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key}: {shown}")).clone()
    };
    assert_eq!(from("repository.password")["from"], "dotenv");
    assert_eq!(from("repository.password")["value"], "(hidden)");
    assert_eq!(from("repository.location")["from"], "environment");
    assert_eq!(from("repository.limit-upload")["variable"], "SSB_LIMIT_UPLOAD");
    assert_eq!(from("repository.limit-download")["option"], "--limit-download");
    assert_eq!(from("repository.connections")["from"], "default");
    let broken = Shell::with_repo();
    private(&broken, ".env", "SSB_TOKEN=geheim und so\nSSB_X=1\n");
    let ended = broken.ok(&["version"]);
    assert!(ended.err.contains("SSB_TOKEN") && !ended.err.contains("geheim"), "{ended:?}");
    fs::remove_file(broken.path(".env")).unwrap();
    fs::create_dir(broken.path(".env")).unwrap();
    assert_eq!(broken.ok(&["version"]).err, "");
}

const WRONG_ENTRIES: &str = "
[policies.nightly]
schedule = '30 2 * * *'
tags = ['n']
retention = { keep-daily = 7 }

[policies.broken]
schedule = '61 * * * *'

[entries.good]
policy = 'nightly'
paths = ['/']
compression = 9

[entries.typo]
policy = 'nightli'
paths = ['/']

[entries.hit]
policy = 'broken'
paths = ['/']

[entries.gone]
policy = 'nightly'
paths = ['/no/such/path', '/no/such/*.conf']

[entries.pipe]
policy = 'nightly'
command = 'a | b'
";

#[test]
fn check_lists_everything_at_once() {
    let shell = bare();
    shell.fails(&["config", "check"], 2, &["/etc/ssb/config.toml", "./config/config.json", "/.config/ssb/config.toml"]);
    private(&shell, "c.toml", WRONG_ENTRIES);
    let shell = shell.set("SSB_CONFIG", "c.toml");
    let ended = shell.run(&["config", "check"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    for line in [
        "c.toml:8:1: error: policies.broken.schedule: ",
        "c.toml:16:1: error: entries.typo.policy: there is no policy 'nightli'; did you mean 'nightly'?",
        "c.toml:25:1: error: entries.gone.paths: /no/such/path cannot be backed up",
        "c.toml:25:1: error: entries.gone.paths: /no/such cannot be backed up",
        "c.toml:29:1: warning: entries.pipe.command: ",
        "c.toml: 4 errors, 1 warning; 3 of 5 entries cannot be run",
    ] {
        assert!(ended.out.lines().any(|told| told.starts_with(line)), "{line}\n{}", ended.out);
    }
    assert_eq!(ended.out.lines().count(), 6, "{}", ended.out);
    let json = shell.json(&["config", "check", "--json"]);
    assert_eq!(json["stopped"], 3);
    assert_eq!(json["problems"][0]["entries"], serde_json::json!(["hit"]));
    assert_eq!(json["problems"][0]["line"], 8);

    private(&shell, "c.toml", "[run]\nnice = 20\n\n[log]\nkeep = 0\n");
    let ended = shell.run(&["config", "check"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.out.contains("c.toml:2:8: error: run.nice: ") && ended.out.contains("c.toml:5:8: error: log.keep"),
        "{ended:?}"
    );
    private(
        &shell,
        "c.toml",
        "[report.email]\nfrom='a@b.c'\nhost='mail.example.org'\nencryption='none'\nalways=['a@b.c']",
    );
    let ended = shell.run(&["config", "check"]);
    assert!(ended.code == 2 && ended.out.contains("c.toml:4:1: error: report.email.encryption"), "{ended:?}");
    private(&shell, "c.toml", "[policies.p]\n[entries.all]\npolicy = 'p'\npaths = ['/']\n");
    assert_eq!(shell.ok(&["config", "check"]).out, "c.toml: nothing is wrong\n");
    let member = |name: &str, path: &str| format!("[entries.{name}]\npolicy = 'p'\ngroup = 'g'\npaths = ['{path}']\n");
    private(&shell, "c.toml", &format!("[policies.p]\n{}{}", member("a", "/"), member("b", "/no/such")));
    let json = shell.json(&["config", "check", "--json"]);
    assert!(json["stopped"] == 2 && json["problems"][0]["entries"] == serde_json::json!(["a", "b"]), "{json}");
    private(&shell, "c.json", r#"{ "entries": { "a": { "paths": ["/"], "polcy": "p" } } }"#);
    let ended = shell.run(&["config", "check", "--config", "c.json"]);
    assert!(ended.code == 2 && ended.out.contains("c.json:1:39: error: entries.a.polcy: unknown key"), "{ended:?}");
}

#[test]
fn show_says_where_everything_comes_from() {
    let shell = bare();
    private(&shell, "c.toml", WRONG_ENTRIES);
    let shell = shell.set("SSB_CONFIG", "c.toml");
    let shown = shell.ok(&["config", "show", "--connections", "7"]).out;
    let has = |said: &str, from: &str| {
        let is_there = |line: &str| line.starts_with(said) && line.trim_end().ends_with(&format!("# {from}"));
        assert!(shown.lines().any(is_there), "{said} # {from}\n{shown}");
    };
    has("connections = 7", "option --connections");
    has("compression = 9", "c.toml:13");
    has("compression = 3", "default");
    has("schedule = \"30 2 * * *\"", "policy nightly (c.toml:3)");
    has("retention.keep-daily = 7", "policy nightly (c.toml:5)");
    has("command = \"a | b\"", "c.toml:29");
    assert!(shown.contains("# error: entries.typo.policy: there is no policy"), "{shown}");
    let order: Vec<&str> = shown.lines().filter(|line| line.starts_with("[entries")).collect();
    assert_eq!(order, ["[entries.good]", "[entries.typo]", "[entries.hit]", "[entries.gone]", "[entries.pipe]"]);
}

#[test]
fn a_path_that_a_hook_makes_need_not_be_there_before() {
    let shell = bare();
    let entry = "[policies.p]\n[entries.e]\npolicy = \"p\"\npaths = [\"/no/such/path\"]\n";
    private(&shell, "c.toml", &format!("{entry}hooks.before = \"mkdir -p /no/such/path\"\n"));
    let ended = shell.ok(&["config", "check", "--config", "c.toml"]);
    assert!(ended.out.contains("warning: entries.e.paths: /no/such/path is not there now"), "{ended:?}");
    private(&shell, "c.toml", entry);
    assert_eq!(shell.run(&["config", "check", "--config", "c.toml"]).code, 3);
}

#[test]
fn init_writes_a_file_that_is_sound_and_never_overwrites() {
    let shell = bare();
    let path = shell.path("new/folder/config.toml");
    let name = path.to_str().unwrap();
    assert!(shell.ok(&["config", "init", name]).out.contains(name));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let ended = shell.ok(&["config", "check", "--config", name]);
    assert!(ended.out.contains("0 errors, 1 warning"), "{ended:?}");
    fs::write(&path, "mine").unwrap();
    shell.fails(&["config", "init", name], 2, &[name, "stays as it is"]);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn the_schema_is_json_and_every_recipe_keeps_to_it() {
    let shell = bare();
    let schema: Value = serde_json::from_str(&shell.ok(&["config", "schema"]).out).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut seen = 0;
    for recipe in fs::read_dir(folder).unwrap() {
        let recipe = recipe.unwrap().path();
        // The paths that it names are not here, and neither are the secrets; nothing else may be wrong.
        let json = shell.json(&["config", "check", "--json", "--config", recipe.to_str().unwrap()]);
        for problem in json["problems"].as_array().unwrap() {
            let what = problem["what"].as_str().unwrap();
            let is_elsewhere = ["cannot be backed up", "is not there now; the hook 'before'", "there is no file"];
            assert!(is_elsewhere.iter().any(|said| what.contains(said)), "{problem}");
        }
        assert!(json["entries"].as_u64().unwrap() >= 1);
        seen += 1;
    }
    assert!(seen >= 6);
}
