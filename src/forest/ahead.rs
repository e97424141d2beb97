//! What a walk over many blobs is going to miss, where every read is a trip to somewhere else: asked for
//! together, a directory takes two trips, one for the inner nodes of its blobs and one for their leaves.
//!
//! Routers are small and in memory, so that the blobs of a range are known before any of them is. Nothing of
//! this is needed to be right: what was forgotten is missed once more.

#![forbid(unsafe_code)]

use super::Forest;
use super::route::Lost;
use super::scan::successor;
use crate::art::ahead::{Stretch, leaf_pages};
use crate::art::cursor::Direction;
use crate::blob::header;
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::store::ROOT_BLOB;
use crate::store::residency::{FIRST_PAGES_REMOTE, Fault, Want};

/// Blobs that are asked for at once.
const BLOBS_MAX: usize = 4;
/// Pages of leaves that are asked for at once: 1 MiB.
const PAGES_MAX: u32 = 256;
/// Entries that a blob of which nothing is known is taken to have, when no more are wanted than these.
const ENTRIES_OF_BLOB: usize = 2000;

/// What is known of a blob and a stretch.
struct Seen {
    /// What the blob lacks.
    fault: Option<Fault>,
    /// How many entries of the stretch lie there.
    entries: usize,
    /// Where the next blob begins, or for a walk backward this one.
    next: Option<Vec<u8>>,
}

impl Forest {
    /// Faults that a walk over a stretch will meet.
    pub(super) fn faults_ahead(&self, mut stretch: Stretch<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut at = match stretch.direction {
            Direction::Forward => stretch.start.to_vec(),
            Direction::Backward => stretch.end.to_vec(),
        };
        stretch.pages_max = stretch.pages_max.min(PAGES_MAX);
        for _ in 0..BLOBS_MAX {
            let Ok(Seen { fault, entries, next }) = self.fault_at(&at, stretch) else { break };
            let pages = fault.map_or(0, |fault| match fault.want {
                Want::Leaves(pages) => pages.count_ones(),
                Want::Inner | Want::Whole => FIRST_PAGES_REMOTE as u32,
            });
            faults.extend(fault);
            stretch.entries_max = stretch.entries_max.saturating_sub(entries);
            stretch.pages_max = stretch.pages_max.saturating_sub(pages);
            let Some(mut next) = next else { break };
            pass_directory(&mut next, stretch);
            let is_within = match stretch.direction {
                Direction::Forward => next > at && next.as_slice() < stretch.end,
                Direction::Backward => next < at && next.as_slice() > stretch.start,
            };
            if !is_within || stretch.entries_max == 0 || stretch.pages_max == 0 {
                break;
            }
            at = next;
        }
        faults
    }

    /// Loads the root, by which everything begins.
    pub(crate) fn fetch_root(&self) -> Result<()> {
        self.store.load(&[Fault { blob: ROOT_BLOB, want: Want::Inner }])
    }

    /// Looks at the blob that holds a key, or for a walk backward the keys just below it.
    fn fault_at(&self, at: &[u8], stretch: Stretch<'_>) -> std::result::Result<Seen, Lost> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(at);
        let mut route = self.start()?;
        let found = match stretch.direction {
            Direction::Forward => route.find(self, &key),
            Direction::Backward => route.find_before(self, &key, &mut false),
        };
        // Elsewhere than on unix a blob that was never loaded has no frame.
        let absent = match found {
            Ok(()) | Err(Lost::Partial) => None,
            Err(Lost::Absent(blob)) => Some(blob),
            Err(lost) => return Err(lost),
        };
        let (bounds, next) = match stretch.direction {
            Direction::Forward => {
                let bounds = self.bounds(&route, &key)?;
                let next = bounds.hi.clone();
                (bounds, next)
            }
            Direction::Backward => {
                let bounds = self.bounds_before(&route, &key)?;
                let next = Some(bounds.lo.clone()).filter(|lo| !lo.is_empty());
                (bounds, next)
            }
        };
        if let Some(blob) = absent {
            let fault = Some(Fault { blob, want: Want::Inner });
            return Ok(Seen { fault, entries: ENTRIES_OF_BLOB, next });
        }
        let frame = route.frame;
        if header::kind(frame.words) != Some(header::BlobKind::Range) {
            return Err(Lost::Restart);
        }
        let found = leaf_pages(frame.words, bounds.lo.get(..route.base).unwrap_or_default(), stretch);
        let missing = found.pages & !frame.present();
        let is_missing = missing != 0 && !frame.is_whole();
        let fault = is_missing.then_some(Fault { blob: frame.id, want: Want::Leaves(missing) });
        Ok(Seen { fault, entries: found.entries, next })
    }
}

/// Where the next blob begins inside a directory that is one entry, the walk goes on behind that.
fn pass_directory(next: &mut Vec<u8>, stretch: Stretch<'_>) {
    let Some((delimiter, from)) = stretch.delimiter else { return };
    let behind = next.get(from..).unwrap_or_default();
    let Some(len) = behind.iter().position(|&byte| byte == delimiter).map(|at| from + at + 1) else { return };
    if next.len() == len {
        // The directory begins with the blob, and its name is not known before.
        return;
    }
    match stretch.direction {
        Direction::Forward => {
            if let Some(after) = successor(&next[..len]) {
                *next = after;
            }
        }
        Direction::Backward => next.truncate(len),
    }
}
