//! Pages that are damaged in storage while memory has a sound copy of them: nobody reads the stored ones, but
//! `check` does.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::Db;
use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, ReadOp, WriteOp};

use crate::common::image::{BLOB_BYTES, PAGES, is_listed};

fn flip(backend: &MemoryBackend, page: usize) {
    let mut buffer = backend.buffers().lease_blocking();
    let (offset_bytes, buf) = ((page * PAGE_BYTES) as u64, &mut buffer[..PAGE_BYTES]);
    backend.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf }]).unwrap();
    buf[77] ^= 4;
    backend.write(&[WriteOp { area: Area::Data, offset_bytes, buf }]).unwrap();
}

#[test]
fn check_reads_what_is_stored_also_where_memory_has_a_copy() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().cache_bytes(64 << 20).open_backend(backend.clone()).unwrap();
    let files = db.tree("files").unwrap();
    for number in 0..20_000 {
        files.put(format!("directory-{}/{number:05}", number % 40), [7; 100]).unwrap();
    }
    db.checkpoint().unwrap();
    assert!(db.check().unwrap().is_clean());
    let stored = backend.to_bytes(Area::Data);
    let blobs: Vec<usize> = (1..stored.len() / BLOB_BYTES).filter(|&blob| is_listed(&stored, blob)).collect();
    assert!(blobs.len() > 3);
    for &blob in &blobs {
        for page in [0, 1, PAGES / 2, PAGES - 1] {
            flip(&backend, blob * PAGES + page);
            let report = db.check().unwrap();
            let named: Vec<(u32, &str)> =
                report.problems.iter().map(|problem| (problem.blob, &problem.text[..])).collect();
            assert_eq!(named, [(blob as u32, &format!("page {page} is damaged in storage")[..])]);
            flip(&backend, blob * PAGES + page);
        }
    }
    // A page of the directory, and a superblock.
    for page in [0, 1, 5] {
        flip(&backend, page);
        let report = db.check().unwrap();
        assert!(report.problems.iter().any(|problem| problem.blob == 0), "page {page}: {report:?}");
        flip(&backend, page);
    }
    // What was written since is stored by the next checkpoint.
    files.put("new", "key").unwrap();
    assert!(db.check().unwrap().is_clean());
    let mut seen = Vec::new();
    db.check_with(|done, total| seen.push((done, total))).unwrap();
    let (done, total) = *seen.last().unwrap();
    assert!(seen.is_sorted() && done == total && total == blobs.len() as u64, "{seen:?}");
}
