//! What the benches written in Rust share: the words of the command line, a folder to work in, the data, the commands and
//! the table. Measures nothing.

pub mod client;
pub mod data;
pub mod table;

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The words of the command line without the one that `cargo bench` adds.
pub fn words() -> impl Iterator<Item = OsString> {
    std::env::args_os().filter(|word| word != "--bench")
}

/// A new folder in `work`, or where temporary files go; removed with the value. Its path is absolute and leads through no
/// link, because a backup does not follow links.
pub fn folder_in(work: Option<PathBuf>) -> Outcome<TempDir> {
    let work = work.unwrap_or_else(std::env::temp_dir);
    fs::create_dir_all(&work)?;
    Ok(TempDir::new_in(work.canonicalize()?)?)
}

/// Fails unless as many were found as were wanted.
pub fn wanted(what: &str, found: u64, wanted: u64) -> Outcome<()> {
    if found == wanted { Ok(()) } else { Err(format!("{found} {what} instead of {wanted}").into()) }
}
