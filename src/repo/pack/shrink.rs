//! Making a pack of what stays of another, with the seals that its chunks have. Opens no chunk.

use super::{ChunkKind, FinishedPack, pack_id};
use crate::base::edge::random;
use crate::base::{Entropy, PackId};
use crate::index::ListedChunk;
use crate::repo::envelope::Header;
use crate::repo::error::Result;

/// The pack of this name without the chunks that do not stay, which are asked for by their ordinals; `header` and `listed` are
/// what `pack` says of itself. The new pack has the same key, under which only its footer is sealed anew, and a name of its
/// own even if all stays. It takes the room of `pack`.
///
/// `None`, and `pack` is left as it is, if these are not the bytes that were stored: their name is their hash, so that no
/// chunk has to be opened to know that it is whole.
pub fn shrink(
    entropy: &dyn Entropy,
    id: &PackId,
    kind: ChunkKind,
    header: &Header,
    listed: &[ListedChunk],
    pack: &mut Vec<u8>,
    stays: impl Fn(usize) -> bool,
) -> Result<Option<FinishedPack>> {
    if pack_id(pack) != *id {
        return Ok(None);
    }
    let mut body = std::mem::take(pack);
    let mut end = header.bytes.len();
    let mut kept = Vec::with_capacity(listed.len());
    for (_, chunk) in listed.iter().enumerate().filter(|(ordinal, _)| stays(*ordinal)) {
        let begin = chunk.offset as usize;
        let sealed = begin..begin + chunk.sealed_len as usize;
        body.copy_within(sealed.clone(), end);
        kept.push(ListedChunk { offset: end as u32, ..*chunk });
        end += sealed.len();
    }
    body.truncate(end);
    FinishedPack::close(kind, header, body, kept, &random(entropy)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, keys};
    use super::super::{open_packed, read_pack, unpack};
    use super::*;
    use crate::base::SystemEntropy;
    use proptest::collection::vec;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn what_stays_opens_as_before_and_nothing_else_is_there(
            chunks in vec((vec(0u8.., 0..3000), proptest::bool::ANY), 0..20),
        ) {
            let keys = keys();
            let plain: Vec<Vec<u8>> = chunks.iter().map(|(plain, _)| plain.clone()).collect();
            let first = example(&keys, &plain);
            let (header, listed) = read_pack(&keys, "p", &first.bytes).unwrap();
            let stays: Vec<bool> = listed.iter().map(|c| chunks.iter().any(|(p, s)| *s && keys.chunk_id(p) == c.id)).collect();
            let mut bytes = first.bytes.to_vec();
            let shrunk = shrink(&SystemEntropy, &first.listing.id, first.kind, &header, &listed, &mut bytes, |n| stays[n]);
            let shrunk = shrunk.unwrap().unwrap();
            assert_ne!(shrunk.listing.id, first.listing.id);
            assert_eq!(pack_id(&shrunk.bytes), shrunk.listing.id);
            let (header, told) = read_pack(&keys, "p", &shrunk.bytes).unwrap();
            assert_eq!((&header.bytes, &told), (&shrunk.listing.header, &shrunk.listing.chunks));
            let ids = |listed: &[ListedChunk]| listed.iter().map(|c| c.id).collect::<Vec<_>>();
            let mut kept = ids(&listed);
            let mut ordinals = stays.iter();
            kept.retain(|_| *ordinals.next().unwrap());
            assert_eq!(ids(&told), kept);
            for c in &told {
                let mut sealed = shrunk.bytes[c.offset as usize..][..c.sealed_len as usize].to_vec();
                let packed = open_packed(&header.sealer, shrunk.kind, &c.id, &mut sealed).unwrap();
                assert!(unpack(&keys, &c.id, packed, c.plain_len, c.compressed, &mut Vec::new()).is_some());
            }
        }
    }

    #[test]
    fn what_was_not_stored_so_is_left() {
        let keys = keys();
        let pack = example(&keys, &[vec![1; 100], vec![2; 50]]);
        let (header, listed) = read_pack(&keys, "p", &pack.bytes).unwrap();
        let mut flipped = pack.bytes.to_vec();
        flipped[listed[1].offset as usize] ^= 1;
        let before = flipped.clone();
        let id = &pack.listing.id;
        let shrunk = shrink(&SystemEntropy, id, pack.kind, &header, &listed, &mut flipped, |n| n == 0).unwrap();
        assert!(shrunk.is_none() && flipped == before);
    }
}
