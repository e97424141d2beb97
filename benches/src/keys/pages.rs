//! Pages: the first keys above a given one, whatever their directories, as a caller reads on where the page
//! before has ended.
//!
//! What a page must give is counted here from the keys alone, so that no store's answer is believed.

#![forbid(unsafe_code)]

use super::Family;
use crate::random::Random;

/// Keys of a page, at most.
pub const PAGE_KEYS: usize = 1_000;
/// Pages of a family.
const PAGES: usize = 100;

pub struct Page {
    /// The page begins above this. Of every second page, it is no key of the family: the caller may have
    /// removed it.
    pub after: Vec<u8>,
    /// The number of the first key in it.
    pub first: usize,
    pub keys: usize,
    /// Bytes of all its keys together.
    pub key_bytes: usize,
}

impl Family {
    /// Pages at random places, full ones if the family has so many keys.
    pub fn pages(&self) -> Vec<Page> {
        let mut random = Random::new(self.seed ^ 0x7061_6765);
        let places = self.len().saturating_sub(PAGE_KEYS).max(1);
        let page = |i: usize| {
            let at = random.below(places);
            let mut after = self.sorted.get(at).to_vec();
            if i % 2 == 1 {
                // Right above the key: nothing lies between the two.
                after.push(0);
            }
            let first = self.sorted.lower_bound(&after) + usize::from(self.sorted.holds(&after));
            let keys = PAGE_KEYS.min(self.len() - first);
            let key_bytes = (first..first + keys).map(|i| self.sorted.get(i).len()).sum();
            Page { after, first, keys, key_bytes }
        };
        (0..PAGES).map(page).collect()
    }

    /// The keys of a page, in order.
    pub fn page_keys(&self, page: &Page) -> impl Iterator<Item = &[u8]> {
        (page.first..page.first + page.keys).map(|i| self.sorted.get(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_above_their_keys() {
        let family = Family::objects(3_000, 1);
        for page in family.pages() {
            let keys: Vec<&[u8]> = family.page_keys(&page).collect();
            assert_eq!(keys.len(), PAGE_KEYS);
            assert!(keys.iter().all(|key| **key > *page.after));
            assert_eq!(page.key_bytes, keys.iter().map(|key| key.len()).sum::<usize>());
            assert!(page.first == 0 || family.sorted.get(page.first - 1) <= &page.after[..]);
        }
    }

    #[test]
    fn the_last_page_may_be_short() {
        let family = Family::objects(50, 1);
        assert!(family.pages().iter().all(|page| page.first + page.keys == 50));
    }
}
