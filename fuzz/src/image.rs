//! Hostile images: words of a sound one changed, and all checksums made good again.

#![forbid(unsafe_code)]

use spinney::Db;
use spinney::backend::Area;
use spinney::backend::sim::Storage;

use crate::bases::{IMAGES, disk_with, options};
use crate::bytes::Bytes;
use crate::exercise::exercise;
use crate::format::{BLOB_WORDS, blobs, is_listed, regions, reseal, set_listed, set_word, word, word_of};

const CHANGES_MAX: usize = 16;

/// The word that is to be changed.
fn some_word(image: &[u8], bytes: &mut Bytes<'_>) -> usize {
    let listed: Vec<usize> = (1..blobs(image)).filter(|&blob| is_listed(image, blob)).collect();
    let blob = if listed.is_empty() { 1 } else { *bytes.pick(&listed) };
    let (inner_end, leaf_start) = regions(image, blob);
    match bytes.below(8) {
        0 => word_of(blob, 1 + bytes.below(9)),
        // Those of the superblock.
        1 => 5 + bytes.below(6),
        // The first nodes, on the way of most keys.
        2 | 3 => word_of(blob, 256 + bytes.below(256)),
        4 | 5 if inner_end > 256 => word_of(blob, 256 + bytes.below(inner_end - 256)),
        6 | 7 if leaf_start < BLOB_WORDS => word_of(blob, leaf_start + bytes.below(BLOB_WORDS - leaf_start)),
        _ => word_of(blob, bytes.below(BLOB_WORDS)),
    }
}

/// Changes one word of an image, as some bytes say.
pub(crate) fn change(image: &mut [u8], bytes: &mut Bytes<'_>) {
    let at = some_word(image, bytes);
    let (old, blob) = (word(image, at), at / BLOB_WORDS);
    let shift = 8 * bytes.below(8);
    let new = match bytes.below(9) {
        0 => bytes.number(),
        1 => old ^ 1 << (shift + bytes.below(8)),
        2 => old & !(0xFF << shift) | u64::from(bytes.byte()) << shift,
        3 => old & !(0xFFFF << (shift & 48)) | u64::from(bytes.short()) << (shift & 48),
        4 => old & !(0xFFFF_FFFF << (shift & 32)) | (bytes.number() & 0xFFFF_FFFF) << (shift & 32),
        5 => old.wrapping_add(1 << shift),
        6 => old.wrapping_sub(1 << shift),
        7 => {
            let other = some_word(image, bytes);
            word(image, other)
        }
        _ if blob > 0 => {
            let other = 1 + bytes.below(blobs(image) - 1);
            set_listed(image, other, u64::from(bytes.byte()) % 2);
            old
        }
        _ => old,
    };
    set_word(image, at, new);
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let base = bytes.pick(&*IMAGES);
    let (mode, changes) = (bytes.below(3), bytes.below(CHANGES_MAX));
    let mut image = base.bytes.clone();
    for _ in 0..=changes {
        change(&mut image, &mut bytes);
    }
    reseal(&mut image);
    let db = match mode {
        0 => Db::from_image(image),
        _ => {
            let mut storage = Storage::default();
            storage.set_area(Area::Data, &image);
            options().read_only(mode == 1).open_backend(disk_with(storage))
        }
    };
    if let Ok(db) = db {
        exercise(db, &base.known, &mut bytes);
    }
}
