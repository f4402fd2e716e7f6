//! A record that is made up: what reports look like before anything has gone wrong, and for tests of the channels.

use super::{
    HookFailure, JobRecord, JobStatus, PruneRecord, RetentionRecord, RunRecord, RunStatus, Skipped, SnapshotVerdict,
};
use crate::base::{Issue, IssueCode};
use crate::repo::Totals;
use crate::store::RequestCounts;
use jiff::{SignedDuration, Timestamp};

/// What every such record says of itself.
pub const REMARK: &str = "This is a test of the reports: no backup was made, and nothing has gone wrong.";

/// A run of which something went wrong: one job of each kind.
pub fn run(begun: Timestamp) -> RunRecord {
    let etc = JobRecord {
        status: JobStatus::Refused,
        tries: 0,
        error: Some("entry 'etc' names the policy 'nigthly', which is not there; is 'nightly' meant?".to_owned()),
        totals: Totals::default(),
        snapshot: None,
        parent: None,
        requests: RequestCounts::default(),
        ..job("etc", begun, 197, 0)
    };
    RunRecord {
        status: RunStatus::Incomplete,
        exit_code: 3,
        jobs: vec![home(begun), photos(begun), mail(begun), database(begun), etc],
        skipped: vec![
            Skipped { name: "archive".to_owned(), why: "not due before 2026-02-01 02:00".to_owned() },
            Skipped { name: "scratch".to_owned(), why: "disabled".to_owned() },
        ],
        prune: Some(PruneRecord {
            freed_bytes: 1_620_000_000,
            repacked_bytes: 84_000_000,
            deferred: None,
            error: None,
        }),
        ..good_run(begun)
    }
}

/// A run of which nothing did.
pub fn good_run(begun: Timestamp) -> RunRecord {
    RunRecord {
        format: 1,
        program: concat!("ssb ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: "db-1".to_owned(),
        user: "root".to_owned(),
        config: "/etc/ssb/config.toml".to_owned(),
        repository: "s3://backups/db-1".to_owned(),
        begun,
        ended: begun + SignedDuration::from_millis(197_400),
        time_zone: "UTC".to_owned(),
        status: RunStatus::Success,
        exit_code: 0,
        jobs: vec![home(begun), mail(begun)],
        skipped: Vec::new(),
        errors: Vec::new(),
        warnings: vec![REMARK.to_owned()],
        prune: None,
        requests: RequestCounts {
            put: 61,
            get: 14,
            list: 6,
            head: 2,
            delete: 3,
            bytes_up: 402_310_455,
            bytes_down: 9_120_331,
        },
    }
}

fn job(name: &str, begun: Timestamp, after_s: i64, seconds: i64) -> JobRecord {
    let begun = begun + SignedDuration::from_secs(after_s);
    JobRecord {
        name: name.to_owned(),
        is_group: false,
        entries: vec![name.to_owned()],
        policy: Some("nightly".to_owned()),
        begun,
        ended: begun + SignedDuration::from_millis(seconds.saturating_mul(1000).saturating_add(400)),
        status: JobStatus::Success,
        error: None,
        stderr: None,
        tries: 1,
        snapshot: Some("4f9c21d07be35a6612ab90cd34ef56718293a4b5c6d7e8f9012345abcdef6789".to_owned()),
        parent: Some("0b16c8e1f7a2d94356789abcdef0123456789abcdef0123456789abcdef01234".to_owned()),
        totals: Totals {
            files: 48_213,
            directories: 5_120,
            others: 77,
            bytes: 61_204_118_733,
            files_new: 214,
            files_changed: 1_022,
            files_unchanged: 46_977,
            new_chunks: 1_740,
            new_bytes: 912_600_113,
            stored_bytes: 338_110_020,
            new_packs: 21,
            duration_ms: 95_000,
        },
        issues: Vec::new(),
        hook_failures: Vec::new(),
        retention: None,
        requests: RequestCounts { put: 24, get: 2, bytes_up: 338_400_000, ..RequestCounts::default() },
    }
}

fn home(begun: Timestamp) -> JobRecord {
    let verdict = |digit: &str, days: i64, reasons: &[&str]| SnapshotVerdict {
        id: digit.repeat(64),
        time: begun - SignedDuration::from_hours(24 * days),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
    };
    let retention = RetentionRecord {
        kept: vec![
            verdict("4", 0, &["last 1", "daily 1", "weekly 1"]),
            verdict("0", 1, &["daily 2"]),
            verdict("9", 2, &["daily 3"]),
            verdict("c", 9, &["weekly 2"]),
            verdict("7", 33, &["monthly 2"]),
        ],
        removed: vec![verdict("a", 3, &[]), verdict("e", 10, &[])],
        error: None,
    };
    JobRecord { retention: Some(retention), ..job("home", begun, 1, 95) }
}

fn photos(begun: Timestamp) -> JobRecord {
    let issue = |code, subject: &str, what: &str, next: &str| Issue::new(code, subject, what, next);
    JobRecord {
        status: JobStatus::Incomplete,
        issues: vec![
            issue(
                IssueCode::SourceUnreadable,
                "/srv/photos/2025/private",
                "cannot be read: permission denied",
                "run as a user who may read it, or exclude it",
            ),
            issue(IssueCode::SourceChanged, "/srv/photos/import/IMG_2041.dng", "changed while it was read", ""),
        ],
        hook_failures: vec![HookFailure {
            hook: "after".to_owned(),
            error: "'/usr/local/bin/unfreeze' ended with exit code 1".to_owned(),
        }],
        ..job("photos", begun, 96, 62)
    }
}

fn mail(begun: Timestamp) -> JobRecord {
    let quiet = Totals { files: 12_901, directories: 310, bytes: 8_410_223_004, ..Totals::default() };
    JobRecord {
        is_group: true,
        entries: vec!["maildir".to_owned(), "indexes".to_owned()],
        status: JobStatus::Unchanged,
        snapshot: None,
        totals: quiet,
        ..job("mail", begun, 2, 7)
    }
}

fn database(begun: Timestamp) -> JobRecord {
    let stderr = "pg_dump: error: connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed:\n\
                  FATAL:  the database system is starting up";
    JobRecord {
        status: JobStatus::Failed,
        error: Some("the command ended with exit code 1; see what it told on standard error".to_owned()),
        stderr: Some(stderr.to_owned()),
        tries: 3,
        totals: Totals::default(),
        snapshot: None,
        ..job("database", begun, 159, 38)
    }
}
