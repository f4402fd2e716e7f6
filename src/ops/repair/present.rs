//! The packs that are there, beside those that segments list. Goes by names and sizes, and reads nothing in them.

use super::{lock, stop_if};
use crate::base::{Cancel, PackId, parallel};
use crate::index::PackNumber;
use crate::ops::error::Result;
use crate::repo::{Repo, View, layout};
use crate::store::ObjectMeta;
use jiff::Timestamp;
use roaring::RoaringTreemap;
use std::sync::Mutex;

/// Packs that are looked for once more at a time.
const HEADS_AT_ONCE: usize = 32;

/// A pack that no segment lists.
pub(super) struct Unlisted {
    pub id: PackId,
    pub size_bytes: u64,
    pub modified: Timestamp,
}

/// A pack that is not as long as a segment says.
pub(super) struct WrongSize {
    pub number: PackNumber,
    pub id: PackId,
    pub size_bytes: u64,
    pub listed_bytes: u64,
}

/// All packs. Those that are as they should be are bits; the others are few, unless segments are lost.
#[derive(Default)]
pub(super) struct Packs {
    /// How many are there.
    pub count: u64,
    /// Listed, there, and as long as is listed.
    pub sound: RoaringTreemap,
    pub wrong_size: Vec<WrongSize>,
    pub unlisted: Vec<Unlisted>,
    /// Listed and not there.
    pub gone: RoaringTreemap,
    /// Of these, the ones that nobody has condemned.
    pub missing: Vec<(PackNumber, PackId)>,
}

impl Packs {
    /// `view` was synced before; it is refreshed if something is missing.
    pub fn look(repo: &Repo, view: &View, cancel: &Cancel) -> Result<Self> {
        let mut packs = Self::default();
        let mut failure = None;
        repo.store.list(layout::PACKS, &mut |object| {
            failure = failure.take().or(packs.add(view, &object).err());
        })?;
        failure.map_or(Ok(()), Err)?;
        let mut seen: RoaringTreemap = packs.wrong_size.iter().map(|pack| pack.number).collect();
        seen |= &packs.sound;
        let mut absent = Vec::new();
        view.index.each_pack(&mut |pack| {
            if !seen.contains(pack.number) {
                absent.push((pack.number, pack.id));
            }
        })?;
        if !absent.is_empty() {
            packs.look_again(repo, view, absent, cancel)?;
        }
        stop_if(cancel)?;
        Ok(packs)
    }

    /// The numbers of packs that are listed and not there as they should be.
    pub fn unusable(&self) -> RoaringTreemap {
        let mut numbers = self.gone.clone();
        numbers.extend(self.wrong_size.iter().map(|pack| pack.number));
        numbers
    }

    fn add(&mut self, view: &View, object: &ObjectMeta) -> Result<()> {
        let Some(id) = layout::parse_pack(&object.key) else { return Ok(()) };
        self.count += 1;
        let number = view.index.pack_number(&id)?;
        match number.map(|number| view.index.pack(number)).transpose()?.flatten() {
            None => {
                let (size_bytes, modified) = (object.size_bytes, object.modified);
                self.unlisted.push(Unlisted { id, size_bytes, modified });
            }
            Some(pack) => self.add_listed(pack.number, id, pack.size_bytes, object.size_bytes),
        }
        Ok(())
    }

    fn add_listed(&mut self, number: PackNumber, id: PackId, listed_bytes: u64, size_bytes: u64) {
        if size_bytes == listed_bytes {
            self.sound.insert(number);
        } else {
            self.wrong_size.push(WrongSize { number, id, size_bytes, listed_bytes });
        }
    }

    /// What a prune has deleted meanwhile is listed no more, or was condemned; and what a store's listing has left out may
    /// still be there. Nothing is given up for less.
    fn look_again(
        &mut self,
        repo: &Repo,
        view: &View,
        absent: Vec<(PackNumber, PackId)>,
        cancel: &Cancel,
    ) -> Result<()> {
        repo.refresh_by_looking(view, cancel)?;
        let found = Mutex::new(self);
        parallel::for_each(absent.into_iter(), HEADS_AT_ONCE, cancel, |(number, id)| -> Result<()> {
            let Some(pack) = view.index.pack(number)? else { return Ok(()) };
            let object = repo.store.head(&layout::pack(&id))?;
            let mut found = lock(&found);
            match object {
                Some(object) => {
                    found.count += 1;
                    found.add_listed(number, id, pack.size_bytes, object.size_bytes);
                }
                None => {
                    found.gone.insert(number);
                    if !view.is_condemned(number) {
                        found.missing.push((number, id));
                    }
                }
            }
            Ok(())
        })
    }
}
