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
    len: usize,
}

impl KeyBuf {
    /// A key of two parts: the tree id and the user's bytes.
    #[inline]
    pub(crate) fn new(tree: &[u8; 4], bytes: &[u8]) -> Self {
        let len = tree.len() + bytes.len();
        let mut buffer = KeyBuf {
            inline: [0; INLINE_BYTES + PADDING_BYTES],
            long: Vec::new(),
            len,
        };
        if len <= INLINE_BYTES {
            buffer.inline[..4].copy_from_slice(tree);
            buffer.inline[4..len].copy_from_slice(bytes);
        } else {
            buffer.long.reserve_exact(len + PADDING_BYTES);
            buffer.long.extend_from_slice(tree);
            buffer.long.extend_from_slice(bytes);
            buffer.long.resize(len + PADDING_BYTES, 0);
        }
        buffer
    }

    /// A key that is complete as it is, tree id included.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let len = bytes.len();
        let mut buffer = KeyBuf {
            inline: [0; INLINE_BYTES + PADDING_BYTES],
            long: Vec::new(),
            len,
        };
        if len <= INLINE_BYTES {
            buffer.inline[..len].copy_from_slice(bytes);
        } else {
            buffer.long.reserve_exact(len + PADDING_BYTES);
            buffer.long.extend_from_slice(bytes);
            buffer.long.resize(len + PADDING_BYTES, 0);
        }
        buffer
    }

    #[inline]
    pub(crate) fn key(&self) -> Key<'_> {
        let padded = if self.long.is_empty() {
            &self.inline[..]
        } else {
            &self.long[..]
        };
        Key {
            padded,
            len: self.len,
        }
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
            let buffer = KeyBuf::new(&[1, 2, 3, 4], &bytes);
            let key = buffer.key();
            let mut full = vec![1, 2, 3, 4];
            full.extend_from_slice(&bytes);
            assert_eq!(key.bytes(), full);
            full.resize(full.len() + 8, 0);
            for depth in 0..=key.len() {
                assert_eq!(key.word(depth).to_le_bytes(), full[depth..depth + 8]);
            }
            assert_eq!(KeyBuf::from_bytes(key.bytes()).key().bytes(), key.bytes());
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
