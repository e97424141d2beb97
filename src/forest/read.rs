//! Reading single keys: descend, read, validate; again if anything on the path has changed.

#![forbid(unsafe_code)]

use super::Forest;
use super::route::{Lost, Route};
use crate::art::find;
use crate::blob::key::{KeyBuf, common_prefix};
use crate::blob::leaf::Leaf;
use crate::blob::{Key, Torn, Words};
use crate::error::Result;

/// What a reading yields before it is validated.
type Sound<T> = std::result::Result<T, Torn>;

/// A stored key's length, its value and its version.
pub(crate) type Prefix = (usize, Vec<u8>, u64);

/// Tries without a latch before a reader asks for quiet.
const FREE_TRIES: u32 = 16;

impl Forest {
    /// Runs `read` on the range blob of `key` until its answer is true of one moment.
    #[inline(always)]
    pub(crate) fn read<'a, T>(
        &'a self,
        key: &Key<'_>,
        mut read: impl FnMut(&Route<'a>) -> Sound<T>,
    ) -> Result<T> {
        let mut route = match self.start() {
            Ok(route) => route,
            Err(_) => return Err(Self::corrupt(crate::store::ROOT_BLOB)),
        };
        for _ in 0..FREE_TRIES {
            match route.find(self, key) {
                Ok(()) => {
                    let answer = read(&route);
                    if route.is_unchanged() {
                        return answer.map_err(|_| Self::corrupt(route.frame.id));
                    }
                }
                Err(Lost::Corrupt(id)) => return Err(Self::corrupt(id)),
                Err(Lost::Restart) => {}
            }
            self.store.counters.restarts.add_one();
            std::hint::spin_loop();
        }
        self.read_in_quiet(key, read)
    }

    /// Latches the range blob for the reading and leaves its version as it was, so that readers who began
    /// before and end after do not restart. The structure mutex keeps the path still, which no latch then
    /// has to do.
    #[cold]
    fn read_in_quiet<'a, T>(
        &'a self,
        key: &Key<'_>,
        mut read: impl FnMut(&Route<'a>) -> Sound<T>,
    ) -> Result<T> {
        let structure = &self.store.structure;
        let _structure = structure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        loop {
            match self.route(key) {
                Ok(mut route) => {
                    let held = route.frame.hold();
                    // The root of the tree may have changed until the latch was taken.
                    route.root = route.frame.root().0;
                    route.version = held.version();
                    return read(&route).map_err(|_| Self::corrupt(route.frame.id));
                }
                Err(Lost::Corrupt(id)) => return Err(Self::corrupt(id)),
                Err(Lost::Restart) => std::thread::yield_now(),
            }
        }
    }

    /// Copies the value of `key` into `out` and returns its version.
    #[inline]
    pub(crate) fn get(&self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<Option<u64>> {
        self.read(key, |route| {
            out.clear();
            let words = route.frame.words;
            let leaf = find::find(words, route.root, key, route.base)?;
            Ok(leaf.map(|leaf| {
                leaf.append_value(words, out);
                leaf.seq(words)
            }))
        })
    }

    /// The version of `key`, without its value.
    #[inline]
    pub(crate) fn version_of(&self, key: &Key<'_>) -> Result<Option<u64>> {
        self.read(key, |route| {
            let leaf = find::find(route.frame.words, route.root, key, route.base)?;
            Ok(leaf.map(|leaf| leaf.seq(route.frame.words)))
        })
    }

    /// The longest stored key of at least `shortest` bytes that `key` begins with: its length, value and
    /// version.
    pub(crate) fn longest_prefix(&self, key: &Key<'_>, shortest: usize) -> Result<Option<Prefix>> {
        let mut len = key.len();
        loop {
            let mut buffer = KeyBuf::empty();
            let probe = buffer.fill_whole(&key.bytes()[..len]);
            let (found, lo) = self.longest_prefix_in_range(&probe, shortest)?;
            if found.is_some() {
                return Ok(found);
            }
            // Every prefix of the key that lies in an earlier range is a prefix of this range's lower bound.
            let common = common_prefix(&lo, key.bytes());
            let next = if common == lo.len() { common.saturating_sub(1) } else { common };
            if lo.is_empty() || next < shortest || next >= len {
                return Ok(None);
            }
            len = next;
        }
    }

    fn longest_prefix_in_range(&self, key: &Key<'_>, shortest: usize) -> Result<(Option<Prefix>, Vec<u8>)> {
        self.read(key, |route| {
            let words = route.frame.words;
            let bounds = self.bounds(route, key).map_err(|_| Torn)?;
            let found = find::longest_prefix(words, route.root, key, route.base, shortest)?;
            Ok((found.map(|(leaf, len)| (len, value_of(words, leaf), leaf.seq(words))), bounds.lo))
        })
    }
}

fn value_of(words: Words<'_>, leaf: Leaf) -> Vec<u8> {
    let mut value = Vec::with_capacity(leaf.value_len().next_multiple_of(8));
    leaf.append_value(words, &mut value);
    value
}
