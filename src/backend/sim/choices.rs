//! All that a crash may leave, as numbers: for each thing that is uncertain, which of its versions is there.
//!
//! Invariants:
//! * the first version of everything is the oldest, the last one the newest;
//! * the same numbers give the same storage.
//!
//! Must not know: how it came to be uncertain.

#![forbid(unsafe_code)]

use super::Grain;
use super::disk::distinct;
use super::page::{Page, SECTORS};
use super::random::Random;
use super::storage::{Pages, Run, Storage, set};
use crate::backend::Area;

/// Something of which there are several versions.
#[derive(Clone, Debug)]
pub(super) enum Dim {
    Len {
        area: Area,
        versions: Vec<u64>,
    },
    Page {
        area: Area,
        number: u64,
        versions: Vec<Page>,
    },
    Sector {
        area: Area,
        number: u64,
        sector: usize,
        versions: Vec<Page>,
    },
    Ring {
        number: u64,
        versions: Vec<Page>,
    },
    /// All of the ring, between two words of a record.
    Words {
        versions: Vec<Pages>,
    },
    /// A file that may not be there; of the ring without an area.
    Name {
        area: Option<Area>,
    },
    /// A file that was deleted, and may be there again.
    File {
        area: Area,
        files: Vec<Run>,
    },
    Ghost {
        pages: Pages,
    },
}

impl Dim {
    fn count(&self) -> usize {
        match self {
            Dim::Len { versions, .. } => versions.len(),
            Dim::Page { versions, .. } | Dim::Sector { versions, .. } | Dim::Ring { versions, .. } => {
                versions.len()
            }
            Dim::Words { versions } => versions.len(),
            Dim::Name { .. } | Dim::Ghost { .. } => 2,
            Dim::File { files, .. } => files.len(),
        }
    }
}

/// What a crash may leave: see [`Disk::ends`](super::Disk::ends).
///
/// ```
/// use spinney::backend::{Area, Backend, sim::{Choices, Crash, FaultBackend, Grain}};
///
/// let backend = FaultBackend::new(1);
/// backend.set_len(Area::Data, 4096)?; // and no sync
/// let disk = backend.disk();
/// let choices: Choices = disk.ends(&disk, Crash::PowerLoss(Grain::Page));
/// let left = [0, 1].map(|pick| choices.pick(&[pick]).len_bytes(Area::Data));
/// assert_eq!(left, [0, 4096]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Choices {
    base: Storage,
    dims: Vec<Dim>,
}

impl Choices {
    pub(super) fn new(base: Storage) -> Choices {
        Choices { base, dims: Vec::new() }
    }

    pub(super) fn add(&mut self, dim: Dim) {
        self.dims.push(dim);
    }

    pub(super) fn add_page(&mut self, area: Area, number: u64, versions: &[Page], grain: Grain) {
        match grain {
            Grain::Page => {
                let mut versions = versions.to_vec();
                distinct(&mut versions);
                if versions.len() > 1 {
                    self.add(Dim::Page { area, number, versions });
                }
            }
            Grain::Sector => {
                for sector in 0..SECTORS {
                    let mut kept: Vec<Page> = Vec::new();
                    for page in versions {
                        if kept.iter().all(|other| other.sector(sector) != page.sector(sector)) {
                            kept.push(page.clone());
                        }
                    }
                    if kept.len() > 1 {
                        self.add(Dim::Sector { area, number, sector, versions: kept });
                    }
                }
            }
        }
    }

    /// For each uncertain thing, how many versions of it there are.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let disk = backend.disk();
    /// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Page));
    /// assert_eq!(choices.counts(), [2], "the old length or the new one");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn counts(&self) -> Vec<usize> {
        self.dims.iter().map(Dim::count).collect()
    }

    /// How many ways there are in all, as far as a number can tell.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let ways = || backend.disk().ends(&backend.disk(), Crash::PowerLoss(Grain::Page)).ways();
    /// assert_eq!(ways(), 2);
    /// backend.sync(Area::Data)?;
    /// assert_eq!(ways(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ways(&self) -> u64 {
        self.dims.iter().fold(1, |ways, dim| ways.saturating_mul(dim.count() as u64))
    }

    /// What is left if of each uncertain thing this version is there; the newest where the number is too
    /// high or missing.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let disk = backend.disk();
    /// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Page));
    /// assert_eq!(choices.pick(&[0]).len_bytes(Area::Data), 0);
    /// assert_eq!(choices.pick(&[]), backend.storage());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pick(&self, picks: &[usize]) -> Storage {
        let mut left = self.base.clone();
        let chosen =
            |nth: usize, dim: &Dim| picks.get(nth).map_or(dim.count() - 1, |&pick| pick.min(dim.count() - 1));
        // Lengths first and names last: what lies beyond the end, or in no file, is not there.
        for (nth, dim) in self.dims.iter().enumerate() {
            if let Dim::Len { area, versions } = dim {
                left.areas[*area as usize].set_len(versions[chosen(nth, dim)]);
            }
        }
        for (nth, dim) in self.dims.iter().enumerate() {
            let pick = chosen(nth, dim);
            match dim {
                Dim::Len { .. } => {}
                Dim::Page { area, number, versions } => {
                    put(&mut left.areas[*area as usize], *number, versions[pick].clone());
                }
                Dim::Sector { area, number, sector, versions } => {
                    let run = &mut left.areas[*area as usize];
                    let page = run.page(*number).with_sector(*sector, &versions[pick]);
                    put(run, *number, page);
                }
                Dim::Ring { number, versions } => {
                    if let Some(ring) = &mut left.ring {
                        set(ring, *number, versions[pick].clone());
                    }
                }
                Dim::Words { versions } => left.ring = Some(versions[pick].clone()),
                Dim::Name { area: Some(area) } if pick == 0 => left.areas[*area as usize] = Run::default(),
                Dim::Name { area: None } if pick == 0 => left.ring = None,
                Dim::Name { .. } => {}
                Dim::File { area, files } => left.areas[*area as usize].clone_from(&files[pick]),
                Dim::Ghost { pages } => left.ring = (pick == 1).then(|| pages.clone()),
            }
        }
        left
    }

    /// Numbers for `pick`, which follow from the seed: often nearly all old or nearly all new.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let disk = backend.disk();
    /// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Page));
    /// let picks = choices.random_picks(9);
    /// assert!(picks.len() == 1 && picks[0] < 2);
    /// assert_eq!(picks, choices.random_picks(9));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn random_picks(&self, seed: u64) -> Vec<usize> {
        let mut random = Random::new(seed);
        // Of 8 are as new as can be.
        let share = [4, 0, 8, 1, 7][random.below(5)];
        let pick = |dim: &Dim| match dim.count() {
            count if random.below(8) < share => count - 1,
            count if random.below(2) == 0 => random.below(count),
            _ => 0,
        };
        self.dims.iter().map(pick).collect()
    }

    /// One of the ways, which follows from the seed.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let disk = backend.disk();
    /// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Page));
    /// let lens = (0..100).map(|seed| choices.at_random(seed).len_bytes(Area::Data));
    /// let lens: std::collections::BTreeSet<u64> = lens.collect();
    /// assert_eq!(Vec::from_iter(lens), [0, 4096]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn at_random(&self, seed: u64) -> Storage {
        self.pick(&self.random_picks(seed))
    }

    /// What is uncertain, one line for each.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Crash, FaultBackend, Grain}};
    ///
    /// let backend = FaultBackend::new(1);
    /// backend.set_len(Area::Data, 4096)?; // and no sync
    /// let disk = backend.disk();
    /// let choices = disk.ends(&disk, Crash::PowerLoss(Grain::Page));
    /// let lines = choices.describe(&[0]);
    /// assert_eq!(lines, ["the length of Data, [0, 4096]: version 0 of 0..=1"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn describe(&self, picks: &[usize]) -> Vec<String> {
        let line = |(nth, dim): (usize, &Dim)| {
            let what = match dim {
                Dim::Len { area, versions } => format!("the length of {area:?}, {versions:?}"),
                Dim::Page { area, number, .. } => format!("page {number} of {area:?}"),
                Dim::Sector { area, number, sector, .. } => {
                    format!("sector {sector} of page {number} of {area:?}")
                }
                Dim::Ring { number, .. } => format!("page {number} of the ring"),
                Dim::Words { .. } => "how much of the ring was written".into(),
                Dim::Name { area: Some(area) } => format!("whether {area:?} has a name"),
                Dim::Name { area: None } => "whether the ring has a name".into(),
                Dim::File { area, .. } => format!("whether {area:?} comes back"),
                Dim::Ghost { .. } => "whether the ring comes back".into(),
            };
            let last = dim.count() - 1;
            format!("{what}: version {} of 0..={last}", picks.get(nth).map_or(last, |&pick| pick.min(last)))
        };
        self.dims.iter().enumerate().map(line).collect()
    }
}

fn put(run: &mut Run, number: u64, page: Page) {
    if number < run.len_bytes.div_ceil(crate::backend::PAGE_BYTES as u64) {
        run.set(number, page);
    }
}
