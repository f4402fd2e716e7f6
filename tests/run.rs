//! `ssb run`: one config file, and what comes of it.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::chance::Chance;
use support::lab::PASSPHRASE;
use support::shell::{Ended, Shell};

/// A home with a repository, a config and something to back up.
struct Cron {
    shell: Shell,
}

impl Cron {
    fn new(config: &str) -> Self {
        let shell = Shell::with_repo();
        let home = shell.home.path().to_str().unwrap().to_owned();
        shell.write("config/config.toml", config.replace("~", &home));
        Self { shell }
    }

    fn config(&self, config: &str) {
        let home = self.shell.home.path().to_str().unwrap();
        self.shell.write("config/config.toml", config.replace("~", home));
    }

    /// The record of a run that must end with this code.
    fn run(&self, code: i32, words: &[&str]) -> Value {
        let ended = self.raw(words);
        assert_eq!(ended.code, code, "{ended:?}");
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
    }

    fn raw(&self, words: &[&str]) -> Ended {
        let words: Vec<&str> = ["run", "--json"].iter().chain(words).copied().collect();
        self.shell.run(&words)
    }

    fn snapshots(&self) -> Vec<Value> {
        self.shell.json(&["snapshots", "--json"]).as_array().unwrap().clone()
    }
}

fn job<'a>(record: &'a Value, name: &str) -> &'a Value {
    let jobs = record["jobs"].as_array().unwrap();
    jobs.iter().find(|job| job["name"] == name).unwrap_or_else(|| panic!("no job {name}: {record}"))
}

fn status<'a>(record: &'a Value, name: &str) -> &'a str {
    job(record, name)["status"].as_str().unwrap()
}

const WHOLE: &str = r#"
[policies.often]
retention = { keep-last = 2 }
tags = ["often"]

[policies.large]
mode = "serial"
retries = 0

[entries.site]
policy = "often"
paths = ["~/site/*.conf", "~/site/deep"]
exclude = ["*.tmp"]

[entries.dump]
policy = "often"
group = "redis"
paths = ["~/redis/dump.rdb"]

[entries.log]
policy = "often"
group = "redis"
paths = ["~/redis/appendonly.aof"]

[entries.photos]
policy = "large"
paths = ["~/photos"]

[entries.database]
policy = "large"
command = "printf 'insert into %s' \"$SSB_JOB\""
filename = "app.sql"

[entries.off]
disabled = true
paths = ["~/nowhere"]
"#;

fn whole() -> Cron {
    let cron = Cron::new(WHOLE);
    for name in
        ["site/a.conf", "site/deep/b", "site/deep/c.tmp", "site/x.log", "redis/dump.rdb", "redis/appendonly.aof"]
    {
        cron.shell.write(name, name);
    }
    cron.shell.write("photos/one.jpg", Chance::new(5).bytes(400_000));
    cron
}

#[test]
fn everything_that_a_config_names() {
    let cron = whole();
    let first = cron.run(0, &[]);
    let names: Vec<&str> = first["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["site", "redis", "photos", "database"], "in the order of the file");
    assert_eq!(first["skipped"][0]["name"], "off");
    assert_eq!((&first["status"], status(&first, "redis")), (&Value::from("success"), "success"));
    assert_eq!(job(&first, "site")["totals"]["files"], 2);
    assert!(job(&first, "photos")["requests"]["put"].as_u64().unwrap() >= 3, "{first}");
    let snapshots = cron.snapshots();
    assert_eq!(snapshots.len(), 4);
    let redis = snapshots.iter().find(|s| s["group"] == "redis").unwrap();
    assert_eq!((redis["sources"].as_array().unwrap().len(), &redis["policy"]), (2, &Value::from("often")));
    assert!(redis["entry"].is_null());

    // Whatever came before, at most two of each stay.
    for turn in 0..3 {
        cron.shell.write("redis/dump.rdb", format!("turn {turn}"));
        let record = cron.run(0, &["redis"]);
        assert_eq!(record["jobs"].as_array().unwrap().len(), 1);
        let retention = &job(&record, "redis")["retention"];
        assert_eq!(retention["removed"].as_array().unwrap().len(), usize::from(turn > 0), "turn {turn}: {retention}");
        assert!(retention["kept"][0]["reasons"][0].as_str().unwrap().contains("last"));
    }
    let of = |name: &str| cron.shell.json(&["snapshots", "--json", "--entry", name]).as_array().unwrap().len();
    assert_eq!((of("redis"), of("site"), of("photos")), (2, 1, 1));

    // A member's name means its group.
    assert_eq!(status(&cron.run(0, &["log"]), "redis"), "success");
    cron.shell.ok(&["check", "--read-data"]);
    cron.shell.ok(&["restore", "latest", "--entry", "redis", "--target", "back"]);
    let back = cron.shell.path("back").join(cron.shell.path("redis/dump.rdb").strip_prefix("/").unwrap());
    assert_eq!(fs::read(back).unwrap(), b"turn 2");
    cron.shell.ok(&["restore", "latest", "--entry", "database", "--target", "sql"]);
    assert_eq!(fs::read(cron.shell.path("sql/app.sql")).unwrap(), b"insert into database");
    cron.shell.fails(&["run", "sit"], 2, &["'sit'", "site, redis"]);
}

#[test]
fn a_wrong_entry_does_not_hinder_the_others() {
    let cron = Cron::new(
        r#"
[policies.nightly]
retries = 0
[entries.good]
policy = "nightly"
paths = ["~/good"]
[entries.misspelt]
policy = "nihgtly"
paths = ["~/good"]
[entries.absent]
policy = "nightly"
paths = ["~/absent"]
[entries.half]
policy = "nightly"
paths = ["~/good", "~/absent", "~/none*"]
[entries.clock]
policy = "nightly"
schedule = "61 2 * * *"
paths = ["~/good"]
"#,
    );
    cron.shell.write("good/file", "x");
    let record = cron.run(3, &[]);
    assert_eq!(record["status"], "incomplete");
    let expected = [
        ("good", "success", ""),
        ("misspelt", "refused", "nightly"),
        ("absent", "refused", "absent does not exist"),
        ("half", "incomplete", ""),
        ("clock", "refused", "61"),
    ];
    for (name, status, why) in expected {
        let job = job(&record, name);
        assert_eq!(job["status"], status, "{name}: {job}");
        assert!(job["error"].as_str().unwrap_or_default().contains(why), "{name}: {job}");
    }
    let issues = job(&record, "half")["issues"].as_array().unwrap();
    assert_eq!(issues.len(), 2, "{issues:?}");
    assert_eq!(cron.snapshots().len(), 2);
    // Only for themselves there is nothing good.
    assert_eq!(cron.run(3, &["misspelt"])["status"], "failed");
}

#[test]
fn commands_that_fail_leave_no_snapshot_and_say_why() {
    let cron = Cron::new(
        r#"
[policies.p]
retries = 1
retry-wait = "10ms"
[entries.fails]
policy = "p"
command = "echo half; echo no such database >&2; echo x >>~/tries; exit 2"
[entries.slow]
policy = "p"
timeout = "300ms"
retries = 0
command = ["sleep", "60"]
[entries.none]
policy = "p"
command = ["/no/such/program"]
[entries.later]
policy = "p"
retries = 3
command = "echo y >>~/turns; test $(wc -l <~/turns) = 3 && echo done"
"#,
    );
    let begun = Instant::now();
    let record = cron.run(3, &[]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    let fails = job(&record, "fails");
    assert_eq!((&fails["status"], &fails["tries"]), (&Value::from("failed"), &Value::from(2)));
    assert_eq!(fails["stderr"], "no such database");
    assert!(fails["error"].as_str().unwrap().contains("exit status: 2"), "{fails}");
    assert_eq!(fs::read_to_string(cron.shell.path("tries")).unwrap(), "x\nx\n");
    assert!(job(&record, "slow")["error"].as_str().unwrap().contains("longer than 300ms"), "{record}");
    assert!(job(&record, "none")["error"].as_str().unwrap().contains("/no/such/program"), "{record}");
    assert_eq!((status(&record, "later"), &job(&record, "later")["tries"]), ("success", &Value::from(3)));
    assert_eq!(cron.snapshots().len(), 1);
    assert_eq!(cron.run(1, &["fails"])["status"], "failed");
}

#[test]
fn what_is_due() {
    let config = |minute: &str| {
        format!(
            "[policies.p]\nschedule = \"{minute}\"\ntime-zone = \"UTC\"\n[policies.free]\n[entries.e]\npolicy = \"p\"\npaths = [\"~/data\"]\n[entries.always]\npolicy = \"free\"\npaths = [\"~/data\"]\n"
        )
    };
    // Once a year, and not while this runs.
    let cron = Cron::new(&config("0 0 1 1 *"));
    cron.shell.write("data", "x");
    let plan = cron.shell.json(&["run", "--due", "--dry-run", "--json"]);
    assert_eq!(plan["jobs"][0]["verdict"], "run", "{plan}");
    assert!(plan["jobs"][0]["why"].as_str().unwrap().contains("never backed up"), "{plan}");
    assert_eq!(cron.snapshots().len(), 0, "a dry run");
    assert_eq!(cron.run(0, &["--due"])["jobs"].as_array().unwrap().len(), 2);
    let record = cron.run(0, &["--due"]);
    assert_eq!(record["jobs"].as_array().unwrap().len(), 1);
    assert!(record["skipped"][0]["why"].as_str().unwrap().contains("not due before"), "{record}");
    // What is remembered here may be lost: the snapshots say it too.
    fs::remove_dir_all(cron.shell.path(".local/state/ssb")).unwrap();
    assert_eq!(cron.run(0, &["--due"])["jobs"].as_array().unwrap().len(), 1);
    // Without --due everything runs.
    assert_eq!(cron.run(0, &[])["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_wrong_in_the_config_is_not_told_every_few_minutes() {
    let cron = Cron::new("[policies.p]\n[entries.bad]\npolicy = \"q\"\npaths = [\"~/data\"]\n");
    assert_eq!(status(&cron.run(3, &["--due"]), "bad"), "refused");
    let record = cron.run(0, &["--due"]);
    assert!(record["skipped"][0]["why"].as_str().unwrap().contains("told again from"), "{record}");
    // Whoever asks for it is told.
    assert_eq!(status(&cron.run(3, &[]), "bad"), "refused");
}

#[test]
fn what_has_not_changed_counts_as_success() {
    let cron = Cron::new("[policies.p]\n[entries.e]\npolicy = \"p\"\nwhen = \"on-change\"\npaths = [\"~/data\"]\n");
    cron.shell.write("data/file", "x");
    assert_eq!(status(&cron.run(0, &[]), "e"), "success");
    let record = cron.run(0, &[]);
    assert_eq!((status(&record, "e"), &record["status"]), ("unchanged", &Value::from("success")));
    assert_eq!(status(&cron.run(0, &["--force"]), "e"), "success");
    cron.shell.write("data/other", "y");
    assert_eq!(status(&cron.run(0, &[]), "e"), "success");
    assert_eq!(cron.snapshots().len(), 3);
    assert_eq!(cron.shell.json(&["sessions", "--json"]).as_array().unwrap().len(), 0, "nobody is at work any more");
}

#[test]
fn a_group_that_lacks_a_member_is_not_stored() {
    let cron = whole();
    fs::remove_file(cron.shell.path("redis/appendonly.aof")).unwrap();
    let record = cron.run(3, &["redis", "site"]);
    let redis = job(&record, "redis");
    assert_eq!(redis["status"], "refused");
    assert!(redis["error"].as_str().unwrap().contains("appendonly.aof does not exist"), "{redis}");
    assert_eq!(cron.snapshots().len(), 1);
}

#[test]
fn hooks_stand_around_jobs_and_runs() {
    let cron = Cron::new(
        r#"
[run.hooks]
before = "echo run:$SSB_HOOK >>~/said"
finally = "echo run:$SSB_HOOK:$SSB_STATUS:$SSB_FAILED >>~/said"
[policies.p]
retries = 0
hooks.before = "echo $SSB_JOB:$SSB_HOOK >>~/said"
hooks.on-success = "echo $SSB_JOB:$SSB_HOOK:$SSB_STATUS:$SSB_FILES >>~/said"
hooks.on-failure = "echo $SSB_JOB:$SSB_HOOK:$SSB_STATUS >>~/said"
hooks.finally = "echo $SSB_JOB:$SSB_HOOK >>~/said"
mode = "serial"
[entries.good]
policy = "p"
paths = ["~/data"]
[entries.bad]
policy = "p"
command = "false"
[entries.held]
policy = "p"
paths = ["~/data"]
hooks.before = "exit 7"
[entries.after]
policy = "p"
paths = ["~/data"]
hooks.after = "echo sorry >&2; exit 8"
"#,
    );
    cron.shell.write("data", "x");
    let record = cron.run(3, &[]);
    let said = fs::read_to_string(cron.shell.path("said")).unwrap();
    let expected = "run:before
good:before
good:on-success:success:1
good:finally
bad:before
bad:on-failure:failed
bad:finally
held:on-failure:failed
held:finally
after:before
after:on-success:success:1
after:finally
run:finally:incomplete:bad,held,after
";
    assert_eq!(said, expected);
    assert_eq!(status(&record, "held"), "failed");
    assert!(job(&record, "held")["hook_failures"][0]["error"].as_str().unwrap().contains("exit status: 7"));
    assert_eq!(status(&record, "after"), "incomplete");
    assert!(job(&record, "after")["hook_failures"][0]["error"].as_str().unwrap().contains("sorry"));
    assert_eq!(cron.snapshots().len(), 2);
}

#[test]
fn one_run_at_a_time() {
    let cron =
        Cron::new("[policies.p]\n[entries.slow]\npolicy = \"p\"\ncommand = \"touch ~/begun; sleep 2; echo x\"\n");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| cron.run(0, &[]));
        while !cron.shell.path("begun").exists() && !first.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let second = cron.raw(&[]);
        assert_eq!(second.code, 11, "{second:?}");
        assert!(second.err.contains("another run of this config is at work"), "{second:?}");
        let from_cron = cron.shell.run(&["run", "--due", "--quiet"]);
        assert_eq!(
            (from_cron.code, from_cron.err.as_str(), from_cron.out.as_str()),
            (11, "", ""),
            "cron mails what is said"
        );
        assert_eq!(status(&first.join().unwrap(), "slow"), "success");
    });
    assert_eq!(cron.snapshots().len(), 1);
}

#[test]
fn a_repository_that_cannot_be_opened_is_reported() {
    let cron = Cron::new(
        "[report.html]\nfolder = \"~/html\"\n[policies.p]\n[entries.e]\npolicy = \"p\"\npaths = [\"~/data\"]\n",
    );
    cron.shell.write("data", "x");
    fs::remove_dir_all(&cron.shell.repo).unwrap();
    let record = cron.run(10, &[]);
    assert!(record["errors"][0].as_str().unwrap().contains("there is no repository"), "{record}");
    let pages: Vec<String> =
        fs::read_dir(cron.shell.path("html")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(pages.iter().any(|name| name.starts_with("error-")), "{pages:?}");

    // Called every few minutes it is told once an hour, with the same exit code.
    let count = || fs::read_dir(cron.shell.path("html")).unwrap().count();
    let told = count();
    let from_cron = cron.shell.run(&["run", "--due", "--quiet"]);
    assert_eq!((from_cron.code, from_cron.err.as_str(), count()), (10, "", told));
    // And anew when runs could begin again meanwhile.
    let other = Shell::with_repo();
    fs::rename(&other.repo, &cron.shell.repo).unwrap();
    cron.run(0, &["--due"]);
    fs::remove_dir_all(&cron.shell.repo).unwrap();
    let from_cron = cron.shell.run(&["run", "--due", "--quiet"]);
    assert!(from_cron.code == 10 && from_cron.err.contains("there is no repository"), "{from_cron:?}");
}

#[test]
fn a_quiet_run_speaks_of_errors_only() {
    let cron = Cron::new("[policies.p]\n[entries.good]\npolicy = \"p\"\npaths = [\"~/data\"]\n");
    cron.shell.write("data", "x");
    let ended = cron.shell.run(&["run", "--quiet"]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", ""));
    cron.config("[policies.p]\n[entries.good]\npolicy = \"p\"\npaths = [\"~/data\"]\n[entries.bad]\npolicy = \"p\"\npaths = [\"~/none\"]\n");
    let ended = cron.shell.run(&["run", "--quiet"]);
    assert!(ended.code == 3 && ended.out.is_empty() && ended.err.contains("none does not exist"), "{ended:?}");
    let shown = cron.shell.run(&["report", "last"]);
    assert!(shown.out.contains("bad") && shown.out.contains("none does not exist"), "{shown:?}");
}

#[test]
fn secrets_that_commands_spill_are_hidden() {
    let cron = Cron::new(
        r#"
[report.slack]
webhook = "http://127.0.0.1:9/services/T0/B0/geheimnis"
[log]
folder = "~/log"
[report.html]
folder = "~/html"
[policies.p]
[entries.spills]
policy = "p"
retries = 0
command = "echo 'http://127.0.0.1:9/services/T0/B0/geheimnis is wrong' >&2; echo \"$SSB_PASSWORD of the repository\" >&2; exit 1"
hooks.finally = "echo http://127.0.0.1:9/services/T0/B0/geheimnis >&2; exit 1"
"#,
    );
    let ended = cron.shell.run(&["run"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("is wrong"), "{ended:?}");
    let mut all = format!("{}{}", ended.out, ended.err);
    for folder in ["log", "html", ".local/state/ssb/runs"] {
        for entry in fs::read_dir(cron.shell.path(folder)).unwrap() {
            all += &fs::read_to_string(entry.unwrap().path()).unwrap();
        }
    }
    assert!(all.contains("is wrong") && all.contains("*** of the repository"), "{all}");
    assert!(!all.contains("geheimnis") && !all.contains(PASSPHRASE), "{all}");
}

#[test]
fn forgetting_by_policy() {
    let cron = whole();
    for turn in 0..4 {
        cron.shell.write("site/a.conf", format!("{turn}"));
        cron.run(0, &["photos", "site"]);
    }
    let config = WHOLE.replace("keep-last = 2", "keep-last = 1").replace("retries = 0", "retention.keep-last = 3");
    cron.config(&config);
    let shown = cron.shell.ok(&["forget", "--policy", "often", "--dry-run"]).out;
    assert!(shown.contains("entry site") && shown.contains("1 snapshot would be removed"), "{shown}");
    cron.shell.ok(&["forget", "--policy", "often"]);
    cron.shell.ok(&["forget", "--policy", "large"]);
    let of = |name: &str| cron.shell.json(&["snapshots", "--json", "--entry", name]).as_array().unwrap().len();
    assert_eq!((of("site"), of("photos")), (1, 3));
    cron.shell.fails(&["forget", "--policy", "oftn"], 2, &["'oftn'", "often"]);
}

#[test]
fn prunes_at_its_own_interval() {
    let cron = Cron::new(
        "[prune]\nevery = \"7d\"\nmax-unused-percent = 0\n[policies.p]\n[entries.e]\npolicy = \"p\"\nretention = { keep-last = 1 }\npaths = [\"~/data\"]\n",
    );
    cron.shell.write("data", Chance::new(1).bytes(100_000));
    assert!(cron.run(0, &[])["prune"].is_object());
    cron.shell.write("data", Chance::new(2).bytes(100_000));
    assert!(cron.run(0, &[])["prune"].is_null(), "not yet");
    let state = cron.shell.path(".local/state/ssb");
    let folder =
        fs::read_dir(&state).unwrap().map(|e| e.unwrap().path()).find(|p| p.join("state.json").exists()).unwrap();
    let text = fs::read_to_string(folder.join("state.json")).unwrap();
    let mut remembered: Value = serde_json::from_str(&text).unwrap();
    for key in ["last_prune", "last_prune_try"] {
        remembered[key] = Value::from("2026-01-01T00:00:00Z");
    }
    fs::write(folder.join("state.json"), remembered.to_string()).unwrap();
    let record = cron.run(0, &[]);
    assert!(record["prune"]["freed_bytes"].as_u64().unwrap() > 90_000, "{record}");
}
