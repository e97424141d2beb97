//! Loading: from a fault to pages in their frames.
//!
//! A plan says which pages of a blob to read next. A cold blob begins with a run of pages that most often
//! holds its header and all its inner nodes. Plans of many blobs are read as one batch, into buffers that
//! nobody else sees, and hashed there. Only comparing with the checksums and copying is left for the latch.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::claim::Part;
use super::{Fault, Pages, Residency, Want};
use crate::backend::{AlignedBlobBuf, Area, PAGE_BYTES, ReadOp};
use crate::blob::checksum;
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::words::BLOB_BYTES;
use crate::error::{Error, Result};
use crate::store::ROOT_BLOB;
use crate::store::frames::{Extent, Frame, Frames, Held, inner_pages, run};
use crate::store::latch::Version;
use crate::store::superblock::word;

/// Pages of a cold blob that are read at first. With a leaf over two pages this is 48 KiB for the first
/// touch; inner nodes take 4 % of a blob on average, five pages.
const FIRST_PAGES: usize = 10;
/// The same where a second read is a second trip: blobs of short values have 13 pages of inner nodes.
pub(crate) const FIRST_PAGES_REMOTE: usize = 14;
/// And of the root, which is read by everybody: the router of a hundred blobs has five pages.
pub(crate) const ROOT_PAGES_REMOTE: usize = 6;

/// Where the cache holds the whole database, a blob of which so many pages have come in is completed: then
/// nobody need ask any more which of its pages are there.
const PAGES_TO_COMPLETE: u32 = 24;

/// What is to be read of one blob.
struct Plan<'a> {
    frame: Frame<'a>,
    /// The version at which the pages were absent.
    version: Version,
    /// What is wanted.
    pages: Pages,
    /// What is read for that: few long runs.
    span: Pages,
}

/// A page in a buffer.
struct Loaded {
    plan: usize,
    page: usize,
    buffer: usize,
    slot: usize,
}

impl Residency {
    /// Resolves faults: reads what they ask for, and whatever has to be known before. When this returns,
    /// everything was there for a moment, or is not there to be had.
    pub(crate) fn load(&self, frames: &Frames, faults: &[Fault]) -> Result<()> {
        self.counts.faults.add(faults.len() as u64);
        loop {
            if self.is_cut_off.load(Ordering::Acquire) {
                return Err(Error::Closed);
            }
            let mut plans = Vec::new();
            for fault in faults {
                plans.extend(self.plan(frames, *fault)?);
            }
            if plans.is_empty() {
                return Ok(());
            }
            let parts: Vec<Part> = plans.iter().map(|plan| (plan.frame.id, plan.pages)).collect();
            let (_claim, at_once) = self.claims.claim(&parts);
            if !at_once {
                // Whoever was faster may have loaded the very same.
                continue;
            }
            let wanted: u32 = plans.iter().map(|plan| plan.pages.count_ones()).sum();
            let reserved = u64::from(wanted);
            self.resident_pages.fetch_add(reserved, Ordering::Relaxed);
            let spared: Vec<u32> = faults.iter().map(|fault| fault.blob).collect();
            self.make_space(frames, &spared);
            let installed = self.read_and_install(&plans);
            let kept = *installed.as_ref().unwrap_or(&0);
            // More may have come than was read.
            self.resident_pages.fetch_add(kept, Ordering::Relaxed);
            self.resident_pages.fetch_sub(reserved, Ordering::Relaxed);
            installed?;
        }
    }

    /// What to read next for a fault; nothing if it is resolved.
    fn plan<'a>(&self, frames: &'a Frames, fault: Fault) -> Result<Option<Plan<'a>>> {
        let is_stored = self.directory.get(fault.blob) != 0;
        let frame = match frames.get(fault.blob) {
            Some(frame) => frame,
            None if is_stored => {
                self.frames_made.fetch_add(1, Ordering::Relaxed);
                frames.cold(fault.blob)?
            }
            None => return Err(Error::corrupt(fault.blob, "a link to a blob that does not exist")),
        };
        loop {
            let version = frame.latch().read();
            let (extent, present) = (frame.extent(), frame.present());
            let has_header = present & 1 != 0;
            let kind = has_header.then(|| header::kind(frame.words)).flatten();
            let wanted = match fault.want {
                _ if fault.is_resolved(frame) => 0,
                Want::Whole => Pages::MAX,
                _ if !has_header => self.first_pages(fault.blob),
                _ if kind == Some(BlobKind::Router) => Pages::MAX,
                _ if present.count_ones() >= PAGES_TO_COMPLETE && self.completes_blobs() => Pages::MAX,
                Want::Leaves(pages) if extent == Extent::Partial => pages,
                _ => inner_pages(frame.words),
            };
            if !frame.latch().is_unchanged(version) {
                continue;
            }
            let pages = wanted & !present;
            if pages == 0 {
                return Ok(None);
            }
            if !is_stored {
                return Err(Error::corrupt(fault.blob, "a link to a blob that does not exist"));
            }
            // Runs between many holes would be many small reads.
            let (first, last) = (pages.trailing_zeros() as usize, 127 - pages.leading_zeros() as usize);
            let is_dense = !self.is_remote && (wanted == Pages::MAX || extent == Extent::Cold);
            let span = if is_dense { run(first, last + 1 - first) } else { pages };
            return Ok(Some(Plan { frame, version, pages, span }));
        }
    }

    /// What is read first of a blob of which nothing is known.
    fn first_pages(&self, blob: u32) -> Pages {
        let count = match blob {
            _ if !self.is_remote => FIRST_PAGES,
            ROOT_BLOB => ROOT_PAGES_REMOTE,
            _ => FIRST_PAGES_REMOTE,
        };
        run(0, count)
    }

    /// Reads plans as one batch, as many as there are buffers for; says how many pages came into frames.
    fn read_and_install(&self, plans: &[Plan<'_>]) -> Result<u64> {
        let mut buffers = vec![self.backend.buffers().lease_blocking()];
        let mut loaded = Vec::new();
        let mut used = 0;
        let mut planned = 0;
        for (plan, Plan { span, .. }) in plans.iter().enumerate() {
            let count = span.count_ones() as usize;
            if used + count > BLOB_PAGES {
                // To wait for more than one buffer could be to wait for oneself.
                let Some(buffer) = self.backend.buffers().lease() else { break };
                buffers.push(buffer);
                used = 0;
            }
            let buffer = buffers.len() - 1;
            let pages = (0..BLOB_PAGES).filter(|page| span & (1 << page) != 0);
            loaded.extend(pages.zip(used..).map(|(page, slot)| Loaded { plan, page, buffer, slot }));
            used += count;
            planned = plan + 1;
        }
        self.read(plans, &loaded, &mut buffers)?;
        let mut installed = 0;
        for (plan, pages) in plans[..planned].iter().zip(loaded.chunk_by(|a, b| a.plan == b.plan)) {
            installed += self.install(plan, pages, &buffers)?;
        }
        Ok(installed)
    }

    fn read(&self, plans: &[Plan<'_>], loaded: &[Loaded], buffers: &mut [AlignedBlobBuf]) -> Result<()> {
        let mut runs =
            loaded.chunk_by(|a, b| a.plan == b.plan && a.page + 1 == b.page && a.buffer == b.buffer);
        let mut batch = Vec::new();
        let mut next = runs.next();
        for (index, buffer) in buffers.iter_mut().enumerate() {
            let mut rest: &mut [u8] = buffer;
            while let Some(pages) = next.filter(|pages| pages[0].buffer == index) {
                let (buf, behind) = rest.split_at_mut(pages.len() * PAGE_BYTES);
                let blob = u64::from(plans[pages[0].plan].frame.id);
                let offset_bytes = blob * BLOB_BYTES as u64 + (pages[0].page * PAGE_BYTES) as u64;
                batch.push(ReadOp { area: Area::Data, offset_bytes, buf });
                rest = behind;
                next = runs.next();
            }
        }
        self.counts.reads.add(batch.len() as u64);
        self.counts.pages_read.add(loaded.len() as u64);
        Ok(self.backend.read(&mut batch)?)
    }

    /// Verifies pages and copies them to the frame; says how many.
    fn install(&self, plan: &Plan<'_>, loaded: &[Loaded], buffers: &[AlignedBlobBuf]) -> Result<u64> {
        let bytes = |loaded: &Loaded| &buffers[loaded.buffer][loaded.slot * PAGE_BYTES..][..PAGE_BYTES];
        let wanted: Vec<&Loaded> = loaded.iter().filter(|one| plan.pages & (1 << one.page) != 0).collect();
        let hash = |one: &&Loaded| match one.page {
            _ if !self.verifies => 0,
            0 => checksum::of_first_page(bytes(one)),
            _ => checksum::of_page(bytes(one)),
        };
        let hashes: Vec<u64> = wanted.iter().map(hash).collect();
        let held = plan.frame.hold();
        let unchanged = held.version() == plan.version;
        let mut arrived = 0;
        for (one, hash) in wanted.iter().zip(hashes) {
            let (page, bytes) = (one.page, bytes(one));
            if held.frame.is_whole() || (held.frame.present() | arrived) & (1 << page) != 0 {
                continue;
            }
            let damage = match page {
                0 => self.damage_of_header(&held, bytes, hash),
                _ if !self.verifies => None,
                // It cannot be verified before page 0 is there.
                _ if (held.frame.present() | arrived) & 1 == 0 => continue,
                _ => (header::stored_checksum(held.words(), page) != hash).then_some("page checksum"),
            };
            match damage {
                None => held.install(page, bytes),
                // What was read is not what is stored now.
                Some(_) if !unchanged => continue,
                Some(reason) => {
                    return Err(Error::Corrupt { blob: held.frame.id, page: page as u32, reason });
                }
            }
            if page == 0 {
                held.words().forget_notes();
            }
            arrived |= 1 << page;
            if page == 0 && self.is_remote {
                arrived |= zero_pages(&held);
            }
        }
        if arrived != 0 {
            held.arrive(arrived);
            held.frame.touch(arrived);
        }
        Ok(u64::from(arrived.count_ones()))
    }

    /// What is wrong with the first page of a blob, if anything is.
    fn damage_of_header(&self, held: &Held<'_>, bytes: &[u8], hash: u64) -> Option<&'static str> {
        let id = held.frame.id;
        let kind = BlobKind::from_byte((word(bytes, 1) >> 32) as u8);
        let is_right = || hash == self.directory.get(id) && checksum::stored(bytes, 0) == hash;
        if self.verifies && !is_right() {
            Some("page checksum")
        } else if word(bytes, 0) != header::MAGIC || word(bytes, 1) as u32 != id {
            Some("the header names another blob")
        } else if !matches!(kind, Some(BlobKind::Range | BlobKind::Router)) {
            Some("a blob of unknown kind")
        } else {
            None
        }
    }
}

/// The pages that are not there and would be zero if they were: their checksums say so. What is not there of
/// a frame reads as zeros anyway, so that nothing has to be done for them. A router has many.
fn zero_pages(held: &Held<'_>) -> Pages {
    let zero = checksum::of_page(&[0; PAGE_BYTES]);
    let is_zero = |page: &usize| header::stored_checksum(held.words(), *page) == zero;
    let pages = (1..BLOB_PAGES).filter(is_zero).fold(0, |pages, page| pages | 1 << page);
    pages & !held.frame.present()
}
