//! What is found wrong, and whom it stops.

use super::{Finding, Level, problems};
use crate::config::read::{Format, read};

fn found(text: &str) -> Vec<Finding> {
    problems(&read(text, Format::Toml).unwrap_or_else(|problems| panic!("{problems:?}")).config)
}

/// The findings for one entry with a good policy, and what is said besides.
fn entry(lines: &str) -> Vec<Finding> {
    found(&format!(
        "[policies.nightly]\n[policies.other]\n[entries.x]\npolicy = 'other'\npaths = ['/']\n[entries.e]\n{lines}"
    ))
    .into_iter()
    .filter(|finding| finding.key != "policies.nightly")
    .collect()
}

#[test]
fn what_is_wrong_with_one_entry_stops_that_one() {
    for (lines, key, what) in [
        ("paths = ['/srv']", "entries.e", "it has no policy; there are nightly, other"),
        ("policy = 'nihgtly'\npaths = ['/srv']", "entries.e.policy", "'nihgtly'; did you mean 'nightly'?"),
        ("policy = 'weekly'\npaths = ['/srv']", "entries.e.policy", "'weekly'; there are nightly, other"),
        ("policy = 'nightly'", "entries.e", "nothing to back up"),
        ("policy = 'nightly'\npaths = []", "entries.e", "nothing to back up"),
        ("policy = 'nightly'\npaths = ['/a']\ncommand = 'b'", "entries.e", "both paths and a command"),
        ("policy = 'nightly'\npaths = ['srv']", "entries.e.paths", "'srv' is relative"),
        ("policy = 'nightly'\npaths = ['/srv/[a']", "entries.e.paths", "'/srv/[a' is not usable"),
        ("policy = 'nightly'\npaths = ['/']\ntime-zone = 'Mars/North'", "entries.e.time-zone", "'Mars/North' is"),
        ("policy = 'nightly'\npaths = ['/']\nschedule = '61 * * * *'", "entries.e.schedule", "61 * * * *"),
        ("policy = 'nightly'\npaths = ['/']\nschedule = '* * * *'", "entries.e.schedule", "* * * *"),
        ("policy = 'nightly'\npaths = ['/']\nexclude = ['[a']", "entries.e.exclude", "'[a' is not usable"),
        ("policy = 'nightly'\npaths = ['/']\ntags = ['a,b']", "entries.e.tags", "'a,b'"),
        ("policy = 'nightly'\npaths = ['/']\nfilename = 'x'", "entries.e.filename", "only what a command prints"),
        ("policy = 'nightly'\ncommand = 'x'\nfilename = '/'", "entries.e.filename", "cannot be the path of a file"),
        ("policy = 'nightly'\ncommand = ' '", "entries.e.command", "the command is empty"),
        ("policy = 'nightly'\ncommand = []", "entries.e.command", "names no program"),
        ("policy = 'nightly'\ncommand = 'x'\ngroup = 'g'", "entries.e.command", "a group is of paths"),
        ("policy = 'nightly'\npaths = ['/']\ngroup = 'a/b'", "entries.e.group", "'/' in it"),
        ("policy = 'nightly'\npaths = ['/']\ngroup = ''", "entries.e.group", "the name is empty"),
        ("policy = 'nightly'\npaths = ['/']\nhooks.before = ''", "entries.e.hooks.before", "the command is empty"),
    ] {
        let errors: Vec<_> = entry(lines).into_iter().filter(|finding| finding.level == Level::Error).collect();
        assert_eq!(errors.len(), 1, "{lines}: {errors:?}");
        let Finding { key: told, what: why, .. } = &errors[0];
        assert!(told == key && why.contains(what), "{lines}: {errors:?}");
        assert!(errors[0].stops("e") && !errors[0].stops("x") && !errors[0].is_fatal(), "{errors:?}");
    }
    for lines in [
        "policy = 'nightly'\npaths = ['/', '/srv/*/[ab]', '/srv/{a,b}']\nschedule = '@daily'\ntime-zone = 'Europe/Berlin'",
        "policy = 'nightly'\ncommand = ['pg_dump', 'a|b']\nfilename = 'dumps/app.sql'\nschedule = '*/5 0-6 * JAN MON-FRI'",
    ] {
        assert_eq!(entry(lines), [], "{lines}");
    }
}

#[test]
fn names_are_fit_for_files() {
    for name in ["''", "' '", "'a/b'", "\"a\\nb\""] {
        let of_entry = found(&format!("[policies.p]\n[entries.{name}]\npolicy = 'p'\npaths = ['/']"));
        assert_eq!((of_entry.len(), of_entry[0].level), (1, Level::Error), "{name}: {of_entry:?}");
        let of_policy = found(&format!("[policies.{name}]\n[entries.e]\npolicy = {name}\npaths = ['/']"));
        assert!(of_policy.iter().any(|finding| finding.stops("e")), "{name}: {of_policy:?}");
    }
}

#[test]
fn a_wrong_policy_stops_all_that_use_it() {
    let entries = "[entries.a]\npolicy = 'p'\npaths = ['/']\n[entries.b]\npolicy = 'q'\npaths = ['/']\n[policies.q]\n";
    let findings = found(&format!("{entries}[policies.p]\nschedule = 'x'\n"));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].stops("a") && !findings[0].stops("b"));
    let idle = found(&format!("{entries}[policies.p]\n[policies.idle]\nschedule = 'x'\n"));
    assert_eq!(idle.len(), 2, "{idle:?}");
    assert!(idle.iter().all(|finding| finding.level == Level::Warning));
}

#[test]
fn a_group_is_stopped_as_a_whole() {
    let member = |name: &str, policy: &str, path: &str| {
        format!("[entries.{name}]\npolicy = '{policy}'\npaths = ['{path}']\ngroup = 'g'\n")
    };
    let policies = "[policies.p]\n[policies.q]\n[entries.lone]\npolicy = 'q'\npaths = ['/']\n";
    let differ = found(&format!("{policies}{}{}", member("a", "p", "/"), member("b", "q", "/")));
    assert_eq!(differ.len(), 1, "{differ:?}");
    assert!(differ[0].stops("a") && differ[0].stops("b") && !differ[0].stops("lone"));
    let relative = found(&format!("{policies}{}{}", member("a", "p", "srv"), member("b", "p", "/")));
    assert!(relative.len() == 1 && relative[0].stops("a") && relative[0].stops("b"), "{relative:?}");
    let disabled = found(&format!("{policies}{}{}disabled = true\n", member("a", "p", "/"), member("b", "q", "/")));
    assert_eq!(disabled, []);
    let ambiguous = found(&format!("{policies}{}[entries.g]\npolicy = 'p'\npaths = ['/']\n", member("a", "p", "/")));
    assert!(ambiguous.len() == 1 && ambiguous[0].what.contains("rename"), "{ambiguous:?}");
}

#[test]
fn what_is_disabled_is_only_warned_of() {
    let findings = found("[entries.e]\ndisabled = true\npaths = ['x']\n");
    assert!(findings.len() == 3 && findings.iter().all(|finding| finding.level == Level::Warning), "{findings:?}");
}

#[test]
fn what_is_wrong_as_a_whole() {
    const MAIL: &str = "[report.email]\nfrom = 'a@b.c'\nalways = ['d@e.f']\n";
    let entry = "[policies.p]\n[entries.e]\npolicy = 'p'\npaths = ['/']\n";
    let whole = |text: &str| found(&format!("{text}{entry}"));
    for (text, key, level) in [
        ("[repository]\naccess-key-id = 'x'\n", "repository", Level::Error),
        ("[log]\nfolder = 'log'\n", "log.folder", Level::Warning),
        ("[repository]\npassword.file = 'secret'\n", "repository.password", Level::Warning),
        ("[run]\nhooks.before = 'a | b'\n", "run.hooks.before", Level::Warning),
        (&format!("{MAIL}encryption = 'none'\nhost = 'mail.example.org'\n"), "report.email.encryption", Level::Error),
        (&format!("{MAIL}user = 'x'\n"), "report.email", Level::Error),
        (&format!("{MAIL}on-error = ['root']\n"), "report.email.on-error", Level::Error),
        ("[report.email]\nfrom = 'a@b.c'\n", "report.email", Level::Warning),
        ("[report.slack]\nwebhook = 'hooks.slack.com'\n", "report.slack.webhook", Level::Error),
        ("[report.ping]\nurl = 'http://hc.example.org/x'\n", "report.ping.url", Level::Warning),
        ("[report.ping]\nurl = 'https:///x'\n", "report.ping.url", Level::Error),
        ("[report.statsd]\naddress = 'localhost'\n", "report.statsd.address", Level::Error),
        ("[report.prometheus]\n", "report.prometheus", Level::Warning),
        ("[report.prometheus]\ntextfile = '/x/ssb.txt'\n", "report.prometheus.textfile", Level::Warning),
        ("[policies.p.retention]\n", "policies.p.retention", Level::Warning),
        ("[policies.q]\n", "policies.q", Level::Warning),
    ] {
        let findings = whole(text).into_iter().filter(|finding| finding.key == key).collect::<Vec<_>>();
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert_eq!(findings[0].level, level, "{findings:?}");
        assert_eq!(findings[0].is_fatal(), level == Level::Error, "{findings:?}");
    }
    for text in [
        &format!("{MAIL}encryption = 'none'\n"),
        &format!("{MAIL}encryption = 'none'\nhost = '127.0.0.1'\n"),
        &format!("{MAIL}encryption = 'none'\nhost = '::1'\n"),
        "[report.email]\nfrom = 'Backup <a@b.c>'\non-error = ['D E <d@e.f>']\n",
        "[report.ping]\nurl = 'http://127.0.0.1:8000/x'\n[report.statsd]\naddress = '[::1]:8125'\n",
        "[report.webhook]\nurl = 'http://[::1]:80/x'\n[report.prometheus]\ntextfile = '/x/ssb.prom'\n",
    ] {
        assert_eq!(whole(text), [], "{text}");
    }
    assert!(found("")[0].what.contains("there are none"));
}

#[test]
fn no_secret_stands_in_a_finding() {
    let text = "[report.slack]\nwebhook = 'geheim'\n[report.ping]\nurl = 'http://host/geheim'\n[report.webhook]\n\
                url = 'ftp://geheim'\nheaders = { A = 'geheim' }\n[report.prometheus]\npushgateway = 'https:///geheim'\n";
    let findings = found(text);
    assert!(findings.len() >= 4);
    assert!(findings.iter().all(|finding| !finding.to_string().contains("geheim")), "{findings:?}");
}
