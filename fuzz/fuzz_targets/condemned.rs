//! A condemned list. Besides: what decodes encodes to an equal list.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::condemned::CondemnedList;

fuzz_target!(|payload: &[u8]| {
    let Ok(list) = CondemnedList::decode("list", payload) else { return };
    assert_eq!(CondemnedList::decode("list", &list.encode().unwrap()).unwrap(), list);
});
