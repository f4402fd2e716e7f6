//! `ssb init`

use crate::chunker::ChunkerParams;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::{output, password};
use crate::crypto::KdfParams;
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
}

pub fn run(context: &Context, _args: InitArgs) -> Result<u8, CliError> {
    context.location()?;
    let passphrase = password::new(&context.global)?;
    let store = context.open_store(true)?;
    let place = store.describe();
    let repo = Repo::create(store, &passphrase, KdfParams::RECOMMENDED, ChunkerParams::default(), context.edges())?;
    let id = repo.config.id.to_string();
    if context.global.json {
        output::json(&Created { id, repository: place })?;
    } else if !context.global.quiet {
        output::line_out(&format!("created repository {} in {place}", &id[..8]))?;
        output::line_out(
            "Keep the passphrase in a safe place: without it, nothing in the repository can ever be read.",
        )?;
    }
    Ok(code::DONE)
}
