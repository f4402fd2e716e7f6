//! FastCDC's inner loop: the first place of a stretch at which the gear hash meets a mask. Finds what the `fastcdc` crate's
//! loop finds, with half of its instructions for a byte; a test holds the two together.

/// Bytes between two looks at where the stretch ends. The compiler unrolls as many steps.
const STEP_BYTES: usize = 16;

/// Rolls `hash` over `stretch` up to the first byte after which no bit of `mask` is set in it; gives that byte's offset.
/// A byte is forgotten after 64 others.
pub fn find(gear: &[u64; 256], hash: &mut u64, stretch: &[u8], mask: u64) -> Option<usize> {
    // In a register of its own: behind the reference it would be written at every byte.
    let mut rolled = *hash;
    let (steps, rest) = stretch.as_chunks::<STEP_BYTES>();
    for (n, step) in steps.iter().enumerate() {
        for (k, &byte) in step.iter().enumerate() {
            rolled = (rolled << 1).wrapping_add(gear[usize::from(byte)]);
            if rolled & mask == 0 {
                return Some(n * STEP_BYTES + k);
            }
        }
    }
    for (k, &byte) in rest.iter().enumerate() {
        rolled = (rolled << 1).wrapping_add(gear[usize::from(byte)]);
        if rolled & mask == 0 {
            return Some(steps.len() * STEP_BYTES + k);
        }
    }
    *hash = rolled;
    None
}
