//! Any bytes, given to every decoder of stored objects, end in a result: `cargo fuzz run decoders`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::crypto::{MasterKeys, SecretKey};
use ssb::repo::{Manifest, Slot, condemned::CondemnedList, config::StoredConfig, envelope, pack, segment};

fuzz_target!(|bytes: &[u8]| {
    let keys = MasterKeys::new(SecretKey::from_bytes([1; 32]));
    let _ = StoredConfig::decode(bytes).map(|config| config.verify(&keys));
    let _ = Slot::decode("slot", bytes).map(|slot| slot.config());
    let _ = Manifest::decode("snapshot", bytes);
    let _ = CondemnedList::decode("list", bytes);
    let _ = envelope::open(&keys, envelope::ObjectKind::Snapshot, "object", bytes);
    let _ = pack::read_pack(&keys, "pack", bytes);
    let _ = pack::decode_footer(85, bytes);
    if let Ok(packs) = segment::decode(bytes) {
        assert_eq!(segment::decode(&segment::encode(&packs)), Ok(packs));
    }
});
