//! Bodies and the headers that vouch for them: reading one whole, checking its length, checksums of uploads.

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};

use super::failure::{Failure, root_cause};
use crate::store::ErrorKind;

/// What is reserved at most on a server's word; a longer body grows as it comes.
const MAX_RESERVED_BYTES: usize = 64 << 20;

/// The value of a `Content-MD5` header.
pub(super) fn content_md5(body: &[u8]) -> String {
    BASE64.encode(Md5::digest(body))
}

/// The value of an `x-amz-checksum-crc32` header.
pub(super) fn crc32(body: &[u8]) -> String {
    BASE64.encode(crc32fast::hash(body).to_be_bytes())
}

/// Reads a body to its end; it must have exactly `len_bytes` if that is known.
pub(super) async fn read_whole(mut body: ByteStream, len_bytes: Option<u64>) -> Result<Bytes, Failure> {
    let reserved = len_bytes.map_or(0, |len| usize::try_from(len).unwrap_or(MAX_RESERVED_BYTES));
    let mut whole = BytesMut::with_capacity(reserved.min(MAX_RESERVED_BYTES));
    loop {
        match body.try_next().await {
            Ok(Some(part)) => whole.extend_from_slice(&part),
            Ok(None) => break,
            Err(error) => {
                let got = whole.len();
                let message = format!("the answer broke off after {got} bytes: {}", root_cause(&error));
                return Err(Failure::new(ErrorKind::Transient, message));
            }
        }
    }
    match len_bytes {
        Some(len) if len != whole.len() as u64 => {
            let message = format!("the answer has {} bytes instead of {len}", whole.len());
            Err(Failure::new(ErrorKind::Transient, message))
        }
        _ => Ok(whole.freeze()),
    }
}

/// A length as the client gives it; negative ones are lies.
pub(super) fn to_len(len: Option<i64>) -> Option<u64> {
    len.and_then(|len| u64::try_from(len).ok())
}

fn out_of_range(offset: u64, len_bytes: u64, size: u64) -> Failure {
    let message = format!("bytes {offset}+{len_bytes} were asked for, but it has {size} bytes");
    Failure::new(ErrorKind::OutOfRange, message)
}

/// Whether an answer with this `Content-Range` is the one to a request for this range; servers answer one that ends
/// beyond the object with a shorter part.
pub(super) fn check_content_range(content_range: &str, offset: u64, len_bytes: u64) -> Result<(), Failure> {
    let unfit = || {
        let message = format!("bytes {offset}+{len_bytes} were asked for, but '{content_range}' came");
        Failure::new(ErrorKind::Transient, message)
    };
    let (first, size) = parse_content_range(content_range).ok_or_else(unfit)?;
    match size {
        Some(size) if offset.checked_add(len_bytes).is_none_or(|end| end > size) => {
            Err(out_of_range(offset, len_bytes, size))
        }
        _ if first != offset => Err(unfit()),
        _ => Ok(()),
    }
}

/// The wanted part of the body of an answer: all of it if the server answered the range (`is_part`), and else cut from
/// the whole object, which is what servers send that know no ranges.
pub(super) fn cut_range(body: Bytes, is_part: bool, offset: u64, len_bytes: u64) -> Result<Bytes, Failure> {
    let got = body.len() as u64;
    if is_part {
        return if got == len_bytes {
            Ok(body)
        } else {
            let message = format!("bytes {offset}+{len_bytes} were asked for, but {got} bytes came");
            Err(Failure::new(ErrorKind::Transient, message))
        };
    }
    match offset.checked_add(len_bytes) {
        Some(end) if end <= got => Ok(body.slice(offset as usize..end as usize)),
        _ => Err(out_of_range(offset, len_bytes, got)),
    }
}

/// First byte and size of the object, from `bytes 5-9/100` or `bytes 5-9/*`.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let size = if size == "*" { None } else { Some(size.parse().ok()?) };
    Some((first.parse().ok()?, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_as_the_standards_write_them() {
        assert_eq!(content_md5(b""), "1B2M2Y8AsgTpgAmY7PhCfg==");
        // The check value of CRC-32 is cbf43926.
        assert_eq!(crc32(b"123456789"), "y/Q5Jg==");
    }

    #[test]
    fn ranges_are_cut_from_whatever_comes() {
        let ten = || Bytes::from_static(b"0123456789");
        let part = Bytes::from_static(b"34");
        assert_eq!(cut_range(part.clone(), true, 3, 2).unwrap(), part);
        assert_eq!(cut_range(ten(), false, 3, 2).unwrap(), part);
        assert_eq!(cut_range(part.clone(), true, 3, 3).unwrap_err().kind, ErrorKind::Transient);
        assert_eq!(cut_range(ten(), false, 9, 2).unwrap_err().kind, ErrorKind::OutOfRange);
        assert_eq!(cut_range(ten(), false, u64::MAX, 2).unwrap_err().kind, ErrorKind::OutOfRange);
    }

    #[test]
    fn a_content_range_must_be_the_one_asked_for() {
        for good in ["bytes 3-4/10", "bytes 3-4/5", "bytes 3-4/*"] {
            assert!(check_content_range(good, 3, 2).is_ok(), "{good}");
        }
        for (content_range, offset, len, kind) in [
            ("bytes 3-4/5", 3, 9, ErrorKind::OutOfRange),
            ("bytes 3-4/5", 3, u64::MAX, ErrorKind::OutOfRange),
            ("bytes 4-5/10", 3, 2, ErrorKind::Transient),
            ("bytes x-y/z", 3, 2, ErrorKind::Transient),
            ("rubbish", 3, 2, ErrorKind::Transient),
        ] {
            assert_eq!(check_content_range(content_range, offset, len).unwrap_err().kind, kind, "{content_range}");
        }
    }
}
