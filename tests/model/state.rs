//! The state of the model: the bucket, what people were promised, and where every process stands. Decides nothing.

use super::bucket::{Bucket, Kind};
use super::protocol::{MOST_PRUNES, MOST_WRITERS};
use super::set::Set;

/// A listing under way. It takes its time: it gives what was there all the while and, of what was there for some of it, any
/// part. It begins when the step before ends, as early as it can, so nothing that may happen is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Listing {
    kind: Option<Kind>,
    always: Set,
    ever: Set,
}

impl Listing {
    pub fn begin(kind: Kind, bucket: &Bucket) -> Self {
        Self { kind: Some(kind), always: bucket.all(kind), ever: bucket.all(kind) }
    }

    fn go_on(&mut self, bucket: &Bucket) {
        if let Some(kind) = self.kind {
            self.always = self.always & bucket.all(kind);
            self.ever |= bucket.all(kind);
        }
    }

    /// Everything that it may give.
    pub fn outcomes(self) -> impl Iterator<Item = Set> {
        self.always.up_to(self.ever)
    }

    /// The same for who looks only for these.
    pub fn outcomes_within(self, wanted: Set) -> impl Iterator<Item = Set> {
        (self.always & wanted).up_to(self.ever & wanted)
    }
}

/// What a writer does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WriterStep {
    #[default]
    Announce,
    Read,
    PutPack,
    PutSegment,
    PutSnapshot,
    LookForSession,
    Leave,
    Withdraw,
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer {
    pub step: WriterStep,
    /// Which of its runs it is at.
    pub nth: u8,
    /// Chunks that it has to store.
    pub stores: Set,
    /// Of condemned lists, segments and snapshots.
    pub listings: [Listing; 3],
}

/// What a prune does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PruneStep {
    #[default]
    Begin,
    ListPacks,
    ListSnapshots,
    ListSegments,
    PutCopies,
    PutSegment,
    PutList,
    LookForWriters,
    LookAgain,
    LookAgainAtSegments,
    PutRescued,
    PutRescuedSegment,
    DeleteSegments,
    RenewLists,
    DeletePacks,
    DropLists,
    /// It has done all that it could.
    Ended,
    /// It has left something undone, and says why.
    Stopped,
    /// The same, but there is no reason.
    Alarmed,
}

/// The snapshots, segments and condemned lists that there were: by these a prune tells whether others have been at work
/// since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    names: [Set; 3],
    has_lost: bool,
}

impl Known {
    pub fn now(bucket: &Bucket) -> Self {
        Self { names: Self::names(bucket), has_lost: false }
    }

    fn names(bucket: &Bucket) -> [Set; 3] {
        [Kind::Snapshot, Kind::Segment, Kind::List].map(|kind| bucket.all(kind))
    }

    /// Once something has gone, nothing else counts.
    fn go_on(&mut self, bucket: &Bucket) {
        let has_lost = self.names.iter().zip(Self::names(bucket)).any(|(known, now)| !known.is_within(now));
        if has_lost {
            *self = Self { has_lost: true, ..Self::default() };
        }
    }

    pub fn has_lost(&self) -> bool {
        self.has_lost
    }

    pub fn has_more(&self, bucket: &Bucket) -> bool {
        self.names.iter().zip(Self::names(bucket)).any(|(known, now)| !now.is_within(*known))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prune {
    pub step: PruneStep,
    /// Says which objects are its own.
    pub slot: u8,
    /// What was there when it began.
    pub known: Known,
    /// It may not take the short cut of (p5).
    pub must_mark: bool,
    /// It only condemns, because a writer is at work.
    pub defers: bool,
    pub packs: Set,
    /// The snapshots of its last look; while it looks again, of the one before.
    pub snapshots: Set,
    /// Those of the look that is under way.
    pub snapshots_now: Set,
    /// The condemned lists that it knew when it planned, with its own from (p3) on: (p6) deletes their packs.
    pub lists: Set,
    /// Those of its last look.
    pub lists_now: Set,
    /// Of these, the ones that were more than 90 days old then.
    pub aged: Set,
    /// The packs that it knows to be condemned.
    pub condemned: Set,
    /// The packs that it will condemn.
    pub condemns: Set,
    /// Chunks that it will copy, and the packs that it takes them from.
    pub copies: Set,
    pub sources: Set,
    /// The chunks that it had marked when it had to sync its index, and the packs that it had marked them in.
    pub marked: Set,
    pub marked_in: Set,
    /// The segments that it will delete.
    pub replaces: Set,
    /// Sessions that it has met, and waits for.
    pub met: Set,
    /// The packs that it will delete.
    pub doomed: Set,
    /// Lists whose packs go now, and lists of which it found no pack.
    pub renews: Set,
    pub outlived: Set,
    pub listings: [Listing; 2],
}

/// What a reader does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReaderStep {
    #[default]
    Choose,
    ReadSegments,
    ReadChunks,
    Ended,
    Alarmed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    pub step: ReaderStep,
    pub snapshot: u8,
    /// The packs that the segments listed which it has read.
    pub packs: Set,
    /// Chunks that it has still to read.
    pub rest: Set,
    /// Packs that it found gone, and for whose sake it has read the segments again.
    pub missed: Set,
    /// The segments that it has read, and whether they were the same the time before.
    pub segments: Option<Set>,
    pub is_settled: bool,
    pub listing: Listing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub bucket: Bucket,
    /// Snapshots that somebody was told are safe.
    pub promised: Set,
    pub forgotten: Set,
    /// How often 90 days have passed.
    pub ages: u8,
    /// Slots that were given to prunes which began anew after they had written something.
    pub more_slots: u8,
    pub writers: [Writer; MOST_WRITERS],
    pub prunes: [Prune; MOST_PRUNES],
    pub reader: Reader,
}

impl State {
    /// Whoever lists or looks takes notice of what has changed.
    pub fn settle(&mut self) {
        let bucket = self.bucket;
        for writer in &mut self.writers {
            writer.listings.iter_mut().for_each(|listing| listing.go_on(&bucket));
        }
        for prune in &mut self.prunes {
            prune.listings.iter_mut().for_each(|listing| listing.go_on(&bucket));
            prune.known.go_on(&bucket);
        }
        self.reader.listing.go_on(&bucket);
    }

    /// Whoever is at work dies.
    pub fn bury(&mut self) {
        for writer in self.writers.iter_mut().filter(|writer| **writer != Writer::default()) {
            *writer = Writer { step: WriterStep::Ended, ..Writer::default() };
        }
        for prune in self.prunes.iter_mut().filter(|prune| prune.step != PruneStep::Begin) {
            *prune = Prune { step: PruneStep::Stopped, slot: prune.slot, ..Prune::default() };
        }
        if self.reader != Reader::default() {
            self.reader = Reader { step: ReaderStep::Ended, ..Reader::default() };
        }
    }
}
