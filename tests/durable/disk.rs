//! A disk in memory that remembers every change made to it, so that what storage held at any moment can be
//! built again: after the death of the process, and after a loss of power.
//!
//! The ring stands for a mapped file: it outlives the process, but no order holds between its pages and the
//! rest when the power goes.

#![forbid(unsafe_code)]
// Every test file compiles this anew and uses a part of it.
#![allow(dead_code)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::{fs, io};

use spinney::backend::{
    Area, Backend, BlobBufPool, PAGE_BYTES, RING_TOTAL_BYTES, ReadOp, RingMemory, WriteOp, check_len,
};

/// What the disk and the tests have seen, in order.
#[derive(Clone, Debug)]
pub enum Event {
    Write {
        area: Area,
        offset_bytes: usize,
        bytes: Vec<u8>,
    },
    SetLen {
        area: Area,
        bytes: usize,
    },
    Sync(Area),
    FreshRing,
    /// Pages of the ring that have changed since the event before.
    Ring(Vec<(usize, Vec<u8>)>),
    RemoveSideFiles,
    SyncDirectory,
    /// This many writes have begun.
    Begun(usize),
    /// A thread has begun so many writes, and so many were acknowledged.
    Wrote {
        thread: usize,
        begun: usize,
        acknowledged: usize,
    },
    /// This many writes survive the death of the process, and this many a loss of power.
    Acknowledged {
        kept: usize,
        durable: usize,
    },
}

/// What storage holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub areas: [Vec<u8>; 3],
    pub ring: Option<Vec<u8>>,
}

impl Image {
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { area, offset_bytes, bytes } => {
                self.areas[*area as usize][*offset_bytes..offset_bytes + bytes.len()].copy_from_slice(bytes);
            }
            Event::SetLen { area, bytes } => self.areas[*area as usize].resize(*bytes, 0),
            Event::FreshRing => self.ring = Some(vec![0; RING_TOTAL_BYTES]),
            Event::Ring(pages) => {
                let ring = self.ring.get_or_insert_with(|| vec![0; RING_TOTAL_BYTES]);
                for (page, bytes) in pages {
                    ring[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].copy_from_slice(bytes);
                }
            }
            Event::RemoveSideFiles => {
                self.areas[Area::Log as usize].clear();
                self.areas[Area::Journal as usize].clear();
                self.ring = None;
            }
            Event::Sync(_)
            | Event::SyncDirectory
            | Event::Begun(_)
            | Event::Acknowledged { .. }
            | Event::Wrote { .. } => {}
        }
    }

    pub fn area(&mut self, area: Area) -> &mut Vec<u8> {
        &mut self.areas[area as usize]
    }

    /// A page of an area, for damaging it.
    pub fn page(&mut self, area: Area, page: usize) -> &mut [u8] {
        &mut self.areas[area as usize][page * PAGE_BYTES..(page + 1) * PAGE_BYTES]
    }
}

/// Writes an image to files when the test that it was made for fails: what happened there can be looked at,
/// and the files opened again.
pub struct Kept<'a> {
    pub image: &'a Image,
    pub label: &'a str,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let name: String =
            self.label.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failed-{name}"));
        let _ = fs::create_dir_all(&folder);
        let [data, log, journal] = &self.image.areas;
        for (suffix, bytes) in [("", data), ("-log", log), ("-journal", journal)] {
            let _ = fs::write(folder.join(format!("a.spinney{suffix}")), bytes);
        }
        if let Some(ring) = &self.image.ring {
            let _ = fs::write(folder.join("a.spinney-ring"), ring);
        }
        eprintln!("what storage held is in {}", folder.display());
    }
}

/// The ring of a [`Disk`].
#[derive(Debug)]
struct Words(Box<[AtomicU64]>);

impl Words {
    fn of(bytes: &[u8]) -> Words {
        let word = |bytes: &[u8]| AtomicU64::new(u64::from_ne_bytes(*bytes.first_chunk().unwrap()));
        Words(bytes.chunks_exact(8).map(word).collect())
    }
}

impl RingMemory for Words {
    fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    fn outlives_process(&self) -> bool {
        true
    }
}

struct State {
    image: Image,
    ring: Option<Arc<Words>>,
    events: Vec<Event>,
}

/// See the head of this file.
pub struct Disk {
    state: Mutex<State>,
    buffers: BlobBufPool,
    /// Nothing can be read or written any more, as if the process were gone.
    dead: AtomicBool,
    /// Writes are remembered one by one.
    records: AtomicBool,
    /// It dies after so many more changes.
    changes_left: AtomicU64,
}

impl Disk {
    pub fn new(image: Image) -> Arc<Disk> {
        Disk::made(image, true)
    }

    /// A disk without memory of what was.
    pub fn forgetful(image: Image) -> Arc<Disk> {
        Disk::made(image, false)
    }

    fn made(image: Image, records: bool) -> Arc<Disk> {
        let ring = image.ring.as_deref().map(|bytes| Arc::new(Words::of(bytes)));
        let state = Mutex::new(State { image, ring, events: Vec::new() });
        let (dead, records) = (AtomicBool::new(false), AtomicBool::new(records));
        Arc::new(Disk {
            state,
            buffers: BlobBufPool::new(16),
            dead,
            records,
            changes_left: AtomicU64::new(u64::MAX),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if self.dead.load(Ordering::Relaxed) {
            Err(io::Error::other("the process is gone"))
        } else {
            Ok(state)
        }
    }

    fn records(&self) -> bool {
        self.records.load(Ordering::Relaxed)
    }

    /// From now on it has a memory. What it holds at this moment.
    pub fn begin_recording(&self) -> Image {
        let mut state = self.state();
        state.notice_ring();
        state.events.clear();
        self.records.store(true, Ordering::Relaxed);
        state.image.clone()
    }

    /// And from now on none any more. What has happened since it began.
    pub fn end_recording(&self) -> Vec<Event> {
        let mut state = self.state();
        state.notice_ring();
        self.records.store(false, Ordering::Relaxed);
        std::mem::take(&mut state.events)
    }

    /// It will die in the middle of things: so many changes from now.
    pub fn die_after(&self, changes: u64) {
        self.changes_left.store(changes, Ordering::Relaxed);
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn note(&self, event: Event) {
        let mut state = self.state();
        if self.records() && !self.dead.load(Ordering::Relaxed) {
            state.notice_ring();
            state.events.push(event);
        }
    }

    /// From now on everything fails, and nothing changes.
    pub fn die(&self) {
        let mut state = self.state();
        self.dead.store(true, Ordering::Relaxed);
        if self.records() {
            state.notice_ring();
        }
    }

    /// What storage holds now.
    pub fn image(&self) -> Image {
        let mut state = self.state();
        state.notice_ring();
        state.image.clone()
    }

    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().events)
    }

    fn change(&self, event: Event) -> io::Result<()> {
        let mut state = self.alive()?;
        // Under the mutex, so no two of them are the last.
        let left = self.changes_left.load(Ordering::Relaxed);
        if left == 0 {
            self.dead.store(true, Ordering::Relaxed);
            return Err(io::Error::other("the process has just died"));
        }
        if left < u64::MAX {
            self.changes_left.store(left - 1, Ordering::Relaxed);
        }
        if self.records() {
            state.notice_ring();
        }
        state.image.apply(&event);
        if self.records() {
            state.events.push(event);
        }
        Ok(())
    }
}

impl State {
    /// Brings the image of the ring up to date.
    fn notice_ring(&mut self) {
        let (Some(words), Some(known)) = (&self.ring, &mut self.image.ring) else {
            return;
        };
        let mut changed = Vec::new();
        let pages = words.0.chunks_exact(PAGE_BYTES / 8).zip(known.chunks_exact_mut(PAGE_BYTES));
        for (page, (words, known)) in pages.enumerate() {
            let mut differs = false;
            for (word, known) in words.iter().zip(known.as_chunks_mut::<8>().0) {
                let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
                differs |= *known != bytes;
                *known = bytes;
            }
            if differs {
                changed.push((page, known.to_vec()));
            }
        }
        if !changed.is_empty() {
            self.events.push(Event::Ring(changed));
        }
    }
}

impl Backend for Disk {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(self.state().image.areas[area as usize].len() as u64)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        check_len(area, bytes)?;
        self.change(Event::SetLen { area, bytes: bytes as usize })
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        let state = self.alive()?;
        for op in batch {
            let area = &state.image.areas[op.area as usize];
            op.check(area.len() as u64)?;
            let from = op.offset_bytes as usize;
            op.buf.copy_from_slice(&area[from..from + op.buf.len()]);
        }
        Ok(())
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        for op in batch {
            op.check(self.len(op.area)?)?;
            let offset_bytes = op.offset_bytes as usize;
            self.change(Event::Write { area: op.area, offset_bytes, bytes: op.buf.to_vec() })?;
        }
        Ok(())
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        self.change(Event::Sync(area))
    }

    fn write_zeros(&self, area: Area, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
        let bytes = vec![0; len_bytes as usize];
        self.change(Event::Write { area, offset_bytes: offset_bytes as usize, bytes })
    }

    fn remove_side_files(&self) -> io::Result<()> {
        self.change(Event::RemoveSideFiles)?;
        self.state().ring = None;
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.change(Event::SyncDirectory)
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        if fresh {
            self.change(Event::FreshRing)?;
            self.state().ring = Some(Arc::new(Words::of(&vec![0; RING_TOTAL_BYTES])));
        }
        let ring = self.alive()?.ring.clone();
        ring.map(|ring| ring as Arc<dyn RingMemory>).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}
