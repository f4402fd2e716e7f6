//! The bucket: which objects are there and what stands in them. Knows no protocol.
//!
//! Objects are numbered. A number says whose an object is: 0 and 1 were there from the beginning, each run of a writer has
//! one for its session, pack, segment and snapshot, and each prune has two for packs and their segments.

use super::protocol::{MOST_PRUNES, MOST_RUNS, MOST_WRITERS};
use super::set::{MOST_MEMBERS, Set};

/// Prunes that may write objects: those that take part, and two that clean up after them.
pub const MOST_SLOTS: usize = MOST_PRUNES + 2;
const FIRST_RUN: usize = 2;
const FIRST_OF_PRUNES: usize = FIRST_RUN + MOST_WRITERS * MOST_RUNS;
const OBJECTS: usize = FIRST_OF_PRUNES + 2 * MOST_SLOTS;
const KINDS: usize = 5;
const _: () = assert!(OBJECTS <= MOST_MEMBERS);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Pack,
    Segment,
    Snapshot,
    /// `sessions/<session>/open`.
    Session,
    /// `gc/condemned/<list>`; its number is the prune's slot.
    List,
}

/// The number of a writer's run.
pub const fn run_of(writer: usize, nth: usize) -> usize {
    FIRST_RUN + MOST_RUNS * writer + nth
}

/// Whose run it is; `None` for what was there from the beginning.
pub const fn writer_of(run: usize) -> Option<usize> {
    if run < FIRST_RUN { None } else { Some((run - FIRST_RUN) / MOST_RUNS) }
}

/// The pack into which a prune copies in (p2), and the segment that it puts in place of others.
pub const fn repack_of(slot: usize) -> usize {
    FIRST_OF_PRUNES + 2 * slot
}

/// The pack into which a prune copies in (p5), and its segment.
pub const fn rescue_of(slot: usize) -> usize {
    repack_of(slot) + 1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    there: [Set; KINDS],
    /// The chunks of each pack, also of one that is gone: segments still tell them.
    pub holds: [Set; OBJECTS],
    /// By slot, the packs that the segment of (p2) lists. Every other segment lists the pack of its own number.
    pub gathers: [Set; MOST_SLOTS],
    /// By slot, the packs that the prune's list names.
    pub names: [Set; MOST_SLOTS],
    /// Lists that were written more than 90 days ago.
    pub old_lists: Set,
}

impl Bucket {
    pub fn all(&self, kind: Kind) -> Set {
        self.there[kind as usize]
    }

    pub fn has(&self, kind: Kind, number: usize) -> bool {
        self.all(kind).has(number)
    }

    pub fn put(&mut self, kind: Kind, number: usize) {
        self.there[kind as usize] |= Set::one(number);
    }

    pub fn put_pack(&mut self, number: usize, chunks: Set) {
        self.holds[number] = chunks;
        self.put(Kind::Pack, number);
    }

    pub fn put_list(&mut self, slot: usize, packs: Set) {
        self.names[slot] = packs;
        self.put(Kind::List, slot);
    }

    pub fn delete(&mut self, kind: Kind, number: usize) {
        self.there[kind as usize] -= Set::one(number);
    }

    /// Whether a prune has written something under this number of its own.
    pub fn is_used(&self, slot: usize) -> bool {
        let sets = [self.holds[repack_of(slot)], self.holds[rescue_of(slot)], self.gathers[slot], self.names[slot]];
        sets.iter().any(|set| !set.is_empty())
    }

    /// The packs that these segments list.
    pub fn listed_by(&self, segments: Set) -> Set {
        segments.union_of(|segment| match segment.checked_sub(FIRST_OF_PRUNES) {
            Some(beyond) if beyond % 2 == 0 => self.gathers[beyond / 2],
            _ => Set::one(segment),
        })
    }

    /// The packs that these lists name.
    pub fn named_by(&self, lists: Set) -> Set {
        lists.union_of(|list| self.names[list])
    }

    pub fn chunks_in(&self, packs: Set) -> Set {
        packs.union_of(|pack| self.holds[pack])
    }

    /// Those of the packs that hold the chunk.
    pub fn with_chunk(&self, packs: Set, chunk: usize) -> Set {
        packs.only(|pack| self.holds[pack].has(chunk))
    }

    /// What can be read: chunks in a pack that is there and that a segment lists.
    pub fn readable(&self) -> Set {
        self.chunks_in(self.listed_by(self.all(Kind::Segment)) & self.all(Kind::Pack))
    }
}
