//! One log record: a header of three words, a payload, a checksum.
//!
//! ```text
//! word 0     payload bytes u32 | kind u8
//! word 1     seq: the number of the write, of a batch that of its first; in a record that is no write, that
//!            of the one before
//! word 2     the log position that was known to be durable when this was appended
//! ...        the payload, filled up with zeros to a word
//! last word  xxh3-64 of words 0 to 2, the payload's xxh3-64, log id, incarnation and position
//! ```
//!
//! Because the checksum covers log id, incarnation and position, a record is valid at one place of one log
//! only: what an earlier lap or an earlier life of the log left behind is never taken for a record.

#![forbid(unsafe_code)]

use crate::hash::xxh3_64;

/// Words before the payload.
pub(crate) const HEAD_WORDS: usize = 3;
/// Bytes of a record without payload.
pub(crate) const EMPTY_BYTES: usize = (HEAD_WORDS + 1) * 8;
/// The longest payload.
pub(crate) const PAYLOAD_BYTES_MAX: usize = (1 << 20) - EMPTY_BYTES;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The first page of a segment. The payload names the segment.
    Segment = 1,
    /// The log goes on in the next segment.
    Jump = 2,
    /// A value was written: see [`super::write`].
    Put = 3,
    /// A key was removed.
    Remove = 4,
    /// A value was moved to another key.
    Rename = 5,
    /// All keys with a prefix were moved.
    MovePrefix = 6,
    /// All keys with a prefix were removed.
    RemovePrefix = 7,
    /// Keys with a prefix were loaded. They are in the blobs that the next checkpoint makes count.
    Load = 8,
    /// All keys with a prefix were moved to where nobody looks, and a single one was removed.
    MoveAway = 9,
    /// In batches alone: where a long value lies was written.
    PutLong = 10,
    /// Several writes: see [`super::batch`].
    Batch = 16,
    /// A part of a batch that is too long for one record.
    BatchPart = 17,
    /// Makes the parts of a batch count.
    BatchCommit = 18,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Kind> {
        let single = [Kind::Segment, Kind::Jump, Kind::Put, Kind::Remove, Kind::Rename];
        let whole = [Kind::MovePrefix, Kind::RemovePrefix, Kind::Load, Kind::MoveAway, Kind::PutLong];
        let batches = [Kind::Batch, Kind::BatchPart, Kind::BatchCommit];
        single.into_iter().chain(whole).chain(batches).find(|&kind| kind as u8 == byte)
    }

    /// Whether the record is a write, with a seq of its own.
    pub(crate) fn is_write(self) -> bool {
        !matches!(self, Kind::Segment | Kind::Jump | Kind::BatchPart)
    }

    /// Whether the record belongs to a batch in parts, which may go further into the log than others.
    pub(crate) fn is_staged(self) -> bool {
        matches!(self, Kind::BatchPart | Kind::BatchCommit)
    }
}

/// The log that a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) log_id: u64,
    pub(crate) incarnation: u32,
}

/// The three words before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) payload_bytes: usize,
    pub(crate) seq: u64,
    pub(crate) durable: u64,
}

impl Head {
    pub(crate) fn encode(self) -> [u64; HEAD_WORDS] {
        let first = self.payload_bytes as u64 | (self.kind as u64) << 32;
        [first, self.seq, self.durable]
    }

    /// Reads a header; none if no record begins so.
    pub(crate) fn decode(words: [u64; HEAD_WORDS]) -> Option<Head> {
        let payload_bytes = words[0] as u32 as usize;
        let kind = Kind::from_byte(u8::try_from(words[0] >> 32).ok()?)?;
        (payload_bytes <= PAYLOAD_BYTES_MAX).then_some(Head {
            kind,
            payload_bytes,
            seq: words[1],
            durable: words[2],
        })
    }

    /// The whole record.
    pub(crate) fn record_bytes(self) -> usize {
        record_bytes(self.payload_bytes)
    }
}

/// Bytes of a record with such a payload.
pub(crate) const fn record_bytes(payload_bytes: usize) -> usize {
    EMPTY_BYTES + payload_bytes.next_multiple_of(8)
}

/// The hash of a payload, which `checksum` wants: taken before the log's lock is.
pub(crate) fn payload_hash(payload: &[u8]) -> u64 {
    xxh3_64(payload)
}

/// The last word of a record.
pub(crate) fn checksum(head: [u64; HEAD_WORDS], payload_hash: u64, identity: Identity, position: u64) -> u64 {
    let words =
        [head[0], head[1], head[2], payload_hash, identity.log_id, u64::from(identity.incarnation), position];
    let mut bytes = [0; 7 * 8];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes)
}

/// The record at the start of `bytes`, if it is valid at `position`.
pub(crate) fn decode(bytes: &[u8], identity: Identity, position: u64) -> Option<(Head, &[u8])> {
    let word = |at: usize| {
        let bytes = bytes.get(at * 8..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    };
    let words = [word(0)?, word(1)?, word(2)?];
    let head = Head::decode(words)?;
    let payload = bytes.get(HEAD_WORDS * 8..)?.get(..head.payload_bytes)?;
    let stored = word(head.record_bytes() / 8 - 1)?;
    (checksum(words, payload_hash(payload), identity, position) == stored).then_some((head, payload))
}

#[cfg(test)]
pub(crate) fn encode(head: Head, payload: &[u8], identity: Identity, position: u64) -> Vec<u8> {
    let words = head.encode();
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(payload);
    bytes.resize(head.record_bytes() - 8, 0);
    let last = checksum(words, payload_hash(payload), identity, position);
    bytes.extend_from_slice(&last.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { log_id: 77, incarnation: 3 };

    fn sample() -> (Head, Vec<u8>) {
        let payload = b"seventeen bytes..";
        let head = Head { kind: Kind::Put, payload_bytes: payload.len(), seq: 9, durable: 4096 };
        (head, encode(head, payload, IDENTITY, 8192))
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let (head, bytes) = sample();
        assert_eq!(bytes.len(), record_bytes(17));
        let (found, payload) = decode(&bytes, IDENTITY, 8192).expect("valid");
        assert_eq!((found, payload), (head, &b"seventeen bytes.."[..]));
    }

    #[test]
    fn every_flipped_bit_but_those_of_the_filling_is_noticed() {
        let (_, mut bytes) = sample();
        let filling = HEAD_WORDS * 8 + 17..HEAD_WORDS * 8 + 24;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bytes, IDENTITY, 8192).is_some(), filling.contains(&(bit / 8)), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_record_is_valid_at_one_place_of_one_log() {
        let (_, bytes) = sample();
        assert!(decode(&bytes, IDENTITY, 8192 + (4 << 20)).is_none());
        assert!(decode(&bytes, Identity { log_id: 78, ..IDENTITY }, 8192).is_none());
        assert!(decode(&bytes, Identity { incarnation: 4, ..IDENTITY }, 8192).is_none());
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], IDENTITY, 8192).is_none());
        }
        assert!(decode(&[0; 64], IDENTITY, 0).is_none());
    }
}
