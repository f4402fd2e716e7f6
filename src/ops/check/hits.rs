//! Which snapshots and files lost chunks belong to. Walks every tree again, but only when there is damage to name.

use super::Damage;
use crate::base::Cancel;
use crate::ops::error::Result;
use crate::repo::tree::{TreeReader, each_chunk};
use crate::repo::{ChunkReader, RepoError, Snapshot};

pub(super) fn name(chunks: &ChunkReader, snapshots: &[Snapshot], damage: &mut Damage, cancel: &Cancel) -> Result<()> {
    for snapshot in snapshots {
        let mut reader = TreeReader::new(chunks, snapshot.manifest.tree);
        while let Some(next) = reader.next_entry() {
            if cancel.is_cancelled() {
                return Err(RepoError::Interrupted.into());
            }
            let entry = match next {
                Ok(entry) => entry,
                Err(hole) => {
                    let until = hole.until.map_or("the end".to_owned(), |path| format!("before {path}"));
                    let file = format!("{} to {until}", hole.from);
                    let named = damage.hits.get(&snapshot.id.to_string()).is_some_and(|hit| hit.files.contains(&file));
                    if !named {
                        damage.hit(&snapshot.id, file);
                    }
                    continue;
                }
            };
            let mut is_hit = entry.content.depth > 0 && entry.content.ids.iter().any(|id| damage.chunks.contains(id));
            let read = each_chunk(&entry.content, chunks, &mut |_| {}, &mut |id| {
                is_hit |= damage.chunks.contains(&id);
                Ok(())
            });
            if is_hit || read.is_err() {
                damage.hit(&snapshot.id, entry.display());
            }
        }
    }
    Ok(())
}
