//! Pages in a folder that a static web server shows: one per run, one more for its errors, and an index of all. Escaped by the
//! templates, and without scripts. Removes old pages, and nothing whose name is not exactly that of a page.

mod card;
mod folder;
mod index;
mod page;

pub use folder::{Pages, Written};

/// Stands in every page, so that each can be read, sent and kept by itself.
const STYLE: &str = include_str!("../../../templates/style.css");

#[cfg(test)]
mod tests;
