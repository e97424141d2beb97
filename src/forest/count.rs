//! How many keys lie in a range, without visiting them: blobs know how many they hold.

#![forbid(unsafe_code)]

use super::Forest;
use super::bounds::Bounds;
use super::route::Lost;
use super::scan::Side;
use crate::art::cursor::Direction;
use crate::blob::Words;
use crate::blob::header;
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::store::residency::{Fault, Faults, Want};

/// What is known of one blob, at one moment.
enum Counted {
    /// It lies inside the range and holds so many keys.
    Inside(u64),
    /// It reaches beyond.
    Border,
}

impl Forest {
    /// Counts the keys from `start` up to `end`, which is not counted.
    pub(crate) fn count(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        let mut keys = 0;
        let mut next = Some(start.to_vec());
        while let Some(from) = next.filter(|from| from.as_slice() < end) {
            let (counted, bounds) = self.count_blob(&from, end)?;
            keys += match counted {
                Counted::Inside(keys) => keys,
                Counted::Border => {
                    let to = bounds.hi.as_deref().map_or(end, |hi| hi.min(end));
                    self.walk_and_count(&from, to)?
                }
            };
            next = bounds.hi;
        }
        Ok(keys)
    }

    /// What the blob that holds `from` counts.
    fn count_blob(&self, from: &[u8], end: &[u8]) -> Result<(Counted, Bounds)> {
        self.look_at_blob(from, |words, bounds| {
            let is_inside = bounds.lo == from && bounds.hi.as_deref().is_some_and(|hi| hi <= end);
            let keys = u64::from(header::key_count(words));
            if is_inside { Counted::Inside(keys) } else { Counted::Border }
        })
    }

    /// Looks at the header of the blob that holds `from`; also says what its bounds are.
    pub(super) fn look_at_blob<T>(
        &self,
        from: &[u8],
        look: impl Fn(Words<'_>, &Bounds) -> T,
    ) -> Result<(T, Bounds)> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(from);
        let mut faults = Faults::new(&self.store);
        loop {
            let found = self.start().and_then(|mut route| {
                let arrived = match route.find(self, &key) {
                    // Page 0 is there, which is all that is needed.
                    Ok(()) | Err(Lost::Partial) => Ok(()),
                    Err(lost) => Err(lost),
                };
                arrived?;
                let bounds = self.bounds(&route, &key)?;
                let seen = look(route.frame.words, &bounds);
                if !route.is_unchanged() {
                    return Err(Lost::Restart);
                }
                Ok((seen, bounds))
            });
            match found {
                Ok(found) => return Ok(found),
                Err(Lost::Corrupt(id)) => return Err(Self::corrupt(id)),
                Err(Lost::Absent(blob)) => faults.resolve(Fault { blob, want: Want::Inner })?,
                Err(Lost::Restart | Lost::Partial) => {
                    self.store.counters.restarts.add_one();
                    std::thread::yield_now();
                }
            }
        }
    }

    fn walk_and_count(&self, from: &[u8], to: &[u8]) -> Result<u64> {
        let mut walk = Side::new(Direction::Forward, from.to_vec(), to.to_vec());
        let mut keys = 0;
        while walk.step(self, false)?.is_some() {
            keys += 1;
        }
        Ok(keys)
    }
}
