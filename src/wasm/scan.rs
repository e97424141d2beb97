//! Scans and lists, a page at a time.

use super::handles::Keys;
use super::memory::Memory;
use super::page::{KeyForm, Page};
use super::refusal::Outcome;
use crate::art::cursor::Direction;
use crate::error::{Error, Result};
use crate::limits::TREE_ID_BYTES;
use crate::scan::Scan;
use crate::value::Version;

/// Entries of the first page; each has four times as many as the one before it. An iteration that is broken
/// off early has not read far ahead.
const ENTRIES_FIRST: usize = 32;
/// Entries of a page.
const ENTRIES_MAX: usize = 512;

// What is wanted, as bits of one number; `pkg-template/face/entries.js` has the same.
const REVERSE: u32 = 1;
const VALUES: u32 = 2;
const BYTES: u32 = 4;
const LIST: u32 = 8;
const START_AFTER: u32 = 16;

/// What is wanted of the keys with a prefix.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    bits: u32,
    /// How many entries at most.
    left: f64,
    /// What separates directories, in a list.
    delimiter: u8,
}

impl Wanted {
    pub(super) fn new(bits: u32, limit: f64, delimiter: u32) -> Self {
        Wanted { bits, left: limit, delimiter: delimiter as u8 }
    }

    pub(super) fn form(&self) -> KeyForm {
        if self.bits & BYTES == 0 { KeyForm::Text } else { KeyForm::Bytes }
    }

    pub(super) fn is_list(&self) -> bool {
        self.bits & LIST != 0
    }

    pub(super) fn with_values(&self) -> bool {
        self.bits & VALUES != 0
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(super) fn entries_max(&self) -> usize {
        // The cast saturates.
        ENTRIES_MAX.min(self.left as usize)
    }

    /// Where to go on, if that was said.
    pub(super) fn start_after<'m>(&self, memory: &'m Memory, after_bytes: u32) -> Outcome<Option<&'m [u8]>> {
        let is_set = self.bits & START_AFTER != 0;
        is_set.then(|| memory.second_key(after_bytes)).transpose()
    }

    fn direction(&self) -> Direction {
        if self.bits & REVERSE == 0 { Direction::Forward } else { Direction::Backward }
    }

    /// Whether a list that goes on behind this name passes over a whole directory.
    pub(super) fn is_directory(&self, name: &[u8], prefix: &[u8]) -> bool {
        self.is_list() && name.last() == Some(&self.delimiter) && name.len() > prefix.len()
    }
}

/// Where the entries of a cursor come from.
pub(super) struct Source {
    scan: Scan,
    wanted: Wanted,
    page_entries: usize,
    /// The snapshot that it reads; 0 if it reads what is there.
    pub(super) snapshot: u32,
}

impl Source {
    /// None: there cannot be an entry.
    pub(super) fn new(keys: &Keys, prefix: &[u8], after: Option<&[u8]>, wanted: Wanted) -> Option<Self> {
        let mut scan = match (after, wanted.direction()) {
            (None, _) => keys.tree.scan(prefix),
            (Some(name), Direction::Forward) if wanted.is_directory(name, prefix) => {
                let mut scan = keys.tree.scan(prefix);
                scan.begin_behind(name);
                scan
            }
            (Some(name), Direction::Forward) => keys.tree.scan(prefix).start_after(name),
            // Backwards, behind a key is below it.
            (Some(name), Direction::Backward) if name.starts_with(prefix) => keys.tree.range(prefix..name),
            (Some(name), Direction::Backward) if name > prefix => keys.tree.scan(prefix),
            (Some(_), Direction::Backward) => return None,
        };
        if wanted.is_list() {
            scan.stop_at_directories(wanted.delimiter, TREE_ID_BYTES + prefix.len());
        }
        // Who says how many wants all of them.
        let page_entries = if wanted.left.is_finite() { ENTRIES_MAX } else { ENTRIES_FIRST };
        Some(Source { scan, wanted, page_entries, snapshot: keys.snapshot() })
    }

    /// No more than so many entries are wanted in all.
    pub(super) fn look_ahead(mut self, entries: usize) -> Self {
        // The cast saturates.
        self.scan = self.scan.look_ahead(entries.min(self.wanted.left as usize));
        self.page_entries = ENTRIES_MAX;
        self
    }

    /// Fills a page, but ends it where something is missing.
    pub(super) fn fill_what_is_here(mut self, page: &mut Page) -> Result<bool> {
        match self.fill(page) {
            Err(Error::NotFetched) if !page.rows.is_empty() => Ok(true),
            filled => filled,
        }
    }

    /// Fills a page. False: there is nothing behind it.
    pub(super) fn fill(&mut self, page: &mut Page) -> Result<bool> {
        let (form, direction) = (self.wanted.form(), self.wanted.direction());
        let wanted = &mut self.wanted;
        while !page.is_full(self.page_entries) {
            if wanted.left <= 0.0 {
                return Ok(false);
            }
            let Some(version) = self.scan.step(direction, wanted.with_values())? else {
                return Ok(false);
            };
            wanted.left -= 1.0;
            let key = self.scan.key(direction);
            if self.scan.is_directory(direction) {
                page.push_prefix(form, key);
            } else {
                let value = wanted.with_values().then(|| self.scan.value(direction));
                page.push_key(form, key, value, Version::from_number(version));
            }
        }
        self.page_entries = ENTRIES_MAX.min(self.page_entries * 4);
        Ok(wanted.left > 0.0)
    }
}
