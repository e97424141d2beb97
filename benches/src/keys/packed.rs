//! Many byte strings in one run of memory, so that reading the next one costs the same little for every
//! store that is measured.

#![forbid(unsafe_code)]

#[derive(Default, Clone)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Keys {
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(u32::try_from(self.bytes.len()).expect("keys of one family stay below 4 GB"));
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The place of the first key that is not below `key`; they must be sorted.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Whether `key` is one of these; they must be sorted.
    pub fn holds(&self, key: &[u8]) -> bool {
        let at = self.lower_bound(key);
        at < self.len() && self.get(at) == key
    }
}

impl<K: AsRef<[u8]>> FromIterator<K> for Keys {
    fn from_iter<I: IntoIterator<Item = K>>(items: I) -> Self {
        let mut keys = Self::default();
        for item in items {
            keys.push(item.as_ref());
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_keys_are_found() {
        let keys: Keys = ["", "a", "ab", "c"].into_iter().collect();
        assert_eq!((keys.len(), keys.total_bytes()), (4, 4));
        assert_eq!([&b""[..], b"aa", b"c", b"d"].map(|key| keys.lower_bound(key)), [0, 2, 3, 4]);
        assert!(keys.holds(b"ab") && !keys.holds(b"b"));
    }
}
