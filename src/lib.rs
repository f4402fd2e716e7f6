//! `ssb`, secure S3 backup: a content-addressed, deduplicating, encrypted archive tool.
//!
//! The modules stand bottom-up: each uses only what is declared above it, and the peers (`chunker`, `crypto`, `store`,
//! `index`, `source`) never use each other. `tests/tidy.rs` holds that.

pub mod base;

// peers
pub mod chunker;
pub mod crypto;
pub mod store;

pub mod index;

pub mod source;

pub mod repo;

pub mod ops;

pub mod config;

pub mod report;

pub mod jobs;

pub mod cli;
