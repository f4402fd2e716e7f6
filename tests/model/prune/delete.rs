//! (p6) Deletes one object at a time: segments, packs, and lists that were remembered for long enough.

use crate::model::bucket::{Bucket, Kind};
use crate::model::play::{Event, Play, Steps};
use crate::model::set::Set;
use crate::model::state::{Prune, PruneStep, State};

pub fn begin(play: &Play, next: &mut State, index: usize) {
    let bucket = next.bucket;
    let me = &mut next.prunes[index];
    let heeded = if play.protocol.spares_newly_condemned { me.lists_now & me.lists } else { me.lists_now };
    *me = Prune {
        replaces: me.replaces,
        doomed: bucket.named_by(heeded),
        lists_now: me.lists_now,
        aged: me.aged,
        ..me.at(PruneStep::DeleteSegments)
    };
    skip_what_is_done(play, next, index);
}

pub fn steps(play: &Play, state: &State, index: usize, steps: &mut Steps<'_>) {
    let mut next = *state;
    let (me, bucket) = (&mut next.prunes[index], &mut next.bucket);
    let what = match me.step {
        PruneStep::DeleteSegments => {
            if let Some(segment) = (me.replaces & bucket.all(Kind::Segment)).first() {
                bucket.delete(Kind::Segment, segment);
            }
            "(p6) deletes a replaced segment"
        }
        PruneStep::RenewLists => {
            bucket.old_lists -= me.renews;
            me.renews = Set::EMPTY;
            steps.happened(Event::ListRenewed);
            "(p6) writes a list's bytes again"
        }
        PruneStep::DeletePacks => {
            if let Some(pack) = (me.doomed & bucket.all(Kind::Pack)).first() {
                bucket.delete(Kind::Pack, pack);
                steps.happened(Event::PackDeleted);
            }
            "(p6) deletes a condemned pack"
        }
        _ => {
            if let Some(list) = me.outlived.first() {
                me.outlived -= Set::one(list);
                bucket.delete(Kind::List, list);
                bucket.old_lists -= Set::one(list);
                steps.happened(Event::ListDropped);
            }
            "(p6) forgets a list"
        }
    };
    skip_what_is_done(play, &mut next, index);
    steps.may(what, next);
}

/// Goes on to the first step of (p6) that has something to do.
fn skip_what_is_done(play: &Play, next: &mut State, index: usize) {
    use PruneStep::*;
    let bucket = next.bucket;
    let renews_first = play.protocol.renews_before_deleting;
    let me = &mut next.prunes[index];
    loop {
        let is_busy = match me.step {
            DeleteSegments => !(me.replaces & bucket.all(Kind::Segment)).is_empty(),
            RenewLists => !me.renews.is_empty(),
            DeletePacks => !(me.doomed & bucket.all(Kind::Pack)).is_empty(),
            DropLists => !me.outlived.is_empty(),
            _ => break *me = me.at(Ended),
        };
        if is_busy {
            break;
        }
        me.step = match me.step {
            DeleteSegments => {
                me.list_packs(&bucket);
                if renews_first { RenewLists } else { DeletePacks }
            }
            RenewLists if renews_first => DeletePacks,
            DeletePacks if !renews_first => RenewLists,
            RenewLists | DeletePacks => {
                me.ask_ages(play, &bucket);
                DropLists
            }
            _ => Ended,
        };
    }
}

impl Prune {
    /// Which of the condemned packs are there.
    fn list_packs(&mut self, bucket: &Bucket) {
        self.replaces = Set::EMPTY;
        let is_there = |list: usize| !(bucket.names[list] & bucket.all(Kind::Pack)).is_empty();
        let goes = |list: usize| !(bucket.names[list] & bucket.all(Kind::Pack) & self.doomed).is_empty();
        self.outlived = self.lists_now.only(|list| !is_there(list));
        self.renews = self.aged.only(goes);
        self.doomed = self.doomed & bucket.all(Kind::Pack);
    }

    /// Which lists need not be remembered any longer.
    fn ask_ages(&mut self, play: &Play, bucket: &Bucket) {
        let own = Set::one(self.slot());
        let aged = if play.protocol.asks_ages_late { bucket.old_lists } else { self.aged };
        let forgotten = if play.protocol.remembers { Set::EMPTY } else { self.lists_now & own };
        self.outlived = (self.outlived & aged & bucket.all(Kind::List)) | forgotten;
        (self.aged, self.lists_now, self.doomed) = (Set::EMPTY, Set::EMPTY, Set::EMPTY);
    }
}
