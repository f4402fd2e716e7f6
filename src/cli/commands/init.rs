//! `ssb init`

use crate::chunker::ChunkerParams;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::crypto::KdfParams;
use crate::ops::probe::{Probed, run as probe};
use crate::repo::Repo;
use clap::Args;
use serde::Serialize;

/// Create a new repository
#[derive(Args)]
#[command(after_help = "Examples:\n  ssb init --repo /srv/backup\n  ssb init --repo s3://bucket/web1 --s3-endpoint \
                        https://s3.example.org")]
pub struct InitArgs {}

#[derive(Serialize)]
struct Created {
    id: String,
    repository: String,
    store: Probed,
}

pub fn run(context: &Context, _args: InitArgs) -> Result<u8, CliError> {
    context.location()?;
    let passphrase = context.new_passphrase()?;
    let store = context.open_store(true)?;
    let place = store.describe();
    let edges = context.edges()?;
    Repo::refuse_existing(&*store)?;
    let probed = probe(&*store, &*edges.clock, &*edges.entropy)?;
    let repo = Repo::create(store, &passphrase, KdfParams::RECOMMENDED, ChunkerParams::default(), edges)?;
    let id = repo.config.id.to_string();
    if context.global.json {
        output::json(&Created { id, repository: place, store: probed })?;
    } else if !context.global.quiet {
        output::line_out(&format!("created repository {} in {place}", &id[..8]))?;
        output::line_out(&describe(probed))?;
        output::line_out(
            "Keep the passphrase in a safe place: without it, nothing in the repository can ever be read.",
        )?;
    }
    Ok(code::DONE)
}

/// What was found out about the store, in a sentence.
fn describe(probed: Probed) -> String {
    let overwriting = if probed.refuses_to_overwrite { "refuses to overwrite" } else { "cannot refuse to overwrite" };
    let seconds = probed.clock_ahead_ms / 1000;
    let clock = match seconds {
        -5..=5 => "its clock agrees with this machine's".to_owned(),
        6.. => format!("its clock is {seconds} s ahead of this machine's, which does no harm"),
        _ => format!("its clock is {} s behind this machine's, which does no harm", -seconds),
    };
    format!("The store shows every change at once and {overwriting} objects; {clock}.")
}
