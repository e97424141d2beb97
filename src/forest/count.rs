//! How many keys lie in a range, without visiting them: blobs know how many they hold.

#![forbid(unsafe_code)]

use super::bounds::Bounds;
use super::route::Lost;
use super::scan::Side;
use super::{Forest, HEIGHT_MAX};
use crate::art::cursor::Direction;
use crate::blob::Words;
use crate::blob::header::{self, BlobKind};
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

/// A blob, and the part of a range that it holds: from here up to there.
type Border = (u32, Vec<u8>, Vec<u8>);

impl Forest {
    /// Counts the keys from `start` up to `end`, which is not counted.
    pub(crate) fn count(&self, start: &[u8], end: &[u8]) -> Result<u64> {
        if self.store.is_remote()
            && let Some(keys) = self.count_remote(start, end)?
        {
            return Ok(keys);
        }
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
                // Whoever goes on at the upper bound has to come to an end.
                if bounds.hi.as_deref().is_some_and(|hi| hi <= from) {
                    return Err(Lost::Corrupt(route.frame.id));
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

    /// The same where every read is a trip, in as many as a single blob takes: routers tell which blobs lie
    /// inside, and of these the first page is enough. None: the cache does not hold the routers.
    fn count_remote(&self, start: &[u8], end: &[u8]) -> Result<Option<u64>> {
        // Each round knows the routers of one level more.
        for _ in 0..HEIGHT_MAX {
            let (inside, borders) = self.blobs_between(start, end)?;
            let inner = |&blob: &u32| Fault { blob, want: Want::Inner };
            let wanted: Vec<u32> = borders.iter().map(|(blob, ..)| *blob).collect();
            let (mut keys, mut routers) = (0, Vec::new());
            // All is asked for before anything is waited for.
            let loaded = self.store.load(&wanted.iter().map(inner).collect::<Vec<_>>());
            let surveyed = self.store.survey(&inside, |blob, counts| match counts.is_router {
                true => routers.push(blob),
                false => keys += u64::from(counts.keys),
            });
            loaded?;
            surveyed?;
            let is_router = |id: &u32| {
                self.store.frames.get(*id).is_some_and(|frame| frame.root().1 == Some(BlobKind::Router))
            };
            routers.extend(wanted.into_iter().filter(is_router));
            if !routers.is_empty() {
                // They were taken for blobs of keys. The next round goes through them.
                self.store.load(&routers.iter().map(inner).collect::<Vec<_>>())?;
                continue;
            }
            let walk = |(_, from, to): &Border| self.walk_and_count(from, to);
            let walked: Vec<Result<u64>> = borders.iter().map(walk).collect();
            return walked.into_iter().try_fold(keys, |keys, walked| Ok(keys + walked?)).map(Some);
        }
        Ok(None)
    }

    /// The blobs that hold the keys of a range, as far as routers are in memory: those that lie inside, and
    /// those at its borders with what of the range they hold.
    fn blobs_between(&self, start: &[u8], end: &[u8]) -> Result<(Vec<u32>, Vec<Border>)> {
        let (mut inside, mut borders) = (Vec::new(), Vec::new());
        let mut next = Some(start.to_vec());
        while let Some(from) = next.filter(|from| from.as_slice() < end) {
            let (blob, bounds) = self.bounds_at(&from)?;
            if bounds.lo == from && bounds.hi.as_deref().is_some_and(|hi| hi <= end) {
                inside.push(blob);
            } else {
                let to = bounds.hi.as_deref().map_or(end, |hi| hi.min(end));
                borders.push((blob, from.clone(), to.to_vec()));
            }
            if bounds.hi.as_ref().is_some_and(|hi| *hi <= from) {
                return Err(Self::corrupt(blob));
            }
            next = bounds.hi;
        }
        Ok((inside, borders))
    }

    /// The blob at which the way to `from` ends, and its bounds; nothing of it need be in memory.
    fn bounds_at(&self, from: &[u8]) -> Result<(u32, Bounds)> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(from);
        loop {
            let found = self.start().and_then(|mut route| {
                let blob = match route.find(self, &key) {
                    Ok(()) | Err(Lost::Partial) => route.frame.id,
                    // It need not have a frame.
                    Err(Lost::Absent(blob)) => blob,
                    Err(lost) => return Err(lost),
                };
                let bounds = self.bounds(&route, &key)?;
                if route.routers_unchanged() { Ok((blob, bounds)) } else { Err(Lost::Restart) }
            });
            match found {
                Ok(found) => return Ok(found),
                Err(Lost::Corrupt(id)) => return Err(Self::corrupt(id)),
                Err(Lost::Absent(blob)) => self.store.load(&[Fault { blob, want: Want::Inner }])?,
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
