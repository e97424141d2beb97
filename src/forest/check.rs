//! Every structural invariant of the forest: routers, bounds, bases, equal depth, and each range blob.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::long::check::Census;
use super::route::{Lost, Route};
use super::router::{self, Child, common_of_range};
use super::shared_key::SharedKey;
use super::{Forest, HEIGHT_MAX};
use crate::art;
use crate::blob::Key;
use crate::blob::header::{self, BlobKind};
use crate::blob::key::{KeyBuf, common_prefix};
use crate::blob::presence::Everything;
use crate::error::{Error, Result};
use crate::store::ROOT_BLOB;
use crate::store::superblock::is_directory_blob;

/// Problems kept at most; the first ones tell the story.
const PROBLEMS_MAX: usize = 100;

/// What a walk over all blobs found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<(u32, String)>,
    pub(crate) keys: u64,
    pub(crate) range_blobs: u32,
    pub(crate) router_blobs: u32,
    pub(crate) live_words: u64,
    pub(crate) used_words: u64,
    pub(crate) height: usize,
    long: Census,
}

/// A blob to look at, with its bounds.
struct Job {
    child: Child,
    hi: Option<SharedKey>,
    height: usize,
}

impl Forest {
    /// Looks at every blob. The caller holds the gate alone, so nothing changes meanwhile.
    ///
    /// `progress` is told how many blobs were looked at, and how many there are.
    pub(crate) fn check(&self, findings: &mut Findings, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let (end, unused) = self.store.ids.in_use();
        let is_used = |id: &u32| !unused.contains(id) && !is_directory_blob(*id);
        let total = (1..end).filter(is_used).count() as u64;
        let mut range_height = None;
        let mut seen = BTreeSet::new();
        let root = Child { lo: SharedKey::default(), id: ROOT_BLOB, base: 0 };
        let mut jobs = vec![Job { child: root, hi: None, height: 0 }];
        // Routers stay in memory to the end: the way to a separator leads through several of them.
        let mut routers = Vec::new();
        while let Some(job) = jobs.pop() {
            let id = job.child.id;
            progress(seen.len() as u64, total);
            let pinned = match self.store.pin_whole(id) {
                Ok(pinned) => pinned,
                Err(Error::Corrupt { blob, page, reason }) => {
                    seen.insert(id);
                    findings.problem(blob, format!("page {page} is damaged ({reason})"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(frame) = self.store.frames.get(id).filter(|_| seen.insert(id)) else {
                findings.problem(id, "is named twice, or is not there".into());
                continue;
            };
            let words = frame.words;
            if header::magic(words) != header::MAGIC || header::id(words) != id {
                findings.problem(id, "its header names another blob".into());
            }
            if (header::root(words), header::kind(words)) != frame.root() {
                findings.problem(id, "the cached root is outdated".into());
            }
            match header::kind(words) {
                Some(BlobKind::Range) => {
                    if *range_height.get_or_insert(job.height) != job.height {
                        findings.problem(id, format!("lies {} routers deep, others do not", job.height));
                    }
                    findings.height = job.height;
                    self.check_range(&job, words, findings);
                }
                Some(BlobKind::Router) if job.height < HEIGHT_MAX => {
                    self.check_router(&job, words, findings, &mut jobs);
                    routers.push(pinned);
                }
                _ => findings.problem(id, "is of unknown kind, or too deep".into()),
            }
        }
        for id in (1..end).filter(is_used).filter(|id| !seen.contains(id)) {
            findings.problem(id, "is in use, but nothing names it".into());
        }
        let long = std::mem::take(&mut findings.long);
        findings.keys = findings.keys.saturating_sub(long.own_keys);
        for (blob, text) in long.problems() {
            findings.problem(blob, text);
        }
        progress(total, total);
        Ok(())
    }

    fn check_range(&self, job: &Job, words: crate::blob::Words<'_>, findings: &mut Findings) {
        let Child { lo, id, base } = &job.child;
        let base_bytes = &lo[..(*base).min(lo.len())];
        let inside = art::check::check(words, base_bytes);
        for text in inside.problems {
            findings.problem(*id, text);
        }
        let mut cursor = art::cursor::Cursor::new();
        cursor.seek_edge(base_bytes, art::cursor::Direction::Forward);
        let first = cursor.next(words, &Everything).map(|leaf| leaf.map(|_| cursor.key().to_vec()));
        cursor.seek_edge(base_bytes, art::cursor::Direction::Backward);
        let last = cursor.prev(words, &Everything).map(|leaf| leaf.map(|_| cursor.key().to_vec()));
        if let Ok(Some(first)) = first
            && first[..] < **lo
        {
            findings.problem(*id, format!("key {first:?} lies below the range"));
        }
        if let (Ok(Some(last)), Some(hi)) = (last, &job.hi)
            && last[..] >= **hi
        {
            findings.problem(*id, format!("key {last:?} lies above the range"));
        }
        findings.long.take_in(*id, words, base_bytes, job.hi.as_deref());
        findings.keys += u64::from(inside.keys);
        findings.range_blobs += 1;
        findings.live_words += u64::from(header::live_words(words));
        findings.used_words += u64::from(header::used_words(words));
    }

    fn check_router(
        &self,
        job: &Job,
        words: crate::blob::Words<'_>,
        findings: &mut Findings,
        jobs: &mut Vec<Job>,
    ) {
        let id = job.child.id;
        findings.router_blobs += 1;
        let Ok(children) = router::read(words, job.child.base, &job.child.lo) else {
            return findings.problem(id, "the trie of separators makes no sense".into());
        };
        if children.len() != header::key_count(words) as usize && children.len() > 1 {
            findings.problem(id, format!("has {} children and counts others", children.len()));
        }
        for (index, child) in children.iter().enumerate() {
            let hi = children.get(index + 1).map(|next| next.lo.clone()).or_else(|| job.hi.clone());
            if hi.as_ref().is_some_and(|hi| *child.lo >= **hi) {
                findings.problem(id, format!("separator {:?} is out of order", child.lo));
                continue;
            }
            let least = hi.as_ref().map_or(0, |hi| common_prefix(&child.lo, hi)).max(job.child.base);
            if child.base < least || child.base > common_of_range(&child.lo, hi.as_deref()) {
                findings.problem(child.id, format!("base {} does not fit its bounds", child.base));
            }
            self.check_route(child, hi.as_deref(), job, findings);
            jobs.push(Job { child: child.clone(), hi, height: job.height + 1 });
        }
    }

    /// The way to a key. Whether all of the blob at its end is in memory does not matter here.
    fn way_to(&self, key: &Key<'_>) -> Option<Route<'_>> {
        loop {
            let mut route = self.start().ok()?;
            match route.find(self, key) {
                // The way ends at a frame, even if that is cold.
                Err(Lost::Absent(id)) if self.store.frames.get(id).is_none() => {
                    self.store.frames.cold(id).ok()?;
                }
                Ok(()) | Err(Lost::Partial | Lost::Absent(_)) => return Some(route),
                // Nobody writes, but pages come and go.
                Err(Lost::Restart) => std::thread::yield_now(),
                Err(Lost::Corrupt(_)) => return None,
            }
        }
    }

    /// The separators themselves must lead to the children they bound.
    fn check_route(&self, child: &Child, hi: Option<&[u8]>, job: &Job, findings: &mut Findings) {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(&child.lo);
        let Some(route) = self.way_to(&key) else {
            return findings.problem(job.child.id, format!("no way to separator {:?}", child.lo));
        };
        // A way that ends at a cold blob ends at the child itself.
        if route.height() == job.height + 1 {
            if route.frame.id != child.id || route.base != child.base {
                findings.problem(job.child.id, format!("separator {:?} leads elsewhere", child.lo));
            }
            match self.bounds(&route, &key) {
                Ok(bounds) if bounds.lo == *child.lo && bounds.hi.as_deref() == hi => {}
                _ => findings.problem(job.child.id, format!("the bounds of {:?} are wrong", child.lo)),
            }
        }
    }
}

impl Findings {
    pub(crate) fn problem(&mut self, blob: u32, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push((blob, text));
        }
    }
}
