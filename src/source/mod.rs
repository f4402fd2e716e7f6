//! What is backed up: walking trees in the archive's order, metadata, filters, reading files with their holes, and what
//! commands print.
//! Knows nothing of chunks or repositories.

mod command;
mod filter;
mod metadata;
mod pipe;
mod read;
mod roots;
mod walk;

pub use command::{CommandOutput, Told, run as run_command};
pub use filter::{Filter, FilterError};
pub use metadata::{FileTime, Kind, Metadata};
pub use pipe::Input;
pub use read::FileReader;
pub use roots::Roots;
pub use walk::{Found, WalkOptions, Walker};
