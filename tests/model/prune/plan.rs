//! What a prune decides from what it has seen: in every way that it may, for the numbers by which the real one chooses
//! between copies of a chunk differ from client to client. Changes nothing.

use crate::model::bucket::{Bucket, Kind};
use crate::model::play::Play;
use crate::model::set::Set;

/// So many small segments, and all of these are small, are gathered into one.
const MANY_SEGMENTS: usize = 2;

/// The packs as a prune sees them.
#[derive(Clone, Copy)]
pub struct Seen {
    pub listed: Set,
    pub condemned: Set,
}

impl Seen {
    /// Where a needed chunk may be counted on: in packs that stay, else in condemned ones, to be copied from there.
    fn places(&self, play: &Play, bucket: &Bucket, chunk: usize) -> Set {
        let staying = bucket.with_chunk(self.listed - self.condemned, chunk);
        let going = bucket.with_chunk(self.listed & self.condemned, chunk);
        let there = if play.protocol.copies_what_is_there { going & bucket.all(Kind::Pack) } else { Set::EMPTY };
        [staying, there, going].into_iter().find(|places| !places.is_empty()).unwrap_or_default()
    }
}

/// For every needed chunk the place where it is counted on.
#[derive(Clone)]
pub struct Marks(Vec<(usize, usize)>);

impl Marks {
    /// Every way to count on one place for each of these chunks; none if one of them lies nowhere.
    pub fn all(play: &Play, bucket: &Bucket, seen: Seen, needed: Set) -> Vec<Self> {
        needed.iter().fold(vec![Self(Vec::new())], |ways, chunk| {
            let with = |way: &Self, pack| Self(way.0.iter().copied().chain([(chunk, pack)]).collect());
            let places = seen.places(play, bucket, chunk);
            ways.iter().flat_map(|way| places.iter().map(move |pack| with(way, pack))).collect()
        })
    }

    /// What remains of marks after the index was synced: the packs that it does not know any more are gone from them.
    pub fn with(mut self, bucket: &Bucket, chunks: Set, packs: Set) -> Self {
        let place = |chunk| Some((chunk, bucket.with_chunk(packs, chunk).first()?));
        self.0.extend(chunks.iter().filter_map(place));
        self
    }

    /// The packs that are counted on.
    pub fn packs(&self) -> Set {
        self.0.iter().fold(Set::EMPTY, |all, (_, pack)| all | Set::one(*pack))
    }

    /// The chunks that are counted on in these packs.
    pub fn used_in(&self, packs: Set) -> Set {
        let here = self.0.iter().filter(|(_, pack)| packs.has(*pack));
        here.fold(Set::EMPTY, |all, (chunk, _)| all | Set::one(*chunk))
    }
}

/// What (p2) to (p6) are to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Packs to condemn without more ado.
    pub unused: Set,
    /// Packs to condemn once what is needed of them has been copied.
    pub part_used: Set,
    pub copies: Set,
    pub sources: Set,
    pub replaces: Set,
}

/// The plan that follows from the marks; `packs` were listed. The real one leaves packs of open sessions alone, because to
/// condemn them is a waste; here they are condemned all the same, which asks more of the protocol. It may also let part-used
/// packs stay, which asks less.
pub fn plan(bucket: &Bucket, packs: Set, segments: Set, seen: Seen, marks: &Marks) -> Plan {
    let staying = seen.listed - seen.condemned;
    let unlisted = packs - seen.listed - seen.condemned;
    let idle = staying - marks.packs();
    let part_used = (staying - idle).only(|pack| marks.used_in(Set::one(pack)) != bucket.holds[pack]);
    let sources = (part_used | (seen.listed & seen.condemned)) & marks.packs();
    let going = idle | part_used | seen.condemned;
    let names_what_goes = |segment: usize| !(bucket.listed_by(Set::one(segment)) & going).is_empty();
    let must_replace = segments.iter().any(names_what_goes) || segments.len() >= MANY_SEGMENTS;
    Plan {
        unused: idle | unlisted,
        part_used,
        copies: marks.used_in(sources),
        sources,
        replaces: if must_replace { segments } else { Set::EMPTY },
    }
}
