//! Long values: what does not fit a leaf lies in parts, in a tree of its own, and the leaf says where.
//!
//! ```text
//! mark    LONG_VALUES | 0 | value id u64, most significant byte first
//! part    LONG_VALUES | 1 | value id u64 | number of the part u32, likewise
//! pointer value id u64 | bytes u32 | bytes of each part but the last u32, least significant bytes first
//! ```
//!
//! A value id is given out once in the life of a process, and its parts are written once. So whoever finds
//! all parts that a pointer leaf speaks of has the value, whatever happens to the leaf meanwhile.
//!
//! **A mark says that no leaf refers to the value.** It is there before the first part, and goes in the very
//! batch that writes the pointer leaf. It comes back in the batch that takes the leaf away; then the parts
//! go, then the mark. So after a crash all that is marked is taken away, and nothing else.
//!
//! Directories with long values are removed by moving them to one of the trees that nobody looks into; then
//! what their pointer leaves refer to goes, then the directory.
//!
//! Nothing here knows of bytes of a blob; what a pointer leaf is, the blob says.

#![forbid(unsafe_code)]

pub(super) mod check;
mod commit;
mod discard;
mod ids;
mod read;
mod reclaim;
mod write;

pub(crate) use commit::{Kept, Settlement};
pub(crate) use ids::IdBlock;
pub(crate) use read::long_length;

use super::Forest;
use crate::limits::{LONG_VALUES, SHORT_VALUE_BYTES_MAX, SYSTEM_TREES, TREE_ID_BYTES, VALUE_BYTES_MAX};

const _: () = assert!(SYSTEM_TREES == 0xFFFF_0000);

/// Bytes of a pointer.
pub(crate) const POINTER_BYTES: usize = 16;

const MARK: u8 = 0;
const PART: u8 = 1;

/// Where a long value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) id: u64,
    length_bytes: u32,
    part_bytes: u32,
}

impl Pointer {
    pub(crate) fn encode(self) -> [u8; POINTER_BYTES] {
        let mut bytes = [0; POINTER_BYTES];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length_bytes.to_le_bytes());
        bytes[12..].copy_from_slice(&self.part_bytes.to_le_bytes());
        bytes
    }

    /// Reads what a pointer leaf holds; none if it cannot be true.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Pointer> {
        let bytes: &[u8; POINTER_BYTES] = bytes.try_into().ok()?;
        let short = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let id = bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let pointer = Pointer { id, length_bytes: short(8), part_bytes: short(12) };
        // A part is the value of a leaf.
        let fits_leaf = (1..=SHORT_VALUE_BYTES_MAX).contains(&(pointer.part_bytes as usize));
        let may_be = fits_leaf && pointer.length() <= VALUE_BYTES_MAX;
        may_be.then_some(pointer)
    }

    /// The length of the value.
    pub(crate) fn length(self) -> usize {
        self.length_bytes as usize
    }

    fn parts(self) -> u32 {
        self.length_bytes.div_ceil(self.part_bytes)
    }

    /// Bytes of one part.
    fn bytes_of_part(self, part: u32) -> usize {
        let start = u64::from(part) * u64::from(self.part_bytes);
        u64::from(self.length_bytes).saturating_sub(start).min(u64::from(self.part_bytes)) as usize
    }
}

/// Whether a key, tree id included, is none of a user's. Transactions do not see these keys; and what they
/// write of them may share blobs with what they have read.
#[inline(always)]
pub(super) fn is_aside(key: &[u8]) -> bool {
    key.starts_with(&SYSTEM_TREES.to_be_bytes()[..2])
}

/// Whether a key, tree id included, is that of a part.
pub(super) fn is_part(key: &[u8]) -> bool {
    key.strip_prefix(&LONG_VALUES.to_be_bytes()).is_some_and(|rest| rest.first() == Some(&PART))
}

fn mark_key(id: u64) -> Vec<u8> {
    [&LONG_VALUES.to_be_bytes()[..], &[MARK], &id.to_be_bytes()].concat()
}

/// What the keys of all parts of a value begin with.
fn parts_prefix(id: u64) -> Vec<u8> {
    [&LONG_VALUES.to_be_bytes()[..], &[PART], &id.to_be_bytes()].concat()
}

/// Bytes in the key of a part.
pub(crate) const PART_KEY_BYTES: usize = TREE_ID_BYTES + 1 + 8 + 4;

fn part_key(id: u64, part: u32) -> Vec<u8> {
    [&parts_prefix(id)[..], &part.to_be_bytes()].concat()
}

/// The value id in the key of a mark or of a part.
fn id_in(key: &[u8]) -> u64 {
    key.get(TREE_ID_BYTES + 1..).and_then(<[u8]>::first_chunk).map_or(0, |id| u64::from_be_bytes(*id))
}

impl Forest {
    /// Eight parts fill a blob.
    fn part_bytes(&self) -> usize {
        let range_words = self.shape.range_words as usize;
        (range_words - range_words / 128) / 8 * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_come_back_and_impossible_ones_do_not() {
        let pointer = Pointer { id: u64::MAX - 1, length_bytes: 200_001, part_bytes: 64_000 };
        assert_eq!(Pointer::decode(&pointer.encode()), Some(pointer));
        assert_eq!((pointer.parts(), pointer.bytes_of_part(2), pointer.bytes_of_part(3)), (4, 64_000, 8_001));
        assert_eq!(Pointer::decode(&pointer.encode()[..15]), None);
        let too_long = Pointer { length_bytes: VALUE_BYTES_MAX as u32 + 1, ..pointer };
        let without_parts = Pointer { part_bytes: 0, ..pointer };
        let no_leaf = Pointer { part_bytes: SHORT_VALUE_BYTES_MAX as u32 + 1, ..pointer };
        for impossible in [too_long, without_parts, no_leaf] {
            assert_eq!(Pointer::decode(&impossible.encode()), None);
        }
        assert_eq!(pointer.bytes_of_part(4), 0);
    }

    #[test]
    fn keys_name_their_value() {
        let (mark, part) = (mark_key(7), part_key(7, 300));
        assert_eq!((id_in(&mark), id_in(&part), id_in(b"short")), (7, 7, 0));
        assert!(is_part(&part) && !is_part(&mark) && !is_part(b""));
        assert!(part_key(7, 255) < part && part < part_key(8, 0) && mark < parts_prefix(0));
    }
}
