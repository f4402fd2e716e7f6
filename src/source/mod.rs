//! What is backed up: walking trees in the archive's order, metadata, filters, and reading files with their holes.
//! Knows nothing of chunks or repositories.

mod filter;
mod metadata;
mod read;
mod roots;
mod walk;

pub use filter::{Filter, FilterError};
pub use metadata::{FileTime, Kind, Metadata};
pub use read::FileReader;
pub use roots::Roots;
pub use walk::{Found, WalkOptions, Walker};
