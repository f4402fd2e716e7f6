//! A model of the repository protocol, for the checker: everything that several clients may do to one bucket, step by step.
//! The code of `src/` is no part of it; what the steps mean stands in `src/repo/FORMAT.md`.

mod bucket;
mod play;
pub mod properties;
pub mod protocol;
mod prune;
mod reader;
pub mod scenes;
mod set;
mod state;
mod writer;

pub use play::{Event, Play, Step};
pub use state::State;
