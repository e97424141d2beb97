//! Reading long values. All parts are there, or the leaf has changed, and is read again.

#![forbid(unsafe_code)]

use super::{Pointer, is_aside, part_key};
use crate::blob::Key;
use crate::blob::key::KeyBuf;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::many::{Found, GROUP};
use crate::forest::read::Get;

/// Tries before a reader asks that no parts are taken away meanwhile.
const FREE_TRIES: u32 = 16;

impl Forest {
    /// The value that a pointer leaf refers to, in the place of `bytes`, which are what the leaf holds. False
    /// if parts are missing: then the leaf has gone, or the file is damaged.
    pub(crate) fn read_long(&self, bytes: &mut Vec<u8>) -> Result<bool> {
        let Some(pointer) = Pointer::decode(bytes) else {
            return Err(nonsense());
        };
        bytes.clear();
        let mut buffers: Vec<KeyBuf> = Vec::new();
        buffers.resize_with(GROUP.min(pointer.parts() as usize), KeyBuf::empty);
        let mut first = 0;
        while first < pointer.parts() {
            let count = (pointer.parts() - first).min(GROUP as u32);
            let names: Vec<Vec<u8>> = (first..first + count).map(|part| part_key(pointer.id, part)).collect();
            let keys = names.iter().zip(&mut buffers);
            let keys: Vec<Key<'_>> = keys.map(|(name, buffer)| buffer.fill_whole(name)).collect();
            let mut answers: [Found; GROUP] = std::array::from_fn(|_| None);
            self.get_batch(&keys, &mut answers[..count as usize])?;
            let mut found_bytes = 0;
            for (part, found) in (first..).zip(&answers[..count as usize]) {
                let Some((part_bytes, _)) = found else { return Ok(false) };
                if part_bytes.len() != pointer.bytes_of_part(part) {
                    return Err(nonsense());
                }
                found_bytes += part_bytes.len();
            }
            // What the pointer says of the length is believed no further than there are parts.
            bytes.reserve(found_bytes);
            answers.iter().flatten().for_each(|(part_bytes, _)| bytes.extend_from_slice(part_bytes));
            first += count;
        }
        Ok(true)
    }

    /// Goes on where a lookup has met a pointer leaf: `out` holds what that says, `version` is its version.
    #[cold]
    #[inline(never)]
    pub(crate) fn follow(&self, key: &Key<'_>, version: u64, out: &mut Vec<u8>) -> Result<Option<u64>> {
        if is_aside(key.bytes()) {
            // A part is no long value: it would be read for ever.
            return Err(nonsense());
        }
        let mut version = version;
        let mut quiet = None;
        for tries in 0.. {
            let pointer = out.clone();
            if self.read_long(out)? {
                return Ok(Some(version));
            }
            let mut get = Get::new(key, out);
            let found = self.read(key, &mut get)?;
            let (is_pointer, Some(now)) = (get.is_pointer, found) else {
                return Ok(None);
            };
            if !is_pointer {
                return Ok(Some(now));
            }
            if *out == pointer {
                // A value that was once taken away does not come back.
                return Err(nonsense());
            }
            version = now;
            if tries >= FREE_TRIES && quiet.is_none() {
                quiet = Some(self.store.long.hold_parts());
            }
        }
        Ok(None)
    }

    /// How long the value of a key is; none if it is not there.
    pub(crate) fn value_bytes(&self, key: &Key<'_>) -> Result<Option<usize>> {
        let mut held = Vec::new();
        let mut get = Get::new(key, &mut held);
        let found = self.read(key, &mut get)?;
        match (found, get.is_pointer) {
            (None, _) => Ok(None),
            (Some(_), false) => Ok(Some(held.len())),
            (Some(_), true) => Ok(Some(long_length(&held)?)),
        }
    }
}

/// The length of the value that a pointer leaf refers to.
pub(crate) fn long_length(pointer: &[u8]) -> Result<usize> {
    Pointer::decode(pointer).map(Pointer::length).ok_or_else(nonsense)
}

pub(super) fn nonsense() -> Error {
    Error::corrupt(crate::store::ROOT_BLOB, "a part of a long value is missing")
}
