//! What a listing has shown, to be compared with what it should.

#![forbid(unsafe_code)]

use std::hint::black_box;

use crate::keys::Directory;
use crate::stores::Child;

#[derive(Default)]
pub struct Tally {
    pub prefixes: usize,
    pub keys: usize,
    /// Of the prefixes.
    bytes: usize,
}

impl Tally {
    #[inline(always)]
    pub fn see(&mut self, child: Child<'_>) {
        // Names are read, because some stores lend names that they never looked at themselves.
        match child {
            Child::Prefix(prefix) => {
                self.prefixes += 1;
                self.bytes += prefix.len();
                black_box(prefix.last().copied());
            }
            Child::Key(key) => {
                self.keys += 1;
                black_box(key.last().copied());
            }
        }
    }

    pub fn is_of(&self, directory: &Directory) -> bool {
        (self.prefixes, self.bytes, self.keys) == (directory.children, directory.child_bytes, directory.keys)
    }
}
