//! A run by the config, from what is due to a record of what came of it: which entries, in which order, side by side or
//! alone, with their hooks, tries and retention; and what makes the machine's clock call them. Finds no config, opens no repository and tells nobody.

mod attempt;
mod due;
mod execute;
mod hooks;
pub mod install;
mod plan;
mod retain;
mod sources;
mod state;
mod watch;
mod whole;

pub use execute::{Setup, is_prune_due};
pub use plan::{Facts, Job, Plan, Selection, Verdict, plan};
pub use retain::preview;
pub use state::{Lock, State};
pub use whole::{run_whole, status};

use thiserror::Error;

/// A run could not begin.
#[derive(Debug, Error)]
pub enum JobsError {
    /// What was typed names nothing.
    #[error("'{name}' is neither an entry nor a group of the config; there are: {known}")]
    Unknown { name: String, known: String },
    #[error("another run of this config is at work on this machine, process {pid}; this one leaves")]
    AtWork { pid: String },
    /// The folder in which runs remember things.
    #[error("the folder {folder} cannot be used: {source}; name another one as run.state-dir")]
    State { folder: String, source: std::io::Error },
}
