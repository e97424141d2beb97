//! What a processor can do beyond plain code: comparing sixteen bytes at once, and fetching ahead.
//!
//! Every function has a portable form with the same result; this file only chooses.

use super::words::{Ref, Words};

/// Words in a cache line.
pub(crate) const LINE_WORDS: u16 = 8;

/// The bits of those of sixteen bytes, given as two words, that equal `byte`.
#[inline(always)]
pub(crate) fn matches16(low: u64, high: u64, byte: u8) -> u32 {
    cfg_if::cfg_if! {
        if #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))] {
            sse2::matches16(low, high, byte)
        } else {
            portable::matches16(low, high, byte)
        }
    }
}

/// Brings the cache line of a word closer, without waiting for it.
#[inline(always)]
pub(crate) fn prefetch(words: Words<'_>, at: Ref) {
    cfg_if::cfg_if! {
        if #[cfg(all(target_arch = "x86_64", target_feature = "sse"))] {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch reads nothing; the address is that of a live word besides.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(words.word(at)).cast::<i8>()) }
        } else {
            let _ = (words, at);
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod sse2 {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    #[inline(always)]
    pub(super) fn matches16(low: u64, high: u64, byte: u8) -> u32 {
        // SAFETY: these need SSE2, which the condition on this module asks for.
        unsafe {
            let bytes = _mm_set_epi64x(high as i64, low as i64);
            _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
        }
    }
}

#[cfg_attr(all(target_arch = "x86_64", target_feature = "sse2"), allow(dead_code))]
mod portable {
    use crate::blob::swar;

    /// Gathers the high bit of every byte into the highest byte.
    const GATHER: u64 = 0x0002_0408_1020_4081;

    pub(super) fn matches16(low: u64, high: u64, byte: u8) -> u32 {
        let bits = |word| (((swar::exact_matches(word, byte) >> 7).wrapping_mul(GATHER << 7)) >> 56) as u32;
        bits(low) | (bits(high) << 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_find_exactly_the_equal_bytes() {
        let mut state = 1u64;
        for _ in 0..if cfg!(miri) { 50 } else { 2000 } {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let bytes: Vec<u8> = (0..16).map(|i| (state >> (i * 3)) as u8 & 7).collect();
            let word = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight"));
            for byte in [0, 3, 7, 200] {
                let expected: u32 = (0..16).filter(|&i| bytes[i] == byte).map(|i| 1 << i).sum();
                assert_eq!(matches16(word(0), word(8), byte), expected);
                assert_eq!(portable::matches16(word(0), word(8), byte), expected);
            }
        }
    }
}
