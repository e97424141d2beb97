//! Pages of the data file: one bit flipped, exchanged with another page, as they once were, lost.
//!
//! The checksum of a page stands in page 0 of its blob, that of page 0 in the directory, and that of a
//! directory page in the superblock: so an old page is as wrong as a foreign one.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spinney::backend::{Area, PAGE_BYTES};
use spinney::{Db, Durability, Error};

use crate::common::image::{PAGES, is_listed};
use crate::common::{Random, in_parallel, setting};
use crate::disk::{Disk, Image, Kept};
use crate::options;
use crate::script::{Step, TREE, contents, put, remove};

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Storage at one moment, as it was at an earlier one, and what is in it.
struct Stored {
    now: Image,
    before: Image,
    contents: Contents,
}

fn write(db: &Db, steps: impl IntoIterator<Item = Step>, from: usize) {
    let tree = db.tree(TREE).unwrap().with_durability(Durability::Buffered);
    for (at, step) in (from..).zip(steps) {
        step.run(&tree, at).unwrap();
    }
}

/// A database of several blobs, changed all over since it was stored before.
fn stored(close: bool) -> Stored {
    let disk = Disk::forgetful(Image::default());
    let mut db = options().open_backend(disk.clone()).unwrap();
    write(&db, (0..40).map(|key| put(key, if key % 3 == 0 { 60_000 } else { 700 })), 0);
    db.checkpoint().unwrap();
    let mut before = disk.image();
    if close {
        db.close().unwrap();
        before = disk.image();
        db = options().open_backend(disk.clone()).unwrap();
    }
    write(&db, (0..40).step_by(2).map(|key| put(key, if key % 3 == 0 { 60_000 } else { 700 })), 1000);
    write(&db, [remove(1), remove(39), put(50, 9)], 2000);
    db.checkpoint().unwrap();
    // A small journal: it makes good what it has.
    write(&db, [put(2, 700)], 3000);
    db.checkpoint().unwrap();
    // For the log, if it is replayed.
    write(&db, [put(50, 8)], 3001);
    let contents = contents(&db).unwrap();
    if close {
        db.close().unwrap();
    }
    let now = disk.image();
    disk.die();
    Stored { now, before, contents }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Flipped,
    Exchanged,
    Older,
    Lost,
}

impl Stored {
    /// The storage with a page damaged, and the pages that are not what they should be.
    fn damaged(&self, page: usize, way: Way) -> Option<(Image, Vec<usize>)> {
        let mut image = self.now.clone();
        let mut random = Random::new(page as u64);
        let mut pages = vec![page];
        let bytes = image.page(Area::Data, page).to_vec();
        match way {
            Way::Flipped => image.page(Area::Data, page)[random.below(PAGE_BYTES)] ^= 1 << random.below(8),
            Way::Exchanged => {
                let other = random.below(self.now.areas[0].len() / PAGE_BYTES);
                pages.push(other);
                let others = image.page(Area::Data, other).to_vec();
                image.page(Area::Data, page).copy_from_slice(&others);
                image.page(Area::Data, other).copy_from_slice(&bytes);
            }
            Way::Older => {
                let range = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
                image.page(Area::Data, page).copy_from_slice(self.before.areas[0].get(range)?);
            }
            Way::Lost => image.page(Area::Data, page).fill(0),
        }
        (image != self.now).then_some((image, pages))
    }

    /// Those of the pages that belong to a blob that holds something, and are still as they are in `damaged`:
    /// recovery may have written them anew.
    fn left(&self, pages: &[usize], damaged: &Image, after: &Image) -> Vec<usize> {
        let is_listed = |page: usize| page / PAGES > 0 && is_listed(&self.now.areas[0], page / PAGES);
        let bytes = |image: &Image, page: usize| {
            image.areas[0].get(page * PAGE_BYTES..(page + 1) * PAGE_BYTES).map(<[u8]>::to_vec)
        };
        let is_left = |page: usize| {
            let found = bytes(after, page);
            is_listed(page) && found == bytes(damaged, page) && found != bytes(&self.now, page)
        };
        pages.iter().copied().filter(|&page| is_left(page)).collect()
    }
}

fn is_named(error: &Error, pages: &[usize]) -> bool {
    let Error::Corrupt { blob, page, .. } = error else { return false };
    pages.contains(&(*blob as usize * PAGES + *page as usize))
}

fn open(image: &Image) -> (Arc<Disk>, Result<Db, Error>) {
    let disk = Disk::forgetful(image.clone());
    let db = options().open_backend(disk.clone());
    (disk, db)
}

/// Nobody asks for a page, and yet `check` says that it is damaged.
fn assert_check_names(db: &Db, left: &[usize], label: &str) {
    let report = db.check().unwrap();
    for &page in left {
        // The first damaged page of a blob stands for the others.
        let of_blob = |other: &&usize| **other / PAGES == page / PAGES;
        let first = *left.iter().filter(of_blob).min().unwrap_or(&page);
        let text = format!("page {} is damaged", first % PAGES);
        let mut problems = report.problems.iter();
        let is_there =
            problems.any(|problem| problem.blob as usize == page / PAGES && problem.text.starts_with(&text));
        // Of what hangs from a router that cannot be read, nothing is known.
        let is_hidden = report.range_blobs == 0;
        assert!(is_there || is_hidden, "{label}: {report:?}");
    }
    assert_eq!(report.is_clean(), left.is_empty(), "{label}: {report:?}");
}

/// Whatever is read is right, or an error that names the damage. Says whether anything was noticed.
fn assert_reads(stored: &Stored, db: &Db, pages: &[usize], left: &[usize], label: &str) -> bool {
    let assert_named = |error: Error| assert!(is_named(&error, pages), "{label}: {error}");
    let tree = match db.tree(TREE) {
        Ok(tree) => tree,
        Err(error) => {
            assert_named(error);
            return true;
        }
    };
    let mut is_noticed = false;
    for (key, value) in &stored.contents {
        match tree.get(key) {
            Ok(found) => assert!(found.as_deref() == Some(&value[..]), "{label}: a wrong value"),
            Err(error) => {
                assert_named(error);
                is_noticed = true;
            }
        }
    }
    match contents(db) {
        Ok(found) => {
            assert!(found == stored.contents, "{label}: wrong contents");
            // Nothing is read of a blob without its first page; other pages may hold nothing that is wanted.
            assert!(left.iter().all(|page| page % PAGES > 0), "{label}: nothing was noticed");
        }
        Err(error) => {
            assert_named(error);
            is_noticed = true;
        }
    }
    is_noticed
}

/// Says whether reading everything has met the damage; none if there is none left.
fn assert_noticed(stored: &Stored, page: usize, way: Way) -> Option<bool> {
    let (image, pages) = stored.damaged(page, way)?;
    let label = format!("page {page} {way:?}, of {pages:?}");
    let _kept = Kept { image: &image, label: &label };
    let (disk, db) = open(&image);
    match db {
        Ok(db) => {
            assert_check_names(&db, &stored.left(&pages, &image, &disk.image()), &label);
            disk.die();
        }
        // The superblock and the directory are needed from the start on, and so is what the log changes.
        Err(error) => {
            assert!(is_named(&error, &pages), "{label}: {error}");
            // A journal is put in place first; of a closed database only its superblocks are made good.
            let may_change = image.ring.is_some() || pages.iter().any(|&page| page < 2);
            assert!(may_change || disk.image() == image, "{label}: it was changed");
            return Some(true);
        }
    }
    let (disk, db) = open(&image);
    let left = stored.left(&pages, &image, &disk.image());
    let is_noticed = assert_reads(stored, &db.unwrap(), &pages, &left, &label);
    disk.die();
    (!left.is_empty()).then_some(is_noticed)
}

fn damage_all(stored: &Stored) {
    let pages = stored.now.areas[0].len() / PAGE_BYTES;
    assert!(pages >= 4 * PAGES, "{pages} pages");
    let every = setting("SPINNEY_DAMAGE_EVERY", 8) as usize;
    let (damaged, noticed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    in_parallel("damaged page", 0..pages as u64, |page| {
        let page = page as usize;
        // First pages, and those of blob 0 that are in use, always.
        if page % PAGES < 3 || page.is_multiple_of(every) {
            for way in [Way::Flipped, Way::Exchanged, Way::Older, Way::Lost] {
                let Some(is_noticed) = assert_noticed(stored, page, way) else { continue };
                damaged.fetch_add(1, Ordering::Relaxed);
                noticed.fetch_add(usize::from(is_noticed), Ordering::Relaxed);
            }
        }
    });
    let (damaged, noticed) = (damaged.into_inner(), noticed.into_inner());
    println!("{damaged} damages, {noticed} met by reading everything, all others by `check` alone");
    assert!(noticed * 3 > damaged, "most pages hold something");
}

#[test]
fn a_damaged_page_of_a_closed_database_is_named() {
    damage_all(&stored(true));
}

#[test]
fn a_damaged_page_of_a_database_that_was_not_closed_is_named() {
    damage_all(&stored(false));
}

/// An old superblock beside newer blobs, or all of blob 0: as if writes had been lost.
#[test]
fn old_superblocks_are_noticed() {
    let stored = stored(true);
    for pages in [0..2, 0..3, 0..PAGES] {
        let mut image = stored.now.clone();
        let range = pages.start * PAGE_BYTES..pages.end * PAGE_BYTES;
        image.areas[0][range.clone()].copy_from_slice(&stored.before.areas[0][range]);
        let outcome = open(&image).1.and_then(|db| contents(&db));
        assert!(matches!(outcome, Err(Error::Corrupt { .. })), "pages {pages:?}: {outcome:?}");
    }
}
