//! A disk with a volatile cache: what everybody reads, what is stable, and all that lies between.
//!
//! Invariants:
//! * what was not synced is kept in every version since, because a loss of power may keep any of them, for
//!   each page or sector apart: that is every subset of the unsynced writes, in every order;
//! * a page of the ring is never stable: it is there as it was at any moment;
//! * after a failed sync nothing that was to be synced ever becomes stable by syncing again, only by being
//!   written again: that is how operating systems do it.
//!
//! Must not know: what fails, and when.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::choices::{Choices, Dim};
use super::page::{Page, SECTORS};
use super::storage::{Pages, Run, Storage};
use super::{Crash, Grain};
use crate::backend::{Area, PAGE_BYTES};

const PAGE: u64 = PAGE_BYTES as u64;
const SIDE_AREAS: [Area; 2] = [Area::Log, Area::Journal];
/// Behind the side areas.
const RING: usize = SIDE_AREAS.len();
/// So many versions of a page are remembered; of more, every other one is forgotten.
const VERSIONS_MAX: usize = 64;

/// A page that is not as it is on the medium.
#[derive(Clone, Debug, Default)]
struct Loose {
    /// Oldest first, without the stable one.
    versions: Vec<Page>,
    /// A sync has failed: another one will not help.
    is_doomed: bool,
}

/// A file that was deleted, and may come back as long as the directory was not synced.
#[derive(Clone, Debug)]
enum Ghost {
    Area { stable: Run, last: Run },
    Ring(Pages),
}

/// A simulated disk at one moment. A clone is cheap, and goes its own way.
///
/// ```
/// use spinney::backend::Backend;
/// use spinney::backend::sim::{Crash, FaultBackend, Grain};
///
/// # fn main() -> spinney::Result<()> {
/// let backend = FaultBackend::new(1);
/// let db = spinney::Db::builder().open_backend(backend.clone())?;
/// db.tree("files")?.put("a", "b")?;
/// let disk = backend.disk();
/// // All that was acknowledged is on stable storage, in whichever of these ways the power fails.
/// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Sector));
/// for seed in 0..10 {
///     let after = FaultBackend::with_disk(2, disk.left(&choices.at_random(seed), Crash::Death));
///     let db = spinney::Db::builder().open_backend(after)?;
///     assert!(db.tree("files")?.contains("a")?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Disk {
    now: Storage,
    stable: [Run; Area::ALL.len()],
    loose: [BTreeMap<u64, Loose>; Area::ALL.len()],
    /// What stable pages held before.
    earlier: BTreeMap<(usize, u64), Page>,
    /// The lengths that were set and not synced, oldest first.
    lens: [Vec<u64>; Area::ALL.len()],
    /// Earlier versions of the ring's pages, oldest first.
    ring: BTreeMap<u64, Vec<Page>>,
    /// Whether log, journal and ring, in this order, have a name that may still be lost.
    unnamed: [bool; RING + 1],
    ghosts: [Option<Box<Ghost>>; RING + 1],
}

impl Disk {
    /// A disk on which all of this is stable.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::{Crash, Disk, Grain, Storage}};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[7; 4096]);
    /// let disk = Disk::new(storage.clone());
    /// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Sector));
    /// assert!(choices.ways() == 1 && choices.pick(&[]) == storage);
    /// ```
    pub fn new(storage: Storage) -> Disk {
        Disk { stable: storage.areas.clone(), now: storage, ..Disk::default() }
    }

    /// What a reader sees.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::FaultBackend};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// assert_eq!(backend.disk().storage().len_bytes(Area::Data), 4096);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn storage(&self) -> &Storage {
        &self.now
    }

    pub(super) fn write_page(&mut self, area: Area, number: u64, page: Page) {
        let run = &mut self.now.areas[area as usize];
        let before = run.page(number);
        if before != page {
            run.set(number, page.clone());
            let loose = self.loose[area as usize].entry(number).or_default();
            loose.is_doomed = false;
            push(&mut loose.versions, page);
        } else if let Some(loose) = self.loose[area as usize].get_mut(&number) {
            loose.is_doomed = false;
        }
    }

    /// What a page held before it was written last, as far as that is known.
    pub(super) fn before_last_write(&self, area: Area, number: u64) -> Page {
        let versions = self.loose[area as usize].get(&number).map_or(&[][..], |loose| &loose.versions);
        match versions {
            [.., before, _] => before.clone(),
            [_] => self.stable[area as usize].page(number),
            [] => self.earlier.get(&(area as usize, number)).cloned().unwrap_or_default(),
        }
    }

    /// Brings a page to the medium, past everything else.
    pub(super) fn write_through(&mut self, area: Area, number: u64) {
        let at = area as usize;
        self.loose[at].remove(&number);
        let page = self.now.areas[at].page(number);
        if self.stable[at].len_bytes < (number + 1) * PAGE {
            // It cannot be found without the length.
            self.stable[at].len_bytes = self.now.areas[at].len_bytes;
            self.lens[at].clear();
        }
        self.earlier.insert((at, number), self.stable[at].page(number));
        self.stable[at].set(number, page);
    }

    pub(super) fn set_len(&mut self, area: Area, bytes: u64) {
        let at = area as usize;
        if let Some(side) = SIDE_AREAS.iter().position(|side| *side == area) {
            let is_new = self.stable[at].len_bytes == 0 && self.lens[at].is_empty();
            self.unnamed[side] |= is_new && bytes > 0;
            self.ghosts[side] = None;
        }
        let cut: Vec<u64> = self.now.areas[at].pages.range(bytes.div_ceil(PAGE)..).map(|(&n, _)| n).collect();
        for number in cut {
            self.write_page(area, number, Page::default());
        }
        self.now.areas[at].set_len(bytes);
        self.lens[at].push(bytes);
    }

    pub(super) fn sync(&mut self, area: Area) {
        let at = area as usize;
        self.lens[at].clear();
        self.stable[at].set_len(self.now.areas[at].len_bytes);
        let now = &self.now.areas[at];
        let (stable, earlier) = (&mut self.stable[at], &mut self.earlier);
        self.loose[at].retain(|&number, loose| {
            if !loose.is_doomed {
                earlier.insert((at, number), stable.page(number));
                stable.set(number, now.page(number));
            }
            loose.is_doomed
        });
    }

    pub(super) fn fail_sync(&mut self, area: Area) {
        self.loose[area as usize].values_mut().for_each(|loose| loose.is_doomed = true);
    }

    pub(super) fn make_ring(&mut self) {
        self.now.ring = Some(Pages::new());
        self.ring = BTreeMap::new();
        self.unnamed[RING] = true;
        self.ghosts[RING] = None;
    }

    pub(super) fn write_ring(&mut self, number: u64, page: Page) {
        let Some(ring) = &mut self.now.ring else { return };
        let before = ring.get(&number).cloned().unwrap_or_default();
        push(self.ring.entry(number).or_default(), before);
        super::storage::set(ring, number, page);
    }

    /// Deletes the nth of log, journal and ring.
    pub(super) fn remove_side_file(&mut self, nth: usize) {
        let ghost = match SIDE_AREAS.get(nth) {
            Some(&area) => {
                let at = area as usize;
                (self.loose[at], self.lens[at]) = Default::default();
                let (stable, last) =
                    (std::mem::take(&mut self.stable[at]), std::mem::take(&mut self.now.areas[at]));
                (last.len_bytes > 0).then_some(Ghost::Area { stable, last })
            }
            None => {
                self.ring = BTreeMap::new();
                self.now.ring.take().map(Ghost::Ring)
            }
        };
        self.ghosts[nth] = ghost.map(Box::new);
        self.unnamed[nth] = false;
    }

    pub(super) fn sync_directory(&mut self) {
        self.unnamed = Default::default();
        self.ghosts = Default::default();
    }

    /// In which ways things may end: this disk is what was there before the call that was under way, and
    /// `after` what would be there behind it. Where none was under way, but the ring has changed, the end
    /// came between two words of that; where nothing has changed, there is one way for a process to die.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let disk = backend.disk();
    /// assert_eq!(disk.ends(&disk, Crash::Death).ways(), 1);
    /// assert_eq!(disk.ends(&disk, Crash::PowerLoss(Grain::Page)).ways(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ends(&self, after: &Disk, crash: Crash) -> Choices {
        match crash {
            Crash::Death => self.deaths(after),
            Crash::PowerLoss(grain) => after.power_losses(grain),
        }
    }

    /// The disk after a crash, of which one end was chosen. After the death of a process what was not synced
    /// may still be lost with the power.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let (disk, crash) = (backend.disk(), Crash::PowerLoss(Grain::Page));
    /// let left = disk.left(&disk.ends(&disk, crash).pick(&[0]), crash);
    /// assert_eq!(left.storage().len_bytes(Area::Data), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn left(&self, storage: &Storage, crash: Crash) -> Disk {
        if let Crash::PowerLoss(_) = crash {
            return Disk::new(storage.clone());
        }
        let mut left = self.clone();
        for area in Area::ALL {
            let (now, then) = (&self.now.areas[area as usize], &storage.areas[area as usize]);
            if now.len_bytes != then.len_bytes {
                left.set_len(area, then.len_bytes);
            }
            for number in numbers(&now.pages, &then.pages) {
                left.write_page(area, number, then.page(number));
            }
        }
        match &storage.ring {
            Some(ring) if left.now.ring.is_some() => {
                let before = left.now.ring.clone().unwrap_or_default();
                for number in numbers(&before, ring) {
                    left.write_ring(number, ring.get(&number).cloned().unwrap_or_default());
                }
            }
            ring => left.now.ring.clone_from(ring),
        }
        left
    }

    /// Everything that has returned, and of the call under way each sector or none.
    fn deaths(&self, after: &Disk) -> Choices {
        let mut base = self.now.clone();
        // Whoever wrote there is gone, and the words are where he put them.
        base.ring.clone_from(&after.now.ring);
        let mut choices = Choices::new(base);
        for area in Area::ALL {
            let (now, then) = (&self.now.areas[area as usize], &after.now.areas[area as usize]);
            if now.len_bytes != then.len_bytes {
                // What is cut off goes with it.
                choices.add(Dim::Len { area, versions: vec![now.len_bytes, then.len_bytes] });
                continue;
            }
            for number in numbers(&now.pages, &then.pages) {
                let versions = [now.page(number), then.page(number)];
                choices.add_page(area, number, &versions, Grain::Sector);
            }
        }
        if let (Some(now), Some(then), true) = (&self.now.ring, &after.now.ring, choices.counts().is_empty())
        {
            // No call was under way, so it was a writer.
            let versions = super::ring::between(now, then);
            if versions.len() > 1 {
                choices.add(Dim::Words { versions });
            }
        }
        choices
    }

    fn power_losses(&self, grain: Grain) -> Choices {
        let ring = self.now.ring.as_ref().map(|ring| self.oldest(ring));
        let mut choices = Choices::new(Storage { areas: self.stable.clone(), ring });
        for area in Area::ALL {
            let at = area as usize;
            let mut versions = vec![self.stable[at].len_bytes];
            versions.extend(&self.lens[at]);
            distinct(&mut versions);
            if versions.len() > 1 {
                choices.add(Dim::Len { area, versions });
            }
            for (&number, loose) in &self.loose[at] {
                let mut versions = vec![self.stable[at].page(number)];
                versions.extend(loose.versions.iter().cloned());
                choices.add_page(area, number, &versions, grain);
            }
        }
        if let Some(now) = &self.now.ring {
            for (&number, earlier) in &self.ring {
                let mut versions = earlier.clone();
                versions.push(now.get(&number).cloned().unwrap_or_default());
                distinct(&mut versions);
                if versions.len() > 1 {
                    choices.add(Dim::Ring { number, versions });
                }
            }
        }
        for (nth, ghost) in self.ghosts.iter().enumerate() {
            let area = SIDE_AREAS.get(nth).copied();
            if self.unnamed[nth] {
                choices.add(Dim::Name { area });
            }
            match (ghost.as_deref(), area) {
                (Some(Ghost::Area { stable, last }), Some(area)) => {
                    let files = vec![Run::default(), stable.clone(), last.clone()];
                    choices.add(Dim::File { area, files });
                }
                (Some(Ghost::Ring(pages)), _) => choices.add(Dim::Ghost { pages: pages.clone() }),
                _ => {}
            }
        }
        choices
    }

    fn oldest(&self, ring: &Pages) -> Pages {
        let mut oldest = ring.clone();
        for (&number, earlier) in &self.ring {
            super::storage::set(&mut oldest, number, earlier[0].clone());
        }
        oldest
    }
}

/// The numbers of the pages that two maps do not have in common.
fn numbers(one: &Pages, other: &Pages) -> Vec<u64> {
    let mut all: Vec<u64> = one.keys().chain(other.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|number| one.get(number) != other.get(number));
    all
}

fn push(versions: &mut Vec<Page>, page: Page) {
    if versions.last() != Some(&page) {
        versions.push(page);
    }
    if versions.len() > VERSIONS_MAX {
        let mut nth = 0;
        // The oldest stays, and the newest.
        versions.retain(|_| {
            nth += 1;
            nth % 2 == 1
        });
    }
}

pub(super) fn distinct<T: PartialEq>(versions: &mut Vec<T>) {
    let mut kept: Vec<T> = Vec::with_capacity(versions.len());
    for version in versions.drain(..) {
        if !kept.contains(&version) {
            kept.push(version);
        }
    }
    *versions = kept;
}

const _: () = assert!(SECTORS == 8 && VERSIONS_MAX.is_multiple_of(2));
