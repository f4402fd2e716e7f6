//! `ssb sessions`

use super::prune::FENCE_AFTER;
use super::snapshots::local_time;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::sessions::{SessionState, fence, list};
use crate::repo::Ahead;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// List the writers that are at work, or were killed at work
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb sessions\n  ssb sessions --fence 3f2a91c0\n\nWhile a session is open, prunes leave the \
                        deleting to later ones. One that has\nbeen silent for too long is fenced by the next prune."
)]
pub struct SessionsArgs {
    /// Take these writers for dead, so that no prune waits for them any more: one that still runs notices before it
    /// commits, withdraws its snapshot and fails; ids or their beginnings
    #[arg(long, value_name = "ID", num_args = 1..)]
    fence: Vec<String>,
}

/// A session in JSON.
#[derive(Serialize)]
struct ShownSession<'a> {
    id: String,
    command: Option<&'a str>,
    user: Option<&'a str>,
    host: Option<&'a str>,
    pid: Option<u32>,
    started: Option<Timestamp>,
    opened: Timestamp,
    last_sign: Timestamp,
    silent_ms: u64,
    would_be_fenced: bool,
    fenced: bool,
}

pub fn run(context: &Context, args: SessionsArgs) -> Result<u8, CliError> {
    let limit = SignedDuration::try_from(FENCE_AFTER).unwrap_or(SignedDuration::MAX);
    let repo = context.open_repo(Ahead::Nothing)?;
    let is_fencing = !args.fence.is_empty();
    let sessions = if is_fencing { fence(&repo, &args.fence, limit) } else { list(&repo, limit) };
    context.observer.finish();
    let sessions = sessions?;
    if context.global.json {
        output::json(&sessions.iter().map(|state| show(state, is_fencing)).collect::<Vec<_>>())?;
    } else if !is_fencing {
        output::line_out(&table(&sessions))?;
    } else if !context.global.quiet {
        output::line_out(&describe_fenced(&sessions))?;
    }
    Ok(code::DONE)
}

fn silent_ms(state: &SessionState) -> u64 {
    state.silence.as_millis().try_into().unwrap_or(0)
}

fn show(state: &SessionState, fenced: bool) -> ShownSession<'_> {
    let (session, info) = (&state.session, state.session.info.as_ref());
    ShownSession {
        id: session.id.to_string(),
        command: info.map(|i| i.command.as_str()),
        user: info.map(|i| i.user.as_str()),
        host: info.map(|i| i.host.as_str()),
        pid: info.map(|i| i.pid),
        started: info.map(|i| i.started),
        opened: session.opened,
        last_sign: session.last_sign,
        silent_ms: silent_ms(state),
        would_be_fenced: state.counts_as_dead,
        fenced,
    }
}

fn table(sessions: &[SessionState]) -> String {
    if sessions.is_empty() {
        return "no session is open".to_owned();
    }
    let row = |state: &SessionState| {
        let session = &state.session;
        let mut row = vec![session.id.short()];
        row.extend(match &session.info {
            Some(i) => [i.command.clone(), i.user.clone(), i.host.clone(), i.pid.to_string()],
            None => ["unreadable", "-", "-", "-"].map(str::to_owned),
        });
        row.extend([session.opened, session.last_sign].map(local_time));
        row.push(output::duration(silent_ms(state)));
        row.push(if state.counts_as_dead { "would be fenced" } else { "at work" }.to_owned());
        row
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    let headings = ["ID", "Command", "User", "Host", "Process", "Since", "Last sign of life", "Silent for", "State"];
    let shown = output::table(&headings, &["Process", "Silent for"], &rows);
    format!("{shown}\n{}", output::count(sessions.len() as u64, "session", "sessions"))
}

fn describe_fenced(sessions: &[SessionState]) -> String {
    let line = |state: &SessionState| format!("fenced {}: {}", state.session.id.short(), state.session.describe());
    let mut lines: Vec<String> = sessions.iter().map(line).collect();
    lines
        .push("A writer that still runs withdraws its snapshot and fails; what was committed before stays.".to_owned());
    lines.join("\n")
}
