//! What a person asks for, one module per use case: options in, outcome out, and a plan in between where something may
//! be lost. Prints nothing and reads no clock.

pub mod backup;
pub mod check;
pub mod diff;
mod error;
pub mod forget;
pub mod list;
pub mod probe;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod retention;
mod select;
pub mod sessions;
pub mod snapshots;
pub mod stats;
mod usage;

pub use error::{OpsError, Result};
