//! (p2) and (p3): what stays is copied and listed anew, then what goes is condemned.

use super::look;
use crate::model::bucket::{Kind, repack_of};
use crate::model::play::{Event, Play, Steps};
use crate::model::set::Set;
use crate::model::state::{Listing, PruneStep, State};

pub fn steps(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let prune = &state.prunes[index];
    let mut next = *state;
    let (me, bucket) = (&mut next.prunes[index], &mut next.bucket);
    let own = repack_of(prune.slot());
    let what = match prune.step {
        PruneStep::PutCopies => {
            if !prune.sources.is_within(bucket.all(Kind::Pack)) {
                // Another prune was here since the plan was made.
                (next.prunes[index], next.more_slots) = prune.miss_source(play, state, steps);
                return steps.may("(p2) misses a pack that it was about to copy", next);
            }
            bucket.put_pack(own, prune.copies);
            steps.happened(Event::Repacked);
            "(p2) copies needed chunks into a new pack"
        }
        PruneStep::PutSegment => {
            // The copies are listed in the same segment here; the real one writes another for them, just before. What was
            // replaced meanwhile is passed over: whoever did that has listed what stays.
            let going = prune.condemns | prune.condemned;
            let copied = if bucket.holds[own].is_empty() { Set::EMPTY } else { Set::one(own) };
            let staying = bucket.listed_by(prune.replaces & bucket.all(Kind::Segment)) - going;
            bucket.gathers[prune.slot()] = if play.protocol.lists_what_stays { staying | copied } else { copied };
            bucket.put(Kind::Segment, own);
            "(p2) puts a segment in place of others"
        }
        _ => {
            bucket.put_list(prune.slot(), prune.condemns);
            me.lists |= Set::one(prune.slot());
            me.condemned |= prune.condemns;
            "(p3) publishes its condemned list"
        }
    };
    if prune.defers {
        next.prunes[index] = prune.at(PruneStep::Stopped);
    } else {
        go_on(play, &mut next, index);
    }
    steps.may(what, next);
}

/// From one of (p1) to (p4) to the next for which there is something to do. What that one and those after it do not ask for
/// is forgotten, so that states which differ in nothing else are the same.
pub fn go_on(play: &Play, next: &mut State, index: usize) {
    use PruneStep::*;
    let bucket = next.bucket;
    let condemns_first = play.protocol.condemns_before_looking;
    let me = &mut next.prunes[index];
    loop {
        me.step = match me.step {
            ListSegments => PutCopies,
            PutCopies => PutSegment,
            PutSegment if condemns_first => PutList,
            PutSegment => LookForWriters,
            PutList if condemns_first => LookForWriters,
            LookForWriters if !condemns_first => PutList,
            _ => LookAgain,
        };
        let is_due = match me.step {
            PutCopies => !me.copies.is_empty(),
            PutSegment => {
                // Something has to be listed of what stays, or was copied.
                let staying = bucket.listed_by(me.replaces) - me.condemns - me.condemned;
                !staying.is_empty() || !me.copies.is_empty()
            }
            PutList => !me.condemns.is_empty(),
            LookForWriters => play.protocol.looks_for_writers,
            _ => true,
        };
        if is_due {
            break;
        }
    }
    match me.step {
        PutCopies => {}
        PutSegment => me.sources = Set::EMPTY,
        PutList => (me.copies, me.sources) = (Set::EMPTY, Set::EMPTY),
        LookForWriters => {
            (me.copies, me.sources) = (Set::EMPTY, Set::EMPTY);
            if condemns_first {
                me.condemns = Set::EMPTY;
            }
            me.listings = [Listing::begin(Kind::Session, &bucket), Listing::default()];
        }
        _ => {
            (me.copies, me.sources, me.condemns) = (Set::EMPTY, Set::EMPTY, Set::EMPTY);
            me.lists_now = me.lists;
            look::begin(play, next, index);
        }
    }
}
