//! The model as the checker sees it: who may take which step in a state. What a step does stands where its process is.

use super::bucket::{Bucket, Kind, writer_of};
use super::protocol::{MOST_PRUNES, Protocol, Scene};
use super::set::Set;
use super::state::State;
use super::{properties, prune, reader, writer};
use stateright::{Model, Property};
use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Writer(usize),
    Prune(usize),
    Reader,
    Somebody,
}

/// A step, and the state that it leads to: steps are found together with what they do.
#[derive(Clone, PartialEq)]
pub struct Step {
    who: Who,
    what: &'static str,
    pub next: State,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.who, self.what)
    }
}

/// Gathers the steps that may come next.
pub struct Steps<'a> {
    who: Who,
    gathered: &'a mut Vec<Step>,
    happened: Option<&'a AtomicU32>,
}

impl<'a> Steps<'a> {
    /// The steps of somebody who is not part of the play.
    pub fn aside(gathered: &'a mut Vec<Step>) -> Self {
        Self { who: Who::Somebody, gathered, happened: None }
    }

    pub fn may(&mut self, what: &'static str, mut next: State) {
        next.settle();
        self.gathered.push(Step { who: self.who, what, next });
    }

    pub fn happened(&self, event: Event) {
        let bit = 1 << event as u32;
        // Looked at first, because it is written once and asked for millions of times.
        if let Some(happened) = self.happened.filter(|happened| happened.load(Relaxed) & bit == 0) {
            happened.fetch_or(bit, Relaxed);
        }
    }
}

/// What must have happened somewhere, lest a check that passes has checked nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    ParentTrusted,
    Committed,
    FenceNoticed,
    BegunAnew,
    Repacked,
    Fenced,
    Deferred,
    Waited,
    BegunAgain,
    Rescued,
    SourceMissed,
    PackDeleted,
    ListRenewed,
    ListDropped,
    /// A prune stopped, or a reader said what is lost, and was right.
    ToldOfLoss,
    Restored,
    ReaderLookedAgain,
}

pub struct Play {
    pub protocol: Protocol,
    pub scene: Scene,
    happened: AtomicU32,
    /// What is known of the same bucket from other states.
    known: Mutex<HashMap<Bucket, bool>>,
}

impl Play {
    pub fn new(protocol: Protocol, scene: Scene) -> Self {
        Self { protocol, scene, happened: AtomicU32::new(0), known: Mutex::default() }
    }

    /// The chunks that a snapshot needs.
    pub fn needs(&self, snapshot: usize) -> Set {
        writer_of(snapshot).map_or_else(|| self.scene.snapshots[snapshot], |writer| self.scene.writers[writer].wants)
    }

    pub fn need_of_all(&self, snapshots: Set) -> Set {
        snapshots.union_of(|snapshot| self.needs(snapshot))
    }

    pub fn has_happened(&self, event: Event) -> bool {
        self.happened.load(Relaxed) >> event as u32 & 1 == 1
    }

    /// Asks `holds`, unless it was asked about the same bucket before.
    pub fn once_for_each(&self, bucket: &Bucket, holds: fn(&Self, &Bucket) -> bool) -> bool {
        if let Some(&known) = self.known.lock().unwrap().get(bucket) {
            return known;
        }
        let answer = holds(self, bucket);
        self.known.lock().unwrap().insert(*bucket, answer);
        answer
    }

    /// Somebody forgets a snapshot.
    fn forget(&self, state: &State, steps: &mut Steps<'_>) {
        for snapshot in (state.bucket.all(Kind::Snapshot) & self.scene.forgettable).iter() {
            let mut next = *state;
            next.bucket.delete(Kind::Snapshot, snapshot);
            next.forgotten |= Set::one(snapshot);
            steps.may("forgets a snapshot", next);
        }
    }

    /// Somebody takes a writer for dead: a prune that waits for it, or a person. Nothing in the model says whether it is.
    fn fence(&self, state: &State, steps: &mut Steps<'_>) {
        for session in state.bucket.all(Kind::Session).iter().filter(|_| self.scene.has_fences) {
            let mut next = *state;
            next.bucket.delete(Kind::Session, session);
            steps.happened(Event::Fenced);
            steps.may("fences a writer", next);
        }
    }

    /// 90 days pass. The protocol takes for granted that no run lasts for so long: whoever was at work is dead.
    fn age(&self, state: &State, steps: &mut Steps<'_>) {
        if state.ages < self.scene.ages {
            let mut next = *state;
            next.bury();
            next.ages += 1;
            next.bucket.old_lists = state.bucket.all(Kind::List);
            steps.may("waits for 90 days", next);
        }
    }

    /// A snapshot cannot be restored: it is gone, or a chunk of it is.
    pub fn is_lost(&self, bucket: &Bucket, snapshot: usize) -> bool {
        !bucket.has(Kind::Snapshot, snapshot) || !self.needs(snapshot).is_within(bucket.readable())
    }

    pub fn lost_snapshots(&self, bucket: &Bucket) -> Set {
        bucket.all(Kind::Snapshot).only(|snapshot| self.is_lost(bucket, snapshot))
    }

    /// Whoever misses something of a snapshot may say so: it is lost; or it was never committed and never will be, for its
    /// writer has been fenced.
    pub fn is_in_doubt(&self, state: &State, snapshot: usize) -> bool {
        let is_committed = state.promised.has(snapshot);
        self.is_lost(&state.bucket, snapshot) || (!is_committed && !state.bucket.has(Kind::Session, snapshot))
    }
}

impl Model for Play {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut start = State::default();
        for (number, chunks) in self.scene.packs.into_iter().enumerate().filter(|(_, chunks)| !chunks.is_empty()) {
            start.bucket.put_pack(number, chunks);
            start.bucket.put(Kind::Segment, number);
        }
        for (number, _) in self.scene.snapshots.iter().enumerate().filter(|(_, chunks)| !chunks.is_empty()) {
            start.bucket.put(Kind::Snapshot, number);
            start.promised |= Set::one(number);
        }
        if !self.scene.long_condemned.is_empty() {
            let list = MOST_PRUNES - 1;
            assert!(self.scene.prunes <= list, "the list takes the place of a prune's");
            start.bucket.put_list(list, self.scene.long_condemned);
            start.bucket.old_lists = Set::one(list);
        }
        for (index, prune) in start.prunes.iter_mut().enumerate() {
            prune.slot = index as u8;
        }
        vec![start]
    }

    fn actions(&self, state: &State, gathered: &mut Vec<Step>) {
        let mut steps = Steps { who: Who::Somebody, gathered, happened: Some(&self.happened) };
        self.forget(state, &mut steps);
        self.fence(state, &mut steps);
        self.age(state, &mut steps);
        for index in 0..self.scene.writers.len() {
            steps.who = Who::Writer(index);
            writer::steps(self, state, index, &mut steps);
        }
        for index in 0..self.scene.prunes {
            steps.who = Who::Prune(index);
            prune::steps(self, state, index, &mut steps);
        }
        if self.scene.has_reader {
            steps.who = Who::Reader;
            reader::steps(self, state, &mut steps);
        }
    }

    fn next_state(&self, _: &State, step: Step) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
