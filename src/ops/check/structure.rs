//! The structure: every object parses, every listed pack is there at its size, every tree is whole, every chunk has a place.

use super::{CheckOutcome, Damage};
use crate::base::{Cancel, ChunkId, PackId, SnapshotId, parallel};
use crate::index::{Location, PackNumber};
use crate::ops::error::Result;
use crate::ops::usage::{self, Visitor};
use crate::repo::tree::{Entry, Hole};
use crate::repo::{ChunkReader, Repo, RepoError, Slot, Snapshot, config::StoredConfig, layout};
use crate::store::{ErrorKind, list_all};
use roaring::RoaringTreemap;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

const MISSING: &str = "bring the object back from a copy of the bucket or its version history; otherwise run 'ssb repair index', then \
     the backups again, which store what their sources still have";
const BACK_UP_AGAIN: &str = "run 'ssb repair index', then the backups again: what is missing is stored again from sources that still have \
     it; 'ssb repair snapshots' gives up what stays lost";
const LIST_ANEW: &str =
    "bring the object back from a copy of the bucket, or run 'ssb repair index', which lists its packs anew";
const DELETE_IT: &str = "bring the object back from a copy of the bucket, or run the backups again and then delete it";
const FORGET_IT: &str = "bring the object back from a copy of the bucket, or give the snapshot up with 'ssb forget' and its id, or with \
     'ssb repair snapshots --forget'";

/// What to do about a pack that is there and not as it should be.
pub(super) fn salvage(pack: &PackId) -> String {
    format!(
        "bring the object back from a copy of the bucket or its version history; otherwise run 'ssb repair packs {pack}', which \
         saves what is whole in it, then the backups again, which store what their sources still have"
    )
}

/// What the structure check leaves for the later steps.
pub(super) struct Checked {
    pub chunks: ChunkReader,
    pub snapshots: Vec<Snapshot>,
    /// Listed packs that are missing or of the wrong size, also those that were pruned as condemned.
    pub bad_packs: HashSet<PackId>,
}

pub(super) fn check(
    repo: &Arc<Repo>,
    outcome: &mut CheckOutcome,
    damage: &mut Damage,
    cancel: &Cancel,
) -> Result<Checked> {
    check_config(repo, damage)?;
    // What a snapshot needs was listed before it was written, so the segments are looked at after the snapshots.
    let listing = repo.snapshots()?;
    let view = Arc::new(repo.sync(cancel)?);
    for (object, error) in view.damaged.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let next = if object.starts_with(layout::SEGMENTS) { LIST_ANEW } else { DELETE_IT };
        damage.find(object.clone(), error.to_string(), next);
    }
    for (id, error) in &listing.damaged {
        damage.find(layout::snapshot(id), error.to_string(), FORGET_IT);
    }
    for (prefix, next) in
        [(layout::SEGMENTS, LIST_ANEW), (layout::CONDEMNED, DELETE_IT), (layout::SNAPSHOTS, FORGET_IT)]
    {
        check_names(repo, prefix, next, damage, cancel)?;
    }
    let bad_packs = check_packs(repo, &view, outcome, damage)?;
    outcome.snapshots = (listing.snapshots.len() + listing.damaged.len()) as u64;
    let checked = Checked { chunks: ChunkReader::new(repo.clone(), view), snapshots: listing.snapshots, bad_packs };
    let mut bad_packs = HashSet::new();
    for pack in &checked.bad_packs {
        bad_packs.extend(checked.chunks.view.index.pack_number(pack)?);
    }
    let mut marks = Marks { checked: &checked, bad_packs, damage };
    usage::walk(&checked.chunks, &checked.snapshots, cancel, &mut marks)?;
    Ok(checked)
}

fn check_config(repo: &Repo, damage: &mut Damage) -> Result<()> {
    let next = "delete the object; the next run puts it back from a key slot's copy";
    match repo.store.get(layout::CONFIG) {
        Ok(bytes) => {
            if let Err(error) = StoredConfig::decode(&bytes).and_then(|config| config.verify(&repo.keys)) {
                damage.find(layout::CONFIG, error.to_string(), next);
            }
        }
        Err(error) => return Err(error.into()),
    }
    for slot in list_all(&*repo.store, layout::KEYS)? {
        let bytes = repo.store.get(&slot.key)?;
        let copy = Slot::decode(&slot.key, &bytes).and_then(|slot| slot.config()?.verify(&repo.keys));
        if let Err(error) = copy {
            let next = "delete the object if another slot opens the repository, as one just did";
            damage.find(slot.key, error.to_string(), next);
        }
    }
    Ok(())
}

/// Compares objects with the hashes that are their names, as they lie in the store: the machine that checks may have sound
/// copies of them and not notice. What was found already is passed over.
fn check_names(repo: &Repo, prefix: &str, next: &str, damage: &mut Damage, cancel: &Cancel) -> Result<()> {
    let known: HashSet<String> = damage.findings.iter().map(|finding| finding.object.clone()).collect();
    let objects = list_all(&*repo.store, prefix)?;
    let bad = Mutex::new(Vec::new());
    let width = parallel::fetch_width(objects.iter().map(|object| object.size_bytes)).min(objects.len());
    parallel::for_each(objects.into_iter(), width, cancel, |object| {
        let named = object.key.rsplit('/').next().unwrap_or_default();
        if known.contains(&object.key) {
            return Ok(());
        }
        match repo.store.get(&object.key) {
            Ok(bytes) if blake3::hash(&bytes).to_hex().as_str() == named => {}
            Ok(_) => bad.lock().unwrap_or_else(PoisonError::into_inner).push(object.key),
            // Deleted since it was listed.
            Err(e) if e.kind == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(())
    })?;
    for key in bad.into_inner().unwrap_or_else(PoisonError::into_inner) {
        damage.find(key, "its bytes do not have its name as their hash", next);
    }
    Ok(())
}

/// Compares the packs that are listed with those that are there.
fn check_packs(
    repo: &Repo,
    view: &crate::repo::View,
    outcome: &mut CheckOutcome,
    damage: &mut Damage,
) -> Result<HashSet<PackId>> {
    let mut sound = RoaringTreemap::new();
    let mut wrong: HashMap<PackId, u64> = HashMap::new();
    let mut failure = None;
    let mut look = |id: PackId, size_bytes: u64| -> Result<()> {
        let number = view.index.pack_number(&id)?;
        match number.map(|number| view.index.pack(number)).transpose()?.flatten() {
            None => outcome.packs_unlisted += 1,
            Some(pack) if pack.size_bytes == size_bytes => drop(sound.insert(pack.number)),
            Some(_) => drop(wrong.insert(id, size_bytes)),
        }
        Ok(())
    };
    repo.store.list(layout::PACKS, &mut |object| {
        let id = layout::parse_pack(&object.key);
        failure = failure.take().or(id.and_then(|id| look(id, object.size_bytes).err()));
    })?;
    failure.map_or(Ok(()), Err)?;
    let mut bad = HashSet::new();
    let mut listed = 0;
    let condemned = view.condemned_ids();
    view.index.each_pack(&mut |pack| {
        listed += 1;
        if sound.contains(pack.number) {
            return;
        }
        bad.insert(pack.id);
        let size = wrong.get(&pack.id);
        // A prune has deleted it, as it said it would; that is no damage unless something needs it.
        if size.is_none() && condemned.contains(&pack.id) {
            return;
        }
        let (what, next) = match size {
            None => ("it is missing".to_owned(), MISSING.to_owned()),
            Some(size) => (format!("it has {size} bytes instead of {}", pack.size_bytes), salvage(&pack.id)),
        };
        damage.find(layout::pack(&pack.id), what, &next);
    })?;
    outcome.packs = listed;
    Ok(bad)
}

/// Sees to it that every needed chunk has a sound place.
struct Marks<'a> {
    checked: &'a Checked,
    bad_packs: HashSet<PackNumber>,
    damage: &'a mut Damage,
}

impl Visitor for Marks<'_> {
    fn chunk(&mut self, id: &ChunkId, places: &[Location]) -> Result<()> {
        let is_sound = |place: &Location| !self.bad_packs.contains(&place.pack);
        if places.iter().any(is_sound) || self.damage.chunks.contains(id) {
            return Ok(());
        }
        let view = &self.checked.chunks.view;
        if places.iter().all(|place| view.is_condemned(place.pack)) {
            self.damage.find(format!("chunk {id}"), "no segment lists it in a pack that is there", BACK_UP_AGAIN);
        }
        self.damage.chunks.insert(*id);
        Ok(())
    }

    fn hole(&mut self, snapshot: &SnapshotId, hole: Hole) -> Result<()> {
        let until = hole.until.map_or("the end".to_owned(), |path| format!("before {path}"));
        self.damage.hit(snapshot, format!("{} to {until}", hole.from));
        self.damage.find(format!("tree node {}", hole.node), hole.error.to_string(), BACK_UP_AGAIN);
        self.damage.chunks.insert(hole.node);
        Ok(())
    }

    fn broken_entry(&mut self, _: &SnapshotId, entry: &Entry, error: RepoError) -> Result<()> {
        self.damage.find(format!("an id list of {}", entry.display()), error.to_string(), BACK_UP_AGAIN);
        self.damage.chunks.extend(&entry.content.ids);
        Ok(())
    }
}
