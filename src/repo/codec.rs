//! Varints and byte strings, as FORMAT.md defines them. Decoding is total: any bytes give a `Result`, and nothing is
//! allocated by a length that the bytes at hand do not bear out.

/// Why bytes do not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub &'static str);

pub type Result<T> = std::result::Result<T, DecodeError>;

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a byte run.
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError("a number is longer than 64 bits"))
    }

    pub fn varint_u32(&mut self) -> Result<u32> {
        self.varint()?.try_into().map_err(|_| DecodeError("a number is longer than 32 bits"))
    }

    pub fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        self.take(usize::try_from(length).map_err(|_| DecodeError("it ends too early"))?)
    }

    /// A count of things that each take at least `least_bytes`, so that it can be trusted for an allocation.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.remaining() / least_bytes.max(1) => Ok(count),
            _ => Err(DecodeError("it counts more than it holds")),
        }
    }

    /// Complains about what is left over.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError("it has bytes left over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn numbers_and_strings_round_trip(a: u64, b: i64, c: Vec<u8>) {
            let mut out = Vec::new();
            put_varint(&mut out, a);
            put_zigzag(&mut out, b);
            put_bytes(&mut out, &c);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.varint(), Ok(a));
            assert_eq!(cursor.zigzag(), Ok(b));
            assert_eq!(cursor.bytes(), Ok(&c[..]));
            assert_eq!(cursor.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_give_a_result(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.varint().is_ok() && cursor.bytes().is_ok() {}
        }
    }

    #[test]
    fn lies_are_found() {
        assert!(Cursor::new(&[0xff; 10]).varint().is_err());
        assert!(Cursor::new(&[200, 1, 0]).bytes().is_err());
        assert!(Cursor::new(&[100, 0, 0]).count(1).is_err());
        assert!(Cursor::new(&[1]).finish().is_err());
    }
}
