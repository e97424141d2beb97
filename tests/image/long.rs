//! Hostile files made of long values: leaves that say of themselves what cannot be true, and nodes in which
//! what is to be taken away is not found. All checksums are good.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, WriteOp};
use spinney::{Db, Error};

use crate::common::image::{BLOB_WORDS, blobs, kind, regions, reseal, set_word, word, word_of};

/// Far more than opening should take on a busy machine.
const OPENING_LIMIT: Duration = Duration::from_secs(60);
const VALUE_BYTES: usize = 70_000;
const PART_BYTES: u64 = 64_520;
const POINTER_BYTES: u64 = 16;
const LEAF: u64 = 1;
const POINTER_FLAG: u64 = 1 << 8;

/// A database with one long value, and the words at which its leaves begin.
fn sample() -> (Vec<u8>, Vec<usize>) {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    files.put("long", vec![7; VALUE_BYTES]).expect("puts");
    let image = db.image().expect("writes");
    let mut leaves = Vec::new();
    for blob in (1..blobs(&image)).filter(|&blob| kind(&image, blob) == 1) {
        let mut at = regions(&image, blob).1;
        while at < BLOB_WORDS && word(&image, word_of(blob, at)) & 0xFF == LEAF {
            leaves.push(word_of(blob, at));
            let (value, suffix) = lengths(&image, word_of(blob, at));
            at += 2 + (value + suffix).div_ceil(8) as usize;
        }
    }
    (image, leaves)
}

/// The lengths of the value and of the suffix of a leaf.
fn lengths(image: &[u8], leaf: usize) -> (u64, u64) {
    let header = word(image, leaf);
    (header >> 16 & 0xFFFF, header >> 32 & 0xFFFF)
}

fn pointer(id: u64, length_bytes: u32, part_bytes: u32) -> Vec<u8> {
    [&id.to_le_bytes()[..], &length_bytes.to_le_bytes(), &part_bytes.to_le_bytes()].concat()
}

/// Where the value of a leaf begins.
fn value_at(image: &[u8], leaf: usize) -> usize {
    (leaf + 2) * 8 + lengths(image, leaf).1 as usize
}

fn is_pointer(image: &[u8], leaf: usize) -> bool {
    word(image, leaf) & POINTER_FLAG != 0
}

/// All that may be asked of a damaged value: a clear error each time, and a report.
fn refused(mut image: Vec<u8>, what: &str) {
    reseal(&mut image);
    let db = Db::from_image(image).expect("nothing of it was read");
    let files = db.tree("files").expect("is there");
    let is_corrupt =
        |error: Option<Error>| assert!(matches!(error, Some(Error::Corrupt { .. })), "{what}: {error:?}");
    is_corrupt(files.get("long").err());
    is_corrupt(files.get_many(&["long"]).err());
    is_corrupt(files.scan("").find_map(Result::err));
    is_corrupt(files.longest_prefix("long/er").err());
    assert!(!db.check().expect("reads").is_clean(), "{what}");
    let _ = (files.put("long", "short"), files.remove_prefix(""));
}

#[test]
fn a_pointer_leaf_that_cannot_be_true_is_an_error() {
    let (image, leaves) = sample();
    let leaf = *leaves.iter().find(|&&leaf| is_pointer(&image, leaf)).expect("a pointer leaf");
    let at = value_at(&image, leaf);
    let id = u64::from_le_bytes(image[at..at + 8].try_into().expect("eight bytes"));
    for (length_bytes, part_bytes) in [
        (VALUE_BYTES as u32, 65_536),
        (VALUE_BYTES as u32, u32::MAX),
        (VALUE_BYTES as u32, 0),
        (u32::MAX, PART_BYTES as u32),
        ((64 << 20) + 1, PART_BYTES as u32),
        // Of these some parts are there, but not all, or of another length.
        (64 << 20, PART_BYTES as u32),
        (64 << 20, 1),
        (64 << 20, 65_535),
        (VALUE_BYTES as u32 - 1, PART_BYTES as u32),
    ] {
        let mut hostile = image.clone();
        hostile[at..at + 16].copy_from_slice(&pointer(id, length_bytes, part_bytes));
        refused(hostile, &format!("{length_bytes} bytes in parts of {part_bytes}"));
    }
}

/// A lookup of a part that was a pointer leaf itself went on for ever, or until the stack was used up.
#[test]
fn a_part_that_is_a_pointer_leaf_is_an_error() {
    let (image, leaves) = sample();
    let leaf = *leaves.iter().find(|&&leaf| is_pointer(&image, leaf)).expect("a pointer leaf");
    let at = value_at(&image, leaf);
    let id = u64::from_le_bytes(image[at..at + 8].try_into().expect("eight bytes"));
    let part = *leaves.iter().find(|&&leaf| lengths(&image, leaf).0 == PART_BYTES).expect("a part");
    // Of its own value, so that it leads to itself, and of the length that the part had.
    for length_bytes in [PART_BYTES as u32, VALUE_BYTES as u32, 64 << 20] {
        let mut hostile = image.clone();
        let header = word(&hostile, part) & !(0xFFFF << 16) | POINTER_BYTES << 16 | POINTER_FLAG;
        let value = value_at(&hostile, part);
        hostile[value..value + 16].copy_from_slice(&pointer(id, length_bytes, PART_BYTES as u32));
        set_word(&mut hostile, part, header);
        refused(hostile, &format!("a part that leads to {length_bytes} bytes"));
    }
}

/// An image with nothing but what is to be taken away: a tree that was discarded, marks and parts.
fn all_to_be_taken_away() -> Vec<u8> {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    for number in 0..40u8 {
        // Marks and parts once the tree is that of long values.
        files.put([&[0][..], &[0, 0, 0, 0, 0, 0, 0, number]].concat(), "").expect("puts");
        files.put([&[1][..], &[0, 0, 0, 0, 0, 0, 0, number, 0, 0, 0, 0]].concat(), "part").expect("puts");
    }
    for number in 0..6 {
        db.tree(&format!("name-{number}")).expect("made");
    }
    let mut image = db.image().expect("writes");
    // The root spells 00 00 00, and its children are the trees 0, of the names, and 1.
    let root = word(&image, word_of(1, 5)) as usize & 0xFFFF;
    assert_eq!(word(&image, word_of(1, root)) & 0xFF, 3, "the root is an Inner4");
    let keys = word_of(1, root + 1);
    let prefix = word_of(1, root + 3);
    assert_eq!(word(&image, word_of(1, root)) >> 32 & 0xFFFF, 3, "it spells three bytes");
    let bytes = word(&image, keys) & !0xFFFF | 0xFEFD;
    set_word(&mut image, keys, bytes);
    set_word(&mut image, prefix, 0x00FF_FFFF);
    reseal(&mut image);
    image
}

/// Opens for writing, which takes away what is marked. Returns whether that ends.
fn opens(image: Vec<u8>) -> bool {
    let (tell, told) = mpsc::channel();
    // Not scoped: one that hangs must not keep the test from saying so.
    std::thread::spawn(move || {
        let backend = Arc::new(MemoryBackend::new());
        backend.set_len(Area::Data, image.len() as u64).expect("memory");
        let mut buffer = backend.buffers().lease_blocking();
        for (at, page) in image.chunks(PAGE_BYTES).enumerate() {
            let buf = &mut buffer[..PAGE_BYTES];
            buf.copy_from_slice(page);
            let op = WriteOp { area: Area::Data, offset_bytes: (at * PAGE_BYTES) as u64, buf };
            backend.write(&[op]).expect("memory");
        }
        drop(buffer);
        if let Ok(db) = Db::builder().open_backend(backend) {
            let _ = db.tree("more").and_then(|tree| tree.put("long", vec![1; VALUE_BYTES]));
            let _ = (db.check(), db.close());
        }
        let _ = tell.send(());
    });
    told.recv_timeout(OPENING_LIMIT).is_ok()
}

/// What a scan finds and a removal does not was tried to be taken away for ever.
#[test]
fn opening_ends_whatever_the_nodes_of_what_is_to_be_taken_away_say() {
    let image = all_to_be_taken_away();
    let (inner_end, _) = regions(&image, 1);
    let mut opened = 0;
    for at in (256..inner_end).map(|at| word_of(1, at)).filter(|&at| word(&image, at) != 0) {
        // A third of them: each takes some milliseconds.
        for byte in (0..8).filter(|byte| (at + byte) % 3 == 0) {
            let mut hostile = image.clone();
            set_word(&mut hostile, at, word(&image, at) ^ 1 << (byte * 8 + at % 8));
            reseal(&mut hostile);
            assert!(opens(hostile), "byte {byte} of word {} makes opening hang", at - word_of(1, 0));
            opened += 1;
        }
    }
    assert!(opened > 100, "{opened} ways");
}
