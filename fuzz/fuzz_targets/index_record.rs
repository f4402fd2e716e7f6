//! The local index's records. Besides: a pack's record holds exactly the bytes that it was read from, and every location in a
//! value comes back from its encoding, once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::index::record::{
    LOCATION_BYTES, decode_locations, decode_pack, encode_location, number_key, number_of_key, pack_of,
};

fuzz_target!(|value: &[u8]| {
    if let Some(pack) = decode_pack(7, value) {
        let fixed = [&pack.size_bytes.to_le_bytes()[..], &pack.chunk_count.to_le_bytes()].concat();
        assert_eq!([&pack.id.as_bytes()[..], &fixed, &pack.header].concat(), value);
    }
    let locations = decode_locations(value);
    assert!(locations.len() <= value.len() / LOCATION_BYTES);
    let encoded: Vec<u8> = locations.iter().flat_map(encode_location).collect();
    assert_eq!(decode_locations(&encoded), locations);
    for (bytes, location) in encoded.chunks(LOCATION_BYTES).zip(&locations) {
        assert!(value.chunks(LOCATION_BYTES).any(|record| record == bytes));
        assert_eq!(pack_of(bytes), location.pack);
        assert_eq!(number_of_key(&number_key(location.pack)), Some(location.pack));
    }
});
