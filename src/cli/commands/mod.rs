//! One file per command: its arguments, its call of the library, its output.

pub mod backup;
pub mod check;
pub mod config;
pub mod diff;
pub mod forget;
pub mod init;
pub mod ls;
pub mod prune;
pub mod repair;
pub mod report;
pub mod restore;
pub mod run;
pub mod schedule;
pub mod sessions;
pub mod snapshots;
pub mod stats;
pub mod version;

use super::exit::code;
use crate::base::Issue;

/// 3 if something was left out, 0 otherwise.
fn code_for(issues: &[Issue]) -> u8 {
    if issues.iter().any(|issue| !issue.code.is_notice()) { code::SOURCES_UNREADABLE } else { code::DONE }
}
