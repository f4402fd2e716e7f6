//! The data: packs are read whole, compared with their names, and every chunk in them is opened and compared with its id.

use super::structure::{Checked, salvage};
use super::{CheckOutcome, Damage, ReadData};
use crate::base::{Cancel, ChunkId, Counter, PackId, parallel};
use crate::index::{PackNumber, PackRecord};
use crate::ops::error::Result;
use crate::repo::pack::{open_packed, pack_id, read_pack, unpack};
use crate::repo::{ChunkKind, Repo, layout};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Packs that are in memory at a time; each may be as long as its writer made it.
const WIDTH: usize = 4;

pub(super) fn check(
    checked: &Checked,
    read_data: ReadData,
    seed: u64,
    outcome: &mut CheckOutcome,
    damage: &mut Damage,
    cancel: &Cancel,
) -> Result<()> {
    let repo = &checked.chunks.repo;
    let packs = choose(checked, read_data, seed)?;
    repo.edges.observer.add(Counter::BytesTotal, packs.iter().map(|p| p.size_bytes).sum());
    let mut bad = Vec::new();
    let found = Mutex::new((&mut *outcome, &mut *damage, &mut bad));
    let width = WIDTH.min(rayon::current_num_threads().max(2));
    parallel::for_each(packs.iter(), width, cancel, |drawn| -> Result<()> {
        let Some(pack) = checked.chunks.view.index.pack(drawn.number)? else { return Ok(()) };
        let name = layout::pack(&pack.id);
        let verdict = match repo.store.get(&name) {
            Ok(bytes) => examine(repo, &name, &pack, bytes.into()),
            Err(e) if e.kind == crate::store::ErrorKind::NotFound => Some(Verdict::whole("it is missing")),
            Err(e) => return Err(e.into()),
        };
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.0.packs_read += 1;
        found.0.bytes_read += pack.size_bytes;
        repo.edges.observer.add(Counter::BytesDone, pack.size_bytes);
        if let Some(verdict) = verdict {
            found.1.find(name, verdict.what, &salvage(&pack.id));
            found.2.push((pack, verdict.chunks));
        }
        Ok(())
    })?;
    if cancel.is_cancelled() {
        return Err(crate::repo::RepoError::Interrupted.into());
    }
    damage.chunks.extend(lost_chunks(checked, bad)?);
    Ok(())
}

/// A pack to read; there may be very many.
struct Drawn {
    number: PackNumber,
    size_bytes: u64,
    rank: u64,
}

/// The packs to read.
fn choose(checked: &Checked, read_data: ReadData, seed: u64) -> Result<Vec<Drawn>> {
    // Names are hashes: ordering by them, mixed with a seed, is a fair draw.
    let rank = |id: &PackId| {
        let mut hasher = blake3::Hasher::new();
        first_number(hasher.update(&seed.to_le_bytes()).update(id.as_bytes()).finalize().as_bytes())
    };
    let is_wanted = |id: &PackId| match read_data {
        ReadData::No => false,
        ReadData::All | ReadData::Percent(_) => true,
        ReadData::Part(n, m) => part_of(id, m) == n,
    };
    let mut packs = Vec::new();
    checked.chunks.view.index.each_pack(&mut |pack| {
        if is_wanted(&pack.id) && !checked.bad_packs.contains(&pack.id) {
            packs.push(Drawn { number: pack.number, size_bytes: pack.size_bytes, rank: rank(&pack.id) });
        }
    })?;
    if let ReadData::Percent(percent) = read_data {
        let total: u64 = packs.iter().map(|p| p.size_bytes).sum();
        let wanted = (total as f64 * percent / 100.0).ceil() as u64;
        packs.sort_by_key(|pack| pack.rank);
        let mut sum = 0;
        let enough = packs.iter().position(|pack| {
            sum += pack.size_bytes;
            sum >= wanted
        });
        packs.truncate(enough.map_or(packs.len(), |at| at + 1));
    }
    Ok(packs)
}

/// Which of m parts a pack belongs to, from 1; the same on every machine and at every time.
fn part_of(id: &PackId, parts: u32) -> u32 {
    (first_number(id.as_bytes()) % u64::from(parts.max(1))) as u32 + 1
}

fn first_number(hash: &[u8; 32]) -> u64 {
    hash.iter().take(8).fold(0, |n, &b| n << 8 | u64::from(b))
}

/// What is wrong with a pack.
struct Verdict {
    what: String,
    /// The ordinals that are lost; `None` = all.
    chunks: Option<Vec<ChunkId>>,
}

impl Verdict {
    fn whole(what: impl Into<String>) -> Self {
        Self { what: what.into(), chunks: None }
    }
}

/// `None` if all is well.
fn examine(repo: &Repo, name: &str, pack: &PackRecord, mut bytes: Vec<u8>) -> Option<Verdict> {
    let is_named_rightly = pack_id(&bytes) == pack.id;
    let (header, listed) = match read_pack(&repo.keys, name, &bytes) {
        Ok(read) => read,
        Err(error) => return Some(Verdict::whole(error.to_string())),
    };
    let Some(kind) = ChunkKind::of(header.kind) else { return Some(Verdict::whole("it is no pack")) };
    let (mut bad, mut plain) = (Vec::new(), Vec::new());
    for c in &listed {
        let sealed = &mut bytes[c.offset as usize..][..c.sealed_len as usize];
        let whole = open_packed(&header.sealer, kind, &c.id, sealed)
            .and_then(|packed| unpack(&repo.keys, &c.id, packed, c.plain_len, c.compressed, &mut plain));
        if whole.is_none() {
            bad.push(c.id);
        }
    }
    match (is_named_rightly, bad.len()) {
        (true, 0) => None,
        (false, 0) => {
            Some(Verdict { what: "its bytes do not have its name as their hash".to_owned(), chunks: Some(bad) })
        }
        (_, n) => Some(Verdict { what: format!("{n} of its {} chunks do not open", listed.len()), chunks: Some(bad) }),
    }
}

/// The chunks that are lost with these packs, of which all or the named chunks are bad, and lie in no other one that is
/// not known to be bad.
fn lost_chunks(checked: &Checked, bad: Vec<(PackRecord, Option<Vec<ChunkId>>)>) -> Result<Vec<ChunkId>> {
    let view = &checked.chunks.view;
    let mut bad_places: HashMap<ChunkId, Vec<PackNumber>> = HashMap::new();
    for (pack, named) in bad {
        let ids = match named {
            Some(ids) => ids,
            None => chunks_of(checked, &pack)?,
        };
        ids.into_iter().for_each(|id| bad_places.entry(id).or_default().push(pack.number));
    }
    let mut lost = Vec::new();
    for (id, bad) in bad_places {
        let mut is_lost = true;
        for place in view.locate(&id)? {
            let is_missing = view.index.pack(place.pack)?.is_none_or(|pack| checked.bad_packs.contains(&pack.id));
            is_lost &= is_missing || bad.contains(&place.pack);
        }
        if is_lost {
            lost.push(id);
        }
    }
    Ok(lost)
}

/// The chunks of a pack that cannot be asked itself.
fn chunks_of(checked: &Checked, pack: &PackRecord) -> Result<Vec<ChunkId>> {
    for segment in checked.chunks.view.index.segments()? {
        if checked.chunks.view.index.packs_of(&segment)?.contains(&pack.number) {
            let packs = match checked.chunks.repo.read_segment(&segment) {
                // That is told elsewhere.
                Err(error) if error.is_damage() => continue,
                other => other?,
            };
            let listed = packs.into_iter().filter(|p| p.id == pack.id).flat_map(|p| p.chunks);
            return Ok(listed.map(|c| c.id).collect());
        }
    }
    Ok(Vec::new())
}
