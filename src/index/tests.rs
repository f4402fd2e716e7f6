//! The RocksDB index against the plain model, under random absorbing, retiring and reopening.

use super::*;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeSet;

fn pack(n: u8, chunks: &[u8]) -> PackListing {
    let listed = |(i, &c): (usize, &u8)| ListedChunk {
        id: ChunkId::from_bytes([c; 32]),
        offset: 85 + i as u32 * 50,
        sealed_len: 50,
        plain_len: 40,
        compressed: c % 2 == 0,
    };
    PackListing {
        id: PackId::from_bytes([n; 32]),
        header: vec![n; 85],
        size_bytes: 1000 + u64::from(n),
        chunks: chunks.iter().enumerate().map(listed).collect(),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Absorb { segment: u8, packs: Vec<u8> },
    Load { segments: Vec<(u8, Vec<u8>)>, is_finished: bool },
    Retire(Vec<u8>),
    Whole(u8, Option<u8>),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), prop::collection::vec(0u8..20, 0..5)).prop_map(|(s, packs)| Step::Absorb { segment: s % 8, packs }),
        3 => (prop::collection::vec((0u8..8, prop::collection::vec(0u8..20, 0..6)), 0..6), prop::bool::weighted(0.8))
            .prop_map(|(segments, is_finished)| Step::Load { segments, is_finished }),
        2 => prop::collection::vec(0u8..8, 0..3).prop_map(Step::Retire),
        2 => (0u8..4, prop::option::of(0u8..4)).prop_map(|(snapshot, before)| Step::Whole(snapshot, before)),
        1 => Just(Step::Reopen),
    ]
}

/// The packs that each chunk lies in, all packs, all segments, and the snapshots that are whole.
type Picture = (Vec<(u8, BTreeSet<[u8; 32]>)>, BTreeSet<[u8; 32]>, Vec<SegmentId>, Vec<bool>);

/// A pack's content follows from its number, as it does when names are hashes.
fn packs(numbers: &[u8]) -> Vec<PackListing> {
    numbers.iter().map(|&p| pack(p, &[p, p.wrapping_mul(7), 250])).collect()
}

fn snapshot(n: u8) -> SnapshotId {
    SnapshotId::from_bytes([n; 32])
}

/// What a user can see, without local numbers.
fn picture(index: &dyn Index) -> Picture {
    let chunks = (0..=255u8).map(|c| {
        let found = index.locate(&ChunkId::from_bytes([c; 32])).unwrap();
        let packs = found.iter().map(|l| *index.pack(l.pack).unwrap().unwrap().id.as_bytes()).collect();
        (c, packs)
    });
    let mut packs = BTreeSet::new();
    index
        .each_pack(&mut |p| {
            assert_eq!(index.pack_number(&p.id).unwrap(), Some(p.number));
            assert_eq!(index.pack(p.number).unwrap().unwrap(), p);
            packs.insert(*p.id.as_bytes());
        })
        .unwrap();
    let mut segments = index.segments().unwrap();
    segments.sort();
    let chunks: Vec<_> = chunks.collect();
    let ids: Vec<_> = (0..=255u8).map(|c| ChunkId::from_bytes([c; 32])).collect();
    let one_by_one: Vec<_> = ids.iter().map(|id| index.locate(id).unwrap()).collect();
    assert_eq!(index.locate_all(&ids).unwrap(), one_by_one);
    (chunks, packs, segments, (0..4).map(|n| index.is_whole(&snapshot(n)).unwrap()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rocks_agrees_with_the_model(steps in prop::collection::vec(step(), 1..14)) {
        let dir = tempfile::tempdir().unwrap();
        let model = MemoryIndex::new();
        let mut rocks = Some(RocksIndex::open(dir.path()).unwrap().0);
        for step in steps {
            let open = rocks.as_ref().unwrap();
            match step {
                Step::Absorb { segment, packs: listed } => {
                    let id = SegmentId::from_bytes([segment; 32]);
                    if model.segments().unwrap().contains(&id) { continue; }
                    model.absorb(id, &packs(&listed)).unwrap();
                    open.absorb(id, &packs(&listed)).unwrap();
                }
                Step::Load { mut segments, is_finished } => {
                    segments.sort();
                    segments.dedup_by_key(|(segment, _)| *segment);
                    let load = open.load(u64::MAX).unwrap();
                    for (segment, listed) in segments {
                        let id = SegmentId::from_bytes([segment; 32]);
                        if model.segments().unwrap().contains(&id) { continue; }
                        load.add(id, &packs(&listed)).unwrap();
                        if is_finished {
                            model.absorb(id, &packs(&listed)).unwrap();
                        }
                    }
                    if is_finished {
                        load.finish().unwrap();
                    }
                }
                Step::Retire(gone) => {
                    let gone: Vec<_> = gone.iter().map(|&s| SegmentId::from_bytes([s; 32])).collect();
                    model.retire(&gone).unwrap();
                    open.retire(&gone).unwrap();
                }
                Step::Whole(now, before) => {
                    let before = before.map(snapshot);
                    model.set_whole(&snapshot(now), before.as_ref()).unwrap();
                    open.set_whole(&snapshot(now), before.as_ref()).unwrap();
                }
                Step::Reopen => {
                    open.begin_flush().unwrap();
                    drop(rocks.take());
                    rocks = Some(RocksIndex::open(dir.path()).unwrap().0);
                }
            }
            prop_assert_eq!(picture(&model), picture(rocks.as_ref().unwrap()));
        }
    }
}

#[test]
fn a_second_process_gets_a_folder_of_its_own_and_damage_is_swept_away() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = RocksIndex::open(dir.path()).unwrap();
    let (second, _) = RocksIndex::open(dir.path()).unwrap();
    first.absorb(SegmentId::from_bytes([1; 32]), &[pack(1, &[1])]).unwrap();
    first.begin_flush().unwrap();
    assert!(second.segments().unwrap().is_empty());
    drop((first, second));
    std::fs::write(dir.path().join("index-0/CURRENT"), "nonsense\n").unwrap();
    let (again, note) = RocksIndex::open(dir.path()).unwrap();
    assert!(note.unwrap().contains("built again"));
    assert!(again.segments().unwrap().is_empty());
}
