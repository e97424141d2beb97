//! Damaged images: flipped bits, cut ends, exchanged, stale and zeroed pages, bytes of no origin.
//!
//! The error has to name the blob and the page that was damaged.

#![forbid(unsafe_code)]

use spinney::{Db, Error};

use crate::common::image::{BLOB_BYTES, PAGE_BYTES, PAGES, blobs, page, place_of};
use crate::common::{Random, in_parallel, setting};
use crate::samples::{self, contents};

const PAGE_BITS: usize = PAGE_BYTES * 8;

/// Opening has to fail and to name the page of this byte.
fn assert_named(image: &[u8], byte: usize, what: &str) {
    let place = place_of(byte);
    match Db::from_image(image) {
        // Which one of two sound superblocks is the stale one cannot be told.
        Err(Error::Corrupt { blob: 0, page: 0 | 1, .. }) if what.starts_with("stale") => assert!(place.1 < 2),
        Err(Error::Corrupt { blob, page, .. }) => assert_eq!((blob, page), place, "{what}, byte {byte}"),
        other => panic!("{what}, byte {byte}: {other:?}"),
    }
}

fn flip(image: &mut [u8], bit: usize) {
    image[bit / 8] ^= 1 << (bit % 8);
}

/// Flips bits one at a time, each worker in a copy of its own.
fn assert_flips_named(image: &[u8], bits: &[usize], what: &str) {
    let chunk = bits.len().div_ceil(16);
    in_parallel(what, 0..bits.len().div_ceil(chunk.max(1)) as u64, |part| {
        let mut copy = image.to_vec();
        for &bit in &bits[part as usize * chunk..bits.len().min((part as usize + 1) * chunk)] {
            flip(&mut copy, bit);
            assert_named(&copy, bit / 8, what);
            flip(&mut copy, bit);
        }
        assert!(copy == image);
    });
}

#[test]
fn a_flipped_bit_in_a_page_of_each_kind_names_its_page() {
    let step = setting("SPINNEY_IMAGE_BIT_STEP", 11) as usize;
    let flip_page = |image: &[u8], blob: usize, page: usize, what: &str| {
        let start = (blob * BLOB_BYTES + page * PAGE_BYTES) * 8;
        let bits: Vec<usize> = (start..start + PAGE_BITS).step_by(step).collect();
        assert_flips_named(image, &bits, what);
    };
    let plain = samples::plain().image().expect("writes");
    assert_eq!(blobs(&plain), 2);
    flip_page(&plain, 0, 0, "superblock");
    flip_page(&plain, 0, 1, "second superblock");
    flip_page(&plain, 0, 2, "directory");
    flip_page(&plain, 0, PAGES - 1, "empty directory page");
    flip_page(&plain, 1, 0, "header of a range");
    flip_page(&plain, 1, 1, "inner nodes");
    flip_page(&plain, 1, PAGES / 2, "gap");
    flip_page(&plain, 1, PAGES - 1, "leaves");
    let routed = samples::routed().image().expect("writes");
    let (router, _, unused) = samples::kinds(&routed);
    // These cost more, as the image is larger.
    let start = (router * BLOB_BYTES) * 8;
    let bits: Vec<usize> = (start..start + PAGE_BITS).step_by(step * 3).collect();
    assert_flips_named(&routed, &bits, "header of a router");
    let start = (unused * BLOB_BYTES + 5 * PAGE_BYTES) * 8;
    let bits: Vec<usize> = (start..start + PAGE_BITS).step_by(step * 3).collect();
    assert_flips_named(&routed, &bits, "unused blob");
}

#[test]
fn a_flipped_bit_anywhere_names_its_page() {
    for (db, rounds) in [(samples::plain(), 4), (samples::routed(), 1)] {
        let image = db.image().expect("writes");
        let mut random = Random::new(rounds);
        let pages = (0..image.len() / PAGE_BYTES).cycle().take(image.len() / PAGE_BYTES * rounds as usize);
        let bits: Vec<usize> = pages.map(|page| page * PAGE_BITS + random.below(PAGE_BITS)).collect();
        assert_flips_named(&image, &bits, "any page");
    }
}

#[test]
fn pages_in_the_wrong_place_are_named() {
    let image = samples::routed().image().expect("writes");
    let expected = contents(&Db::from_image(&image).expect("sound"));
    let pages = image.len() / PAGE_BYTES;
    in_parallel("pair of pages", 0..400, |seed| {
        let mut random = Random::new(seed);
        let (one, two) = (random.below(pages), random.below(pages));
        let mut copy = image.clone();
        let range = |number: usize| number * PAGE_BYTES..(number + 1) * PAGE_BYTES;
        copy[range(one)].copy_from_slice(&image[range(two)]);
        if seed % 2 == 0 {
            copy[range(two)].copy_from_slice(&image[range(one)]);
        }
        match Db::from_image(&copy) {
            Ok(db) => {
                assert!(image[range(one)] == image[range(two)], "pages {one} and {two} were not told apart");
                assert_eq!(contents(&db), expected);
            }
            Err(Error::Corrupt { blob, page, .. }) => {
                let named = blob as usize * PAGES + page as usize;
                assert!(named == one || (named == two && seed % 2 == 0), "{named}: not {one} or {two}");
            }
            Err(other) => panic!("pages {one} and {two}: {other:?}"),
        }
    });
}

#[test]
fn stale_and_zeroed_pages_and_blobs_are_named() {
    let db = samples::routed();
    let old = db.image().expect("writes");
    let files = db.tree("files").expect("is there");
    for pair in files.scan("").map(|pair| pair.expect("scans")).collect::<Vec<_>>() {
        files.put(&pair.0, vec![1; pair.1.len()]).expect("puts");
    }
    let new = db.image().expect("writes");
    assert_eq!(old.len(), new.len());
    let mut seen = 0;
    for number in (0..new.len() / PAGE_BYTES).filter(|number| number % PAGES < 3 || number % 7 == 0) {
        let range = number * PAGE_BYTES..(number + 1) * PAGE_BYTES;
        let mut copy = new.clone();
        copy[range.clone()].copy_from_slice(&old[range.clone()]);
        if copy != new {
            assert_named(&copy, range.start, "stale page");
            seen += 1;
        }
        copy[range.clone()].fill(0);
        if copy != new {
            assert_named(&copy, range.start, "zeroed page");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
    for blob in 1..blobs(&new) {
        let range = blob * BLOB_BYTES..(blob + 1) * BLOB_BYTES;
        let mut copy = new.clone();
        copy[range.clone()].copy_from_slice(&old[range.clone()]);
        if copy != new {
            assert_named(&copy, range.start, "stale blob");
        }
    }
    let mut copy = new.clone();
    copy[..BLOB_BYTES].copy_from_slice(&old[..BLOB_BYTES]);
    assert!(matches!(Db::from_image(&copy), Err(Error::Corrupt { page: 0, .. })), "stale superblock");
}

#[test]
fn cut_images_say_that_they_were_cut() {
    let image = samples::plain().image().expect("writes");
    let odd = [7, 8, 100, 4_095, 4_097, BLOB_BYTES - 1, BLOB_BYTES + 1, image.len() - 1];
    for len in (PAGE_BYTES..image.len()).step_by(PAGE_BYTES).chain(odd) {
        match Db::from_image(&image[..len]) {
            Err(Error::Truncated { found_bytes, expected_bytes }) => {
                assert_eq!(found_bytes, len as u64);
                assert!(expected_bytes > found_bytes && expected_bytes <= image.len() as u64, "{len}");
            }
            other => panic!("{len} bytes: {other:?}"),
        }
    }
    for len in 0..7 {
        assert!(matches!(Db::from_image(&image[..len]), Err(Error::NotSpinney { .. })), "{len} bytes");
    }
    for more in [1, PAGE_BYTES, BLOB_BYTES] {
        let mut longer = image.clone();
        longer.resize(image.len() + more, 0);
        assert!(Db::from_image(&longer).is_err(), "{more} bytes more");
    }
}

#[test]
fn bytes_of_no_origin_are_refused() {
    in_parallel("random bytes", 0..300, |seed| {
        let mut random = Random::new(seed);
        let len = match random.below(4) {
            0 => random.below(100),
            1 => random.below(3 * BLOB_BYTES),
            _ => (1 + random.below(4)) * BLOB_BYTES,
        };
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
        if random.percent(30) {
            bytes.fill(random.next() as u8);
        }
        bytes.truncate(len);
        if random.percent(50) && len >= 2 * PAGE_BYTES {
            bytes[..8].copy_from_slice(b"SPINNEY\x01");
            bytes[PAGE_BYTES..PAGE_BYTES + 8].copy_from_slice(b"SPINNEY\x01");
        }
        let error = Db::from_image(&bytes).expect_err("nothing that was ever written");
        assert!(["NotSpinney", "Truncated", "Corrupt"].contains(&error.code()), "seed {seed}: {error:?}");
    });
    let mut later = samples::plain().image().expect("writes");
    for at in [7, PAGE_BYTES + 7] {
        later[at] = 200;
    }
    let error = Db::from_image(&later).expect_err("written by a later version");
    assert!(matches!(error, Error::NewerFormat { found: 200, supported } if supported < 200), "{error:?}");
}

#[test]
fn a_sound_image_holds_everything() {
    for db in [samples::plain(), samples::routed(), Db::memory()] {
        let image = db.image().expect("writes");
        let copy = Db::from_image(&image).expect("sound");
        assert_eq!(contents(&copy), contents(&db));
        assert_eq!(copy.stats().last_version, db.stats().last_version);
        assert!(copy.image().expect("writes") == image);
        assert_eq!(page(&image, 0, 0), page(&image, 0, 1), "the superblock stands there twice");
        // A new tree gets an id that none had before: it is empty.
        assert!(copy.tree("another").expect("made").is_empty().expect("reads"));
    }
}
