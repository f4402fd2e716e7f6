//! (p4) and (p5): is anybody at work, and has something come to be needed that is about to go?

use super::plan::{Marks, Seen};
use super::{delete, write};
use crate::model::bucket::{Kind, rescue_of};
use crate::model::play::{Event, Play, Steps};
use crate::model::set::Set;
use crate::model::state::{Listing, Prune, PruneStep, State};

/// (p4) Goes on when every session that the listing gave is gone: closed, or fenced. To leave the deleting to a later prune
/// is the same as to stop here.
pub fn at_writers(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let prune = state.prunes[index];
    if !prune.met.is_empty() {
        if (prune.met & state.bucket.all(Kind::Session)).is_empty() {
            let mut next = *state;
            next.prunes[index].met = Set::EMPTY;
            write::go_on(play, &mut next, index);
            steps.happened(Event::Waited);
            steps.may("(p4) has waited for the writers that it met", next);
        }
        return;
    }
    for met in prune.listings[0].outcomes() {
        let mut next = *state;
        (next.prunes[index].met, next.prunes[index].listings) = (met, [Listing::default(); 2]);
        if met.is_empty() {
            write::go_on(play, &mut next, index);
        }
        steps.may(if met.is_empty() { "(p4) meets no writer" } else { "(p4) meets writers" }, next);
    }
}

/// Begins (p5), or a further look of it.
pub fn begin(play: &Play, next: &mut State, index: usize) {
    let bucket = next.bucket;
    let me = &mut next.prunes[index];
    if !play.protocol.looks_again {
        return delete::begin(play, next, index);
    }
    (me.step, me.snapshots_now) = (PruneStep::LookAgain, Set::EMPTY);
    (me.copies, me.sources) = (Set::EMPTY, Set::EMPTY);
    me.listings = [Listing::begin(Kind::Snapshot, &bucket), Listing::default()];
}

/// (p5) Which snapshots there are now.
pub fn at_snapshots(state: &State, index: usize, steps: &mut Steps<'_>) {
    let prune = state.prunes[index];
    for snapshots_now in prune.listings[0].outcomes() {
        let listings = [Kind::Segment, Kind::List].map(|kind| Listing::begin(kind, &state.bucket));
        let mut next = *state;
        next.prunes[index] = Prune { snapshots_now, listings, step: PruneStep::LookAgainAtSegments, ..prune };
        steps.may("(p5) lists snapshots", next);
    }
}

/// (p5) If snapshots and lists are those of the look before, there is nothing more to ask; else whether all that is needed
/// lies in packs that nobody has condemned.
pub fn at_segments(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let (prune, bucket) = (state.prunes[index], &state.bucket);
    for lists_now in prune.listings[1].outcomes() {
        let is_news = !prune.snapshots_now.is_within(prune.snapshots) || !lists_now.is_within(prune.lists_now);
        let aged = lists_now & bucket.old_lists;
        let looked = Prune { lists_now, aged, condemned: prune.condemned | bucket.named_by(lists_now), ..prune };
        let mut next = *state;
        next.prunes[index] = looked;
        if !is_news && !prune.must_mark {
            delete::begin(play, &mut next, index);
            steps.may("(p5) finds nothing new", next);
            continue;
        }
        for segments in prune.listings[0].outcomes() {
            look_for_missing(play, state, index, looked, segments, steps);
        }
    }
}

fn look_for_missing(play: &Play, state: &State, index: usize, looked: Prune, segments: Set, steps: &mut Steps<'_>) {
    let bucket = &state.bucket;
    let seen = Seen { listed: bucket.listed_by(segments), condemned: looked.condemned };
    let ways = Marks::all(play, bucket, seen, play.need_of_all(looked.snapshots_now));
    if ways.is_empty() || !ways.iter().all(|marks| marks.packs().is_within(bucket.all(Kind::Pack))) {
        let mut next = *state;
        if looked.snapshots_now.is_within(bucket.all(Kind::Snapshot)) {
            (next.prunes[index], next.more_slots) = looked.miss(play, state, looked.snapshots_now, steps);
        } else {
            next.prunes[index] = Prune { condemned: looked.condemned, ..state.prunes[index] };
            begin(play, &mut next, index);
            steps.happened(Event::BegunAgain);
        }
        steps.may("(p5) misses a chunk", next);
    }
    for marks in ways {
        let sources = marks.packs() & looked.condemned;
        let (snapshots, snapshots_now) = (looked.snapshots_now, Set::EMPTY);
        let mut next = *state;
        let me = &mut next.prunes[index];
        *me =
            Prune { snapshots, snapshots_now, must_mark: !sources.is_empty(), listings: Default::default(), ..looked };
        if sources.is_empty() {
            begin(play, &mut next, index);
            steps.may("(p5) finds that all stays", next);
        } else if !bucket.holds[rescue_of(looked.slot())].is_empty() {
            // Here once is often enough; the real one gives up too, some time.
            *me = looked.at(PruneStep::Stopped);
            steps.may("(p5) gives up", next);
        } else {
            (me.step, me.copies, me.sources) = (PruneStep::PutRescued, marks.used_in(sources), sources);
            steps.may("(p5) finds that something goes", next);
        }
    }
}

/// (p5) Copies what goes, lists the copy, and looks again.
pub fn rescue(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let prune = state.prunes[index];
    let number = rescue_of(prune.slot());
    let mut next = *state;
    let me = &mut next.prunes[index];
    if prune.step == PruneStep::PutRescuedSegment {
        next.bucket.put(Kind::Segment, number);
        begin(play, &mut next, index);
        steps.happened(Event::Rescued);
        return steps.may("(p5) lists the copy", next);
    }
    if !prune.sources.is_within(state.bucket.all(Kind::Pack)) {
        (next.prunes[index], next.more_slots) = prune.miss_source(play, state, steps);
        return steps.may("(p5) misses a pack that it was about to copy", next);
    }
    next.bucket.put_pack(number, prune.copies);
    let (copies, sources) = (Set::EMPTY, Set::EMPTY);
    *me = Prune { copies, sources, step: PruneStep::PutRescuedSegment, ..prune };
    steps.may("(p5) copies what goes", next);
}
