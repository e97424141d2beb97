//! Loading: from a fault to pages in their frames.
//!
//! A plan says which pages of a blob to read next. A cold blob begins with a run of pages that most often
//! holds its header and all its inner nodes. Plans of many blobs are read as one batch, into buffers that
//! nobody else sees, and hashed there. Only comparing with the checksums and copying is left for the latch.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::claim::Part;
use super::{Fault, Pages, Residency, Want};
use crate::backend::{Area, PAGE_BYTES, ReadOp};
use crate::blob::checksum;
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::words::BLOB_BYTES;
use crate::error::{Error, Result};
use crate::store::ROOT_BLOB;
use crate::store::frames::{Extent, Frame, Frames, Held, inner_pages, inner_pages_to, run};
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
    /// What the directory said of the blob then.
    stored: u64,
    /// What is wanted.
    pages: Pages,
    /// What is read for that: few long runs.
    span: Pages,
}

/// The pages of one leaf, most often.
const LEAF_PAGES: usize = 2;

/// Some pages, where direct I/O can take them to.
#[repr(align(4096))]
struct Few<const PAGES: usize>([[u8; PAGE_BYTES]; PAGES]);

const _: () = assert!(align_of::<Few<1>>() == PAGE_BYTES);

/// Neighbouring pages of one blob that are read together into a buffer, behind those of the run before.
struct Run {
    plan: usize,
    first: usize,
    count: usize,
    buffer: usize,
}

/// The first page of each run of neighbours, and how many they are.
fn runs_of(mut pages: Pages) -> impl Iterator<Item = (usize, usize)> {
    std::iter::from_fn(move || {
        let first = (pages != 0).then(|| pages.trailing_zeros() as usize)?;
        let count = (pages >> first).trailing_ones() as usize;
        pages &= !run(first, count);
        Some((first, count))
    })
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
            let (installed, done) = self.read_and_install(frames, &plans, &spared);
            // More may have come than was read; and what has come before a failure stays.
            self.resident_pages.fetch_add(installed, Ordering::Relaxed);
            self.resident_pages.fetch_sub(reserved, Ordering::Relaxed);
            // A blob that has fallen free since may lie behind the end of what is shorter now.
            let is_as_planned = |plan: &Plan<'_>| self.directory.get(plan.frame.id) == plan.stored;
            if plans.iter().all(is_as_planned) {
                done?;
            }
        }
    }

    /// What to read next for a fault; nothing if it is resolved.
    fn plan<'a>(&self, frames: &'a Frames, fault: Fault) -> Result<Option<Plan<'a>>> {
        let stored = self.directory.get(fault.blob);
        let is_stored = stored != 0;
        let frame = match frames.get(fault.blob) {
            Some(frame) => frame,
            None if is_stored => {
                let frame = frames.cold(fault.blob)?;
                self.frames_made.fetch_add(1, Ordering::Relaxed);
                frame
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
                _ if !has_header => self.first_pages(frame),
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
            return Ok(Some(Plan { frame, version, stored, pages, span }));
        }
    }

    /// What is read first of a blob of which nothing is there. One that was there before is likely to have as
    /// many inner nodes as then: in a cache that cannot hold all inner nodes that is a quarter less to read.
    fn first_pages(&self, frame: Frame<'_>) -> Pages {
        let count = match (frame.inner_pages_hint(), frame.id) {
            (0, _) if !self.is_remote => FIRST_PAGES,
            (known, _) if !self.is_remote => known,
            (_, ROOT_BLOB) => ROOT_PAGES_REMOTE,
            _ => FIRST_PAGES_REMOTE,
        };
        run(0, count)
    }

    /// Reads plans as one batch, as many as there are buffers for; says how many pages came into frames, also
    /// if it failed. What is read goes there while the rest is still under way, and so leaves what has to.
    fn read_and_install(&self, frames: &Frames, plans: &[Plan<'_>], spared: &[u32]) -> (u64, Result<()>) {
        let count: usize = plans.iter().map(|plan| plan.span.count_ones() as usize).sum();
        // Without threads nobody waits for a buffer, and less code is to be loaded.
        if cfg!(target_family = "wasm") {
            self.read_many(frames, plans, spared)
        } else if count <= LEAF_PAGES {
            self.read_few::<LEAF_PAGES>(frames, plans, spared)
        } else if count <= FIRST_PAGES {
            self.read_few::<FIRST_PAGES>(frames, plans, spared)
        } else {
            self.read_many(frames, plans, spared)
        }
    }

    /// Reads up to `PAGES` pages into memory of this thread alone. There are fewer leased buffers than there
    /// may be threads, and waiting for one takes longer than a read does.
    #[inline(never)]
    fn read_few<const PAGES: usize>(
        &self,
        frames: &Frames,
        plans: &[Plan<'_>],
        spared: &[u32],
    ) -> (u64, Result<()>) {
        let runs_of_plan = |(plan, wanted): (usize, &Plan<'_>)| {
            runs_of(wanted.span).map(move |(first, count)| Run { plan, first, count, buffer: 0 })
        };
        let runs: Vec<Run> = plans.iter().enumerate().flat_map(runs_of_plan).collect();
        let mut few = Few([[0; PAGE_BYTES]; PAGES]);
        self.read_runs(frames, plans, spared, &runs, &mut [few.0.as_flattened_mut()])
    }

    /// Reads as many plans as there are buffers for.
    #[inline(never)]
    fn read_many(&self, frames: &Frames, plans: &[Plan<'_>], spared: &[u32]) -> (u64, Result<()>) {
        let mut buffers = vec![self.backend.buffers().lease_blocking()];
        let mut runs = Vec::new();
        let mut used = 0;
        for (plan, Plan { span, .. }) in plans.iter().enumerate() {
            let count = span.count_ones() as usize;
            if used + count > BLOB_PAGES {
                // To wait for more than one buffer could be to wait for oneself.
                let Some(buffer) = self.backend.buffers().lease() else { break };
                buffers.push(buffer);
                used = 0;
            }
            used += count;
            let buffer = buffers.len() - 1;
            runs.extend(runs_of(*span).map(|(first, count)| Run { plan, first, count, buffer }));
        }
        let mut buffers: Vec<&mut [u8]> = buffers.iter_mut().map(|buffer| &mut buffer[..]).collect();
        self.read_runs(frames, plans, spared, &runs, &mut buffers)
    }

    fn read_runs(
        &self,
        frames: &Frames,
        plans: &[Plan<'_>],
        spared: &[u32],
        runs: &[Run],
        buffers: &mut [&mut [u8]],
    ) -> (u64, Result<()>) {
        let (mut has_space, mut installed, mut failed) = (false, 0, None);
        let read = self.read(plans, runs, buffers, &mut |place, bytes| {
            if !std::mem::replace(&mut has_space, true) {
                self.make_space(frames, spared);
            }
            let run = &runs[place];
            match self.install(&plans[run.plan], run.first, bytes) {
                Ok(pages) => installed += pages,
                Err(error) => failed = failed.take().or(Some(error)),
            }
        });
        (installed, failed.map_or(read, Err))
    }

    fn read(
        &self,
        plans: &[Plan<'_>],
        runs: &[Run],
        buffers: &mut [&mut [u8]],
        filled: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<()> {
        let mut batch = Vec::with_capacity(runs.len());
        let mut rest = runs;
        for (index, buffer) in buffers.iter_mut().enumerate() {
            let mut free: &mut [u8] = buffer;
            while let Some((run, behind)) = rest.split_first().filter(|(run, _)| run.buffer == index) {
                let (buf, left) = free.split_at_mut(run.count * PAGE_BYTES);
                let blob = u64::from(plans[run.plan].frame.id);
                let offset_bytes = blob * BLOB_BYTES as u64 + (run.first * PAGE_BYTES) as u64;
                batch.push(ReadOp { area: Area::Data, offset_bytes, buf });
                (free, rest) = (left, behind);
            }
        }
        self.counts.reads.add(batch.len() as u64);
        self.counts.pages_read.add(runs.iter().map(|run| run.count as u64).sum());
        Ok(self.backend.read_each(&mut batch, filled)?)
    }

    /// Verifies the pages from `first` on and copies them to the frame; says how many.
    fn install(&self, plan: &Plan<'_>, first: usize, bytes: &[u8]) -> Result<u64> {
        let pages = (first..).zip(bytes.chunks_exact(PAGE_BYTES));
        let useful = plan.pages & self.useful(plan, first, bytes);
        let wanted: Vec<(usize, &[u8])> = pages.filter(|(page, _)| useful & (1 << page) != 0).collect();
        let hash = |&(page, bytes): &(usize, &[u8])| match page {
            _ if !self.verifies => 0,
            0 => checksum::of_first_page(bytes),
            _ if checksum::is_zeros(bytes) => checksum::OF_ZEROS,
            _ => checksum::of_page(bytes),
        };
        let hashes: Vec<u64> = wanted.iter().map(hash).collect();
        let held = plan.frame.hold();
        let unchanged = held.version() == plan.version;
        let (mut arrived, mut zeros) = (0, 0);
        for ((page, bytes), hash) in wanted.into_iter().zip(hashes) {
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
                None if checksum::is_zeros(bytes) => {
                    held.install_zeros(page);
                    zeros |= 1 << page;
                }
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
                let others = zero_pages(&held);
                (arrived, zeros) = (arrived | others, zeros | others);
            }
        }
        if arrived != 0 {
            held.arrive(arrived, zeros);
            held.frame.touch(arrived);
        }
        Ok(u64::from((arrived & !zeros).count_ones()))
    }

    /// Of the pages that were read at first of a blob of which nothing was known, those that its header
    /// knows to be of use. It is not verified yet: if it is damaged, none of them comes in.
    fn useful(&self, plan: &Plan<'_>, first: usize, bytes: &[u8]) -> Pages {
        let is_guess = first == 0 && !self.is_remote && plan.pages == self.first_pages(plan.frame);
        if !is_guess || kind_of(bytes) != Some(BlobKind::Range) {
            return Pages::MAX;
        }
        let inner = inner_pages_to(word(bytes, usize::from(header::REGIONS_AT)) as u32);
        // Where there are few inner nodes leaves are large, and whoever reads one wants the pages behind it.
        let is_blind = plan.pages == run(0, FIRST_PAGES);
        if is_blind && inner.count_ones() as usize * 2 < FIRST_PAGES { Pages::MAX } else { inner }
    }

    /// What is wrong with the first page of a blob, if anything is.
    fn damage_of_header(&self, held: &Held<'_>, bytes: &[u8], hash: u64) -> Option<&'static str> {
        let id = held.frame.id;
        let kind = kind_of(bytes);
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

fn kind_of(first_page: &[u8]) -> Option<BlobKind> {
    BlobKind::from_byte((word(first_page, 1) >> 32) as u8)
}

/// The pages that are not there and would be zero if they were: their checksums say so. What is not there of
/// a frame reads as zeros anyway, so that nothing has to be done for them. A router has many.
fn zero_pages(held: &Held<'_>) -> Pages {
    let is_zero = |page: &usize| header::stored_checksum(held.words(), *page) == checksum::OF_ZEROS;
    let pages = (1..BLOB_PAGES).filter(is_zero).fold(0, |pages, page| pages | 1 << page);
    pages & !held.frame.present()
}
