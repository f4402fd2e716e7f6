//! What the machine does by itself: that its clock calls ssb again and again. Finds no config, opens no repository and
//! runs no program.

pub mod install;
