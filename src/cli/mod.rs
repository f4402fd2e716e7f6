//! The command line: words in, words out, an exit code. The only place that reads arguments, environment and clock, and
//! that prints.

pub mod args;
mod commands;
mod context;
mod dotenv;
mod exit;
mod output;
mod password;
mod progress;
mod settings;

use args::{Cli, Command};
use clap::Parser;
use context::Context;
use exit::{CliError, code};
use std::ffi::OsString;
use std::process::ExitCode;

/// What snapshots and reports call this program.
const PROGRAM: &str = concat!("ssb ", env!("CARGO_PKG_VERSION"));

/// Runs one command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Err(error) = dotenv::take_in(&arguments) {
        output::error(&error.to_string(), error.code(), false);
        return ExitCode::from(error.code());
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, but not to anybody else.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { code::USAGE } else { code::DONE });
        }
    };
    let as_json = cli.global.json;
    // A bug is told in one sentence too, wherever it strikes.
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no reason given");
        output::error(&format!("this is a bug in ssb{place}: {what}; please report it"), code::FAILED, as_json);
    }));
    let run = || Context::new(cli.global).and_then(|context| dispatch(&context, cli.command));
    let Ok(outcome) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) else {
        return ExitCode::from(code::FAILED);
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.code();
            output::error(&error.to_string(), code, as_json);
            ExitCode::from(code)
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<u8, CliError> {
    // A run logs to files of its config too, which it has to find first.
    if !matches!(command, Command::Run(_)) {
        context.start_log(None);
    }
    match command {
        Command::Init(args) => commands::init::run(context, args),
        Command::Run(args) => commands::run::run(context, args),
        Command::Backup(args) => commands::backup::run(context, args),
        Command::Snapshots(args) => commands::snapshots::run(context, args),
        Command::Ls(args) => commands::ls::run(context, args),
        Command::Diff(args) => commands::diff::run(context, args),
        Command::Restore(args) => commands::restore::run(context, args),
        Command::Check(args) => commands::check::run(context, args),
        Command::Forget(args) => commands::forget::run(context, args),
        Command::Prune(args) => commands::prune::run(context, args),
        Command::Sessions(args) => commands::sessions::run(context, args),
        Command::Repair(args) => commands::repair::run(context, args),
        Command::Config(args) => commands::config::run(context, args),
        Command::Schedule(args) => commands::schedule::run(context, args),
        Command::Report(args) => commands::report::run(context, args),
        Command::Stats => commands::stats::run(context),
        Command::Version => commands::version::run(context),
    }
}
