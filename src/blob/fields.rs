//! Packed arrays of 8-bit and 16-bit fields inside whole words: inserting, removing, searching.

#![forbid(unsafe_code)]

use super::swar;
use super::words::{Ref, RefSlot, Words};

const BYTE_BITS: u32 = 8;
const LANE_BITS: u32 = 16;

/// Makes room at `index` in an array of `count` bytes, and puts `byte` there.
pub(crate) fn insert_byte(words: Words<'_>, first: Ref, count: usize, index: usize, byte: u8) {
    insert(words, first, BYTE_BITS, count, index, u64::from(byte));
}

/// Makes room at `index` in an array of `count` refs, and puts `to` there.
pub(crate) fn insert_ref(words: Words<'_>, first: Ref, count: usize, index: usize, to: Ref) {
    insert(words, first, LANE_BITS, count, index, u64::from(to));
}

/// Removes the byte at `index` of `count`, moving the later ones down; a zero follows.
pub(crate) fn remove_byte(words: Words<'_>, first: Ref, count: usize, index: usize) {
    remove(words, first, BYTE_BITS, count, index);
}

/// Removes the ref at `index` of `count`, moving the later ones down; a zero follows.
pub(crate) fn remove_ref(words: Words<'_>, first: Ref, count: usize, index: usize) {
    remove(words, first, LANE_BITS, count, index);
}

/// Always inlined: with the number of bits known it takes half the instructions.
#[inline(always)]
fn insert(words: Words<'_>, first: Ref, bits: u32, count: usize, index: usize, value: u64) {
    let per_word = (64 / bits) as usize;
    let mut at = first.wrapping_add((index / per_word) as u16);
    let last = first.wrapping_add((count / per_word) as u16);
    words.note_run(at, usize::from(last.wrapping_sub(at)) + 1);
    let shift = bits * (index % per_word) as u32;
    let word = words.load(at);
    let low = word & ((1u64 << shift) - 1);
    let high = if shift + bits == 64 { 0 } else { (word >> shift) << (shift + bits) };
    words.store_unnoted(at, low | (value << shift) | high);
    let mut carry = word >> (64 - bits);
    while at != last {
        at = at.wrapping_add(1);
        let word = words.load(at);
        words.store_unnoted(at, (word << bits) | carry);
        carry = word >> (64 - bits);
    }
}

fn remove(words: Words<'_>, first: Ref, bits: u32, count: usize, index: usize) {
    let per_word = (64 / bits) as usize;
    let start = first.wrapping_add((index / per_word) as u16);
    let last = count.saturating_sub(1).max(index) / per_word;
    let mut at = first.wrapping_add(last as u16);
    let mut carry = 0;
    while at != start {
        let word = words.load(at);
        words.store(at, (word >> bits) | (carry << (64 - bits)));
        carry = word & ((1 << bits) - 1);
        at = at.wrapping_sub(1);
    }
    let shift = bits * (index % per_word) as u32;
    let word = words.load(at);
    let low = word & ((1u64 << shift) - 1);
    let high = if shift + bits == 64 { 0 } else { (word >> (shift + bits)) << shift };
    words.store(at, low | high | (carry << (64 - bits)));
}

/// How many of the `count` sorted bytes are below `byte`.
#[inline]
pub(crate) fn count_below(words: Words<'_>, first: Ref, count: usize, byte: u8) -> usize {
    let mut index = 0;
    while index < count {
        let word = words.load(first.wrapping_add((index / 8) as u16));
        let not_below = !swar::below(word, byte) & 0x8080_8080_8080_8080;
        if not_below != 0 {
            return count.min(index + swar::first(not_below));
        }
        index += 8;
    }
    count
}

/// Reads the `index`-th ref.
#[inline(always)]
pub(crate) fn nth_ref(words: Words<'_>, first: Ref, index: usize) -> Ref {
    words.load_ref(RefSlot::nth(first, index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::words::boxed_words;

    #[test]
    fn bytes_and_refs_insert_and_remove_like_a_vec() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        let mut random = 7u64;
        let mut model: Vec<u8> = Vec::new();
        for _ in 0..if cfg!(miri) { 150 } else { 3000 } {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = (random >> 33) as usize;
            if model.len() < 64 && (pick % 5 < 3 || model.is_empty()) {
                let index = pick % (model.len() + 1);
                insert_byte(words, 300, model.len(), index, pick as u8);
                insert_ref(words, 400, model.len(), index, u16::from(pick as u8) * 3);
                model.insert(index, pick as u8);
            } else {
                let index = pick % model.len();
                remove_byte(words, 300, model.len(), index);
                remove_ref(words, 400, model.len(), index);
                model.remove(index);
            }
            for (index, &byte) in model.iter().enumerate() {
                assert_eq!(words.byte(300, index), byte);
                assert_eq!(nth_ref(words, 400, index), u16::from(byte) * 3);
            }
            assert_eq!(words.load(300 + 9), 0);
            assert_eq!(words.load(400 + 17), 0);
        }
    }

    #[test]
    fn count_below_on_sorted_bytes() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        for count in (0..=256usize).step_by(if cfg!(miri) { 64 } else { 1 }) {
            for index in 0..count {
                words.store_byte(300, index, (index * 256 / count.max(1)) as u8);
            }
            for byte in [0u8, 1, 2, 100, 127, 128, 200, 254, 255] {
                let expected = (0..count).filter(|i| ((i * 256 / count) as u8) < byte).count();
                assert_eq!(count_below(words, 300, count, byte), expected, "{count} {byte}");
            }
        }
    }
}
