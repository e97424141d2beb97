//! A family most of whose keys lie below one directory.

#![forbid(unsafe_code)]

use super::Family;
use std::ops::Range;

/// One key in so many stays where it was, outside.
const OUTSIDE_EVERY: usize = 10;

impl Family {
    /// The same keys, nine of ten of them with `directory` in front.
    pub fn gathered(&self, directory: &[u8]) -> Self {
        let gather = |(place, key): (usize, &[u8])| {
            if place.is_multiple_of(OUTSIDE_EVERY) { key.to_vec() } else { [directory, key].concat() }
        };
        let keys = self.sorted.iter().enumerate().map(gather).collect();
        if self.is_paths {
            Self::of_paths(self.name, self.seed, keys)
        } else {
            Self::of_bytes(self.name, self.seed, keys)
        }
    }

    /// The places of the keys that begin with `prefix`.
    pub fn below(&self, prefix: &[u8]) -> Range<usize> {
        let start = self.sorted.lower_bound(prefix);
        let count = self.sorted.iter().skip(start).take_while(|key| key.starts_with(prefix)).count();
        start..start + count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_keys_lie_below_the_directory() {
        let family = Family::objects(2_000, 1).gathered(b"home/");
        assert_eq!((family.len(), family.below(b"home/").len()), (2_000, 1_800));
        let below = family.below(b"home/");
        assert!(below.start > 0 && below.end < family.len(), "others lie on both sides");
        assert_eq!(family.below(b"home0").len(), 0);
        assert_eq!(family.below(b"").len(), 2_000);
    }
}
