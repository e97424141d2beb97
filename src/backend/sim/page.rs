//! One page of a simulated disk: shared between all the moments at which it was the same.
//!
//! Must not know: where it lies.

#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::xxh3_64;

use super::SECTOR_BYTES;
use crate::backend::PAGE_BYTES;

/// Sectors of a page.
pub(super) const SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;

const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// The bytes of a page. None stands for a page of zeros, of which there are many.
#[derive(Clone, Debug, Default)]
pub(super) struct Page(Option<Arc<Sheet>>);

#[derive(Debug)]
struct Sheet {
    /// Of most pages nobody ever asks for it.
    hash: OnceLock<u64>,
    bytes: [u8; PAGE_BYTES],
}

impl Page {
    pub(super) fn new(bytes: &[u8]) -> Page {
        if bytes == ZEROS {
            return Page(None);
        }
        let mut sheet = Sheet { hash: OnceLock::new(), bytes: ZEROS };
        sheet.bytes.copy_from_slice(bytes);
        Page(Some(Arc::new(sheet)))
    }

    pub(super) fn bytes(&self) -> &[u8; PAGE_BYTES] {
        self.0.as_ref().map_or(&ZEROS, |sheet| &sheet.bytes)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn hash(&self) -> u64 {
        self.0.as_ref().map_or(0, |sheet| *sheet.hash.get_or_init(|| xxh3_64(&sheet.bytes)))
    }

    pub(super) fn sector(&self, sector: usize) -> &[u8] {
        &self.bytes()[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES]
    }

    /// The same with one sector as in another.
    pub(super) fn with_sector(&self, sector: usize, from: &Page) -> Page {
        let mut bytes = *self.bytes();
        bytes[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES].copy_from_slice(from.sector(sector));
        Page::new(&bytes)
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Page) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.bytes == other.bytes,
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Page {}
