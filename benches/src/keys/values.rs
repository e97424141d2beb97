//! Values that know which key they belong to and which write made them, so that every answer of a store can
//! be verified, the quick way within a timed loop and byte for byte outside.

#![forbid(unsafe_code)]

use crate::random::Random;

/// Bytes of every value.
pub const VALUE_LEN: usize = 100;

/// Values that know which key they belong to and which write made them.
///
/// Bytes 0..8 the number of the key, 8..12 the generation, 96..100 the number inverted, the rest
/// noise that does not compress.
pub struct Values {
    pool: Vec<u8>,
}

impl Values {
    const POOL: usize = 64 << 10;

    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x7661_6C75_6573);
        let words = (Self::POOL + VALUE_LEN).div_ceil(8);
        Self { pool: (0..words).flat_map(|_| random.next().to_le_bytes()).collect() }
    }

    #[inline]
    pub fn make(&self, id: u32, generation: u32) -> [u8; VALUE_LEN] {
        let at = (id as usize).wrapping_mul(331) % Self::POOL;
        let mut value: [u8; VALUE_LEN] =
            self.pool[at..at + VALUE_LEN].try_into().expect("the pool is long enough");
        value[..8].copy_from_slice(&u64::from(id).to_le_bytes());
        value[8..12].copy_from_slice(&generation.to_le_bytes());
        value[VALUE_LEN - 4..].copy_from_slice(&(!id).to_le_bytes());
        value
    }

    /// The quick test of the timed loops: both ends of the value belong to `id`.
    #[inline]
    pub fn belongs(value: &[u8], id: u32) -> bool {
        value.len() == VALUE_LEN
            && value[..8] == u64::from(id).to_le_bytes()
            && value[VALUE_LEN - 4..] == (!id).to_le_bytes()
    }

    /// The number that a value carries.
    #[inline]
    pub fn id(value: &[u8]) -> u64 {
        value.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_knows_its_key_and_its_generation() {
        let values = Values::new(1);
        let value = values.make(7, 2);
        assert!(Values::belongs(&value, 7) && !Values::belongs(&value, 8));
        assert_eq!(Values::id(&value), 7);
        assert_ne!(value, values.make(7, 3));
        assert_eq!(Values::id(b"short"), u64::MAX);
    }
}
