//! Small databases whose images hold every kind of page, and every kind of node.

#![forbid(unsafe_code)]

use spinney::{Db, Tree};

use crate::common::{Random, image};

/// All keys of one tree.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// One range blob: inner nodes of all sizes, buckets, ends, long prefixes, garbage. 1 MiB.
pub fn plain() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    let mut random = Random::new(1);
    let put = |key: &[u8], len: usize| {
        files.put(key, vec![key.len() as u8; len]).expect("puts");
    };
    for byte in 0..=255 {
        put(&[b'm', byte], 3);
        put(&[b'm', byte, b'/', byte], 3);
    }
    for number in 0..160 {
        put(format!("photos/2026/{:02}/image-{number:05}.jpg", number % 12).as_bytes(), 40);
    }
    for len in 0..120 {
        put(&vec![b'p'; len * 2], len % 9);
        let tail = random.bytes(len % 17, b"abc");
        put(&[b"some/longer/way/to/go/", tail.as_slice()].concat(), len);
    }
    put(&[&[0xFF; 300][..], b"x"].concat(), 500);
    for number in (0..160).step_by(3) {
        files.remove(format!("photos/2026/{:02}/image-{number:05}.jpg", number % 12)).expect("removes");
    }
    let other = db.tree("other").expect("made");
    other.put("", "the empty key").expect("puts");
    other.put([0], "NUL").expect("puts");
    db
}

/// A router over some range blobs, with an unused blob between them.
pub fn routed() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    let name = |number: usize| format!("{:02}/{number:03}/name", number * 7 % 40);
    // Zeros, so that the image takes little room where it is stored.
    for number in 0..36 {
        files.put(name(number), vec![0; 60_000]).expect("puts");
        for small in 0..4 {
            files.put(format!("{}/{small}", name(number)), [small; 9]).expect("puts");
        }
    }
    let mut numbers: Vec<usize> = (0..36).collect();
    numbers.sort_by_key(|&number| name(number));
    // What lies in the middle goes: its blobs are joined, and their ids are unused.
    for &number in &numbers[8..24] {
        files.remove(name(number)).expect("removes");
        for small in 0..4 {
            files.remove(format!("{}/{small}", name(number))).expect("removes");
        }
    }
    db
}

/// Paths in no order, then more in order, then fewer: several range blobs, each with its own history.
pub fn catalog() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    let name = |number: usize| format!("region-{}/bucket-{:02}/{number:06}.parquet", number % 3, number % 41);
    for number in 0..9_000 {
        let shuffled = number * 7_919 % 9_000;
        files.put(name(shuffled), vec![shuffled as u8; shuffled % 90]).expect("puts");
    }
    for number in 0..3_000 {
        files.put(format!("log/{number:08}"), [number as u8; 50]).expect("puts");
    }
    for number in (0..9_000).filter(|number| number % 41 < 12) {
        files.remove(name(number)).expect("removes");
    }
    db
}

/// The ids of the blobs of `routed` by kind: router, range, unused.
pub fn kinds(bytes: &[u8]) -> (usize, usize, usize) {
    let find = |kind| (1..image::blobs(bytes)).find(|&blob| image::kind(bytes, blob) == kind);
    let [router, range, unused] = [2, 1, 0].map(|kind| find(kind).expect("a blob of every kind"));
    assert!(!image::is_listed(bytes, unused));
    (router, range, unused)
}

/// Every key of every tree.
pub fn contents(db: &Db) -> Vec<(String, Pairs)> {
    let pairs = |tree: &Tree| tree.scan("").map(|pair| pair.expect("scans")).collect::<Vec<_>>();
    let owned = |tree: Tree| pairs(&tree).into_iter().map(|(key, value)| (key, value.to_vec())).collect();
    let trees = db.trees().expect("reads");
    trees.into_iter().map(|name| (name.clone(), owned(db.tree(&name).expect("is there")))).collect()
}
