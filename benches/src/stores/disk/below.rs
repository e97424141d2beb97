//! All keys below a prefix, for stores that know single keys and ranges only: where they begin and end, and
//! how they move, one step after the other.

#![forbid(unsafe_code)]

use super::Session;
use crate::stores::Result;
use std::ops::Bound;

/// Entries of one step: so many are held in memory, and changed together where a store can do that.
pub const STEP_ENTRIES: usize = 10_000;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

#[cfg_attr(not(feature = "peers"), allow(dead_code))]
pub type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The lowest key above all that begin with `prefix`, unless there is none.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The keys that begin with `prefix`; only those above `after`, if that is given.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
pub fn range(prefix: &[u8], after: Option<&[u8]>) -> Range {
    let start = match after {
        Some(after) => Bound::Excluded(after.to_vec()),
        // An empty key is none for some stores.
        None if prefix.is_empty() => Bound::Unbounded,
        None => Bound::Included(prefix.to_vec()),
    };
    (start, successor(prefix).map_or(Bound::Unbounded, Bound::Excluded))
}

/// The range as the stores want it that borrow its ends.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
pub fn borrowed((start, end): &Range) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice))
}

/// Where a key goes that begins with `from`.
pub fn moved(key: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    [to, &key[from.len()..]].concat()
}

/// Has `change` change all entries that begin with `prefix`, so many at once.
pub fn in_steps<S: Session>(
    session: &mut S,
    prefix: &[u8],
    mut change: impl FnMut(&mut S, Vec<Entry>) -> Result<()>,
) -> Result<()> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let mut entries = Vec::new();
        session.walk(prefix, after.as_deref(), &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            entries.len() < STEP_ENTRIES
        })?;
        let Some((last, _)) = entries.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        change(session, entries)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_above_all_keys_below() {
        assert_eq!(successor(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(successor(b"a\xFF\xFF"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xFF"), None);
        assert_eq!(successor(b""), None);
    }

    #[test]
    fn a_range_goes_on_behind_a_key() {
        let end = Bound::Excluded(b"b".to_vec());
        assert_eq!(range(b"a", None), (Bound::Included(b"a".to_vec()), end.clone()));
        assert_eq!(range(b"a", Some(b"ax")), (Bound::Excluded(b"ax".to_vec()), end));
        assert_eq!(range(b"", None), (Bound::Unbounded, Bound::Unbounded));
    }
}
