//! Several writes as one: how a batch lies in the log.
//!
//! ```text
//! writes u32 | of each: kind u8 | first bytes u32 | second bytes u32 | first | second
//! ```
//!
//! *First* is the key, of a rename the old one; *second* is the value of a put, the new key of a rename, and
//! nothing of a removal. The kinds are those of the records of single writes.
//!
//! A batch that fits one record is one record. A larger one goes into the log in parts, each `batch id u64 |
//! part u32 | 0 u32 | bytes`, and one small record makes them count: `batch id u64 | parts u32 | writes u32 |
//! bytes u64 | xxh3-64 of all bytes`. Parts alone mean nothing.

#![forbid(unsafe_code)]

use std::io;

use crate::hash::xxh3_64;

use super::payload::{Write, split_u32};
use super::record::{EMPTY_BYTES, Kind, record_bytes};
use super::ring::SEGMENT_BYTES;
use crate::backend::PAGE_BYTES;

/// The longest list of writes.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;

/// Bytes in front of the writes.
pub(crate) const COUNT_BYTES: usize = 4;
/// Bytes in front of each write's own.
const WRITE_HEAD_BYTES: usize = 9;
const PART_HEAD_BYTES: usize = 16;
const TICKET_BYTES: usize = 32;

/// Eight parts fill a segment behind its first page.
const PARTS_PER_SEGMENT: usize = 8;
/// Bytes of a batch in one part.
pub(crate) const PART_BYTES: usize =
    (SEGMENT_BYTES as usize - PAGE_BYTES) / PARTS_PER_SEGMENT - EMPTY_BYTES - PART_HEAD_BYTES;

const _: () = assert!(PART_BYTES.is_multiple_of(8));
const _: () = assert!(
    PARTS_PER_SEGMENT * record_bytes(PART_HEAD_BYTES + PART_BYTES) == SEGMENT_BYTES as usize - PAGE_BYTES
);

/// The writes of one batch, in order. They were looked at, and can all be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writes<'a> {
    bytes: &'a [u8],
}

/// Begins a list without writes.
pub(crate) fn begin(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend_from_slice(&0u32.to_le_bytes());
}

/// Appends a write; returns where its first and its second part lie.
pub(crate) fn push(
    bytes: &mut Vec<u8>,
    kind: Kind,
    first: [&[u8]; 2],
    second: [&[u8]; 2],
) -> [std::ops::Range<usize>; 2] {
    let len = |parts: [&[u8]; 2]| parts[0].len() + parts[1].len();
    bytes.push(kind as u8);
    bytes.extend_from_slice(&(len(first) as u32).to_le_bytes());
    bytes.extend_from_slice(&(len(second) as u32).to_le_bytes());
    let from = bytes.len();
    for part in first.into_iter().chain(second) {
        bytes.extend_from_slice(part);
    }
    let count = count_of(bytes) + 1;
    bytes[..COUNT_BYTES].copy_from_slice(&count.to_le_bytes());
    let middle = from + len(first);
    [from..middle, middle..bytes.len()]
}

/// The bytes that `push` would add.
pub(crate) fn pushed_bytes(first: usize, second: usize) -> usize {
    WRITE_HEAD_BYTES + first + second
}

fn count_of(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |count| u32::from_le_bytes(*count))
}

impl<'a> Writes<'a> {
    /// Reads a list; none if it is not one, or empty.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (mut left, mut rest) = split_u32(bytes)?;
        if left == 0 {
            return None;
        }
        while left > 0 {
            rest = split_write(rest)?.1;
            left -= 1;
        }
        rest.is_empty().then_some(Writes { bytes })
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many there are: each has a seq of its own.
    pub(crate) fn count(self) -> u64 {
        u64::from(count_of(self.bytes))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Write<'a>> {
        let mut rest = self.bytes.get(COUNT_BYTES..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (write, behind) = split_write(rest)?;
            rest = behind;
            Some(write)
        })
    }
}

fn split_write(bytes: &[u8]) -> Option<(Write<'_>, &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let (first_bytes, rest) = split_u32(rest)?;
    let (second_bytes, rest) = split_u32(rest)?;
    let (first, rest) = rest.split_at_checked(first_bytes)?;
    let (second, rest) = rest.split_at_checked(second_bytes)?;
    let write = match Kind::from_byte(kind)? {
        Kind::Put => Write::Put { key: first, value: second },
        Kind::PutLong => Write::PutLong { key: first, pointer: second },
        Kind::Remove if second.is_empty() => Write::Remove { key: first },
        Kind::Rename => Write::Rename { from: first, to: second },
        _ => return None,
    };
    Some((write, rest))
}

/// What makes the parts of a batch count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) batch_id: u64,
    pub(crate) parts: u32,
    pub(crate) writes: u32,
    pub(crate) total_bytes: u64,
    pub(crate) hash: u64,
}

impl Ticket {
    pub(crate) fn new(batch_id: u64, bytes: &[u8]) -> Ticket {
        Ticket {
            batch_id,
            parts: bytes.len().div_ceil(PART_BYTES) as u32,
            writes: count_of(bytes),
            total_bytes: bytes.len() as u64,
            hash: xxh3_64(bytes),
        }
    }

    pub(crate) fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.batch_id.to_le_bytes());
        bytes.extend_from_slice(&self.parts.to_le_bytes());
        bytes.extend_from_slice(&self.writes.to_le_bytes());
        bytes.extend_from_slice(&self.total_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.hash.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Ticket> {
        let bytes: &[u8; TICKET_BYTES] = bytes.try_into().ok()?;
        let long = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let short = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        Some(Ticket {
            batch_id: long(0),
            parts: short(8),
            writes: short(12),
            total_bytes: long(16),
            hash: long(24),
        })
    }
}

/// The payload of one part.
pub(crate) fn encode_part(batch_id: u64, part: u32, bytes: &[u8], payload: &mut Vec<u8>) {
    payload.clear();
    payload.extend_from_slice(&batch_id.to_le_bytes());
    payload.extend_from_slice(&part.to_le_bytes());
    payload.extend_from_slice(&0u32.to_le_bytes());
    payload.extend_from_slice(bytes);
}

/// The parts that replay has come across, of the batch that was staged last: there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    batch_id: u64,
    parts: u32,
    bytes: Vec<u8>,
}

impl Parts {
    /// Takes in one part. What does not go on from the parts before it belongs to a batch that is not whole.
    pub(crate) fn take_in(&mut self, payload: &[u8]) -> io::Result<()> {
        let Some((head, bytes)) = payload.split_first_chunk::<PART_HEAD_BYTES>() else {
            return Ok(());
        };
        let batch_id = head.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let part = head[8..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        if part == 0 {
            *self = Parts { batch_id, parts: 0, bytes: Vec::new() };
        }
        let goes_on = batch_id == self.batch_id && part == self.parts;
        if goes_on && self.bytes.len() + bytes.len() <= BATCH_BYTES_MAX {
            self.bytes.try_reserve(bytes.len())?;
            self.bytes.extend_from_slice(bytes);
            self.parts += 1;
        }
        Ok(())
    }

    /// The whole batch, if these are its parts.
    pub(crate) fn redeem(&self, ticket: Ticket) -> Option<Writes<'_>> {
        let found = Ticket { batch_id: self.batch_id, ..Ticket::new(ticket.batch_id, &self.bytes) };
        if found != ticket || self.parts != ticket.parts { None } else { Writes::decode(&self.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        begin(&mut bytes);
        let [key, value] = push(&mut bytes, Kind::Put, [b"tree", b"a/b"], [b"value", b""]);
        assert_eq!((&bytes[key], &bytes[value]), (&b"treea/b"[..], &b"value"[..]));
        push(&mut bytes, Kind::Remove, [b"", b""], [b"", b""]);
        push(&mut bytes, Kind::Rename, [b"x", b""], [b"y", b"z"]);
        push(&mut bytes, Kind::PutLong, [b"a", b"b"], [b"pointer", b""]);
        bytes
    }

    #[test]
    fn a_list_of_writes_comes_back_and_half_of_it_does_not() {
        let bytes = sample();
        let writes = Writes::decode(&bytes).expect("a list");
        let expected = [
            Write::Put { key: b"treea/b", value: b"value" },
            Write::Remove { key: b"" },
            Write::Rename { from: b"x", to: b"yz" },
            Write::PutLong { key: b"ab", pointer: b"pointer" },
        ];
        assert_eq!(writes.iter().collect::<Vec<_>>(), expected);
        assert_eq!(writes.count(), 4);
        for end in 0..bytes.len() {
            assert_eq!(Writes::decode(&bytes[..end]), None, "{end} bytes");
        }
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(Writes::decode(&more), None);
        assert_eq!(Writes::decode(&[0; 4]), None, "no writes are no batch");
        let nested = [&[1, 0, 0, 0, Kind::Batch as u8][..], &[0; 8]].concat();
        assert_eq!(Writes::decode(&nested), None);
    }

    #[test]
    fn what_a_write_adds_is_known_before() {
        let mut bytes = sample();
        for (first, second) in [(0, 0), (3, 0), (0, 5), (4, 70_000)] {
            let before = bytes.len();
            push(&mut bytes, Kind::Put, [&vec![1; first], b""], [&vec![2; second], b""]);
            assert_eq!(bytes.len() - before, pushed_bytes(first, second));
        }
    }

    #[test]
    fn a_part_of_another_batch_is_not_taken_for_the_next_one() {
        let (mut parts, mut payload) = (Parts::default(), Vec::new());
        let mut take_in = |batch_id, part, bytes: &[u8]| {
            encode_part(batch_id, part, bytes, &mut payload);
            parts.take_in(&payload).expect("memory");
        };
        take_in(5, 0, b"one");
        take_in(6, 1, b"of another");
        take_in(5, 2, b"too early");
        take_in(5, 1, b"two");
        assert_eq!((parts.batch_id, parts.parts, &parts.bytes[..]), (5, 2, &b"onetwo"[..]));
    }

    // A megabyte and a half, hashed many times: too long under Miri.
    #[cfg(not(miri))]
    #[test]
    fn parts_count_only_together() {
        let mut bytes = sample();
        push(&mut bytes, Kind::Put, [b"k", b""], [&vec![7; PART_BYTES], &vec![8; PART_BYTES]]);
        let ticket = Ticket::new(5, &bytes);
        assert_eq!(ticket.parts, 3);
        let mut encoded = Vec::new();
        ticket.encode(&mut encoded);
        assert_eq!(Ticket::decode(&encoded), Some(ticket));
        assert_eq!(Ticket::decode(&encoded[1..]), None);
        let payload = |part: usize| {
            let mut payload = Vec::new();
            let end = bytes.len().min((part + 1) * PART_BYTES);
            encode_part(5, part as u32, &bytes[part * PART_BYTES..end], &mut payload);
            payload
        };
        for missing in 0..4 {
            let mut parts = Parts::default();
            parts.take_in(&[1, 2, 3]).expect("memory");
            for part in (0..3).filter(|&part| part != missing) {
                parts.take_in(&payload(part)).expect("memory");
            }
            let whole = parts.redeem(ticket);
            assert_eq!(whole.map(Writes::bytes), (missing == 3).then_some(&bytes[..]), "{missing}");
            assert_eq!(parts.redeem(Ticket { batch_id: 6, ..ticket }), None);
        }
        // The same bytes in other parts than the ticket speaks of.
        let mut parts = Parts::default();
        let mut payload = Vec::new();
        for (part, bytes) in bytes.chunks(PART_BYTES / 2).enumerate() {
            encode_part(5, part as u32, bytes, &mut payload);
            parts.take_in(&payload).expect("memory");
        }
        assert_eq!((parts.bytes == bytes, parts.redeem(ticket)), (true, None));
    }

    #[cfg(not(miri))]
    #[test]
    fn parts_take_no_more_memory_than_a_batch_may_have() {
        let (mut parts, mut payload) = (Parts::default(), Vec::new());
        let most = BATCH_BYTES_MAX / PART_BYTES;
        for part in 0..most + 3 {
            encode_part(5, part as u32, &vec![7; PART_BYTES], &mut payload);
            parts.take_in(&payload).expect("memory");
        }
        assert_eq!((parts.parts as usize, parts.bytes.len()), (most, most * PART_BYTES));
    }
}
