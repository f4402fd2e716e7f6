//! `ssb ls`

use crate::base::text;
use crate::cli::args::FilterArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::list::run as list;
use crate::ops::snapshots::find;
use crate::repo::Ahead;
use crate::repo::tree::Entry;
use crate::source::{FileTime, Kind};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

/// List what a snapshot holds
#[derive(Args)]
#[command(after_help = "Examples:\n  ssb ls latest\n  ssb ls -l 3f2a91c0:/etc/nginx")]
pub struct LsArgs {
    /// 'latest', or an id or its beginning; with :PATH only what is in that directory
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    snapshot: String,
    /// With :PATH, also what is below its sub-directories
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Show mode, owner, size and time
    #[arg(long, short)]
    long: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// `id:/path` in its two parts.
pub fn split(text: &str) -> (&str, Option<Vec<u8>>) {
    match text.split_once(':') {
        Some((id, path)) if !path.is_empty() => (id, Some(text::unescape(path))),
        Some((id, _)) => (id, None),
        None => (text, None),
    }
}

/// An entry in JSON.
#[derive(Serialize)]
pub struct ShownEntry {
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

pub fn run(context: &Context, args: LsArgs) -> Result<u8, CliError> {
    let (wanted, path) = split(&args.snapshot);
    let repo = context.open_repo(Ahead::Snapshots)?;
    let snapshot = find(&repo, wanted, &context.filter(&args.filter)?)?;
    let recursive = args.recursive || path.is_none();
    let mut failure = Ok(());
    let mut each = |entry: &Entry| {
        if failure.is_ok() {
            failure = if context.global.json {
                output::json(&show(entry))
            } else if args.long {
                output::line_out(&long(entry))
            } else {
                output::line_out(&entry.display())
            };
        }
    };
    let listed = list(&repo, &snapshot, path.as_deref(), recursive, &context.cancel, &mut each);
    context.observer.finish();
    let issues = listed?;
    failure?;
    Ok(if issues.is_empty() { code::DONE } else { code::DAMAGE })
}

fn time(time: FileTime) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanoseconds as i32).ok()
}

pub fn show(entry: &Entry) -> ShownEntry {
    let m = &entry.metadata;
    ShownEntry {
        path: entry.display(),
        kind: m.kind.name(),
        mode: format!("{:04o}", m.mode),
        uid: m.uid,
        gid: m.gid,
        size: m.size,
        mtime: time(m.mtime),
        target: (m.kind == Kind::Symlink).then(|| text::escape(&m.target)),
    }
}

fn long(entry: &Entry) -> String {
    let m = &entry.metadata;
    let bits = (0..9).map(|n| if m.mode & (0o400 >> n) != 0 { ['r', 'w', 'x'][n % 3] } else { '-' });
    let mode: String = std::iter::once(m.kind.letter()).chain(bits).collect();
    let when = time(m.mtime).map_or("-".to_owned(), super::snapshots::local_time);
    let arrow = if m.kind == Kind::Symlink { format!(" -> {}", text::escape(&m.target)) } else { String::new() };
    format!("{mode} {:>5} {:>5} {:>12} {when} {}{arrow}", m.uid, m.gid, m.size, entry.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_and_a_path_are_told_apart() {
        assert_eq!(split("latest"), ("latest", None));
        assert_eq!(split("ab12:"), ("ab12", None));
        assert_eq!(split("ab12:/a:b"), ("ab12", Some(b"/a:b".to_vec())));
    }
}
