//! Small sets of numbers: which objects of a kind are there, which chunks a pack holds. Knows nothing of what they mean.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

pub const MOST_MEMBERS: usize = u16::BITS as usize;

/// A set of numbers below [`MOST_MEMBERS`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Set(u16);

/// Hashing takes most of the time of a check, so several sets are hashed at a time.
impl Hash for Set {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u16(self.0);
    }

    fn hash_slice<H: Hasher>(sets: &[Self], hasher: &mut H) {
        for sets in sets.chunks(4) {
            hasher.write_u64(sets.iter().fold(0, |all, set| all << 16 | u64::from(set.0)));
        }
    }
}

impl Set {
    pub const EMPTY: Self = Self(0);

    pub fn of(members: &[usize]) -> Self {
        members.iter().fold(Self::EMPTY, |all, &member| all | Self::one(member))
    }

    pub const fn one(member: usize) -> Self {
        Self(1 << member)
    }

    pub fn has(self, member: usize) -> bool {
        self.0 >> member & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn is_within(self, other: Self) -> bool {
        (self - other).is_empty()
    }

    /// The least member.
    pub fn first(self) -> Option<usize> {
        (!self.is_empty()).then(|| self.0.trailing_zeros() as usize)
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let first = rest.first()?;
            rest -= Self::one(first);
            Some(first)
        })
    }

    /// The union of what `part` gives for every member.
    pub fn union_of(self, part: impl Fn(usize) -> Self) -> Self {
        self.iter().fold(Self::EMPTY, |all, member| all | part(member))
    }

    /// The members that `keep` accepts.
    pub fn only(self, keep: impl Fn(usize) -> bool) -> Self {
        self.union_of(|member| if keep(member) { Self::one(member) } else { Self::EMPTY })
    }

    /// Every set that has all of `self` and beyond that only members of `most`.
    pub fn up_to(self, most: Self) -> impl Iterator<Item = Self> {
        let free = (most - self).0;
        let mut next = Some(free);
        std::iter::from_fn(move || {
            let chosen = next?;
            next = (chosen > 0).then(|| (chosen - 1) & free);
            Some(self | Self(chosen))
        })
    }
}

impl BitOr for Set {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Set {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Set {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOrAssign for Set {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl SubAssign for Set {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
