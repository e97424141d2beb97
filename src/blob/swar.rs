//! Searching the bytes of a word at once, without any processor's special instructions.

#![forbid(unsafe_code)]

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of every byte of `word` that equals `byte`. Bits above a true match may be set
/// wrongly (the borrow of the subtraction runs upward); the lowest one is always true.
#[inline(always)]
pub(crate) fn matches(word: u64, byte: u8) -> u64 {
    let difference = word ^ (LOW * u64::from(byte));
    difference.wrapping_sub(LOW) & !difference & HIGH
}

/// Exactly the bytes that equal `byte`, as high bits: no false ones, at two operations more.
#[inline(always)]
pub(crate) fn exact_matches(word: u64, byte: u8) -> u64 {
    let difference = word ^ (LOW * u64::from(byte));
    !(((difference & !HIGH) + !HIGH) | difference) & HIGH
}

/// Exactly the bytes of `word` that are below `byte`, as high bits.
#[inline(always)]
pub(crate) fn below(word: u64, byte: u8) -> u64 {
    below_each(word, LOW * u64::from(byte))
}

/// Exactly the bytes of `word` that are below the byte of `other` in the same place, as high bits.
#[inline(always)]
fn below_each(word: u64, other: u64) -> u64 {
    // Seven low bits compared without a borrow between bytes, then the high bits decide.
    let low_not_below = (word | HIGH).wrapping_sub(other & !HIGH) & HIGH;
    let high_differs = (word ^ other) & HIGH;
    (high_differs & other) | (!high_differs & !low_not_below & HIGH)
}

/// Whether each of the first `count` bytes, eight at most, is above the one before.
#[inline]
pub(crate) fn ascends(word: u64, count: usize) -> bool {
    // Each byte beside the one before it. The first has none.
    let all = HIGH & (!0 << 8);
    let wanted = if count < 8 { all & ((1 << (8 * count)) - 1) } else { all };
    below_each(word << 8, word) & wanted == wanted
}

/// The first place of `byte` in `from..end` of a buffer that goes on for eight bytes more.
#[inline]
pub(crate) fn find_byte(padded: &[u8], from: usize, end: usize, byte: u8) -> Option<usize> {
    let mut at = from;
    while at < end {
        let word = u64::from_le_bytes(*padded.get(at..)?.first_chunk::<8>()?);
        let found = matches(word, byte);
        if found != 0 {
            return Some(at + first(found)).filter(|&at| at < end);
        }
        at += 8;
    }
    None
}

/// The index of the byte whose high bit is the lowest set.
#[inline(always)]
pub(crate) fn first(mask: u64) -> usize {
    mask.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_where_it_first_stands() {
        let mut buffer: Vec<u8> = (1..=60).collect();
        buffer.extend([b'/'; 8]);
        for end in (0..=60).step_by(if cfg!(miri) { 12 } else { 1 }) {
            for from in 0..=end {
                assert_eq!(find_byte(&buffer, from, end, 200), None);
                assert_eq!(find_byte(&buffer, from, end, 47), (from..end).find(|&at| buffer[at] == 47));
            }
        }
    }

    #[test]
    fn bytes_ascend_up_to_a_count() {
        let ascending = [0, 1, 5, 127, 128, 129, 254, 255];
        for count in 0..=8 {
            assert!(ascends(u64::from_le_bytes(ascending), count));
            for at in 1..8 {
                for lower in [ascending[at - 1], 0] {
                    let mut bytes = ascending;
                    bytes[at] = lower;
                    assert_eq!(ascends(u64::from_le_bytes(bytes), count), at >= count, "{at} of {count}");
                }
            }
        }
    }

    #[test]
    fn every_pair_of_bytes() {
        let step = if cfg!(miri) { 17 } else { 1 };
        for a in (0..=255u8).step_by(step) {
            for b in (0..=255u8).step_by(step) {
                let word = u64::from_le_bytes([0, a, 255, a, b, 1, 128, 127]);
                for (index, byte) in word.to_le_bytes().into_iter().enumerate() {
                    let bit = 0x80u64 << (8 * index);
                    assert_eq!(exact_matches(word, b) & bit != 0, byte == b);
                    assert_eq!(below(word, b) & bit != 0, byte < b, "{byte} < {b}");
                }
                let found = matches(word, b);
                let position = word.to_le_bytes().iter().position(|&byte| byte == b);
                assert_eq!((found != 0).then(|| first(found)), position);
            }
        }
    }
}
