//! The repository protocol, checked: every way in which writers, prunes, a reader and whoever forgets can come between each
//! other's steps, with sleep and death at any of them, and with listings that are no picture of one moment. With all its
//! steps the protocol keeps what it promises; without any one of them, the checker finds how something is lost.
//!
//! This checks the protocol in small scenes, not the code: that the code takes these steps is what `order.rs`,
//! `interleave.rs` and `remember.rs` see to. Repairs are not among those who come; `repair_beside.rs` has them.

#[path = "model/mod.rs"]
mod model;

use model::Event::{self, *};
use model::properties::{CALM, CLEAN, FOUND, KEPT, LISTED};
use model::protocol::{Announcing, Protocol, Scene};
use model::{Play, scenes};
use stateright::{Checker, HasDiscoveries, Model, Path};

/// What is promised whatever happens.
const PROMISES: [&str; 4] = [KEPT, FOUND, CALM, CLEAN];

fn told(path: Path<model::State, model::Step>) -> String {
    path.into_actions().iter().map(|step| format!("  {step:?}\n")).collect()
}

/// Goes through all states of the scene, in each of which `properties` hold; and the events happen somewhere, so that it was
/// not for want of them.
fn assert_holds(name: &str, scene: Scene, properties: &[&'static str], events: &[Event]) {
    let play = Play::new(Protocol::SOUND, scene);
    let until = HasDiscoveries::AnyOf(properties.iter().copied().collect());
    let checker = play.checker().finish_when(until).spawn_dfs().join();
    for property in properties {
        if let Some(path) = checker.discovery(property) {
            panic!("{name}: not so: {property}\n{}", told(path));
        }
    }
    for event in events {
        assert!(checker.model().has_happened(*event), "{name}: never: {event:?}");
    }
    println!("{name}: {} states", checker.unique_state_count());
}

/// In this scene, in which all promises are kept, the property does not hold any more once the protocol is changed.
fn assert_needed(scene: Scene, change: impl Fn(&mut Protocol), property: &'static str) {
    let mut changed = Protocol::SOUND;
    change(&mut changed);
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = Play::new(changed, scene).checker().finish_when(until).spawn_bfs().join();
    let states = checker.unique_state_count();
    assert!(checker.discovery(property).is_some(), "{states} states, and always: {property}");
}

#[test]
fn a_writer_with_a_parent_beside_a_prune_and_a_reader() {
    let writer = [ParentTrusted, Committed, Fenced, FenceNoticed, BegunAnew];
    let others = [Repacked, Rescued, Deferred, Waited, PackDeleted, Restored, ReaderLookedAgain, ToldOfLoss];
    let scene = scenes::a_parent_and_a_reader();
    assert_holds("a parent and a reader", scene, &PROMISES, &[writer.as_slice(), &others].concat());
}

#[test]
fn two_writers_beside_a_prune() {
    let events = [ParentTrusted, Committed, FenceNoticed, Repacked, Rescued, Deferred, Waited, PackDeleted];
    assert_holds("two writers and a prune", scenes::two_writers_and_a_prune(), &PROMISES, &events);
}

#[test]
fn a_writer_of_several_chunks_beside_two_prunes() {
    let events = [Committed, FenceNoticed, Repacked, Rescued, BegunAgain, SourceMissed, Deferred, PackDeleted];
    assert_holds("several chunks and two prunes", scenes::several_chunks_and_two_prunes(), &PROMISES, &events);
}

#[test]
fn a_writer_beside_two_prunes() {
    let events = [ParentTrusted, Committed, FenceNoticed, Rescued, BegunAgain, PackDeleted, ToldOfLoss];
    assert_holds("a writer and two prunes", scenes::a_writer_and_two_prunes(), &PROMISES, &events);
}

#[test]
fn prunes_beside_each_other() {
    let events = [Repacked, Rescued, BegunAgain, SourceMissed, PackDeleted];
    assert_holds("two prunes", scenes::two_prunes(), &PROMISES, &events);
    assert_holds("copies and two prunes", scenes::copies_and_two_prunes(), &PROMISES, &events);
    assert_holds("three prunes", scenes::three_prunes(), &PROMISES, &[PackDeleted]);
}

#[test]
fn what_comes_and_goes_beside_prunes() {
    let scene = scenes::a_writer_that_is_forgotten_and_two_prunes();
    assert_holds("forgotten at once", scene, &PROMISES, &[Committed, BegunAgain, PackDeleted]);
}

#[test]
fn lists_that_grow_old() {
    let scene = scenes::a_writer_two_prunes_and_90_days();
    assert_holds("a writer, two prunes and 90 days", scene, &PROMISES, &[Committed, ListRenewed, ListDropped]);
    let scene = scenes::two_writers_a_prune_and_90_days();
    assert_holds("two writers, a prune and 90 days", scene, &PROMISES, &[Committed, Rescued]);
}

#[test]
fn a_list_that_is_old_when_its_packs_are_deleted() {
    let scene = scenes::a_writer_two_prunes_and_an_old_list();
    assert_holds("a writer, two prunes and an old list", scene, &PROMISES, &[Committed, ListRenewed, PackDeleted]);
}

#[test]
fn a_reader_beside_a_prune() {
    let scene = scenes::a_reader_and_a_prune();
    assert_holds("a reader and a prune", scene, &PROMISES, &[Restored, ReaderLookedAgain, Repacked]);
}

/// Without fences even a snapshot that is not committed yet can always be restored.
#[test]
fn what_is_listed_is_whole_while_nobody_is_fenced() {
    let properties = [PROMISES.as_slice(), &[LISTED]].concat();
    let scene = scenes::two_writers_that_nobody_fences();
    assert_holds("nobody is fenced", scene, &properties, &[Committed, Restored]);
}

/// With fences a writer that is taken for dead may put its snapshot too late, and die before it looks for its session. What
/// it leaves lacks chunks and was promised to nobody; prunes stop at it and readers tell of it until it is removed, and
/// neither of that counts as a false alarm.
#[test]
fn a_writer_that_is_fenced_and_dies_may_leave_a_snapshot_that_is_not_committed() {
    let scene = scenes::a_writer_and_a_prune();
    assert_holds("a writer and a prune", scene.clone(), &PROMISES, &[Committed, Fenced, FenceNoticed, PackDeleted]);
    let play = Play::new(Protocol::SOUND, scene);
    let checker = play.checker().finish_when(HasDiscoveries::AnyOf([LISTED].into())).spawn_bfs().join();
    let left = checker.discovery(LISTED).expect("it is whole");
    let state = left.last_state();
    let lost = checker.model().lost_snapshots(&state.bucket);
    assert!(!lost.is_empty() && (lost & state.promised).is_empty(), "{}", told(left.clone()));
}

#[test]
fn a_writer_announces_itself() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.announces = Announcing::Never, KEPT);
}

#[test]
fn a_writer_announces_itself_before_it_reads() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.announces = Announcing::AfterReading, KEPT);
}

#[test]
fn a_writer_heeds_condemned_lists() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.heeds_lists = false, KEPT);
}

#[test]
fn a_writer_looks_for_its_session_before_it_has_committed() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.looks_for_its_session = false, KEPT);
}

#[test]
fn a_prune_marks_in_one_view_of_the_index() {
    assert_needed(scenes::two_prunes(), |p| p.marks_in_one_view = false, KEPT);
}

#[test]
fn a_prune_copies_from_a_pack_that_is_there() {
    assert_needed(scenes::copies_and_two_prunes(), |p| p.copies_what_is_there = false, CLEAN);
}

#[test]
fn a_prune_lists_what_stays_before_it_deletes_segments() {
    assert_needed(scenes::two_prunes(), |p| p.lists_what_stays = false, FOUND);
}

#[test]
fn a_prune_condemns_before_it_looks_for_writers() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.condemns_before_looking = false, KEPT);
}

#[test]
fn a_prune_looks_for_writers() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.looks_for_writers = false, KEPT);
}

#[test]
fn a_prune_looks_again_before_it_deletes() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.looks_again = false, KEPT);
}

#[test]
fn a_prune_deletes_only_what_was_condemned_before_it_looked_for_writers() {
    assert_needed(scenes::a_writer_and_two_prunes(), |p| p.spares_newly_condemned = false, KEPT);
}

#[test]
fn a_list_outlives_its_packs() {
    assert_needed(scenes::a_writer_and_a_prune(), |p| p.remembers = false, KEPT);
}

#[test]
fn a_list_is_renewed_before_its_packs_are_deleted() {
    assert_needed(scenes::a_writer_two_prunes_and_an_old_list(), |p| p.renews_before_deleting = false, KEPT);
}

#[test]
fn how_old_a_list_is_is_asked_for_after_the_packs_were_listed() {
    assert_needed(scenes::a_writer_two_prunes_and_an_old_list(), |p| p.asks_ages_late = false, KEPT);
}

#[test]
fn a_prune_that_misses_something_looks_whether_others_were_at_work() {
    let never = |p: &mut Protocol| (p.minds_what_has_gone, p.minds_what_has_come) = (false, false);
    assert_needed(scenes::two_prunes(), never, CALM);
}

#[test]
fn a_prune_that_misses_something_minds_also_what_has_come() {
    let scene = scenes::a_writer_that_is_forgotten_and_two_prunes();
    assert_needed(scene, |p| p.minds_what_has_come = false, CALM);
}

#[test]
fn a_prune_begins_anew_if_what_it_was_about_to_copy_is_gone() {
    assert_needed(scenes::copies_and_two_prunes(), |p| p.minds_gone_sources = false, CALM);
}

#[test]
fn a_reader_looks_again_for_what_no_segment_lists() {
    assert_needed(scenes::a_reader_and_a_prune(), |p| p.reads_segments_again = false, CALM);
}
