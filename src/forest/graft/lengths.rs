//! How long keys become when a directory moves, and the borders between its blobs with them.
//!
//! Mostly the bound for all keys of the database says that none becomes too long. Where it does not, the keys
//! that move are measured, and so are the borders: these may be left of keys that are long gone. A border
//! that would become too long is drawn anew. All of this happens before the gate is closed; behind it only
//! two numbers are compared.

#![forbid(unsafe_code)]

use super::subtree::Subtree;
use crate::art::cursor::Direction;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::scan::Side;
use crate::limits::{KEY_BYTES_MAX, TREE_ID_BYTES};
use crate::store::LONG_KEY_BYTES;

const LIMIT_BYTES: usize = KEY_BYTES_MAX + TREE_ID_BYTES;
/// After so many moves that came in between, what moves is measured behind the closed gate.
const FREE_TRIES: u32 = 8;
/// Borders may be gone before they can be drawn anew, but not for ever.
const MISSES_MAX: u32 = 1000;

/// What was measured, and what has to be the same for it to count.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    longest_bytes: usize,
    seen: (u64, u64),
}

/// A move from one prefix to another.
#[derive(Clone, Copy)]
pub(super) struct Growth<'p> {
    pub(super) from: Subtree<'p>,
    pub(super) to: Subtree<'p>,
}

impl Growth<'_> {
    fn after(&self, bytes: usize) -> usize {
        (bytes + self.to.prefix.len()).saturating_sub(self.from.prefix.len())
    }

    fn is_too_long(&self, bytes: usize) -> bool {
        self.after(bytes) > LIMIT_BYTES
    }

    fn too_long(&self, bytes: usize) -> Error {
        let length_bytes = self.after(bytes) - TREE_ID_BYTES;
        Error::KeyTooLong { length_bytes, limit_bytes: KEY_BYTES_MAX }
    }
}

impl Forest {
    /// Measures what moves, if that has to be, and sees to it that it can.
    pub(super) fn measure(&self, growth: Growth<'_>) -> Result<Option<Lengths>> {
        if !growth.is_too_long(self.store.longest_key_bytes()) {
            return Ok(None);
        }
        let seen = {
            // So no writer has told of its key, and not stored it yet.
            let _alone = self.store.gate.enter_alone();
            self.seen(growth)
        };
        let longest_bytes = self.longest_key_below(growth.from)?;
        if growth.is_too_long(longest_bytes) {
            return Err(growth.too_long(longest_bytes));
        }
        let longest_border = self.longest_border(growth, true)?;
        Ok(Some(Lengths { longest_bytes: longest_bytes.max(longest_border), seen }))
    }

    /// How long a key or border may be after a move; none if it has to be measured again. Nobody writes
    /// meanwhile.
    pub(super) fn key_bytes_after(
        &self,
        growth: Growth<'_>,
        measured: Option<Lengths>,
        tries: u32,
    ) -> Result<Option<usize>> {
        let known = self.store.longest_key_bytes();
        let longest_bytes = match measured {
            _ if !growth.is_too_long(known) => known,
            Some(measured) if measured.seen == self.seen(growth) => measured.longest_bytes,
            _ if tries < FREE_TRIES => return Ok(None),
            _ => {
                let longest_border = self.longest_border(growth, false)?;
                self.longest_key_below(growth.from)?.max(longest_border)
            }
        };
        Ok(Some(known.max(growth.after(longest_bytes))).filter(|_| !growth.is_too_long(longest_bytes)))
    }

    /// What is the same as long as no key has come that the move would make too long.
    fn seen(&self, growth: Growth<'_>) -> (u64, u64) {
        let is_long = growth.is_too_long(LONG_KEY_BYTES);
        let writes = if is_long { self.store.last_seq() } else { self.store.long_keys() };
        (writes, self.store.moves())
    }

    fn longest_key_below(&self, subtree: Subtree<'_>) -> Result<usize> {
        let mut walk = Side::new(Direction::Forward, subtree.prefix.to_vec(), subtree.end.to_vec());
        let mut longest_bytes = 0;
        while walk.step(self, false)?.is_some() {
            longest_bytes = longest_bytes.max(walk.key().len());
        }
        Ok(longest_bytes)
    }

    /// The length of the longest border between the blobs of what moves. One that would become too long is
    /// drawn anew first, if `mends`.
    fn longest_border(&self, growth: Growth<'_>, mends: bool) -> Result<usize> {
        let Subtree { prefix, end } = growth.from;
        let (mut longest_bytes, mut misses) = (0, 0);
        let mut next = Some(prefix.to_vec());
        while let Some(at) = next.filter(|at| at.as_slice() < end) {
            let ((), bounds) = self.look_at_blob(&at, |_, _| ())?;
            if bounds.lo.as_slice() <= prefix {
                next = bounds.hi;
                continue;
            }
            if mends && growth.is_too_long(bounds.lo.len()) {
                misses += u32::from(!self.draw_border_anew(&bounds.lo)?);
                if misses > MISSES_MAX {
                    return Err(Self::corrupt(crate::store::ROOT_BLOB));
                }
                next = Some(at);
                continue;
            }
            longest_bytes = longest_bytes.max(bounds.lo.len());
            next = bounds.hi;
        }
        Ok(longest_bytes)
    }
}
