//! `ssb version`

use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::repo::config::FORMAT_VERSION;
use serde::Serialize;

#[derive(Serialize)]
struct Version {
    version: &'static str,
    repository_format: u64,
    os: &'static str,
    arch: &'static str,
}

pub fn run(context: &Context) -> Result<u8, CliError> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        repository_format: FORMAT_VERSION,
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    };
    if context.global.json {
        output::json(&version)?;
    } else {
        output::line_out(&format!(
            "ssb {} (repository format {}, {} {})",
            version.version, version.repository_format, version.os, version.arch
        ))?;
    }
    Ok(code::DONE)
}
