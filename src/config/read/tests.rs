//! Both formats, and every kind of problem at its place.

use super::{Format, Problem, Read, read};
use crate::config::{Command, Config, Encryption, LogFormat, Mode, Secret};
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use std::path::Path;

fn toml(text: &str) -> Read {
    read(text, Format::Toml).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The sentences for a text that is refused.
fn told(text: &str, format: Format) -> Vec<String> {
    read(text, format).unwrap_err().iter().map(Problem::to_string).collect()
}

const BOTH: &str = r#"
[repository]
location = "s3://bucket/web"
password = { file = "/root/secret" }

[run]
nice = 10

[policies.nightly]
mode = "serial"
timeout = "1h 30m"
retention = { keep-daily = 7, keep-last = "unlimited", keep-within = "1y6m" }

[entries.zebra]
policy = "nightly"
paths = ["/srv"]

[entries.ape]
policy = "nightly"
command = ["pg_dump", "app"]
retries = 0
"#;

const SAME: &str = r#"{
  "$schema": "ssb.json",
  "repository": { "location": "s3://bucket/web", "password": { "file": "/root/secret" } },
  "run": { "nice": 10, "host": null },
  "policies": {
    "nightly": {
      "mode": "serial",
      "timeout": "1h 30m",
      "retention": { "keep-daily": 7, "keep-last": "unlimited", "keep-within": "1y6m" }
    }
  },
  "entries": {
    "zebra": { "policy": "nightly", "paths": ["/srv"] },
    "ape": { "policy": "nightly", "command": ["pg_dump", "app"], "retries": 0 }
  }
}"#;

#[test]
fn both_formats_say_the_same() {
    let (toml, json) = (toml(BOTH), read(SAME, Format::Json).unwrap());
    assert_eq!(toml.config, json.config);
    assert_eq!(toml.entry_order, ["zebra", "ape"]);
    assert_eq!(json.entry_order, ["zebra", "ape"]);
    let config = toml.config;
    assert_eq!(config.run.nice, 10);
    assert_eq!(config.policies["nightly"].mode, Some(Mode::Serial));
    assert_eq!(config.entries["ape"].settings.retries, Some(0));
    assert_eq!(config.entries["ape"].command, Some(Command::Words(vec!["pg_dump".to_owned(), "app".to_owned()])));
    assert_eq!(config.repository.password, Some(Secret::File { file: "/root/secret".into() }));
    let place = |places, key: &str| super::place(places, key).unwrap().to_string();
    assert_eq!(place(&toml.places, "policies.nightly.mode"), "10:1");
    assert_eq!(place(&toml.places, "policies.nightly.retention.keep-last"), "12:31");
    assert_eq!(place(&toml.places, "entries.ape"), "18:10");
    assert_eq!(place(&toml.places, "entries.ape.schedule"), "18:10");
    assert_eq!(place(&json.places, "policies.nightly.mode"), "7:7");
    assert_eq!(Format::of(Path::new("a/config.JSON")), Format::Json);
    assert_eq!(Format::of(Path::new("a/config")), Format::Toml);
}

#[test]
fn nothing_at_all_is_a_config() {
    assert_eq!(toml("").config, Config::default());
    assert_eq!(toml("\u{feff}# nothing\n").config, Config::default());
    assert_eq!(read("{}", Format::Json).unwrap().config, Config::default());
    assert_eq!(toml("[report.email]\nfrom = 'a@b'").config.report.email.unwrap().encryption, Encryption::Starttls);
    assert_eq!(toml("[log]\nformat = 'json'").config.log.format, LogFormat::Json);
}

#[test]
fn every_problem_is_told_with_its_place() {
    let text = r#"
[run]
nicce = 3
max-parallel = 0
host = 7

[policies.nightly]
mode = "seriel"
timeout = "5"
retention = { keep_daily = 7, keep-last = "all", keep-within = "1 y" }
compression = 23
one-file-system = "yes"

[report.html]
keep = 0

[entries.db]
hooks = { befor = "true" }
command = { line = "pg_dump" }
paths = "/srv"
colour = "blue"
"#;
    let expected = [
        "3:1: run.nicce: unknown key; did you mean 'nice'?",
        "4:16: run.max-parallel: a whole number from 1 is wanted, not 0",
        "5:8: run.host: a text is wanted, not a whole number",
        "8:8: policies.nightly.mode: 'parallel' or 'serial' is wanted, not 'seriel'; did you mean 'serial'?",
        "9:11: policies.nightly.timeout: '5' is no duration; give one such as 90s, 30m, 2h or 3d",
        "10:15: policies.nightly.retention.keep_daily: unknown key; did you mean 'keep-daily'?",
        "10:43: policies.nightly.retention.keep-last: a whole number from 0 or 'unlimited' is wanted, not 'all'",
        "10:64: policies.nightly.retention.keep-within: '1 y' is not a span of time such as 30d, 48h or 1y6m: ' ' is not \
         one of the units y, m, w, d and h",
        "11:15: policies.nightly.compression: a whole number from -7 to 22 is wanted, not 23",
        "12:19: policies.nightly.one-file-system: true or false is wanted, not a text",
        "14:9: report.html: the key 'folder' is missing",
        "15:8: report.html.keep: a whole number from 1 is wanted, not 0",
        "18:11: entries.db.hooks.befor: unknown key; did you mean 'before'?",
        "19:1: entries.db.command: a text or a list is wanted, not a table with 'line'",
        "20:9: entries.db.paths: a list is wanted, not a text",
        "21:1: entries.db.colour: unknown key; known here are ",
    ];
    let told = told(text, Format::Toml);
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "told:     {told}\nexpected: {expected}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn secrets_are_refused_without_being_shown() {
    for secret in [
        "{ fiel = 'geheim' }",
        "['geheim']",
        "{ file = 'geheim', env = 'geheim' }",
        "{ file = ['geheim'] }",
        "4711",
        "47.11",
    ] {
        let told = told(&format!("[repository]\npassword = {secret}"), Format::Toml).join(" ");
        assert!(told.contains("repository.password") && !told.contains("geheim") && !told.contains("47"), "{told}");
    }
    let told = told("repository.password = { fiel = 'x' }", Format::Toml).join(" ");
    assert!(told.contains("a text, { file = ... }, { command = ... } or { env = ... } is wanted"), "{told}");
}

#[test]
fn errors_of_syntax_have_a_place() {
    for (text, expected) in [
        ("[run]\nnice = \n", "2:"),
        ("[run]\nnice = 1\nnice = 2\n", "3:1: this is no TOML: duplicate key"),
        ("[run\n", "1:"),
    ] {
        let told = told(text, Format::Toml);
        assert!(told[0].starts_with(expected) && told[0].contains("this is no TOML"), "{told:?}");
    }
    for (text, expected) in [
        ("", "1:1: the file is empty"),
        ("{\n  \"run\": {},\n}", "2:12: this is no JSON: trailing commas"),
        ("{ // note\n}", "1:3: this is no JSON: comments"),
        ("{\n\"run\": {\"nice\": 1, \"nice\": 2}}", "2:20: the key 'nice' is given twice"),
        ("[]", "1:1: a table is wanted, not a list"),
        ("{'run': 1}", "1:2: this is no JSON: single-quoted"),
    ] {
        let told = told(text, Format::Json);
        assert!(told[0].starts_with(expected), "{text}: {told:?}");
    }
    let odd = "[run]\nnice = 99999999999999999999\n[prune]\nmax-unused-percent = inf\nevery = 2024-01-01\n";
    assert_eq!(told(odd, Format::Toml).len(), 3);
}

/// Texts made of what configs are made of.
fn likely() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "run",
        "nice",
        "entries",
        "policies",
        "a",
        "retention",
        "keep-daily",
        "report",
        "email",
        "password",
        "file",
        "[",
        "]",
        "{",
        "}",
        "=",
        ":",
        ",",
        "\"",
        "'",
        "\n",
        "1",
        "-7",
        "1e9",
        "nan",
        "true",
        "null",
        "\"x\"",
        "\"30m\"",
        "#",
        ".",
        " ",
        "ü",
        "\\",
        "[run]\n",
        "[entries.a]\n",
        "paths = ['/x']\n",
        "1979-05-27",
        "0x7fffffffffffffffffff",
        "\u{feff}",
    ]);
    prop_oneof![prop::collection::vec(word, 0..40).prop_map(|words| words.concat()), any::<String>()]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in likely()) {
        for format in [Format::Toml, Format::Json] {
            if let Err(problems) = read(&text, format) {
                assert!(!problems.is_empty());
                for problem in problems {
                    let lines = text.lines().count().max(1) + 1;
                    assert!((1..=lines).contains(&problem.position.line) && problem.position.column >= 1, "{problem}");
                    assert!(!problem.what.contains("bug in ssb"), "{problem}");
                }
            }
        }
    }
}
