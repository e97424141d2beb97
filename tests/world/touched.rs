//! How many blobs it touches to move or remove a directory of very many keys: told by what storage holds
//! before and after, blob by blob, so that nothing that was written can hide.
//!
//! `SPINNEY_WORLD_KEYS` (1,000,000) is how many keys the directory has.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::Db;
use spinney::backend::{Area, MemoryBackend};

use crate::common::image::{BLOB_BYTES, BLOB_WORDS, blobs, is_listed, kind, word, word_of};
use crate::common::setting;

const RANGE: u8 = 1;
const ROUTER: u8 = 2;
/// Words of page 0 that say when and how a blob was stored, not what is in it.
const GENERATION: usize = 2;
const CHECKSUMS: std::ops::Range<usize> = 128..256;

/// What a change of the database did to blobs in storage.
#[derive(Debug, Default)]
struct Touched {
    /// Range blobs that are new, or hold something else.
    ranges: usize,
    routers: usize,
    /// Blobs that fell free.
    freed: usize,
    /// Pages of all that was written.
    pages: u64,
}

fn is_same(before: &[u8], after: &[u8], blob: usize) -> bool {
    let words = (0..BLOB_WORDS).filter(|at| *at != GENERATION && !CHECKSUMS.contains(at));
    let whole = blob * BLOB_BYTES..(blob + 1) * BLOB_BYTES;
    before[whole.clone()] == after[whole]
        || words.map(|at| word_of(blob, at)).all(|at| word(before, at) == word(after, at))
}

fn compare(before: &[u8], after: &[u8]) -> Touched {
    let mut touched = Touched::default();
    for blob in 1..blobs(before).max(blobs(after)) {
        let [was, is] = [before, after].map(|image| blob < blobs(image) && is_listed(image, blob));
        touched.freed += usize::from(was && !is);
        if !is || (was && is_same(before, after, blob)) {
            continue;
        }
        match kind(after, blob) {
            RANGE => touched.ranges += 1,
            ROUTER => touched.routers += 1,
            other => panic!("blob {blob} is of the kind {other}"),
        }
    }
    touched
}

/// Does something, and says which blobs are not what they were in storage.
fn touched_by(db: &Db, backend: &MemoryBackend, change: impl FnOnce()) -> Touched {
    db.checkpoint().unwrap();
    let (before, written) =
        (backend.to_bytes(Area::Data), db.stats().areas[Area::Data as usize].written_bytes);
    change();
    db.checkpoint().unwrap();
    let pages = (db.stats().areas[Area::Data as usize].written_bytes - written) / 4_096;
    Touched { pages, ..compare(&before, &backend.to_bytes(Area::Data)) }
}

#[test]
fn a_directory_of_very_many_keys_touches_few_blobs_when_it_moves_or_goes() {
    let keys = setting("SPINNEY_WORLD_KEYS", 1_000_000);
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().cache_bytes(1 << 30).open_backend(backend.clone()).unwrap();
    let files = db.tree("files").unwrap();
    // Others on both sides, and at the place where it goes.
    for prefix in ["a/", "m/big", "m/bigger/", "q/", "z/"] {
        let others = (0..8_000).map(|number| (format!("{prefix}{number:06}"), [7; 60]));
        files.load(prefix, others).unwrap();
    }
    let key = |number: u64| format!("m/big/{:04}/object-{number:07}", number / 500);
    files.load("m/big/", (0..keys).map(|number| (key(number), [9; 30]))).unwrap();
    let blobs = db.survey().unwrap().range_blobs;
    let places = ["m/big/", "q/004000x/elsewhere/", "b/", "y/another/place/with/a/longer/name/", "m/big/"];
    for pair in places.windows(2) {
        let moved =
            touched_by(&db, &backend, || assert!(files.rename_prefix(pair[0], pair[1]).unwrap().is_some()));
        println!("{keys} keys in {blobs} blobs, {} to {}: {moved:?}", pair[0], pair[1]);
        assert!(moved.ranges + moved.freed <= 10 && moved.routers <= 3, "{moved:?}");
        assert!(moved.pages <= 14 * 128, "{moved:?}");
        assert_eq!(files.count(pair[1]).unwrap(), keys);
    }
    let removed = touched_by(&db, &backend, || assert!(files.remove_prefix("m/big/").unwrap().is_some()));
    println!("removed: {removed:?}");
    // Its blobs fall free, and are not written for that.
    assert!(removed.ranges <= 10 && removed.routers <= 3, "{removed:?}");
    assert!(removed.pages <= 14 * 128, "{removed:?}");
    assert!(keys < 100_000 || removed.freed > 10, "{removed:?}");
    assert_eq!(files.count("").unwrap(), 5 * 8_000);
    assert!(db.check().unwrap().is_clean());
}
