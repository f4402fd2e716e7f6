//! Varints, byte strings and counts, read one after the other. Besides: what was read is written in no more bytes than it was read
//! from and reads the same; a count is never larger than what is left can hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssb::repo::codec::{Cursor, DecodeError, put_bytes, put_varint, put_zigzag};

fuzz_target!(|input: &[u8]| {
    let mut cursor = Cursor::new(input);
    while cursor.remaining() > 0 && step(&mut cursor).is_ok() {}
});

fn step(cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
    let how = cursor.byte()?;
    let before = cursor.remaining();
    let mut out = Vec::new();
    match how % 5 {
        0 => {
            let number = cursor.varint()?;
            put_varint(&mut out, number);
            assert_eq!(Cursor::new(&out).varint(), Ok(number));
        }
        1 => {
            let number = cursor.zigzag()?;
            put_zigzag(&mut out, number);
            assert_eq!(Cursor::new(&out).zigzag(), Ok(number));
        }
        2 => {
            let bytes = cursor.bytes()?;
            put_bytes(&mut out, bytes);
            assert_eq!(Cursor::new(&out).bytes(), Ok(bytes));
        }
        3 => put_varint(&mut out, cursor.varint_u32()?.into()),
        _ => {
            let least_bytes = usize::from(how / 5);
            let count = cursor.count(least_bytes)?;
            assert!(count * least_bytes.max(1) <= cursor.remaining());
        }
    }
    assert!(out.len() <= before - cursor.remaining());
    Ok(())
}
