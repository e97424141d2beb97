//! Hostile journals: the state that one brings about is changed, its checksums are made good, and the journal
//! is written anew from it; then its own numbers are changed, under good checksums as well.

#![forbid(unsafe_code)]

use xxhash_rust::xxh3::xxh3_64;

use spinney::backend::sim::Storage;
use spinney::backend::{Area, PAGE_BYTES};

use crate::bases::{IN_CHECKPOINT, disk_with, known, options};
use crate::bytes::Bytes;
use crate::exercise::exercise;
use crate::format::{blobs, reseal, set_word, word};
use crate::image;

const BLOB_BYTES: usize = 524_288;
const OWN_CHECKSUM_AT: usize = 511;
const CHANGES_MAX: usize = 6;

/// The numbers of the pages of the journal, and these pages.
fn pages_of(journal: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let count = word(journal, 5) as usize;
    let first = 1 + count.div_ceil(256);
    let number = |nth: usize| word(journal, 512 + nth * 2);
    let page = |nth: usize| journal[(first + nth) * PAGE_BYTES..][..PAGE_BYTES].to_vec();
    (0..count).map(|nth| (number(nth), page(nth))).collect()
}

/// The journal with other pages.
fn journal_with(old: &[u8], pages: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let first = 1 + pages.len().div_ceil(256);
    let mut journal = old[..PAGE_BYTES].to_vec();
    journal.resize(first * PAGE_BYTES, 0);
    for (nth, (number, page)) in pages.iter().enumerate() {
        set_word(&mut journal, 512 + nth * 2, *number);
        set_word(&mut journal, 513 + nth * 2, xxh3_64(page));
        journal.extend_from_slice(page);
    }
    set_word(&mut journal, 5, pages.len() as u64);
    journal.resize(journal.len().next_multiple_of(BLOB_BYTES), 0);
    journal
}

fn seal(journal: &mut [u8], pages: usize) {
    let index_bytes = pages.div_ceil(256) * PAGE_BYTES;
    let checksum = xxh3_64(&journal[PAGE_BYTES..PAGE_BYTES + index_bytes]);
    set_word(journal, 6, checksum);
    let own = xxh3_64(&journal[..OWN_CHECKSUM_AT * 8]);
    set_word(journal, OWN_CHECKSUM_AT, own);
}

/// Data and journal after it has been changed what the journal brings about.
fn change_state(storage: &mut Storage, bytes: &mut Bytes<'_>) -> (Vec<u8>, usize) {
    let journal = storage.area(Area::Journal);
    let mut pages = pages_of(&journal);
    let mut state = storage.area(Area::Data);
    for (number, page) in &pages {
        state[*number as usize * PAGE_BYTES..][..PAGE_BYTES].copy_from_slice(page);
    }
    assert!(blobs(&state) > 1, "the base has lost its blobs");
    for _ in 0..bytes.below(CHANGES_MAX) {
        image::change(&mut state, bytes);
    }
    reseal(&mut state);
    for (number, page) in &mut pages {
        page.copy_from_slice(&state[*number as usize * PAGE_BYTES..][..PAGE_BYTES]);
    }
    let nth = bytes.below(pages.len());
    match bytes.below(8) {
        0 => drop(pages.remove(nth)),
        1 => pages[nth].0 = bytes.number(),
        2 => pages[nth].0 = u64::from(bytes.short()),
        3 => pages.push(pages[nth].clone()),
        _ => {}
    }
    (journal_with(&journal, &pages), pages.len())
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut storage = IN_CHECKPOINT.clone();
    let (mut journal, pages) = change_state(&mut storage, &mut bytes);
    seal(&mut journal, pages);
    if bytes.below(4) == 0 {
        // Generation, database, log, and how many pages there are.
        set_word(&mut journal, 1 + bytes.below(5), bytes.number());
        let own = xxh3_64(&journal[..OWN_CHECKSUM_AT * 8]);
        set_word(&mut journal, OWN_CHECKSUM_AT, own);
    }
    storage.set_area(Area::Journal, &journal);
    let options = options().read_only(bytes.below(8) == 7);
    if let Ok(db) = options.open_backend(disk_with(storage)) {
        exercise(db, &known(), &mut bytes);
    }
}
