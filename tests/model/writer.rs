//! A writer: (w1) to (w6). Knows of prunes only what they leave in the bucket. One that is killed or sleeps takes no step.

use super::bucket::{Kind, run_of};
use super::play::{Event, Play, Steps};
use super::protocol::Announcing;
use super::set::Set;
use super::state::{Listing, State, Writer, WriterStep};

impl Writer {
    /// About to take this step, with everything forgotten that it does not need for it.
    fn at(&self, step: WriterStep) -> Self {
        Self { step, nth: self.nth, ..Self::default() }
    }
}

pub fn steps(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let (writer, role) = (state.writers[index], &play.scene.writers[index]);
    let run = run_of(index, writer.nth.into());
    let mut next = *state;
    let (me, bucket) = (&mut next.writers[index], &mut next.bucket);
    let what = match writer.step {
        WriterStep::Announce => {
            if play.protocol.announces == Announcing::First {
                bucket.put(Kind::Session, run);
            }
            let listings = [Kind::List, Kind::Segment, Kind::Snapshot].map(|kind| Listing::begin(kind, bucket));
            *me = Writer { listings, ..writer.at(WriterStep::Read) };
            "(w1) announces itself"
        }
        WriterStep::Read => return read(play, state, index, steps),
        WriterStep::PutPack => {
            bucket.put_pack(run, writer.stores);
            *me = writer.at(WriterStep::PutSegment);
            "(w3) puts a pack"
        }
        WriterStep::PutSegment => {
            bucket.put(Kind::Segment, run);
            *me = writer.at(WriterStep::PutSnapshot);
            "(w3) puts a segment"
        }
        WriterStep::PutSnapshot => {
            bucket.put(Kind::Snapshot, run);
            *me = writer.at(WriterStep::LookForSession);
            "(w4) puts its snapshot"
        }
        WriterStep::LookForSession => {
            let must_be_open = play.protocol.announces != Announcing::Never && play.protocol.looks_for_its_session;
            if must_be_open && !bucket.has(Kind::Session, run) {
                *me = writer.at(WriterStep::Withdraw);
                steps.happened(Event::FenceNoticed);
                "(w5) finds that it was fenced"
            } else {
                *me = writer.at(WriterStep::Leave);
                next.promised |= Set::one(run);
                steps.happened(Event::Committed);
                "(w5) finds its session, and has committed"
            }
        }
        WriterStep::Leave => {
            bucket.delete(Kind::Session, run);
            *me = writer.at(WriterStep::Ended);
            "(w6) leaves"
        }
        WriterStep::Withdraw => {
            bucket.delete(Kind::Snapshot, run);
            if usize::from(writer.nth) + 1 < role.runs {
                *me = Writer { nth: writer.nth + 1, ..Writer::default() };
                steps.happened(Event::BegunAnew);
            } else {
                *me = writer.at(WriterStep::Ended);
            }
            "(w5) withdraws its snapshot"
        }
        WriterStep::Ended => return,
    };
    steps.may(what, next);
}

/// (w2) Reads lists, segments and snapshots side by side, and what follows from it: which chunks can be counted on, and
/// which have to be stored.
fn read(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let (writer, role) = (state.writers[index], &play.scene.writers[index]);
    let [lists, segments, snapshots] = writer.listings;
    let mut outcomes = Vec::new();
    for lists in lists.outcomes() {
        let condemned = if play.protocol.heeds_lists { state.bucket.named_by(lists) } else { Set::EMPTY };
        for segments in segments.outcomes() {
            let listed = state.bucket.listed_by(segments);
            let looked_up = state.bucket.chunks_in(listed - condemned);
            let may_trust_parent = may_trust_parent(play, segments, listed & condemned);
            for parents in snapshots.outcomes_within(role.parent.map_or(Set::EMPTY, Set::one)) {
                let mut trusted = looked_up;
                if let Some(parent) = parents.first().filter(|_| may_trust_parent) {
                    trusted |= play.needs(parent);
                    steps.happened(Event::ParentTrusted);
                }
                let stores = role.wants - trusted;
                if !outcomes.contains(&stores) {
                    outcomes.push(stores);
                }
            }
        }
    }
    for stores in outcomes {
        let mut next = *state;
        let step = if stores.is_empty() { WriterStep::PutSnapshot } else { WriterStep::PutPack };
        next.writers[index] = Writer { stores, ..writer.at(step) };
        if play.protocol.announces == Announcing::AfterReading {
            next.bucket.put(Kind::Session, run_of(index, writer.nth.into()));
        }
        steps.may("(w2) reads lists, segments and snapshots", next);
    }
}

/// Whether a parent counts as whole, without looking its chunks up: it did when this client's index was last used, which was
/// before the play began; no segment has gone since; and no pack of the index is condemned.
fn may_trust_parent(play: &Play, segments: Set, condemned: Set) -> bool {
    let known = Set::of(&[0, 1]).only(|segment| !play.scene.packs[segment].is_empty());
    known.is_within(segments) && condemned.is_empty()
}
