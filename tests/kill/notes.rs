//! What a child tells about its writes, in a file: it outlives the child, and costs it one system call.
//!
//! Each thread has a slot for the number of writes that have begun, and a row of the versions of those that
//! were acknowledged. A write that gets no version is noted as 0.

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const FLAGS_BYTES: u64 = 16;
const IS_OPEN_AT: u64 = 0;
const IS_CLOSING_AT: u64 = 8;
/// More writes than a thread does in one life.
const ROW_BYTES: u64 = 8 << 22;

pub struct Notes {
    file: File,
    threads: u64,
}

impl Notes {
    pub fn create(path: &Path, threads: u64) -> Notes {
        let _ = std::fs::remove_file(path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
        let notes = Notes { file, threads };
        // A file with holes: it takes as much space as there are notes.
        notes.file.set_len(notes.row(threads)).unwrap();
        notes
    }

    pub fn open(path: &Path, threads: u64) -> Notes {
        Notes { file: OpenOptions::new().read(true).write(true).open(path).unwrap(), threads }
    }

    fn slot(&self, thread: u64) -> u64 {
        FLAGS_BYTES + thread * 8
    }

    fn row(&self, thread: u64) -> u64 {
        FLAGS_BYTES + self.threads * 8 + thread * ROW_BYTES
    }

    fn put(&self, at: u64, number: u64) {
        self.file.write_all_at(&number.to_le_bytes(), at).unwrap();
    }

    fn get(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    pub fn set_open(&self) {
        self.put(IS_OPEN_AT, 1);
    }

    pub fn set_closing(&self) {
        self.put(IS_CLOSING_AT, 1);
    }

    pub fn is_open(&self) -> bool {
        self.get(IS_OPEN_AT) != 0
    }

    pub fn is_closing(&self) -> bool {
        self.get(IS_CLOSING_AT) != 0
    }

    /// The thread is about to do its write number `nth` of this life.
    pub fn begin(&self, thread: u64, nth: u64) {
        self.put(self.slot(thread), nth + 1);
    }

    pub fn begun(&self, thread: u64) -> u64 {
        self.get(self.slot(thread))
    }

    /// The write was acknowledged. 0 in the file means that nothing was noted yet.
    pub fn acknowledge(&self, thread: u64, nth: u64, version: u64) {
        assert!(nth < ROW_BYTES / 8);
        self.put(self.row(thread) + nth * 8, version + 1);
    }

    /// The versions of all writes of a thread that were acknowledged.
    pub fn acknowledged(&self, thread: u64) -> Vec<u64> {
        let mut bytes = vec![0; self.begun(thread) as usize * 8];
        self.file.read_exact_at(&mut bytes, self.row(thread)).unwrap();
        let numbers = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        numbers.take_while(|&number| number != 0).map(|number| number - 1).collect()
    }
}
