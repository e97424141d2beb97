//! What a medium holds at one moment: three areas and the ring.
//!
//! Invariants:
//! * a page of zeros is not in a map, so equal storage has equal maps;
//! * no page lies beyond the length of its area.
//!
//! Must not know: which of it would survive a loss of power.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::page::Page;
use crate::backend::{Area, PAGE_BYTES, RING_TOTAL_BYTES};

const PAGE: u64 = PAGE_BYTES as u64;

/// The pages of a run that are not zeros, by number.
pub(super) type Pages = BTreeMap<u64, Page>;

/// What a medium holds at one moment. A clone shares its pages.
///
/// ```
/// use spinney::backend::{Area, sim::Storage};
///
/// let mut storage = Storage::default();
/// storage.set_area(Area::Data, &[7; 8192]);
/// let other = storage.clone();
/// storage.flip(Area::Data, 4096, 0);
/// assert_eq!(storage.page(Area::Data, 1)[0], 6);
/// assert!(storage != other && storage.hash() != other.hash());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    pub(super) areas: [Run; Area::ALL.len()],
    /// None where there is no ring.
    pub(super) ring: Option<Pages>,
}

/// One area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) len_bytes: u64,
    pub(super) pages: Pages,
}

impl Run {
    pub(super) fn page(&self, number: u64) -> Page {
        self.pages.get(&number).cloned().unwrap_or_default()
    }

    pub(super) fn set(&mut self, number: u64, page: Page) {
        set(&mut self.pages, number, page);
    }

    pub(super) fn set_len(&mut self, bytes: u64) {
        self.len_bytes = bytes;
        drop(self.pages.split_off(&bytes.div_ceil(PAGE)));
    }
}

pub(super) fn set(pages: &mut Pages, number: u64, page: Page) {
    if page.is_zero() {
        pages.remove(&number);
    } else {
        pages.insert(number, page);
    }
}

impl Storage {
    /// How long an area is.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Log, &[7; 8192]);
    /// assert_eq!((storage.len_bytes(Area::Log), storage.len_bytes(Area::Data)), (8192, 0));
    /// ```
    pub fn len_bytes(&self, area: Area) -> u64 {
        self.areas[area as usize].len_bytes
    }

    /// The bytes of a page of an area; of the ring without an area.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[7; 8192]);
    /// assert_eq!(storage.page(Area::Data, 1), [7; 4096]);
    /// ```
    pub fn page(&self, area: impl Into<Option<Area>>, number: u64) -> Vec<u8> {
        let page = match area.into() {
            Some(area) => self.areas[area as usize].page(number),
            None => self.ring.as_ref().and_then(|pages| pages.get(&number).cloned()).unwrap_or_default(),
        };
        page.bytes().to_vec()
    }

    /// Replaces a page of an area; of the ring without an area. Nothing happens beyond its end.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[7; 8192]);
    /// storage.set_page(Area::Data, 1, &[8; 4096]);
    /// assert_eq!(storage.area(Area::Data)[4095..4097], [7, 8]);
    /// ```
    ///
    /// # Panics
    ///
    /// Unless `bytes` are [`PAGE_BYTES`].
    pub fn set_page(&mut self, area: impl Into<Option<Area>>, number: u64, bytes: &[u8]) {
        let page = Page::new(bytes);
        match area.into() {
            Some(area) if number < self.len_bytes(area) / PAGE => self.areas[area as usize].set(number, page),
            None if number < RING_TOTAL_BYTES as u64 / PAGE => {
                self.ring.iter_mut().for_each(|pages| set(pages, number, page.clone()));
            }
            _ => {}
        }
    }

    /// Flips one bit of an area.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[7; 8192]);
    /// storage.flip(Area::Data, 4097, 3);
    /// assert_eq!(storage.area(Area::Data)[4096..4099], [7, 15, 7]);
    /// ```
    pub fn flip(&mut self, area: Area, at_byte: u64, bit: u32) {
        let mut bytes = self.page(area, at_byte / PAGE);
        bytes[(at_byte % PAGE) as usize] ^= 1 << bit;
        self.set_page(area, at_byte / PAGE, &bytes);
    }

    /// The bytes of an area.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[7; 4096]);
    /// assert_eq!(storage.area(Area::Data), [7; 4096]);
    /// ```
    pub fn area(&self, area: Area) -> Vec<u8> {
        let run = &self.areas[area as usize];
        to_bytes(&run.pages, run.len_bytes)
    }

    /// Replaces an area. What is left over of the last page is zeros.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, b"bytes");
    /// assert_eq!(storage.len_bytes(Area::Data), 4096);
    /// assert!(storage.page(Area::Data, 0).starts_with(b"bytes\0\0"));
    /// ```
    pub fn set_area(&mut self, area: Area, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
        self.areas[area as usize] = Run { len_bytes: bytes.len() as u64, pages: of_bytes(&bytes) };
    }

    /// The bytes of the ring, its header first, if there is one.
    ///
    /// ```
    /// use spinney::backend::{RING_TOTAL_BYTES, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// assert_eq!(storage.ring(), None);
    /// storage.set_ring(Some(&vec![0; RING_TOTAL_BYTES]));
    /// assert_eq!(storage.ring().map(|bytes| bytes.len()), Some(RING_TOTAL_BYTES));
    /// ```
    pub fn ring(&self) -> Option<Vec<u8>> {
        self.ring.as_ref().map(|pages| to_bytes(pages, RING_TOTAL_BYTES as u64))
    }

    /// Replaces or takes away the ring.
    ///
    /// ```
    /// use spinney::backend::{RING_TOTAL_BYTES, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_ring(Some(&vec![7; RING_TOTAL_BYTES]));
    /// assert!(storage.ring().is_some_and(|bytes| bytes[0] == 7));
    /// storage.set_ring(None);
    /// assert_eq!(storage, Storage::default());
    /// ```
    ///
    /// # Panics
    ///
    /// Unless there are [`RING_TOTAL_BYTES`] bytes, or none.
    pub fn set_ring(&mut self, bytes: Option<&[u8]>) {
        assert!(bytes.is_none_or(|bytes| bytes.len() == RING_TOTAL_BYTES), "a ring of another length");
        self.ring = bytes.map(of_bytes);
    }

    /// The numbers of all pages of an area that are not zeros; of the ring without an area.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[0; 8192]);
    /// storage.set_page(Area::Data, 1, &[7; 4096]);
    /// assert_eq!(storage.used_pages(Some(Area::Data)), [1]);
    /// assert!(storage.used_pages(None).is_empty(), "there is no ring");
    /// ```
    pub fn used_pages(&self, area: Option<Area>) -> Vec<u64> {
        let pages = match area {
            Some(area) => Some(&self.areas[area as usize].pages),
            None => self.ring.as_ref(),
        };
        pages.into_iter().flat_map(|pages| pages.keys().copied()).collect()
    }

    /// A number that is another one if anything is different.
    ///
    /// ```
    /// use spinney::backend::{Area, sim::Storage};
    ///
    /// let mut storage = Storage::default();
    /// storage.set_area(Area::Data, &[7; 4096]);
    /// let before = storage.hash();
    /// storage.flip(Area::Data, 0, 0);
    /// assert_ne!(storage.hash(), before);
    /// storage.flip(Area::Data, 0, 0);
    /// assert_eq!(storage.hash(), before);
    /// ```
    pub fn hash(&self) -> u64 {
        let mut words = Vec::new();
        for run in &self.areas {
            words.extend([run.len_bytes, run.pages.len() as u64]);
            words.extend(run.pages.iter().flat_map(|(&number, page)| [number, page.hash()]));
        }
        if let Some(ring) = &self.ring {
            words.push(u64::MAX);
            words.extend(ring.iter().flat_map(|(&number, page)| [number, page.hash()]));
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        xxh3_64(&bytes)
    }
}

fn to_bytes(pages: &Pages, len_bytes: u64) -> Vec<u8> {
    let mut bytes = vec![0; len_bytes as usize];
    for (&number, page) in pages {
        let at = (number * PAGE) as usize;
        bytes[at..at + PAGE_BYTES].copy_from_slice(page.bytes());
    }
    bytes
}

fn of_bytes(bytes: &[u8]) -> Pages {
    let pages = (0..).zip(bytes.chunks_exact(PAGE_BYTES).map(Page::new));
    pages.filter(|(_, page)| !page.is_zero()).collect()
}
