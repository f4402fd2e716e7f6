//! What several integration tests share. Each of them is a crate of its own and uses a part of this.
#![allow(dead_code)]

pub mod canned;
pub mod conformance;
pub mod s3_server;
