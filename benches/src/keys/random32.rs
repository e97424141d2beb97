//! Keys of 32 random bytes: nothing to share, nothing to list.

#![forbid(unsafe_code)]

use super::Family;
use crate::random::Random;

/// The name of the family.
pub const RANDOM32: &str = "random32";

impl Family {
    pub fn random32(count: usize, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x3332);
        let mut key = || (0..4).flat_map(|_| random.next().to_le_bytes()).collect::<Vec<u8>>();
        let keys = (0..count).map(|_| key()).collect();
        Self::of_bytes(RANDOM32, seed, keys)
    }
}
