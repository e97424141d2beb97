//! A key that can be read eight bytes at a time from any depth.
//!
//! The bytes are copied once per operation into a buffer with eight zero bytes behind them, so that the
//! comparisons of a descent are whole words without a special case at the end.

#![forbid(unsafe_code)]

/// Bytes that fit without an allocation: almost every path does.
const INLINE_BYTES: usize = 240;
/// Zero bytes behind the key.
const PADDING_BYTES: usize = 8;

/// Owns the padded copy of a key.
pub(crate) struct KeyBuf {
    inline: [u8; INLINE_BYTES + PADDING_BYTES],
    /// Holds the key instead when it is longer than the inline part.
    long: Vec<u8>,
}

impl KeyBuf {
    /// A buffer to be filled. Filling happens in place, because the buffer is too large to be moved.
    #[inline(always)]
    pub(crate) fn empty() -> Self {
        KeyBuf { inline: [0; INLINE_BYTES + PADDING_BYTES], long: Vec::new() }
    }

    /// Fills an empty buffer with a key of two parts: the tree id and the user's bytes.
    #[inline(always)]
    pub(crate) fn fill(&mut self, tree: [u8; 4], bytes: &[u8]) -> Key<'_> {
        let len = tree.len() + bytes.len();
        if len > INLINE_BYTES {
            return self.fill_long(&[&tree, bytes]);
        }
        self.inline[..4].copy_from_slice(&tree);
        self.inline[4..len].copy_from_slice(bytes);
        Key { padded: &self.inline, len }
    }

    /// Fills a buffer that may have been filled before.
    #[inline]
    pub(crate) fn refill(&mut self, tree: [u8; 4], bytes: &[u8]) -> Key<'_> {
        let len = tree.len() + bytes.len();
        if len <= INLINE_BYTES {
            self.inline[len..len + PADDING_BYTES].fill(0);
        }
        self.fill(tree, bytes)
    }

    #[cold]
    fn fill_long(&mut self, parts: &[&[u8]]) -> Key<'_> {
        let len = parts.iter().map(|part| part.len()).sum();
        self.long.clear();
        self.long.reserve_exact(len + PADDING_BYTES);
        for part in parts {
            self.long.extend_from_slice(part);
        }
        self.long.resize(len + PADDING_BYTES, 0);
        Key { padded: &self.long, len }
    }

    /// Fills an empty buffer with a key that is complete as it is, tree id included.
    pub(crate) fn fill_whole(&mut self, bytes: &[u8]) -> Key<'_> {
        if bytes.len() > INLINE_BYTES {
            return self.fill_long(&[bytes]);
        }
        self.inline[..bytes.len()].copy_from_slice(bytes);
        Key { padded: &self.inline, len: bytes.len() }
    }
}

/// A borrowed padded key.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    padded: &'a [u8],
    len: usize,
}

impl<'a> Key<'a> {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.padded[..self.len]
    }

    /// The bytes from `depth` on; none if the key is shorter.
    #[inline]
    pub(crate) fn rest(&self, depth: usize) -> &'a [u8] {
        &self.padded[depth.min(self.len)..self.len]
    }

    /// The byte at `depth`, which must be below the length.
    #[inline(always)]
    pub(crate) fn byte(&self, depth: usize) -> u8 {
        self.padded[depth]
    }

    /// The `len` bytes from `depth`, which must be there, in pieces of eight; the last piece goes on with
    /// what follows. One check for all of them: this is what a descent compares with.
    #[inline(always)]
    pub(crate) fn pieces(&self, depth: usize, len: usize) -> &'a [[u8; 8]] {
        let (pieces, _) = self.padded[depth..depth + len.next_multiple_of(8)].as_chunks::<8>();
        pieces
    }

    /// Eight bytes from `depth`, which must not exceed the length; zeros stand behind the key's end.
    #[inline(always)]
    pub(crate) fn word(&self, depth: usize) -> u64 {
        match self.padded[depth..].first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => 0,
        }
    }
}

/// How many bytes two slices share.
pub(crate) fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let limit = left.len().min(right.len());
    let mut done = 0;
    while let (Some(a), Some(b)) = (left[done..].first_chunk::<8>(), right[done..].first_chunk::<8>()) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return done + difference.trailing_zeros() as usize / 8;
        }
        done += 8;
    }
    while done < limit && left[done] == right[done] {
        done += 1;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_padded_with_zeros() {
        for len in [0usize, 1, 7, 8, 9, 236, 237, 300] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8 | 1).collect();
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill([1, 2, 3, 4], &bytes);
            let mut full = vec![1, 2, 3, 4];
            full.extend_from_slice(&bytes);
            assert_eq!(key.bytes(), full);
            full.resize(full.len() + 8, 0);
            for depth in 0..=key.len() {
                assert_eq!(key.word(depth).to_le_bytes(), full[depth..depth + 8]);
            }
            assert_eq!(KeyBuf::empty().fill_whole(key.bytes()).bytes(), key.bytes());
        }
    }

    #[test]
    fn common_prefix_counts_bytes() {
        assert_eq!(common_prefix(b"", b"abc"), 0);
        assert_eq!(common_prefix(b"abcdefghij", b"abcdefghiz"), 9);
        assert_eq!(common_prefix(b"abcdefgh", b"abcdefghiz"), 8);
        assert_eq!(common_prefix(b"abcxefgh", b"abcdefghiz"), 3);
    }
}
