//! (p1) Reads everything. What it makes of it is decided in `plan.rs`.

use super::plan::{Marks, Plan, Seen, plan};
use super::write;
use crate::model::bucket::Kind;
use crate::model::play::{Event, Play, Steps};
use crate::model::set::Set;
use crate::model::state::{Known, Listing, Prune, PruneStep, State};

/// Packs, then snapshots, then segments and condemned lists side by side.
pub fn steps(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let (prune, bucket) = (state.prunes[index], &state.bucket);
    let [first, second] = prune.listings;
    let list = |kind| Listing::begin(kind, bucket);
    let mut next = *state;
    match prune.step {
        PruneStep::Begin => {
            let listings = [list(Kind::Pack), Listing::default()];
            let known = Known::now(bucket);
            next.prunes[index] = Prune { known, listings, ..prune.at(PruneStep::ListPacks) };
            steps.may("(p1) begins", next);
        }
        PruneStep::ListPacks => {
            for packs in first.outcomes() {
                let listings = [list(Kind::Snapshot), Listing::default()];
                next.prunes[index] = Prune { packs, listings, step: PruneStep::ListSnapshots, ..prune };
                steps.may("(p1) lists packs", next);
            }
        }
        PruneStep::ListSnapshots => {
            for snapshots in first.outcomes() {
                let listings = [list(Kind::Segment), list(Kind::List)];
                next.prunes[index] = Prune { snapshots, listings, step: PruneStep::ListSegments, ..prune };
                steps.may("(p1) lists snapshots", next);
            }
        }
        _ => {
            for segments in first.outcomes() {
                second.outcomes().for_each(|lists| decide(play, state, index, segments, lists, steps));
            }
        }
    }
}

fn decide(play: &Play, state: &State, index: usize, segments: Set, lists: Set, steps: &mut Steps<'_>) {
    let (prune, bucket) = (state.prunes[index], &state.bucket);
    let seen = Seen { listed: bucket.listed_by(segments), condemned: bucket.named_by(lists) };
    let needed = play.need_of_all(prune.snapshots);
    let marks = Marks::all(play, bucket, seen, needed - prune.marked);
    let marks = marks.into_iter().map(|marks| marks.with(bucket, prune.marked, prune.marked_in & seen.listed));
    // A needed pack that was not listed is asked for by its name.
    let is_there = |marks: &Marks| marks.packs().is_within(prune.packs | bucket.all(Kind::Pack));
    let (sound, lost): (Vec<_>, Vec<_>) = marks.partition(is_there);
    // The tree, which says what is needed, is itself read from these packs.
    let is_readable = |marks: &Marks| marks.packs().is_within(bucket.all(Kind::Pack));
    if !lost.is_empty() || sound.is_empty() || !sound.iter().all(is_readable) {
        let mut next = *state;
        (next.prunes[index], next.more_slots) = prune.miss(play, state, prune.snapshots, steps);
        steps.may("(p1) misses a chunk", next);
    }
    let mut plans: Vec<Plan> = Vec::new();
    for marks in &sound {
        let plan = plan(bucket, prune.packs, segments, seen, marks);
        if !plans.contains(&plan) {
            plans.push(plan);
        }
        if !play.protocol.marks_in_one_view && prune.marked.is_empty() && !seen.listed.is_within(bucket.all(Kind::Pack))
        {
            sync_while_marking(state, index, needed, marks, steps);
        }
    }
    for plan in plans {
        carry_out(play, state, index, lists, &plan, steps);
    }
}

/// Some of the chunks were marked when a pack turned out to be gone, in which the tree goes on; so the index is synced, and
/// the rest is marked as it is then.
fn sync_while_marking(state: &State, index: usize, needed: Set, marks: &Marks, steps: &mut Steps<'_>) {
    let listings = [Kind::Segment, Kind::List].map(|kind| Listing::begin(kind, &state.bucket));
    for marked in Set::EMPTY.up_to(needed).filter(|marked| !marked.is_empty()) {
        let marked_in = marks.packs();
        let mut next = *state;
        next.prunes[index] = Prune { marked, marked_in, listings, ..state.prunes[index] };
        steps.may("(p1) marks a part, misses a pack, and looks at segments and lists again", next);
    }
}

/// Goes on to (p2); or, if a writer is met that is alive and nobody wants to wait for, only condemns what nobody needs, so
/// that later writers heed it.
fn carry_out(play: &Play, state: &State, index: usize, lists: Set, plan: &Plan, steps: &mut Steps<'_>) {
    let (prune, bucket) = (state.prunes[index], &state.bucket);
    let mut next = *state;
    let planned =
        Prune { known: prune.known, lists, condemned: bucket.named_by(lists), ..prune.at(PruneStep::ListSegments) };
    let going = Prune {
        snapshots: prune.snapshots,
        condemns: plan.unused | plan.part_used,
        copies: plan.copies,
        sources: plan.sources,
        replaces: plan.replaces,
        ..planned
    };
    next.prunes[index] = going;
    write::go_on(play, &mut next, index);
    steps.may("(p1) lists segments and condemned lists, and plans", next);

    if !bucket.all(Kind::Session).is_empty() && !plan.unused.is_empty() && play.protocol.looks_for_writers {
        let mut next = *state;
        next.prunes[index] = Prune { condemns: plan.unused, defers: true, ..prune.at(PruneStep::PutList) };
        steps.happened(Event::Deferred);
        steps.may("(p1) meets a writer, and leaves the deleting to a later prune", next);
    }
}
