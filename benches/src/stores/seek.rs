//! Listing one level in maps that know no delimiter, but give their keys in order from any place on: keys are
//! walked, a directory is passed over by seeking behind it.

#![forbid(unsafe_code)]

use super::{Child, DELIMITER};
use std::hint::black_box;

/// `keys_from` gives the keys that are not below its argument.
pub fn list<'a, I: Iterator<Item = &'a [u8]>>(
    prefix: &[u8],
    keys_from: impl Fn(&[u8]) -> I,
    mut see: impl FnMut(Child<'_>),
) {
    let mut from = prefix.to_vec();
    'seek: loop {
        for key in keys_from(&from) {
            let Some(rest) = key.strip_prefix(prefix) else {
                return;
            };
            if let Some(at) = rest.iter().position(|&byte| byte == DELIMITER) {
                let child = &key[..prefix.len() + at + 1];
                see(Child::Prefix(child));
                from.clear();
                from.extend_from_slice(&child[..child.len() - 1]);
                from.push(DELIMITER + 1);
                continue 'seek;
            }
            see(Child::Key(key));
        }
        return;
    }
}

/// Makes each name owned before it is seen, whatever the optimiser thinks of that.
pub fn owned(mut see: impl FnMut(Child<'_>)) -> impl FnMut(Child<'_>) {
    move |child| match child {
        Child::Key(key) => see(Child::Key(&black_box(key.to_vec()))),
        Child::Prefix(key) => see(Child::Prefix(&black_box(key.to_vec()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_seen_once_and_passed_over() {
        let keys: [&[u8]; 7] = [b"a", b"b/", b"b/c/1", b"b/c/2", b"b/c0", b"b/d/1", b"c/1"];
        let mut seen = Vec::new();
        let from = |from: &[u8]| keys[keys.partition_point(|key| *key < from)..].iter().copied();
        list(b"b/", from, |child| match child {
            Child::Key(key) => seen.push(("key", key.to_vec())),
            Child::Prefix(key) => seen.push(("prefix", key.to_vec())),
        });
        let expected = [("key", "b/"), ("prefix", "b/c/"), ("key", "b/c0"), ("prefix", "b/d/")];
        assert_eq!(seen, expected.map(|(kind, name)| (kind, name.as_bytes().to_vec())));
    }
}
