//! What the model is told: which steps of the protocol are taken, what is in the bucket at first, and who comes. Holds no
//! state and decides nothing.

use super::set::Set;

/// The steps of the protocol that can be left out or moved; the sound protocol takes all of them, where they belong.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// (w1) A writer puts its `open` before it reads anything.
    pub announces: Announcing,
    /// (w2) A writer distrusts packs that a condemned list names.
    pub heeds_lists: bool,
    /// (w5) A writer looks whether it was fenced, and if so withdraws its snapshot.
    pub looks_for_its_session: bool,
    /// (p1) A prune that syncs its index again while it marks, because a pack has vanished, marks anew: what was marked in
    /// packs that have left the index would count for nothing.
    pub marks_in_one_view: bool,
    /// (p1), (p5) What lies in condemned packs only is copied from one that is there, if another has gone already.
    pub copies_what_is_there: bool,
    /// (p2) A prune lists what stays of the segments that it will delete in another.
    pub lists_what_stays: bool,
    /// (p3) The list is out before (p4) looks for writers.
    pub condemns_before_looking: bool,
    /// (p4) A prune looks for writers, and deletes nothing before each that it has met has left or was fenced.
    pub looks_for_writers: bool,
    /// (p5) A prune looks at the snapshots and lists again, and copies what is needed out of condemned packs.
    pub looks_again: bool,
    /// (p6) A prune deletes only packs of lists that were out before its (p4).
    pub spares_newly_condemned: bool,
    /// (p6) Lists outlive their packs, for 90 days.
    pub remembers: bool,
    /// (p6) These days begin anew before the packs are deleted, not when they were.
    pub renews_before_deleting: bool,
    /// (p6) How old a list is, is asked for after the packs were listed, not taken from the look before.
    pub asks_ages_late: bool,
    /// A prune that misses a chunk begins anew if a snapshot, a segment or a condemned list has gone since it began.
    pub minds_what_has_gone: bool,
    /// The same if one has come.
    pub minds_what_has_come: bool,
    /// The same, whatever has come and gone, if a pack is gone that was there when it was decided to copy from it.
    pub minds_gone_sources: bool,
    /// A reader that finds a chunk nowhere reads the segments again.
    pub reads_segments_again: bool,
}

/// When a writer announces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcing {
    First,
    AfterReading,
    Never,
}

impl Protocol {
    pub const SOUND: Self = Self {
        announces: Announcing::First,
        heeds_lists: true,
        looks_for_its_session: true,
        marks_in_one_view: true,
        copies_what_is_there: true,
        lists_what_stays: true,
        condemns_before_looking: true,
        looks_for_writers: true,
        looks_again: true,
        spares_newly_condemned: true,
        remembers: true,
        renews_before_deleting: true,
        asks_ages_late: true,
        minds_what_has_gone: true,
        minds_what_has_come: true,
        minds_gone_sources: true,
        reads_segments_again: true,
    };
}

pub const MOST_WRITERS: usize = 2;
/// How often one writer may run: once, and again each time that it finds itself fenced.
pub const MOST_RUNS: usize = 2;
pub const MOST_PRUNES: usize = 3;

/// A writer.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// The chunks that its snapshot will need.
    pub wants: Set,
    /// The snapshot whose chunks it takes without looking each up, if it may.
    pub parent: Option<usize>,
    pub runs: usize,
}

/// What is in the bucket at first, and who comes. Packs, segments and snapshots 0 and 1 are there from the beginning; what
/// is empty is left out.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The chunks of the first packs; segment n lists pack n.
    pub packs: [Set; 2],
    /// The chunks that the first snapshots need.
    pub snapshots: [Set; 2],
    /// Packs that a list names which is more than 90 days old, and that nobody has come to delete yet.
    pub long_condemned: Set,
    pub writers: Vec<Role>,
    /// Each of them runs once, at any time.
    pub prunes: usize,
    pub has_reader: bool,
    /// Snapshots that somebody may forget.
    pub forgettable: Set,
    /// Whether sessions may be fenced: by whoever takes a writer for dead, rightly or not.
    pub has_fences: bool,
    /// How often 90 days may pass.
    pub ages: u8,
}

impl Scene {
    /// How many slots its prunes may use; the last one may be taken by the list that is there from the beginning.
    pub fn slots(&self) -> usize {
        MOST_PRUNES - usize::from(!self.long_condemned.is_empty())
    }
}
