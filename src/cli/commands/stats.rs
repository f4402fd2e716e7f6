//! `ssb stats`

use crate::cli::context::Context;
use crate::cli::exit::{CliError, code};
use crate::cli::output;
use crate::ops::stats::run as stats;
use crate::repo::Ahead;

pub fn run(context: &Context) -> Result<u8, CliError> {
    let repo = context.open_repo(Ahead::Nothing)?;
    let stats = stats(&repo, &context.cancel)?;
    context.observer.finish();
    if context.global.json {
        output::json(&stats)?;
        return Ok(code::DONE);
    }
    let row = |(class, o): (&String, &crate::ops::stats::ObjectStats)| {
        vec![class.clone(), o.count.to_string(), output::bytes(o.bytes)]
    };
    let rows: Vec<_> = stats.objects.iter().map(row).collect();
    output::line_out(&output::table(&["Objects", "Count", "Size"], &["Count", "Size"], &rows))?;
    output::line_out(&format!("snapshots: {}, chunks: {}", stats.snapshots, stats.chunks))?;
    output::line_out(&format!(
        "{} of backed-up data are stored in {} ({:.1} : 1)",
        output::bytes(stats.source_bytes),
        output::bytes(stats.stored_bytes),
        stats.ratio
    ))?;
    Ok(code::DONE)
}
