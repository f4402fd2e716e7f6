//! Pages as they lie in the folder: names, removal, escaping.

use super::Pages;
use crate::config::{Duration, Html};
use crate::report::{RunRecord, View, sample};
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::path::Path;

fn settings(folder: &Path) -> Html {
    let url = Some("https://backup.example.com/reports/".to_owned());
    Html { folder: folder.to_owned(), url, keep: 100, max_age: None }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn berlin(record: RunRecord) -> RunRecord {
    RunRecord { time_zone: "Europe/Berlin".to_owned(), ..record }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_run_has_a_page_and_one_with_errors_two() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("www/backup");
    let settings = settings(&folder);
    let pages = Pages::new(&settings);
    let good = berlin(sample::good_run(at("2026-01-02T02:04:05Z")));
    let bad = berlin(sample::run(at("2026-07-03T02:04:05Z")));
    let written = pages.write(&View::new(&good)).unwrap();
    assert_eq!((written.page.as_str(), written.errors), ("backup-2026-01-02T03:04:05.html", None));
    let written = pages.write(&View::new(&bad)).unwrap();
    assert_eq!(written.errors.as_deref(), Some("error-2026-07-03T04:04:05.html"));
    assert_eq!(
        names(&folder),
        [
            "backup-2026-01-02T03:04:05.html",
            "backup-2026-07-03T04:04:05.html",
            "error-2026-07-03T04:04:05.html",
            "index.html"
        ]
    );
    let link = pages.link(&written.page).unwrap();
    assert_eq!(link, "https://backup.example.com/reports/backup-2026-07-03T04:04:05.html");

    let whole = fs::read_to_string(folder.join(&written.page)).unwrap();
    for part in [
        "<h1>2 of 5 failed, 1 incomplete</h1>",
        "4f9c21d0",
        "daily 1",
        "24 put, 2 get",
        "67.1 : 1",
        "is &#039;nightly&#039; meant?",
    ] {
        assert!(whole.contains(part), "{part}");
    }
    let errors = fs::read_to_string(folder.join("error-2026-07-03T04:04:05.html")).unwrap();
    assert!(errors.contains("the database system is starting up") && !errors.contains("<h3>home</h3>"));
    assert!(errors.contains("href=\"./backup-2026-07-03T04:04:05.html\""));

    let index = fs::read_to_string(folder.join("index.html")).unwrap();
    let newest = index.find("./backup-2026-07-03T04:04:05.html").unwrap();
    assert!(newest < index.find("./backup-2026-01-02T03:04:05.html").unwrap());
    for part in
        ["2 of 5 failed, 1 incomplete on db-1", "July 2026", "Fri 3, 04:04", "./error-2026-07-03T04:04:05.html", "<svg"]
    {
        assert!(index.contains(part), "{part}");
    }
}

#[test]
fn runs_of_the_same_second_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let record = sample::run(at("2026-01-02T02:04:05Z"));
    let write = || Pages::new(&settings).write(&View::new(&record)).unwrap();
    let mut written = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().page).collect::<Vec<_>>()
    });
    written.sort();
    let stamp = "2026-01-02T02:04:05";
    let wanted =
        [format!("-{stamp}-2.html"), format!("-{stamp}-3.html"), format!("-{stamp}-4.html"), format!("-{stamp}.html")];
    assert_eq!(written, wanted.clone().map(|name| format!("backup{name}")));
    let left = names(folder.path());
    assert_eq!(left.len(), 9, "{left:?}");
    for name in wanted {
        assert!(left.contains(&format!("error{name}")), "{left:?}");
    }
}

#[test]
fn old_pages_go_by_number_and_by_age_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let begun = at("2026-01-31T02:00:00Z");
    let strangers = [
        "backup-2020-01-01.html",
        "notes.html",
        "error-2020-01-01T00:00:00.html.bak",
        "xbackup-2020-01-01T00:00:00.html",
    ];
    for name in strangers {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    fs::create_dir(folder.path().join("backup-2020-01-01T00:00:00.html")).unwrap();
    let mut settings = settings(folder.path());
    let day = |days: i64| begun + SignedDuration::from_hours(24 * days);
    let write = |settings: &Html, days: i64| {
        Pages::new(settings).write(&View::new(&sample::run(day(days)))).unwrap();
        let ours = names(folder.path());
        let number = |kind: &str| ours.iter().filter(|name| name.starts_with(kind) && name.contains("2026-")).count();
        (number("backup-"), number("error-"))
    };
    for days in 0..5 {
        assert_eq!(write(&settings, days).0, days as usize + 1);
    }
    settings.keep = 3;
    assert_eq!(write(&settings, 5), (3, 3));
    settings.max_age = Some(Duration(std::time::Duration::from_secs(86_400 + 3600)));
    assert_eq!(write(&settings, 6), (2, 2));
    // What has just been written stays, be it older than all others.
    settings.keep = 1;
    assert_eq!(write(&settings, -9), (1, 1));
    for name in strangers {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "mine");
    }
    assert!(folder.path().join("backup-2020-01-01T00:00:00.html").is_dir());
}

#[test]
fn no_text_from_elsewhere_becomes_markup() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'&lt;--><svg onload=x>";
    let folder = tempfile::tempdir().unwrap();
    let mut record = sample::run(at("2026-01-02T02:04:05Z"));
    let text = || HOSTILE.to_owned();
    (record.host, record.user, record.config, record.repository) = (text(), text(), text(), text());
    (record.errors, record.warnings, record.program) = (vec![text()], vec![text()], text());
    record.skipped.iter_mut().for_each(|skipped| (skipped.name, skipped.why) = (text(), text()));
    for job in &mut record.jobs {
        (job.name, job.error, job.stderr, job.policy) = (text(), Some(text()), Some(text()), Some(text()));
        job.snapshot = Some(text());
        job.entries = vec![text()];
        job.is_group = true;
        job.issues.iter_mut().for_each(|issue| (issue.subject, issue.what, issue.next) = (text(), text(), text()));
        job.hook_failures.iter_mut().for_each(|failure| (failure.hook, failure.error) = (text(), text()));
        if let Some(retention) = &mut job.retention {
            retention.error = Some(text());
            retention.kept.iter_mut().for_each(|verdict| (verdict.id, verdict.reasons) = (text(), vec![text()]));
        }
    }
    let history = [record.clone(), record.clone()];
    let settings = settings(folder.path());
    let view = View { history: &history, ..View::new(&record) };
    for _ in 0..2 {
        Pages::new(&settings).write(&view).unwrap();
    }
    for name in names(folder.path()) {
        let page = fs::read_to_string(folder.path().join(&name)).unwrap();
        assert!(page.contains("&lt;script&gt;"), "{name}");
        for bad in ["<script", "<svg onload", "\"'&lt;", "-->"] {
            assert!(!page.contains(bad), "{name} has {bad}");
        }
    }
}

#[test]
fn pages_load_nothing_and_fit_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    Pages::new(&settings).write(&View::new(&sample::run(at("2026-01-02T02:04:05Z")))).unwrap();
    for name in names(folder.path()) {
        let page = fs::read_to_string(folder.path().join(&name)).unwrap();
        assert!(
            page.contains("content=\"width=device-width, initial-scale=1\"")
                && page.contains("prefers-color-scheme: dark")
        );
        assert!(page.contains("default-src 'none'"), "{name}");
        for bad in [" src=", "@import", "url(", "<link", "http://", "https://", "javascript:"] {
            assert!(!page.contains(bad), "{name} has {bad}");
        }
        // A name with a colon would be taken for a scheme if it stood alone.
        assert!(!page.contains("href=\"backup-") && !page.contains("href=\"error-"), "{name}");
    }
}

#[test]
fn a_test_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let record = sample::run(at("2026-01-02T02:04:05Z"));
    let written = Pages::new(&settings).write(&View { is_test: true, ..View::new(&record) }).unwrap();
    let page = fs::read_to_string(folder.path().join(written.page)).unwrap();
    assert!(page.contains("<h1>Test: 2 of 5 failed") && page.contains(sample::REMARK));
    assert!(fs::read_to_string(folder.path().join("index.html")).unwrap().contains(">Test: 2 of 5 failed"));
}
