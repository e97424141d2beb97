//! The bounds of blobs: keys that lists of children, plans and targets hold together.
//!
//! A router has hundreds or thousands of children, and whoever rearranges a few of them reads all, and passes
//! the rest on. With an allocation for each key that was most of the time of moving a directory.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes that are read only, and cost nothing to clone: a piece of memory that others may share.
#[derive(Clone)]
pub(crate) struct SharedKey {
    memory: Arc<[u8]>,
    part: Range<usize>,
}

/// Keys that will share one piece of memory.
#[derive(Default)]
pub(crate) struct SharedKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl SharedKey {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self
    }
}

impl SharedKeys {
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.push_joined(key, b"");
    }

    /// A key in two parts.
    pub(crate) fn push_joined(&mut self, front: &[u8], rest: &[u8]) {
        self.bytes.extend_from_slice(front);
        self.bytes.extend_from_slice(rest);
        self.ends.push(self.bytes.len());
    }

    /// The one that was pushed last.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        let (&to, before) = self.ends.split_last()?;
        self.bytes.get(before.last().copied().unwrap_or(0)..to)
    }

    /// The keys, as they were pushed.
    pub(crate) fn share(self) -> impl Iterator<Item = SharedKey> {
        let memory: Arc<[u8]> = self.bytes.into();
        let mut from = 0;
        self.ends.into_iter().map(move |to| {
            let part = std::mem::replace(&mut from, to)..to;
            SharedKey { memory: memory.clone(), part }
        })
    }
}

impl Deref for SharedKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.part.clone()]
    }
}

impl Default for SharedKey {
    /// The empty key.
    fn default() -> Self {
        SharedKey::from(&[][..])
    }
}

impl From<&[u8]> for SharedKey {
    fn from(key: &[u8]) -> Self {
        SharedKey { memory: key.into(), part: 0..key.len() }
    }
}

impl From<Vec<u8>> for SharedKey {
    fn from(key: Vec<u8>) -> Self {
        SharedKey { part: 0..key.len(), memory: key.into() }
    }
}

impl PartialEq for SharedKey {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedKey {}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_share_memory_are_what_was_pushed() {
        let mut keys = SharedKeys::default();
        assert_eq!(keys.last(), None);
        for key in [&b"a/"[..], b"", b"a/b"] {
            keys.push(key);
        }
        assert_eq!(keys.last(), Some(&b"a/b"[..]));
        keys.push_joined(b"a", b"/b");
        let shared: Vec<SharedKey> = keys.share().collect();
        assert_eq!(
            shared.iter().map(|key| key.as_slice()).collect::<Vec<_>>(),
            [&b"a/"[..], b"", b"a/b", b"a/b"]
        );
        assert!(shared.iter().all(|key| Arc::ptr_eq(&key.memory, &shared[0].memory)));
        // What matters is the bytes, not where they are.
        assert_eq!(shared[1], SharedKey::default());
        assert_eq!(shared[2], SharedKey::from(b"a/b".to_vec()));
        assert_ne!(shared[0], shared[2]);
    }
}
