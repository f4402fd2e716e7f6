//! What several integration tests share. Each of them is a crate of its own and uses a part of this.
#![allow(dead_code)]

pub mod canned;
pub mod chance;
pub mod conformance;
pub mod lab;
pub mod outbox;
pub mod restored;
pub mod s3_server;
pub mod shell;
pub mod smtp;
pub mod tree;
pub mod world;
