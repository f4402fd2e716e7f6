//! What must hold in every state.
//!
//! A snapshot is *committed* from the moment at which its writer finds its own session (w5), for that is what makes the writer
//! say so; one that is there and not committed is promised to nobody. If a writer is fenced, puts its snapshot after the
//! prune has looked (p5), and dies before it can withdraw it, that snapshot stays, and may lack chunks: [`LISTED`] tells of
//! it, and is the only one of these that does not hold whenever writers may be fenced.

use super::bucket::{Bucket, Kind};
use super::play::{Play, Steps};
use super::protocol::MOST_PRUNES;
use super::prune;
use super::state::{Prune, PruneStep, ReaderStep, State};
use stateright::Property;

/// Every snapshot that was committed, and not forgotten since, is there, and each of its chunks in a pack that is there.
pub const KEPT: &str = "what was committed is kept";
/// Each of these packs is listed by a segment: without that, a pack is only found by who repairs the index.
pub const FOUND: &str = "what was committed is found";
/// The same for every name below `snapshots/`, whoever put it.
pub const LISTED: &str = "what is listed can be restored";
/// Neither a prune nor a reader takes for damage what is none.
pub const CALM: &str = "nobody raises a false alarm";
/// Whenever all die, the next prune frees everything that nobody needs, and nothing else.
pub const CLEAN: &str = "a prune that is alone leaves no garbage";

pub fn all() -> Vec<Property<Play>> {
    vec![
        Property::always(KEPT, |play: &Play, state: &State| {
            let (bucket, committed) = (&state.bucket, state.promised - state.forgotten);
            committed.is_within(bucket.all(Kind::Snapshot))
                && play.need_of_all(committed).is_within(bucket.chunks_in(bucket.all(Kind::Pack)))
        }),
        Property::always(FOUND, |play: &Play, state: &State| {
            play.need_of_all(state.promised - state.forgotten).is_within(state.bucket.readable())
        }),
        Property::always(LISTED, |play: &Play, state: &State| {
            play.need_of_all(state.bucket.all(Kind::Snapshot)).is_within(state.bucket.readable())
        }),
        Property::always(CALM, |_: &Play, state: &State| {
            let is_calm = |prune: &Prune| prune.step != PruneStep::Alarmed;
            state.prunes.iter().all(is_calm) && state.reader.step != ReaderStep::Alarmed
        }),
        Property::always(CLEAN, |play: &Play, state: &State| play.once_for_each(&state.bucket, becomes_clean)),
    ]
}

/// Everybody dies and is taken for dead, and snapshots that cannot be restored are dropped, as a repair does. Then one prune
/// frees what nobody needs, and another, 90 days later, what had to be remembered until then.
fn becomes_clean(play: &Play, bucket: &Bucket) -> bool {
    let mut bucket = *bucket;
    bucket.all(Kind::Session).iter().for_each(|session| bucket.delete(Kind::Session, session));
    let lost = play.lost_snapshots(&bucket);
    lost.iter().for_each(|snapshot| bucket.delete(Kind::Snapshot, snapshot));
    all_pruned(play, &bucket, MOST_PRUNES).into_iter().all(|once| {
        let Some(mut bucket) = once.filter(|bucket| is_clean(play, bucket)) else { return false };
        bucket.old_lists = bucket.all(Kind::List);
        let remembered = bucket.old_lists;
        all_pruned(play, &bucket, MOST_PRUNES + 1).into_iter().all(|twice| {
            twice.is_some_and(|bucket| (remembered & bucket.all(Kind::List)).is_empty() && is_clean(play, &bucket))
        })
    })
}

/// What a prune that is alone may make of the bucket, by what copies of a chunk it counts on; `None` where it does not get
/// to its end.
fn all_pruned(play: &Play, bucket: &Bucket, slot: usize) -> Vec<Option<Bucket>> {
    let mut begun = State { bucket: *bucket, ..State::default() };
    begun.prunes[0].slot = slot as u8;
    let (mut pending, mut ends, mut gathered) = (vec![begun], Vec::new(), Vec::new());
    while let Some(state) = pending.pop() {
        prune::steps(play, &state, 0, &mut Steps::aside(&mut gathered));
        if gathered.is_empty() {
            ends.push((state.prunes[0].step == PruneStep::Ended).then_some(state.bucket));
        }
        pending.extend(gathered.drain(..).map(|step| step.next));
    }
    ends
}

/// Every needed chunk lies in one pack, and there is nothing else.
fn is_clean(play: &Play, bucket: &Bucket) -> bool {
    let (packs, listed) = (bucket.all(Kind::Pack), bucket.listed_by(bucket.all(Kind::Segment)));
    let needed = play.need_of_all(bucket.all(Kind::Snapshot));
    let stored: usize = packs.iter().map(|pack| bucket.holds[pack].len()).sum();
    packs == listed && bucket.chunks_in(packs) == needed && stored == needed.len()
}
