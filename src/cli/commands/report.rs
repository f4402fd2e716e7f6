//! `ssb report`: what the last run came to, and a trial of the channels that tell of runs.

use crate::base::{Clock, SystemClock, SystemPacer};
use crate::cli::context::{self, Context};
use crate::cli::exit::{CliError, code};
use crate::cli::{output, settings};
use crate::config::find::LoadedConfig;
use crate::report::{Courier, Delivery, History, MOST_RECORDS, Mask, Outcome, RunRecord, View, sample, text};
use clap::{Args, Subcommand};

/// Show the last run, or try the channels that tell of runs
#[derive(Args)]
pub struct ReportArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show what the last run came to
    #[command(after_help = "Example:\n  ssb report last --json")]
    Last,
    /// Send a made-up report through every channel of the config
    #[command(
        after_help = "Reports and messages are marked as a test, and go out whatever the config says of when. Metrics keep what \
                      the last true run said; a ping tells that all is well.\n\nExample:\n  ssb report send --test"
    )]
    Send {
        /// Of a run that never was
        #[arg(long, required = true)]
        test: bool,
    },
}

pub fn run(context: &Context, args: ReportArgs) -> Result<u8, CliError> {
    match args.action {
        Action::Last => last(context),
        Action::Send { test: _ } => send(context),
    }
}

fn history(config: Option<&LoadedConfig>) -> Result<History, CliError> {
    let chosen = config.and_then(|loaded| loaded.config.run.state_dir.as_deref());
    Ok(History::new(&settings::state_dir(chosen)?))
}

fn last(context: &Context) -> Result<u8, CliError> {
    let records = history(context.config()?)?.last(1);
    let record = records.first().ok_or_else(|| {
        CliError::usage("no run has been kept here yet; 'ssb run' keeps one, in the folder that run.state-dir names")
    })?;
    if context.global.json {
        output::json(record)?;
    } else {
        output::line_out(text::render(&View::new(record)).trim_end())?;
    }
    Ok(code::DONE)
}

fn send(context: &Context) -> Result<u8, CliError> {
    let loaded = context.config()?.ok_or_else(settings::nowhere)?;
    let records = history(Some(loaded))?.last(MOST_RECORDS);
    let mask = Mask::default();
    settings::learn_secrets(&mask, loaded);
    let courier = Courier {
        settings: &loaded.config.report,
        resolve: &settings::resolve,
        mask: &mask,
        pacer: &SystemPacer::new(context.cancel.clone()),
        is_test: true,
    };
    let outcomes = courier.deliver(&record(context, loaded)?, &records);
    if outcomes.is_empty() {
        return Err(CliError::usage(format!(
            "the config file {} names no channel for reports; add one such as [report.html]",
            loaded.path.display()
        )));
    }
    tell(context, &outcomes)?;
    let is_failed = |outcome: &Outcome| matches!(outcome.delivery, Delivery::Failed(_));
    Ok(if outcomes.iter().any(is_failed) { code::FAILED } else { code::DONE })
}

/// A made-up run of this host and this config, as if it had just ended.
fn record(context: &Context, loaded: &LoadedConfig) -> Result<RunRecord, CliError> {
    let sample = sample::run(SystemClock.now());
    let begun = sample.begun - sample.ended.duration_since(sample.begun);
    let repository = context.location().map_or_else(|_| "no repository".to_owned(), |location| location.to_string());
    Ok(RunRecord {
        host: loaded.config.run.host.clone().unwrap_or_else(context::host),
        user: context::user(),
        config: settings::absolute(&loaded.path).display().to_string(),
        repository,
        time_zone: settings::time_zone(),
        ..sample::run(begun)
    })
}

fn tell(context: &Context, outcomes: &[Outcome]) -> Result<(), CliError> {
    if context.global.json {
        let of = |outcome: &Outcome| {
            let (delivery, why) = match &outcome.delivery {
                Delivery::Delivered => ("delivered", None),
                Delivery::LeftOut(why) => ("left-out", Some(*why)),
                Delivery::Failed(why) => ("failed", Some(why.as_str())),
            };
            serde_json::json!({ "channel": outcome.channel, "delivery": delivery, "why": why })
        };
        let channels: Vec<serde_json::Value> = outcomes.iter().map(of).collect();
        return output::json(&serde_json::json!({ "channels": channels }));
    }
    for Outcome { channel, delivery } in outcomes {
        match delivery {
            Delivery::Delivered => output::line_out(&format!("{channel}: delivered"))?,
            Delivery::LeftOut(why) => output::line_out(&format!("{channel}: left out, for {why}"))?,
            Delivery::Failed(why) => output::line_out(&format!("{channel}: failed: {why}"))?,
        }
    }
    Ok(())
}
