//! Everything that is asked of a database that may be hostile. Any answer and any error will do; a panic, a
//! hang or more memory than the file has bytes will not.

#![forbid(unsafe_code)]

use spinney::{Db, SHORT_VALUE_BYTES_MAX, Tree};

use crate::bytes::Bytes;

/// More entries than all blobs of a base could hold, read in circles.
const ENTRIES_MAX: usize = 200_000;

/// Runs to the end of a scan, or to its error.
fn drain(mut next: impl FnMut() -> Option<bool>) {
    let mut count = 0;
    while let Some(true) = next() {
        count += 1;
        assert!(count < ENTRIES_MAX, "a scan that does not end");
    }
}

fn read_all(tree: &Tree, prefix: &[u8]) {
    // Values in parts may be claimed by every leaf of a file: what is read of them is limited.
    let scan = || tree.scan(prefix).values_up_to(SHORT_VALUE_BYTES_MAX);
    let (mut forward, mut backward) = (scan(), scan());
    drain(|| forward.next_ref().map(|entry| entry.is_some()).ok());
    drain(|| backward.next_back_ref().map(|entry| entry.is_some()).ok());
    let mut list = tree.list(prefix).values_up_to(SHORT_VALUE_BYTES_MAX);
    drain(|| list.next_ref().map(|child| child.is_some()).ok());
    let _ = (tree.count(prefix), tree.first(), tree.last());
}

fn look_up(tree: &Tree, known: &[Vec<u8>], bytes: &mut Bytes<'_>) {
    for _ in 0..8 {
        let key = bytes.pick(known);
        let _ = (tree.get(key), tree.value_bytes(key), tree.contains([key, &b"x"[..]].concat()));
        let _ = tree.longest_prefix([key, &b"/more"[..]].concat());
        let _ = tree.range(key.clone()..).limit(3).count();
    }
    let _ = tree.get_many(&known[..known.len().min(40)]);
}

fn write_some(db: &Db, tree: &Tree, known: &[Vec<u8>], bytes: &mut Bytes<'_>) {
    for _ in 0..12 {
        let (key, other) = (bytes.pick(known).clone(), bytes.pick(known));
        let directory = &other[..other.len().min(1 + bytes.below(8))];
        // Whatever comes of it.
        let _ = match bytes.below(8) {
            0 => tree.put(&key, [7; 100]).map(Some),
            1 => tree.put([&key[..], &b"new"[..]].concat(), vec![7; 20_000]).map(Some),
            2 => tree.remove(&key),
            3 => tree.rename(&key, [other, &b"renamed"[..]].concat()),
            4 => tree.rename_prefix(directory, b"moved/"),
            5 => tree.remove_prefix(directory),
            6 => tree.put(&key, vec![7; 80_000]).map(Some),
            _ => db.batch().put(tree, &key, "batch").remove(tree, other).commit().map(|_| None),
        };
    }
}

/// Reads, checks, writes, stores and closes.
pub fn exercise(db: Db, known: &[Vec<u8>], bytes: &mut Bytes<'_>) {
    let _ = db.trees();
    let _ = db.check();
    let Ok(tree) = db.tree("files") else { return };
    look_up(&tree, known, bytes);
    read_all(&tree, b"");
    read_all(&tree, &bytes.pick(known)[..1]);
    let before = db.snapshot();
    write_some(&db, &tree, known, bytes);
    let _ = db.check();
    let _ = (before.trees(), db.survey());
    drop(before);
    match bytes.below(4) {
        0 => _ = db.drop_tree("files"),
        1 => _ = db.compact(),
        2 => _ = db.checkpoint(),
        _ => _ = db.image(),
    }
    read_all(&tree, b"");
    drop(tree);
    let _ = db.close();
}
