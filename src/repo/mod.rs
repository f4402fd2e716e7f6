//! The bucket's contents as types, and the order in which they may change. It has no use cases of its own: those are in
//! [`crate::ops`]. What follows is the format's own page.
#![doc = include_str!("FORMAT.md")]

pub mod cache;
pub mod codec;
mod compress;
pub mod condemned;
pub mod config;
pub mod envelope;
mod error;
mod find;
mod footer;
mod gone;
pub mod layout;
mod open;
pub mod pack;
mod reader;
pub mod segment;
mod session;
mod slot;
mod slot_cache;
mod snapshot;
mod snapshots;
pub mod tree;
mod view;
mod writer;

pub use error::{RepoError, Result};
pub use find::{Ahead, Found};
pub use open::{Edges, Repo};
pub use pack::ChunkKind;
pub use reader::{ChunkReader, OpenPack};
pub use session::{HEARTBEAT, OpenSession, Session, SessionInfo, open_sessions};
pub use slot::{Slot, SlotMaker};
pub use snapshot::{Label, Manifest, Snapshot, Totals};
pub use snapshots::Listing;
pub use view::{StoredList, View};
pub use writer::{ChunkWriter, WriterOptions, Written, full_pack_bytes};
