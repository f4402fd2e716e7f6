//! Scenes: small buckets, and who comes to them. Decides nothing about what they do.

use super::protocol::{Role, Scene};
use super::set::Set;

// Chunks: the first three are in the bucket from the beginning, the last one only a writer brings.
const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const N: usize = 3;

fn set(members: &[usize]) -> Set {
    Set::of(members)
}

fn writer(wants: &[usize]) -> Role {
    Role { wants: set(wants), parent: None, runs: 1 }
}

/// A writer whose parent is snapshot 0.
fn writer_with_parent(wants: &[usize]) -> Role {
    Role { parent: Some(0), ..writer(wants) }
}

/// One pack, one snapshot, that may be forgotten; one prune, and writers that may be fenced.
fn small() -> Scene {
    Scene {
        packs: [set(&[X]), Set::EMPTY],
        snapshots: [set(&[X]), Set::EMPTY],
        long_condemned: Set::EMPTY,
        writers: vec![],
        prunes: 1,
        has_reader: false,
        forgettable: set(&[0]),
        has_fences: true,
        ages: 0,
    }
}

/// Two packs and two snapshots that share some of it.
fn shared() -> Scene {
    Scene { packs: [set(&[X, Y]), set(&[Z])], snapshots: [set(&[X, Y]), set(&[X, Z])], ..small() }
}

/// One writer of something old and something new.
pub fn a_writer_and_a_prune() -> Scene {
    Scene { writers: vec![writer(&[X, N])], ..small() }
}

/// The writer may trust its parent, begins anew if it is fenced, and may be forgotten itself; somebody restores.
pub fn a_parent_and_a_reader() -> Scene {
    let writers = vec![Role { runs: 2, ..writer_with_parent(&[X, Y]) }];
    Scene { writers, has_reader: true, forgettable: set(&[0, 1, 2, 3]), ..shared() }
}

pub fn two_writers_and_a_prune() -> Scene {
    let writers = vec![writer_with_parent(&[X, N]), writer(&[Y, N])];
    Scene { writers, forgettable: set(&[0, 1]), ..shared() }
}

pub fn a_writer_and_two_prunes() -> Scene {
    Scene { writers: vec![writer_with_parent(&[X])], prunes: 2, ..small() }
}

/// A writer of several chunks beside two prunes; one of the snapshots needs a part of the other's.
pub fn several_chunks_and_two_prunes() -> Scene {
    let (packs, snapshots) = ([set(&[X, Y]), Set::EMPTY], [set(&[X, Y]), set(&[X])]);
    Scene { packs, snapshots, writers: vec![writer(&[X, Y])], prunes: 2, ..small() }
}

/// A chunk lies in two packs, and each prune may count on another.
pub fn copies_and_two_prunes() -> Scene {
    let (packs, snapshots) = ([set(&[X, Y]), set(&[X])], [set(&[X]), set(&[X, Y])]);
    Scene { packs, snapshots, prunes: 2, forgettable: set(&[0, 1]), ..small() }
}

/// Two prunes gather segments and copy what stays, and nobody else is about.
pub fn two_prunes() -> Scene {
    Scene { prunes: 2, ..shared() }
}

pub fn three_prunes() -> Scene {
    Scene { prunes: 3, ..small() }
}

/// One prune gathers segments while somebody restores.
pub fn a_reader_and_a_prune() -> Scene {
    Scene { has_reader: true, ..shared() }
}

/// 90 days may pass, once, at any time.
pub fn a_writer_two_prunes_and_90_days() -> Scene {
    Scene { writers: vec![writer(&[X])], prunes: 2, ages: 1, ..small() }
}

pub fn two_writers_a_prune_and_90_days() -> Scene {
    Scene { writers: vec![writer(&[X, N]), writer(&[N])], ages: 1, ..small() }
}

/// What a prune condemned more than 90 days ago is still there, because since then a writer was at work whenever one came.
pub fn a_writer_two_prunes_and_an_old_list() -> Scene {
    let writers = vec![writer(&[X])];
    Scene { long_condemned: set(&[0]), snapshots: [Set::EMPTY; 2], writers, prunes: 2, ..small() }
}

/// All writers are taken for alive, and somebody restores.
pub fn two_writers_that_nobody_fences() -> Scene {
    let writers = vec![writer_with_parent(&[X, N]), writer(&[X, N])];
    Scene { writers, has_reader: true, has_fences: false, ..small() }
}

/// What the writer commits may be forgotten while a prune is looking at it, and another frees what it needed.
pub fn a_writer_that_is_forgotten_and_two_prunes() -> Scene {
    let (packs, snapshots) = ([Set::EMPTY; 2], [Set::EMPTY; 2]);
    Scene {
        packs,
        snapshots,
        writers: vec![writer(&[N])],
        prunes: 2,
        forgettable: set(&[2]),
        has_fences: false,
        ..small()
    }
}
