//! `ssb schedule`: what is shown, and what is written into crontabs and units, and taken out again.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::shell::{Ended, Shell};

const CONFIG: &str = r#"
[policies.nightly]
schedule = "30 2 * * *"
time-zone = "Europe/Berlin"

[policies.always]

[entries.site]
policy = "nightly"
paths = ["/srv/site"]

[entries.dump]
policy = "nightly"
group = "redis"
paths = ["/srv/dump.rdb"]

[entries.log]
policy = "nightly"
group = "redis"
paths = ["/srv/appendonly.aof"]

[entries.quick]
policy = "always"
paths = ["/srv/quick"]

[entries.off]
policy = "nightly"
disabled = true
paths = ["/srv/off"]
"#;

/// A machine whose crontab is the file `crontab`, and whose systemd writes down what it is told.
struct Machine {
    shell: Shell,
    config: String,
}

/// Stands where cron's own program would: the crontab of this user is a file. Debian's tells that there is none so.
const CRONTAB: &str = r#"#!/bin/sh
set -eu
file=$HOME/crontab
case $1 in
    -l) if [ -e "$HOME/locked" ]; then echo 'You (me) are not allowed to use this program (crontab)' >&2; exit 1; fi
        if [ -e "$file" ]; then cat "$file"; else echo 'no crontab for me' >&2; exit 1; fi ;;
    -r) rm "$file" ;;
    -) cat >"$file.new"; mv "$file.new" "$file"; echo written >>"$HOME/calls" ;;
    *) exit 2 ;;
esac
"#;

const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >>"$HOME/calls"
[ ! -e "$HOME/no-systemd" ] || { echo 'System has not been booted with systemd' >&2; exit 1; }
"#;

impl Machine {
    fn new() -> Self {
        let shell = Shell::new();
        let tools = shell.path("tools");
        for (name, script) in [("crontab", CRONTAB), ("systemctl", SYSTEMCTL)] {
            let path = shell.write(&format!("tools/{name}"), script);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", tools.display());
        let config = shell.write("etc/config.toml", CONFIG);
        let shell = shell.set("PATH", &path);
        Self { config: config.to_str().unwrap().to_owned(), shell }
    }

    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        ["schedule"].iter().chain(words).copied().chain(["--config", &self.config]).collect()
    }

    fn ok(&self, words: &[&str]) -> Ended {
        self.shell.ok(&self.words(words))
    }

    fn json(&self, words: &[&str]) -> Value {
        self.shell.json(&self.words(&[words, &["--json"]].concat()))
    }

    fn fails(&self, words: &[&str], code: i32, expected: &[&str]) {
        self.shell.fails(&self.words(words), code, expected);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shell.path(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.path("calls")).unwrap_or_default()
    }

    /// What is below a folder of the machine: file names.
    fn listed(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The lines that are installed for a config, but for the marks.
fn line_of(crontab: &str) -> String {
    let mut lines = crontab.lines().filter(|line| line.contains(" run --due "));
    let line = lines.next().unwrap().to_owned();
    assert_eq!(lines.next(), None, "{crontab}");
    line
}

#[test]
fn a_line_of_the_crontab_comes_and_goes() {
    let machine = Machine::new();
    let others = "# mine\nMAILTO=me@example.org\n17 * * * * /usr/bin/true %\n\n";
    machine.shell.write("crontab", others);
    let told = machine.ok(&["install", "--cron"]).out;
    assert!(told.contains(&machine.config) && told.contains("this user's crontab"), "{told}");
    let crontab = machine.read("crontab");
    assert!(crontab.starts_with(others), "{crontab}");
    let program = env!("CARGO_BIN_EXE_ssb");
    assert_eq!(line_of(&crontab), format!("*/5 * * * * {program} run --due --quiet --config {}", machine.config));
    let calls = machine.calls();
    assert!(machine.ok(&["install", "--cron"]).out.contains("already"));
    assert_eq!((machine.read("crontab"), machine.calls()), (crontab, calls), "installed twice");
    machine.ok(&["install", "--cron", "--every", "1m"]);
    assert!(line_of(&machine.read("crontab")).starts_with("* * * * * /"));
    assert!(machine.ok(&["remove", "--cron"]).out.contains("no longer"));
    assert_eq!(machine.read("crontab"), others);
    assert!(machine.ok(&["remove", "--cron"]).out.contains("no runs of"));
}

#[test]
fn a_crontab_that_was_not_there_is_not_there_afterwards() {
    let machine = Machine::new();
    assert_eq!(machine.json(&["remove", "--cron"])["change"], "absent");
    let installed = machine.json(&["install", "--cron"]);
    assert_eq!((&installed["change"], &installed["config"]), (&json!("installed"), &json!(machine.config)));
    assert_eq!(installed["places"][0]["text"], machine.read("crontab"));
    assert_eq!(machine.json(&["remove", "--cron"])["change"], "removed");
    assert!(!machine.path("crontab").exists());
}

#[test]
fn every_config_has_a_block_of_its_own() {
    let mut machine = Machine::new();
    machine.ok(&["install", "--cron"]);
    let first = machine.read("crontab");
    let (one, other) = (machine.config.clone(), machine.shell.write("it's 100% mine/a b.toml", CONFIG));
    machine.config = other.to_str().unwrap().to_owned();
    machine.ok(&["install", "--cron", "--every", "1h"]);
    let crontab = machine.read("crontab");
    let second = crontab.strip_prefix(&first).unwrap();
    assert!(line_of(second).contains(r"/it'\''s 100\% mine/a b.toml'"), "{second}");
    // A name from elsewhere means the same file.
    fs::create_dir(machine.path("else")).unwrap();
    machine.config = "else/../it's 100% mine/a b.toml".to_owned();
    assert!(machine.ok(&["install", "--cron", "--every", "1h"]).out.contains("already"));
    // A config that is gone can still be taken out.
    fs::remove_file(&one).unwrap();
    machine.config = one;
    machine.ok(&["remove", "--cron"]);
    assert_eq!(machine.read("crontab"), second);
}

#[test]
fn a_folder_with_variables_is_where_it_runs() {
    let machine = Machine::new();
    machine.shell.write(".env", "S3_BUCKET=b\n");
    machine.ok(&["install", "--cron"]);
    let home = machine.shell.home.path().canonicalize().unwrap();
    let line = line_of(&machine.read("crontab"));
    assert!(line.starts_with(&format!("*/5 * * * * cd {} && /", home.display())), "{line}");
}

#[test]
fn a_crontab_that_cannot_be_read_is_not_written() {
    let machine = Machine::new();
    machine.shell.write("crontab", "1 2 3 4 5 dear\n");
    machine.shell.write("locked", "");
    for what in ["install", "remove"] {
        machine.fails(&[what, "--cron"], 1, &["'crontab -l' failed", "not allowed"]);
    }
    fs::remove_file(machine.path("locked")).unwrap();
    machine.ok(&["install", "--cron"]);
    let torn = machine.read("crontab").replace("# ssb end", "# end");
    machine.shell.write("crontab", &torn);
    machine.fails(&["install", "--cron"], 2, &["this user's crontab", "'# ssb end "]);
    machine.fails(&["remove", "--cron"], 2, &["by hand"]);
    assert_eq!(machine.read("crontab"), torn);
}

#[test]
fn without_cron_there_is_a_sentence() {
    let mut machine = Machine::new();
    let empty = machine.path("empty").to_str().unwrap().to_owned();
    machine.shell = machine.shell.set("PATH", &empty);
    machine.fails(&["install", "--cron"], 2, &["'crontab'", "--systemd"]);
    machine.fails(&["remove", "--cron"], 2, &["'crontab'"]);
    assert!(machine.ok(&["install", "--cron", "--dry-run"]).out.contains(" run --due "));
}

#[test]
fn a_file_for_cron_has_a_user_and_a_path() {
    let machine = Machine::new();
    fs::create_dir(machine.path("cron.d")).unwrap();
    let file = machine.path("cron.d/ssb");
    let words = ["install", "--cron", "--file", "cron.d/ssb", "--as", "backup"];
    assert!(machine.ok(&words).out.contains(file.canonicalize().unwrap().to_str().unwrap()));
    let text = machine.read("cron.d/ssb");
    assert!(line_of(&text).starts_with("*/5 * * * * backup /"), "{text}");
    assert!(text.contains("\nSHELL=/bin/sh\nPATH=/usr/local/sbin:"), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    assert!(machine.ok(&words).out.contains("already"));
    machine.ok(&["remove", "--cron", "--file", "cron.d/ssb"]);
    assert_eq!(machine.listed("cron.d"), [""; 0]);
    // A file with other lines keeps them, and who may read it.
    let other = machine.shell.write("cron.d/all", "0 0 * * * root true\n");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    machine.ok(&["install", "--cron", "--file", "cron.d/all"]);
    assert!(line_of(&machine.read("cron.d/all")).contains(" root /"));
    machine.ok(&["remove", "--cron", "--file", "cron.d/all"]);
    assert_eq!(machine.read("cron.d/all"), "0 0 * * * root true\n");
    assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(machine.listed("cron.d"), ["all"]);
    machine.fails(&["install", "--cron", "--file", "cron.d/ssb.conf"], 2, &["'ssb.conf'"]);
    machine.fails(&["install", "--cron", "--file", "cron.d/ssb", "--as", "a b"], 2, &["'a b'", "such as root"]);
    machine.fails(&["install", "--cron", "--file", "nowhere/ssb"], 1, &["nowhere/ssb", "make its folder"]);
}

#[test]
fn units_come_and_go() {
    let machine = Machine::new();
    let install = ["install", "--systemd", "--user"];
    let told = machine.ok(&install).out;
    let folder = ".config/systemd/user";
    let names = machine.listed(folder);
    let [service, timer] = names.as_slice() else { panic!("{names:?}") };
    assert!(service.starts_with("ssb-") && service.ends_with("-etc-config.service"), "{service}");
    assert_eq!(timer, &service.replace(".service", ".timer"));
    assert!(told.contains(service) && told.contains(timer) && told.contains("enable-linger"), "{told}");
    assert_eq!(machine.calls(), format!("--user daemon-reload\n--user enable --now {timer}\n"));
    let text = machine.read(&format!("{folder}/{service}"));
    let program = env!("CARGO_BIN_EXE_ssb");
    let line = format!("\nExecStart=\"{program}\" run --due --quiet --config \"{}\"\n", machine.config);
    assert!(text.contains(&line), "{text}");
    assert!(machine.read(&format!("{folder}/{timer}")).contains("\nOnCalendar=*-*-* *:0/5:00\n"));
    assert_eq!(machine.json(&install)["change"], "unchanged");
    assert_eq!(machine.json(&[&install[..], &["--every", "1h"]].concat())["change"], "installed");
    let wants = machine.path(folder).join("timers.target.wants");
    fs::create_dir(&wants).unwrap();
    std::os::unix::fs::symlink(machine.path(folder).join(timer), wants.join(timer)).unwrap();
    assert_eq!(machine.json(&["remove", "--systemd", "--user"])["change"], "removed");
    assert_eq!(machine.listed(folder), ["timers.target.wants"]);
    assert_eq!(fs::read_dir(&wants).unwrap().count(), 0);
    assert!(machine.calls().ends_with(&format!("--user disable --now {timer}\n--user daemon-reload\n")));
    assert_eq!(machine.json(&["remove", "--systemd", "--user"])["change"], "absent");
}

#[test]
fn without_systemd_it_says_what_to_type() {
    let machine = Machine::new();
    machine.shell.write("no-systemd", "");
    let told = machine.ok(&["install", "--systemd", "--user", "--name", "web"]).out;
    assert!(told.contains("has not been booted"), "{told}");
    assert!(
        told.contains("\n  systemctl --user daemon-reload\n  systemctl --user enable --now ssb-web.timer"),
        "{told}"
    );
    assert_eq!(machine.listed(".config/systemd/user"), ["ssb-web.service", "ssb-web.timer"]);
    let told = machine.ok(&["remove", "--systemd", "--user", "--name", "web"]).out;
    assert!(told.contains("\n  systemctl --user disable --now ssb-web.timer"), "{told}");
    assert_eq!(machine.listed(".config/systemd/user"), [""; 0]);
}

#[test]
fn units_of_others_stay() {
    let mut machine = Machine::new();
    let install = ["install", "--systemd", "--system", "--folder", "units", "--name", "x"];
    let told = machine.ok(&install).out;
    let units = machine.path("units");
    let link = format!("systemctl link '{0}/ssb-x.service' '{0}/ssb-x.timer'", units.display());
    assert!(told.contains(&link) && told.contains("systemctl enable --now ssb-x.timer"), "{told}");
    assert_eq!(machine.calls(), "");
    let before = machine.read("units/ssb-x.service");
    machine.config = machine.shell.write("other.toml", CONFIG).to_str().unwrap().to_owned();
    machine.fails(&install, 2, &["ssb-x.service", "other.toml", "--name"]);
    let remove = ["remove", "--systemd", "--system", "--folder", "units", "--name", "x"];
    machine.fails(&remove, 2, &["ssb-x.service"]);
    assert_eq!(machine.read("units/ssb-x.service"), before);
    machine.fails(&["install", "--systemd", "--user", "--name", "a/b"], 2, &["'a/b'"]);
}

#[test]
fn a_dry_run_leaves_everything_as_it_is() {
    let machine = Machine::new();
    let crontab = "1 2 3 4 5 mine\n";
    machine.shell.write("crontab", crontab);
    let before = machine.listed(".");
    assert!(machine.ok(&["install", "--cron", "-n"]).out.contains("\n*/5 * * * * /"));
    assert!(machine.ok(&["install", "--cron", "--file", "f", "-n"]).out.contains(" root /"));
    let shown = machine.ok(&["install", "--systemd", "--user", "-n"]).out;
    assert!(
        shown.contains("\nOnCalendar=") && shown.contains("\nExecStart=") && shown.contains(".timer:\n"),
        "{shown}"
    );
    assert_eq!((machine.listed("."), machine.read("crontab").as_str()), (before, crontab));
    machine.ok(&["install", "--cron"]);
    let installed = machine.read("crontab");
    assert!(machine.ok(&["remove", "--cron", "-n"]).out.contains("1 2 3 4 5 mine"));
    assert_eq!(machine.read("crontab"), installed);
    machine.ok(&["install", "--systemd", "--user"]);
    assert!(machine.ok(&["remove", "--systemd", "--user", "-n"]).out.contains(".timer:\n"));
    assert_eq!(machine.listed(".config/systemd/user").len(), 2);
}

#[test]
fn what_is_typed_wrong_is_told() {
    let machine = Machine::new();
    for words in [
        &["install"][..],
        &["install", "--cron", "--systemd"],
        &["install", "--systemd", "--file", "x"],
        &["install", "--systemd", "--file", "x", "--as", "me"],
        &["install", "--cron", "--folder", "x"],
        &["install", "--cron", "--name", "x"],
        &["install", "--cron", "--user"],
        &["install", "--cron", "--system"],
        &["install", "--cron", "--as", "me"],
        &["install", "--systemd", "--user", "--system"],
        &["install", "--cron", "--every", "7m"],
        &["install", "--cron", "--every", "0s"],
    ] {
        // Nothing outside the test may come to harm if it is taken for right.
        let ended = machine.shell.run(&machine.words(&[words, &["--dry-run"]].concat()));
        assert_eq!(ended.code, 2, "{words:?}: {ended:?}");
    }
    let nobody = Shell::new();
    nobody.fails(&["schedule", "show", "--config", "gone.toml"], 2, &["gone.toml"]);
    nobody.fails(&["schedule", "install", "--cron", "--config", "gone.toml"], 2, &["gone.toml"]);
}

#[test]
fn the_next_runs_are_shown() {
    let machine = Machine::new();
    let shown = machine.json(&["show"]);
    assert_eq!(shown["config"], machine.config);
    let jobs = shown["jobs"].as_array().unwrap();
    let names: Vec<_> = jobs.iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["site", "redis", "quick", "off"]);
    assert_eq!(jobs[1]["entries"], json!(["dump", "log"]));
    let expected = ("30 2 * * *", "Europe/Berlin", "nightly");
    let of = |job: &Value, key: &str| job[key].as_str().unwrap().to_owned();
    let site = &jobs[0];
    assert_eq!((&*of(site, "schedule"), &*of(site, "time_zone"), &*of(site, "policy")), expected);
    let next: Vec<jiff::Timestamp> = serde_json::from_value(site["next"].clone()).unwrap();
    let now = jiff::Timestamp::now();
    assert!(next.len() == 3 && next.is_sorted() && next[0] > now, "{site}");
    assert!(next[0].duration_since(now).as_hours() < 26, "{site}");
    for job in &jobs[2..] {
        assert_eq!(job["next"], json!([]), "{job}");
    }
    let table = machine.ok(&["show"]).out;
    for part in ["redis (dump, log)", "30 2 * * *", "Europe/Berlin", " 02:30, ", "disabled", "whenever"] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

#[test]
fn a_schedule_that_cannot_be_is_told_beside_the_others() {
    let machine = Machine::new();
    let text = CONFIG.replace("[entries.quick]", "[entries.quick]\nschedule = \"61 * * * *\"");
    let text = text + "\n[entries.lost]\npolicy = \"nightly\"\ntime-zone = \"Europe/Atlantis\"\npaths = [\"/srv\"]\n";
    fs::write(Path::new(&machine.config), text).unwrap();
    let shown = machine.shell.run(&machine.words(&["show"]));
    assert_eq!(shown.code, 3, "{shown:?}");
    for part in ["the minute '61'", "'Europe/Atlantis' is not known", " 02:30, ", "see below"] {
        assert!(shown.out.contains(part), "{part}: {shown:?}");
    }
}
