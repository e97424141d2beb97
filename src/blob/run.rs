//! Writing a run of bytes, piece by piece, into whole words.

#![forbid(unsafe_code)]

use super::words::{Ref, Words, low_bytes};

/// Concatenates byte strings into words from `at` on; the last word is padded with zeros.
pub(crate) struct RunWriter<'a> {
    words: Words<'a>,
    at: Ref,
    /// Behind the last word that was noted.
    end: Ref,
    /// Bytes that do not fill a word yet, in its low end.
    pending: u64,
    pending_bits: u32,
}

impl<'a> RunWriter<'a> {
    /// A run of exactly `len` bytes.
    #[inline]
    pub(crate) fn new(words: Words<'a>, at: Ref, len: usize) -> Self {
        let count = len.div_ceil(8);
        words.note_run(at, count);
        RunWriter { words, at, end: at.wrapping_add(count as Ref), pending: 0, pending_bits: 0 }
    }

    /// Whole words: a loop of its own where they need not be shifted.
    #[inline(always)]
    fn push_words(&mut self, source: impl Iterator<Item = u64>) {
        let (mut at, mut pending, bits) = (self.at, self.pending, self.pending_bits);
        if bits == 0 {
            for word in source {
                self.words.store_unnoted(at, word);
                at = at.wrapping_add(1);
            }
        } else {
            for word in source {
                self.words.store_unnoted(at, pending | (word << bits));
                pending = word >> (64 - bits);
                at = at.wrapping_add(1);
            }
        }
        (self.at, self.pending) = (at, pending);
    }

    /// Up to eight bytes in the low end of `word`, zeros above them.
    #[inline]
    fn push_part(&mut self, word: u64, bytes: u32) {
        let bits = bytes * 8;
        self.pending |= word << self.pending_bits;
        if self.pending_bits + bits >= 64 {
            self.words.store_unnoted(self.at, self.pending);
            self.at = self.at.wrapping_add(1);
            let used = 64 - self.pending_bits;
            self.pending = if used == 64 { 0 } else { word >> used };
            self.pending_bits = self.pending_bits + bits - 64;
        } else {
            self.pending_bits += bits;
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        self.push_words(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.push_part(u64::from_le_bytes(word), rest.len() as u32);
        }
    }

    /// `len` bytes that start `offset` bytes after word `from` of another (or this) blob.
    #[inline]
    pub(crate) fn push_run(&mut self, source: Words<'_>, from: Ref, offset: usize, len: usize) {
        let done = len - len % 8;
        self.push_words((0..done).step_by(8).map(|done| source.word_at(from, offset + done)));
        let rest = (len % 8) as u32;
        if rest > 0 {
            self.push_part(source.word_at(from, offset + done) & low_bytes(rest), rest);
        }
    }

    /// Stores what is left. Without this call the last bytes are missing.
    #[inline]
    pub(crate) fn finish(self) {
        debug_assert_eq!(self.at.wrapping_add(Ref::from(self.pending_bits > 0)), self.end, "another length");
        if self.pending_bits > 0 {
            self.words.store_unnoted(self.at, self.pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::words::boxed_words;

    #[test]
    fn pieces_of_every_length_concatenate() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        let bytes: Vec<u8> = (1..=64u8).collect();
        let mut source = RunWriter::new(words, 1000, bytes.len());
        source.push(&bytes);
        source.finish();
        let step = if cfg!(miri) { 3 } else { 1 };
        for a in (0..20).step_by(step) {
            for b in (0..20).step_by(step) {
                words.zero(300, 16);
                let mut run = RunWriter::new(words, 300, a + b + 5);
                run.push(&bytes[..a]);
                run.push_run(words, 1000, a, b);
                run.push(&bytes[a + b..a + b + 5]);
                run.finish();
                let mut out = Vec::new();
                words.append_to(300, 0, 48, &mut out);
                assert_eq!(out[..a + b + 5], bytes[..a + b + 5]);
                assert!(out[a + b + 5..].iter().all(|&byte| byte == 0));
            }
        }
    }
}
