//! A prune: (p1) to (p6), a file for each part of it. One that is killed or sleeps takes no step.

mod delete;
mod look;
mod plan;
mod survey;
mod write;

use super::play::{Event, Play, Steps};
use super::set::Set;
use super::state::{Prune, PruneStep, State};

pub fn steps(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    use PruneStep::*;
    match state.prunes[index].step {
        Begin | ListPacks | ListSnapshots | ListSegments => survey::steps(play, state, index, steps),
        PutCopies | PutSegment | PutList => write::steps(play, state, index, steps),
        LookForWriters => look::at_writers(play, state, index, steps),
        LookAgain => look::at_snapshots(state, index, steps),
        LookAgainAtSegments => look::at_segments(play, state, index, steps),
        PutRescued | PutRescuedSegment => look::rescue(play, state, index, steps),
        DeleteSegments | RenewLists | DeletePacks | DropLists => delete::steps(play, state, index, steps),
        Ended | Stopped | Alarmed => {}
    }
}

impl Prune {
    /// About to take this step, with everything forgotten that it knew.
    fn at(&self, step: PruneStep) -> Self {
        Self { step, slot: self.slot, ..Self::default() }
    }

    /// Something that these snapshots need was found nowhere: begins anew if others have been at work since it began, for
    /// they may have put it elsewhere; else stops, and says so. The real one begins anew a few times at most.
    fn miss(&self, play: &Play, state: &State, snapshots: Set, steps: &Steps<'_>) -> (Self, u8) {
        let has_met_others = (self.known.has_lost() && play.protocol.minds_what_has_gone)
            || (self.known.has_more(&state.bucket) && play.protocol.minds_what_has_come);
        if has_met_others { self.anew(play, state, steps) } else { self.stop(play, state, snapshots, steps) }
    }

    /// The same if a pack is gone that it was about to copy, which was there when it decided on that.
    fn miss_source(&self, play: &Play, state: &State, steps: &Steps<'_>) -> (Self, u8) {
        steps.happened(Event::SourceMissed);
        if play.protocol.minds_gone_sources {
            self.anew(play, state, steps)
        } else {
            self.miss(play, state, self.snapshots, steps)
        }
    }

    fn stop(&self, play: &Play, state: &State, snapshots: Set, steps: &Steps<'_>) -> (Self, u8) {
        let is_right = snapshots.iter().any(|snapshot| play.is_in_doubt(state, snapshot));
        if is_right {
            steps.happened(Event::ToldOfLoss);
        }
        (self.at(if is_right { PruneStep::Stopped } else { PruneStep::Alarmed }), state.more_slots)
    }

    /// Names never stand for two contents, so what it writes next needs a slot of its own if it has written something. Once
    /// there is no more slot it is killed instead.
    fn anew(&self, play: &Play, state: &State, steps: &Steps<'_>) -> (Self, u8) {
        steps.happened(Event::BegunAgain);
        if !state.bucket.is_used(self.slot()) {
            return (self.at(PruneStep::Begin), state.more_slots);
        }
        let slot = play.scene.prunes + usize::from(state.more_slots);
        if slot >= play.scene.slots() {
            return (self.at(PruneStep::Stopped), state.more_slots);
        }
        (Self { slot: slot as u8, ..self.at(PruneStep::Begin) }, state.more_slots + 1)
    }

    fn slot(&self) -> usize {
        self.slot.into()
    }
}
