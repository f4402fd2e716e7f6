//! A reader: restores one snapshot while all the others are at work. Writes nothing.

use super::bucket::Kind;
use super::play::{Event, Play, Steps};
use super::set::Set;
use super::state::{Listing, Reader, ReaderStep, State};

impl Reader {
    fn at(step: ReaderStep) -> Self {
        Self { step, ..Self::default() }
    }

    /// About to read the segments, for the first time or again.
    fn looking(self, state: &State) -> Self {
        let listing = Listing::begin(Kind::Segment, &state.bucket);
        Self { step: ReaderStep::ReadSegments, listing, packs: Set::EMPTY, ..self }
    }
}

pub fn steps(play: &Play, state: &State, steps: &mut Steps<'_>) {
    let reader = state.reader;
    match reader.step {
        ReaderStep::Choose => {
            for snapshot in state.bucket.all(Kind::Snapshot).iter() {
                let mut next = *state;
                let chosen = Reader { snapshot: snapshot as u8, rest: play.needs(snapshot), ..reader };
                next.reader = chosen.looking(state);
                steps.may("chooses a snapshot", next);
            }
        }
        ReaderStep::ReadSegments => {
            for segments in reader.listing.outcomes() {
                let mut next = *state;
                let (packs, is_settled) = (state.bucket.listed_by(segments), reader.segments == Some(segments));
                let (segments, listing) = (Some(segments), Listing::default());
                next.reader = Reader { step: ReaderStep::ReadChunks, packs, segments, is_settled, listing, ..reader };
                steps.may("reads the segments", next);
            }
        }
        ReaderStep::ReadChunks => read_chunk(play, state, steps),
        ReaderStep::Ended | ReaderStep::Alarmed => {}
    }
}

fn read_chunk(play: &Play, state: &State, steps: &mut Steps<'_>) {
    let Some(chunk) = state.reader.rest.first() else { return };
    let places = state.bucket.with_chunk(state.reader.packs, chunk);
    let missed = places - state.reader.missed;
    let mut next = *state;
    let reader = &mut next.reader;
    let what = if !(places & state.bucket.all(Kind::Pack)).is_empty() {
        reader.rest -= Set::one(chunk);
        if reader.rest.is_empty() {
            *reader = Reader::at(ReaderStep::Ended);
            steps.happened(Event::Restored);
        }
        "reads a chunk"
    } else if !missed.is_empty() {
        reader.missed |= missed;
        *reader = reader.looking(state);
        steps.happened(Event::ReaderLookedAgain);
        "misses a pack, and looks again"
    } else if !reader.is_settled && play.protocol.reads_segments_again {
        *reader = reader.looking(state);
        steps.happened(Event::ReaderLookedAgain);
        "finds a chunk in no segment, and looks again"
    } else {
        let is_right = play.is_in_doubt(state, reader.snapshot.into());
        if is_right {
            steps.happened(Event::ToldOfLoss);
        }
        *reader = Reader::at(if is_right { ReaderStep::Ended } else { ReaderStep::Alarmed });
        "finds a chunk nowhere"
    };
    steps.may(what, next);
}
